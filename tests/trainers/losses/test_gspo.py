"""The ratio of a whole sample."""

import math

import pytest
import torch

from trainers.losses.base import Tokens, row_mean
from trainers.losses.gspo import Form, GspoLoss

# log ρ = 0.1, −0.3, 0.1 in the first row, of mean −1/30; 0.5 in the second
OLD = torch.tensor([-1.0, -2.0, -0.5, -1.5], dtype=torch.float64)
NEW = torch.tensor([-0.9, -2.3, -0.4, -1.0], dtype=torch.float64)
ROW, ACTIONS = torch.tensor([0, 0, 0, 1]), torch.tensor([3.0, 1.0])


def tokens(advantages: list[float], new: torch.Tensor = NEW) -> Tokens:
    return Tokens(new, OLD, torch.tensor(advantages, dtype=torch.float64), ROW, ACTIONS)


@pytest.mark.parametrize("form", ["sequence", "token"])
def test_ratio_is_the_geometric_mean_over_the_sample(form):
    # s = exp(−0.1/3) = 0.967216 for the row of three (the product would be 0.904837), exp(0.5) = 1.648721 for one
    loss = GspoLoss(form=form, clip_low=1.0, clip_high=10.0).per_token(tokens([1.0] * 4))
    assert loss.ratio_n.tolist() == pytest.approx([0.967216] * 3 + [1.648721], abs=1e-6)
    assert loss.loss_n.tolist() == pytest.approx([-0.967216] * 3 + [-1.648721], abs=1e-6)
    assert not loss.clipped_n.any()


def test_limits_are_the_papers():
    # A = 1: s above 1.0004 is clipped, s below is free; A = −1: s below 0.9997 is clipped.
    good, bad = (GspoLoss().per_token(tokens([a] * 4)) for a in (1.0, -1.0))
    assert good.clipped_n.tolist() == [False, False, False, True]
    assert good.loss_n.tolist() == pytest.approx([-0.967216] * 3 + [-1.0004], abs=1e-6)
    assert bad.clipped_n.tolist() == [True, True, True, False]
    assert bad.loss_n.tolist() == pytest.approx([0.9997] * 3 + [1.648721], abs=1e-6)


def gradient(form: Form, advantages: list[float]) -> list[float]:
    new = NEW.clone().requires_grad_()
    batch = tokens(advantages, new)
    loss = GspoLoss(form=form, clip_low=1.0, clip_high=10.0).per_token(batch)
    row_mean(loss.loss_n, batch)[[0, 3]].sum().backward()
    assert new.grad is not None
    return new.grad.tolist()


def test_both_forms_have_one_gradient_where_a_sample_has_one_advantage():
    # −s·A/3 at each token of the row of three: −0.967216·2/3 = −0.644811; −1.648721·(−1) for the other
    assert gradient("sequence", [2.0, 2.0, 2.0, -1.0]) == pytest.approx([-0.644811] * 3 + [1.648721], abs=1e-6)
    assert gradient("token", [2.0, 2.0, 2.0, -1.0]) == pytest.approx([-0.644811] * 3 + [1.648721], abs=1e-6)


def test_the_token_form_keeps_the_advantages_of_turns_apart():
    # Advantages 3, 0, 0: the token form pushes the first token by −s·3/3, the sequence form all three by a third of it.
    assert gradient("token", [3.0, 0.0, 0.0, 0.0])[:3] == pytest.approx([-0.967216, 0.0, 0.0], abs=1e-6)
    assert gradient("sequence", [3.0, 0.0, 0.0, 0.0])[:3] == pytest.approx([-0.967216 / 3] * 3, abs=1e-6)


def test_ratio_of_extremes_stays_finite():
    far = torch.tensor([500.0, 500.0, 500.0, -800.0], dtype=torch.float64)
    loss = GspoLoss(clip_high=1e9).per_token(tokens([1.0] * 4, far))
    assert loss.ratio_n[0].item() == pytest.approx(math.exp(10))
    assert torch.isfinite(loss.loss_n).all()


@pytest.mark.parametrize(("name", "value"), [("clip_low", 1.5), ("clip_high", -1.0), ("form", "row")])
def test_settings_that_mean_nothing_are_refused(name, value):
    with pytest.raises(ValueError, match=f"expected {name}"):
        GspoLoss(**{name: value})
