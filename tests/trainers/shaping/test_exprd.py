"""Rewards that are designed for a chain, and what value iteration says of them."""

import numpy as np
import pytest

from agent_gym.errors import BadOptionError
from tests.trainers.shaping.made import made_episode, made_group, rewards_of
from trainers.shaping.exprd import (
    Exprd,
    Mdp,
    action_values,
    design_rewards,
    keeps_what_is_optimal,
    load_table,
    optimal_actions,
    save_table,
)

LEFT, RIGHT = 0, 1


def chain(gamma=0.9):
    """Five states in a row; the step to the last one, which ends it, pays 1."""
    transitions = np.zeros((5, 2, 5))
    for state in range(4):
        transitions[state, LEFT, max(state - 1, 0)] = transitions[state, RIGHT, state + 1] = 1.0
    transitions[4, :, 4] = 1.0
    rewards = np.zeros((5, 2))
    rewards[3, RIGHT] = 1.0
    return Mdp(transitions=transitions, rewards=rewards, gamma=gamma)


def test_value_iteration():
    # To the right .9³, .9², .9, 1; to the left .9 times the value there: .9⁴ twice, .9³, .9².
    expected = [[0.6561, 0.729], [0.6561, 0.81], [0.729, 0.9], [0.81, 1.0], [0.0, 0.0]]
    np.testing.assert_allclose(action_values(chain()), expected, atol=1e-12)
    assert optimal_actions(action_values(chain())).tolist() == [[False, True]] * 4 + [[True, True]]


def test_with_one_state_the_original_reward_is_the_only_one():
    pytest.importorskip("cvxpy")
    # The gap in state 0 is .729 − .6561 = .0729 = .1·.9³·R(3, right): it must be 1, and more is not allowed.
    design = design_rewards(chain(), budget=1)
    assert design.active == (3,)
    assert design.rewards[3, RIGHT] == pytest.approx(1.0, abs=1e-5)
    assert not design.rewards[[0, 1, 2, 4]].any()


@pytest.mark.parametrize("budget", [2, 5])
def test_what_was_optimal_stays_optimal_by_the_same_margin(budget):
    pytest.importorskip("cvxpy")
    mdp = chain()
    design = design_rewards(mdp, budget=budget, largest=2.0)
    assert len(design.active) <= budget
    assert set(np.flatnonzero(np.abs(design.rewards).max(1))) <= set(design.active)
    assert np.abs(design.rewards).max() <= 2.0 + 1e-6
    assert keeps_what_is_optimal(mdp, design.rewards)
    q = action_values(mdp, design.rewards)
    gaps = q[:4, RIGHT] - q[:4, LEFT]
    # 1 − .81, .9 − .729, .81 − .6561, .729 − .6561
    assert np.all(gaps >= np.array([0.0729, 0.1539, 0.171, 0.19]) - 1e-5)


def test_one_state_more_tells_sooner():
    pytest.importorskip("cvxpy")
    # Within one step more, nothing of R(3, right) is seen from the states 0 and 1: (.0729 + .1539)/5 is missing.
    one, two = (design_rewards(chain(), budget=budget, largest=2.0, horizons=(1,)) for budget in (1, 2))
    assert one.informativeness == pytest.approx(-0.04536, abs=1e-5)
    # A price on staying in the first state is seen from both.
    assert two.active == (3, 0)
    assert two.informativeness == pytest.approx(0.0, abs=1e-5)


def test_a_reward_that_misleads_is_found_out():
    misleading = np.zeros((5, 2))
    misleading[0, LEFT] = 1.0  # to stay in the first state for ever
    assert not keeps_what_is_optimal(chain(), misleading)
    assert keeps_what_is_optimal(chain(), 3 * chain().rewards)


def test_what_can_not_be_designed_is_refused():
    pytest.importorskip("cvxpy")
    with pytest.raises(BadOptionError, match=r"rewards up to 0\.5 to keep the margins"):
        design_rewards(chain(), budget=1, largest=0.5)
    idle = Mdp(transitions=np.full((8, 2, 8), 1 / 8), rewards=np.zeros((8, 2)), gamma=0.9)
    with pytest.raises(BadOptionError, match="at most 64 optimal policies, got a task with 256"):
        design_rewards(idle, budget=1)
    with pytest.raises(ValueError, match="horizons"):
        design_rewards(chain(), budget=1, horizons=())


def test_models_that_are_none_are_refused():
    with pytest.raises(ValueError, match="expected shapes"):
        Mdp(transitions=np.ones((2, 2)), rewards=np.ones((2, 2)), gamma=0.9)
    with pytest.raises(ValueError, match="add up to 1"):
        Mdp(transitions=np.ones((2, 1, 2)), rewards=np.ones((2, 1)), gamma=0.9)
    with pytest.raises(ValueError, match="below 1"):
        chain(gamma=1.0)


def test_designed_rewards_are_given_to_episodes(tmp_path):
    path = tmp_path / "rewards.json"
    save_table(path, np.array([[0.0, 0.5], [-1.0, 0.0]]), ["A", "B"], ["l", "r"])
    assert load_table(path) == {"A": {"r": 0.5}, "B": {"l": -1.0}}
    played = made_group(made_episode("AABC", [0, 0, 0, 1], answers="rllr"))
    assert rewards_of(Exprd(table=str(path))(played)) == [[0.5, 0, -1, 0]]
    assert rewards_of(Exprd(table=str(path), mode="add", weight=2.0)(played)) == [[1, 0, -2, 1]]
    assert Exprd()(played) is played
    with pytest.raises(BadOptionError, match="table of rewards as JSON"):
        Exprd(table=str(tmp_path / "none.json"))
    path.write_text("[1]")
    with pytest.raises(BadOptionError, match="table of rewards as JSON"):
        Exprd(table=str(path))
