"""Hand vectors of the clipped loss and of truncated importance weights."""

import pytest
import torch

from trainers.losses.base import TokenLoss, Tokens
from trainers.losses.importance import importance_weights
from trainers.losses.ppo import PpoLoss

# log ρ = 0.1, −0.3, 0.1, so ρ = 1.105171, 0.740818, 1.105171
OLD = torch.tensor([-1.0, -2.0, -0.5], dtype=torch.float64)
NEW = torch.tensor([-0.9, -2.3, -0.4], dtype=torch.float64)
ONES = torch.ones(3, dtype=torch.float64)


def clipped_loss(new: torch.Tensor, old: torch.Tensor, advantages: torch.Tensor, **settings: float | None) -> TokenLoss:
    """The loss of tokens that stand in one row."""
    row, actions = torch.zeros(len(new), dtype=torch.long), torch.tensor([float(len(new))])
    return PpoLoss(**settings).per_token(Tokens(new, old, advantages, row, actions))  # type: ignore[arg-type]


def test_good_tokens_earn_nothing_above_the_clip():
    # A = 1: min(ρ, clip(ρ, 0.8, 1.2)) = 1.105171, 0.740818, 1.105171, of mean 0.983720
    result = clipped_loss(NEW, OLD, ONES)
    assert result.loss_n.mean().item() == pytest.approx(-0.983720, abs=1e-6)
    assert result.ratio_n.tolist() == pytest.approx([1.105171, 0.740818, 1.105171], abs=1e-6)
    assert not result.clipped_n.any()


def test_bad_tokens_earn_nothing_below_the_clip():
    # A = −1: max(ρ, clip(ρ)) = 1.105171, 0.8, 1.105171, of mean 1.003447
    result = clipped_loss(NEW, OLD, -ONES)
    assert result.loss_n.mean().item() == pytest.approx(1.003447, abs=1e-6)
    assert result.clipped_n.tolist() == [False, True, False]


def test_upper_and_lower_clip_are_apart():
    # ρ = e^0.25 = 1.284025 is clipped at 1.28 for A = 1, and at 1.2 with the symmetric clip
    new, old, a = torch.tensor([0.0]), torch.tensor([-0.25]), torch.tensor([1.0])
    assert clipped_loss(new, old, a, clip_high=0.28).loss_n.item() == pytest.approx(-1.28)
    assert clipped_loss(new, old, a).loss_n.item() == pytest.approx(-1.2)


def test_dual_clip_bounds_the_loss_of_bad_tokens():
    # ρ = e² = 7.389056: −ρ·A = 7.389056 for A = −1, bounded at c = 3
    new, old, a = torch.tensor([0.0]), torch.tensor([-2.0]), torch.tensor([-1.0])
    bounded, free = clipped_loss(new, old, a), clipped_loss(new, old, a, dual_clip=None)
    assert bounded.loss_n.item() == pytest.approx(3.0)
    assert bounded.clipped_n.item()
    assert free.loss_n.item() == pytest.approx(7.389056)
    # A good token is not its business: ρ is clipped at 1.2 anyway.
    assert clipped_loss(new, old, -a).loss_n.item() == pytest.approx(-1.2)


def test_gradient_is_that_of_the_ratio_where_nothing_is_clipped():
    # d(−ρA)/dlogp = −ρA; zero where clipped. A = −1, so the gradient is ρ, 0 (clipped), ρ.
    new = NEW.clone().requires_grad_()
    clipped_loss(new, OLD, -ONES).loss_n.sum().backward()
    assert new.grad is not None
    assert new.grad.tolist() == pytest.approx([1.105171, 0.0, 1.105171], abs=1e-6)


def test_no_gradient_flows_into_the_old_policy():
    logprobs = NEW.clone().requires_grad_()
    clipped_loss(logprobs, logprobs, ONES).loss_n.sum().backward()
    # ρ = 1 everywhere, and its gradient is not cancelled by that of the denominator: −ρ·A = −1 each.
    assert logprobs.grad is not None
    assert logprobs.grad.tolist() == [-1.0, -1.0, -1.0]


def test_extreme_ratios_stay_finite():
    new, old = torch.tensor([0.0, -500.0]), torch.tensor([-500.0, 0.0])
    assert torch.isfinite(clipped_loss(new, old, torch.tensor([-1.0, 1.0]), dual_clip=None).loss_n).all()


def test_importance_weights_are_capped_and_carry_no_gradient():
    # exp(0.1) = 1.105171, exp(−0.3) = 0.740818, exp(1) = 2.718282 capped at 2
    learner = torch.tensor([-0.9, -2.3, -0.5], requires_grad=True)
    weights = importance_weights(learner, torch.tensor([-1.0, -2.0, -1.5]), cap=2.0)
    assert weights.tolist() == pytest.approx([1.105171, 0.740818, 2.0], abs=1e-6)
    assert not weights.requires_grad
