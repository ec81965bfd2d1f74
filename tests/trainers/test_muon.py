import pytest
import torch
from torch import nn

from trainers.muon import Muon, orthogonal

SHAPES = ((16, 16), (16, 16), (8, 24), (24, 8))


def test_it_is_torchs_rule():
    generator = torch.Generator().manual_seed(0)
    ours = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    theirs = [nn.Parameter(weight.detach().clone()) for weight in ours]
    start = [weight.detach().clone() for weight in ours]
    both = (
        Muon(ours, lr=0.01, weight_decay=0.1),
        torch.optim.Muon(theirs, lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    )
    for _ in range(5):
        for mine, other in zip(ours, theirs, strict=True):
            mine.grad = torch.randn(mine.shape, generator=generator)
            other.grad = mine.grad.clone()
        for optimiser in both:
            optimiser.step()
    # Theirs is rounded to the 8 bits of bfloat16 in every product: a hundredth of the way that was gone.
    for mine, other, first in zip(ours, theirs, start, strict=True):
        assert (mine - other).norm() < 0.02 * (mine - first).norm()


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_all_directions_are_alike(shape):
    matrix = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))
    before, after = torch.linalg.svdvals(matrix), torch.linalg.svdvals(orthogonal(matrix))
    assert (before[:, 0] / before[:, -1] > 2).all()  # unlike before
    assert after.min() > 0.4
    assert after.max() < 1.3
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = left.mT @ orthogonal(matrix) @ right.mT  # in the matrix's own singular vectors it is diagonal
    assert torch.allclose(turned, torch.diag_embed(turned.diagonal(dim1=1, dim2=2)), atol=1e-4)


def test_a_matrix_by_itself_goes_the_same_way_as_among_others():
    torch.manual_seed(0)
    gradients = [torch.randn(6, 6) for _ in range(3)]
    together = [nn.Parameter(torch.zeros(6, 6)) for _ in gradients]
    alone = [nn.Parameter(torch.zeros(6, 6)) for _ in gradients]
    for weight, other, gradient in zip(together, alone, gradients, strict=True):
        weight.grad, other.grad = gradient, gradient.clone()
        Muon([other], lr=0.1).step()
    Muon(together, lr=0.1).step()
    for weight, other in zip(together, alone, strict=True):
        assert torch.allclose(weight, other, atol=1e-6)


def test_no_gradient_no_step():
    weights = [nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))]
    weights[1].grad = torch.zeros(2, 2)  # and a gradient of zero moves nothing and gives no NaN
    Muon(weights, lr=0.1).step()
    assert all(torch.equal(weight, torch.ones(2, 2)) for weight in weights)


def test_vectors_are_refused():
    with pytest.raises(ValueError, match=r"expected matrices, got a weight of shape \(3,\)"):
        Muon([nn.Parameter(torch.zeros(3))], lr=0.1)
