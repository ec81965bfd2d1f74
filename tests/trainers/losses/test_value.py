"""The critic's loss."""

import pytest
import torch

from trainers.losses.value import value_loss

# The critic said 1 before, and 1.1, 2, 2 now; it should have said 2, 2 and 1.2. Held within 0.5: 1.1, 1.5, 1.5.
OLD, TARGETS = torch.ones(3), torch.tensor([2.0, 2.0, 1.2])


def test_the_larger_of_two_errors_counts():
    # (1.1 − 2)²/2 = 0.405; the value is right, held it is 0.5 off: 0.125; (2 − 1.2)²/2 = 0.32 is more than 0.3²/2
    loss = value_loss(torch.tensor([1.1, 2.0, 2.0]), OLD, TARGETS, clip=0.5)
    assert loss.tolist() == pytest.approx([0.405, 0.125, 0.32])


def test_no_gradient_where_the_clip_holds_the_value_back():
    values = torch.tensor([1.1, 2.0, 2.0], requires_grad=True)
    value_loss(values, OLD, TARGETS, clip=0.5).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == pytest.approx([-0.9, 0.0, 0.8])


def test_without_a_clip_it_is_the_squared_error():
    loss = value_loss(torch.tensor([1.1, 2.0, 2.0]), OLD, TARGETS, clip=None)
    assert loss.tolist() == pytest.approx([0.405, 0.0, 0.32])
