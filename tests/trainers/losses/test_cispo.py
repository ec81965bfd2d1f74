"""Losses whose ratio is no more than a weight: CISPO, and REINFORCE without one."""

import pytest
import torch

from trainers.losses.base import LossSettings, TokenLoss, Tokens
from trainers.losses.cispo import CispoLoss
from trainers.losses.reinforce import ReinforceLoss

# log ρ = 0.1, −0.3, 0.1, so ρ = 1.105171, 0.740818, 1.105171
OLD = torch.tensor([-1.0, -2.0, -0.5], dtype=torch.float64)
NEW = torch.tensor([-0.9, -2.3, -0.4], dtype=torch.float64)


def per_token(loss: LossSettings, new: torch.Tensor, old: torch.Tensor, advantage: float) -> TokenLoss:
    advantages = torch.full_like(new, advantage)
    return loss.per_token(Tokens(new, old, advantages, torch.zeros(len(new), dtype=torch.long), torch.tensor([3.0])))


def test_cispo_weighs_logprobs_by_the_clipped_ratio():
    # weights 1.105171, 0.8, 1.105171: (0.994654 + 1.84 + 0.442068)/3 = 1.092241
    result = per_token(CispoLoss(), NEW, OLD, 1.0)
    assert result.loss_n.mean().item() == pytest.approx(1.092241, abs=1e-6)
    assert result.clipped_n.tolist() == [False, True, False]


def test_cispo_drops_no_tokens_gradient():
    # −weight·A for every token, the clipped one and one far off included: e² is held at 1.28
    new = torch.tensor([-0.9, -2.3, 0.0], requires_grad=True)
    result = per_token(CispoLoss(), new, torch.tensor([-1.0, -2.0, -2.0]), 1.0)
    result.loss_n.sum().backward()
    assert new.grad is not None
    assert new.grad.tolist() == pytest.approx([-1.105171, -0.8, -1.28], abs=1e-6)


def test_cispo_stays_finite():
    result = per_token(CispoLoss(clip_high=1e9), torch.tensor([0.0, -500.0]), torch.tensor([-500.0, 0.0]), -1.0)
    assert torch.isfinite(result.loss_n).all()


def test_reinforce_knows_no_ratio():
    # d(−A·logp)/dlogp = −2 whatever the old policy was
    new = NEW.clone().requires_grad_()
    result = per_token(ReinforceLoss(), new, OLD, 2.0)
    result.loss_n.sum().backward()
    assert new.grad is not None
    assert new.grad.tolist() == [-2.0, -2.0, -2.0]
    assert result.loss_n.tolist() == pytest.approx([1.8, 4.6, 0.8])
    assert not result.clipped_n.any()


@pytest.mark.parametrize(("name", "value"), [("clip_low", 1.5), ("clip_high", -1.0), ("sequence_length", 0)])
def test_settings_that_mean_nothing_are_refused(name, value):
    with pytest.raises(ValueError, match=f"expected {name}"):
        CispoLoss(**{name: value})
