"""Our estimators beside verl's own functions, on random rows of several turns; `make test-verl` runs this."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from trainers.credit import Gae, Gigpo, Grpo, GrpoPassK, Opo, ReinforcePlusPlus, Rloo
from trainers.verl_adapter import OUTCOME_ESTIMATORS, PREFIX, advantages, register, register_all

core_algos = pytest.importorskip("verl.trainer.ppo.core_algos", reason="needs verl: `make test-verl` runs it")

ROWS, LENGTH = 12, 14


@pytest.fixture(scope="module")
def batch():
    """Rewards of episodes at their last tokens, masks with gaps of the environment's tokens, four groups of three."""
    rng = np.random.default_rng(0)
    mask = np.zeros((ROWS, LENGTH), dtype=np.int64)
    rewards = np.zeros((ROWS, LENGTH), dtype=np.float32)
    for row in range(ROWS):
        ends = np.sort(rng.choice(np.arange(1, LENGTH), size=4, replace=False))
        mask[row, : ends[0]] = 1
        mask[row, ends[1] : ends[2]] = 1
        rewards[row, ends[2] - 1] = rng.normal()
    index = np.array([f"group {row % 4}" for row in range(ROWS)], dtype=object)
    values = torch.from_numpy(rng.normal(size=(ROWS, LENGTH)).astype(np.float32))
    return torch.from_numpy(rewards), torch.from_numpy(mask), index, values


CONFIG = {"norm_adv_by_std_in_grpo": True}


@pytest.mark.parametrize(
    ("credit", "theirs"),
    [
        (Grpo(), "grpo"),
        (Rloo(), "rloo"),
        (Opo(), "opo"),
        (GrpoPassK(), "grpo_passk"),
        (ReinforcePlusPlus(baseline="group"), "reinforce_plus_plus_baseline"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_estimators_of_outcomes_agree(batch, credit, theirs):
    rewards, mask, index, _ = batch
    estimate = core_algos.get_adv_estimator_fn(theirs)
    expected, _ = estimate(token_level_rewards=rewards.clone(), response_mask=mask, index=index, config=CONFIG)
    found, returns = advantages(credit, rewards, mask, index)
    assert found.abs().max() > 0.1
    torch.testing.assert_close(found, expected.float(), rtol=2e-4, atol=2e-5)
    assert torch.equal(found, returns)
    assert not found[mask == 0].any()


def test_reinforce_plus_plus_agrees_where_a_row_is_one_turn(batch):
    # Over several turns verl starts anew at every token of the environment, and ours goes on.
    rewards, mask, _, _ = batch
    first = mask.cumprod(1)
    paid = torch.zeros_like(rewards)
    paid[torch.arange(ROWS), first.sum(1) - 1] = rewards.sum(1)
    expected, _ = core_algos.compute_reinforce_plus_plus_outcome_advantage(
        token_level_rewards=paid.clone(), response_mask=first, config=SimpleNamespace(gamma=0.9)
    )
    found, _ = advantages(ReinforcePlusPlus(gamma=0.9), paid, first)
    torch.testing.assert_close(found, (expected * first).float(), rtol=2e-4, atol=2e-5)


def test_generalised_advantages_agree_over_turns(batch):
    rewards, mask, index, values = batch
    expected, targets = core_algos.compute_gae_advantage_return(
        token_level_rewards=rewards, values=values, response_mask=mask, gamma=0.97, lam=0.9
    )
    found, returns = advantages(Gae(gamma=0.97, lam=0.9), rewards, mask, index, values_bl=values)
    torch.testing.assert_close(found, (expected * mask).float(), rtol=2e-4, atol=2e-5)
    torch.testing.assert_close(returns, (targets * mask).float(), rtol=2e-4, atol=2e-5)


def test_names_that_the_configuration_takes(batch):
    rewards, mask, index, _ = batch
    assert register_all() == register_all() == [PREFIX + name for name in OUTCOME_ESTIMATORS]
    estimate = core_algos.get_adv_estimator_fn("agent_gym_rloo")
    found, _ = estimate(token_level_rewards=rewards, response_mask=mask, config=None, index=index)
    assert torch.equal(found, advantages(Rloo(), rewards, mask, index)[0])
    with pytest.raises(ValueError, match="already been registered"):
        register("agent_gym_rloo", Rloo(singletons="return"))
    with pytest.raises(ValueError, match="rewards alone"):
        register("ours", Gae())


def test_states_are_compared():
    # Two episodes of two turns, both begin in the same state; the first is paid 1 at its end. Totals 1 and 0: mean 0.5.
    # γ = 0.5: step returns in state s are 0.5 and 0, mean 0.25; the second turns are alone in their states.
    mask = torch.tensor([[1, 0, 1, 1], [1, 1, 0, 1]])
    rewards = torch.tensor([[0.0, 0, 0, 1], [0, 0, 0, 0]])
    credit = Gigpo(gamma=0.5, normalise=False)
    found, _ = advantages(credit, rewards, mask, ["g", "g"], states=[["s", "a"], ["s", "b"]])
    assert found.tolist() == [[0.75, 0, 0.5, 0.5], [-0.75, -0.75, 0, -0.5]]
    with pytest.raises(ValueError, match="each of 2 turns, got 1"):
        advantages(credit, rewards, mask, ["g", "g"], states=[["s"], ["s", "b"]])


def test_a_reward_between_two_answers_belongs_to_the_first():
    mask = torch.tensor([[1, 0, 1, 0], [1, 0, 1, 0]])
    rewards = torch.tensor([[0.0, 2, 0, 1], [0, 0, 0, 0]])
    credit = Gigpo(gamma=1.0, normalise=False)
    found, _ = advantages(credit, rewards, mask, ["g", "g"], states=[["s", "t"], ["s", "t"]])
    # Totals 3 and 0: ±1.5. In s the returns are 3 and 0, ±1.5; in t they are 1 and 0, ±0.5.
    assert found.tolist() == [[3.0, 0, 2.0, 0], [-3.0, 0, -2.0, 0]]
