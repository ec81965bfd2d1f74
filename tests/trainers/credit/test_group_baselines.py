"""RLOO, Dr. GRPO, OPO, Remax and pass@k: what the others of a group earned as the baseline."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainers.credit.made import completion, shuffled, state_groups, totals_group
from trainers.credit import CreditEstimator, DrGrpo, GrpoPassK, Opo, Remax, Rloo, smallest_group
from trainers.types import Episode, Group, Turn

# R = 1, 0, 0, 1, 0 of mean 0.4
FIVE = totals_group(1, 0, 0, 1, 0)
ALL: list[CreditEstimator] = [
    Rloo(),
    Rloo(statistics="turns"),
    DrGrpo(),
    DrGrpo(statistics="turns"),
    Opo(),
    GrpoPassK(),
    GrpoPassK(normalise=False),
]


def firsts(credit: CreditEstimator, group: Group) -> list[float]:
    return [float(one[0]) for one in credit(group)]


def with_lengths(*episodes: tuple[float, int]) -> Group:
    """Episodes of one turn: reward and number of tokens."""
    return Group(
        task="toy/0",
        episodes=tuple(
            Episode(turns=(Turn(completion=completion(range(n)), state_key="s", reward=reward),))
            for reward, n in episodes
        ),
    )


def test_rloo_leaves_each_episode_out():
    # a success: 1 − (0 + 0 + 1 + 0)/4 = 0.75; a failure: 0 − 2/4 = −0.5
    assert firsts(Rloo(), FIVE) == pytest.approx([0.75, -0.5, -0.5, 0.75, -0.5])


def test_rloo_over_turns_leaves_a_turn_out():
    # Three turns count 1 and one counts 0: 4/3·(1 − 3/4) = 1/3 and 4/3·(0 − 3/4) = −1
    turn = Turn(completion=completion([1]), state_key="s", reward=0.0)
    long = Episode(turns=(turn, turn, replace(turn, reward=1.0)))
    group = Group(task="toy/0", episodes=(long, Episode(turns=(turn,))))
    got = Rloo(statistics="turns")(group)
    assert np.concatenate(got).tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, -1.0])


def test_dr_grpo_takes_the_mean_off():
    assert firsts(DrGrpo(), FIVE) == pytest.approx([0.6, -0.4, -0.4, 0.6, -0.4])


def test_opo_weighs_the_mean_by_tokens():
    # (1·2 + 0·6 + 1·2) / 10 = 0.4
    assert firsts(Opo(), with_lengths((1, 2), (0, 6), (1, 2))) == pytest.approx([0.6, -0.4, 0.6])
    # without a token: by turns, one each
    assert firsts(Opo(), with_lengths((1, 0), (0, 0))) == pytest.approx([0.5, -0.5])


def test_pass_k_rewards_what_the_best_adds():
    # 3 − 1 = 2; std of 3, 1, 0: mean 4/3, squares 2.7778 + 0.1111 + 1.7778 = 4.6667, /2 = 2.3333, root 1.527525
    assert firsts(GrpoPassK(normalise=False), totals_group(1, 3, 0)) == [0.0, 2.0, 0.0]
    assert firsts(GrpoPassK(), totals_group(1, 3, 0)) == pytest.approx([0.0, 2 / 1.527525, 0.0], abs=1e-5)
    # Two that share the best reward add nothing to each other.
    assert firsts(GrpoPassK(), totals_group(3, 3, 0)) == [0.0, 0.0, 0.0]


def greedy_last(group: Group) -> Group:
    *others, last = group.episodes
    return replace(group, episodes=(*others, replace(last, baseline=True)))


def test_remax_compares_with_the_greedy_episode():
    assert firsts(Remax(), greedy_last(totals_group(1, 0, 0.25))) == [0.75, -0.25, 0.0]
    # 0.1 + 0.2 is not 0.3 in floating point, but no advantage either
    assert firsts(Remax(), greedy_last(totals_group(0.1 + 0.2, 0.3))) == [0.0, 0.0]


def test_remax_needs_one_greedy_episode():
    with pytest.raises(ValueError, match=r"expected one greedy episode in the group of task 'toy/0'.*got 0"):
        Remax()(totals_group(1, 0))
    assert Remax()(Group(task="toy/0", episodes=())) == []


@pytest.mark.parametrize("credit", ALL)
def test_nothing_to_compare_is_exactly_zero(credit):
    # 10·0.95³ along two ways differs in the last bit.
    for group in (
        totals_group(10 * 0.95**3, 10 * (0.95 * 0.95) * 0.95),
        totals_group(0.3, 0.1 + 0.2),
        totals_group(5.0),
    ):
        assert firsts(credit, group) == [0.0] * len(group.episodes)
    assert credit(Group(task="toy/0", episodes=())) == []
    assert smallest_group(credit) == 2


def test_a_group_of_one_may_keep_its_return():
    assert firsts(Rloo(singletons="return"), totals_group(5.0)) == [5.0]
    assert smallest_group(Rloo(singletons="return")) == 1


@given(group=state_groups, credit=st.sampled_from(ALL), random=st.randoms(use_true_random=False))
def test_the_order_of_episodes_does_not_matter(group, credit, random: Random):
    if isinstance(credit, GrpoPassK) and len({e.rewards.sum() for e in group.episodes}) < len(group.episodes):
        return  # the lead of one of two equals is rounding, which goes to either
    order = list(range(len(group.episodes)))
    random.shuffle(order)
    original, other = credit(group), credit(shuffled(group, order))
    for position, i in enumerate(order):
        np.testing.assert_allclose(other[position], original[i], atol=1e-9)


@given(group=state_groups, credit=st.sampled_from([Rloo(), DrGrpo()]))
def test_advantages_of_a_group_sum_to_zero(group, credit):
    # per episode, not per turn
    assert abs(sum(a[0] for a in credit(Group(task="t", episodes=tuple(e for e in group.episodes if e.turns))))) < 1e-8


def test_a_reward_that_is_no_number_is_refused():
    for credit in ALL:
        with pytest.raises(ValueError, match="expected finite rewards"):
            credit(totals_group(1.0, float("nan")))


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="expected statistics to be one of"):
        Rloo(statistics="rows")  # type: ignore[arg-type]  # what is refused
    with pytest.raises(ValueError, match="expected singletons to be one of"):
        Rloo(singletons="drop")  # type: ignore[arg-type]  # what is refused
    with pytest.raises(ValueError, match="expected statistics to be one of"):
        DrGrpo(statistics="rows")  # type: ignore[arg-type]  # what is refused
