"""Optimisers by name, and masters for short weights."""

import math

import pytest
import torch
from torch import nn

from trainers.optimiser import Optimiser
from trainers.parallel import Ranks
from trainers.settings import LearnerSettings

SETTINGS = LearnerSettings(max_grad_norm=math.inf)


def weight(value: float, dtype: torch.dtype = torch.float32) -> nn.Parameter:
    return nn.Parameter(torch.full((2,), value, dtype=dtype))


def push(optimiser: Optimiser, *weights: nn.Parameter, rate: float = 1e-4) -> float:
    """One step along a gradient of 1 everywhere."""
    optimiser.clear()
    for one in weights:
        one.sum().backward()
    optimiser.collect()
    return optimiser.step(rate, Ranks())


def test_small_steps_add_up_in_short_weights():
    # AdamW's steps along a constant gradient are the rate each: 40 of 1e-4 are 0.004. Near 0.5 bfloat16 knows
    # multiples of 2^-9 = 0.00195 below it, so that one step alone is lost; 0.496 becomes 0.49609375 = 254 / 512.
    short, long = weight(0.5, torch.bfloat16), weight(0.5)
    optimiser = Optimiser({"short": short, "long": long}, SETTINGS)
    push(optimiser, short, long)
    assert short.tolist() == [0.5, 0.5]
    for _ in range(39):
        push(optimiser, short, long)
    assert long.tolist() == pytest.approx([0.496, 0.496], abs=1e-5)
    assert short.tolist() == [0.49609375, 0.49609375]
    assert short.dtype == torch.bfloat16


def test_small_gradients_add_up_in_short_weights():
    # 256 + 1 is 256 in bfloat16; the norm of (257, 257) is 363.45.
    short = weight(0.0, torch.bfloat16)
    optimiser = Optimiser({"short": short}, SETTINGS)
    optimiser.clear()
    for scale in (256.0, 1.0):
        (scale * short).sum().backward()
        optimiser.collect()
    assert optimiser.step(0.0, Ranks()) == pytest.approx(257 * math.sqrt(2))


def test_gradients_are_clipped_and_the_norm_is_told():
    # Gradient (1, 1), norm √2. AdamW's first step is the rate whatever the scale, so look at its average: 0.1 · g.
    one = weight(0.0)
    optimiser = Optimiser({"one": one}, LearnerSettings(max_grad_norm=0.5))
    assert push(optimiser, one) == pytest.approx(math.sqrt(2))
    assert optimiser.state()["optimiser.one.exp_avg"].norm().item() == pytest.approx(0.05, rel=1e-4)


def test_a_weight_that_nothing_used_has_gradient_zero():
    used, unused = weight(1.0), weight(1.0)
    optimiser = Optimiser({"used": used, "unused": unused}, SETTINGS)
    push(optimiser, used)
    assert unused.tolist() == [1.0, 1.0]
    assert optimiser.state()["optimiser.unused.exp_avg"].tolist() == [0.0, 0.0]


def test_state_goes_into_a_fresh_optimiser():
    first = {"short": weight(0.5, torch.bfloat16), "long": weight(0.5)}
    optimiser = Optimiser(first, SETTINGS)
    for _ in range(3):
        push(optimiser, *first.values())
    state = {name: tensor.clone() for name, tensor in optimiser.state().items()}
    second = {name: nn.Parameter(one.detach().clone()) for name, one in first.items()}
    resumed = Optimiser(second, SETTINGS)
    resumed.load_state(state)
    for _ in range(30):
        push(optimiser, *first.values())
        push(resumed, *second.values())
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_state_from_before_the_first_step_is_one_too():
    one = weight(0.5, torch.bfloat16)
    optimiser = Optimiser({"one": one}, SETTINGS)
    optimiser.load_state(Optimiser({"one": weight(0.25, torch.bfloat16)}, SETTINGS).state())
    assert one.tolist() == [0.25, 0.25]


def test_another_models_state_is_refused():
    one, other = weight(1.0), weight(1.0)
    optimiser = Optimiser({"one": one}, SETTINGS)
    push(optimiser, one)
    with pytest.raises(ValueError, match=r"differs in optimiser\.one\.exp_avg"):
        Optimiser({"other": other}, SETTINGS).load_state(optimiser.state())
    with pytest.raises(ValueError, match=r"differs in master\.one"):
        Optimiser({"one": weight(1.0, torch.bfloat16)}, SETTINGS).load_state(optimiser.state())


def test_a_gradient_that_is_not_finite_moves_nothing():
    one = weight(1.0)
    optimiser = Optimiser({"one": one}, SETTINGS)
    (one.sum() * math.inf).backward()
    with pytest.raises(FloatingPointError, match="got one of norm inf"):
        optimiser.step(0.1, Ranks())
    assert one.tolist() == [1.0, 1.0]


def test_a_frozen_model_is_refused():
    with pytest.raises(ValueError, match="all are frozen"):
        Optimiser({}, SETTINGS)


def test_sgd_moves_by_the_rate_times_the_gradient():
    # Gradient 1 everywhere, rate 0.1: 0.5 − 0.1 − 0.1. Nothing is averaged, so there is nothing to keep.
    settings = LearnerSettings(optimiser="sgd", max_grad_norm=math.inf)
    moved = weight(0.5)
    optimiser = Optimiser({"moved": moved}, settings)
    push(optimiser, moved, rate=0.1)
    push(optimiser, moved, rate=0.1)
    assert moved.tolist() == pytest.approx([0.3, 0.3])
    assert optimiser.state() == {}
    again = Optimiser({"moved": moved}, settings)
    again.load_state({})
    push(again, moved, rate=0.1)
    assert moved.tolist() == pytest.approx([0.2, 0.2])
