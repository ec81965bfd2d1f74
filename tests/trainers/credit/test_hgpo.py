"""HGPO's hand vectors and its limits."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainers.credit.made import shuffled, state_groups, states_group, totals_group
from trainers.credit import Gigpo, Grpo, Hgpo
from trainers.types import Group

# At X, with K = 1: state groups {X, X, X} of returns 1, 0, 0 and, two states back, {AX, AX} of 1, 0; BX is alone.
HAND = states_group(("SAX", [0, 0, 1]), ("SBX", [0, 0, 0]), ("SAX", [0, 0, 0]))


def at_x(credit: Hgpo) -> list[float]:
    return [float(advantages[2]) for advantages in credit(HAND)]


def test_hand_vector_without_standard_deviation():
    # t1: (2·2/3 + 3·1/2)/5 = 0.566667; t3: (2·−1/3 + 3·−1/2)/5 = −0.433333; t2: −1/3 alone, its BX is dropped
    got = at_x(Hgpo(gamma=1.0, history=1, normalise=False))
    assert got == pytest.approx([0.566667, -0.333333, -0.433333], abs=1e-6)


def test_hand_vector_with_the_deviation_of_a_population():
    # std of 1, 0, 0 is 0.471405, of 1, 0 it is 0.5: t1 (2·1.414211 + 3·0.999998)/5, t3 (2·−0.707105 + 3·−0.999998)/5
    got = at_x(Hgpo(gamma=1.0, history=1))
    assert got == pytest.approx([1.165683, -0.707105, -0.882841], abs=1e-6)


def test_histories_do_not_reach_into_the_episode_before():
    # In S, the first state, there is no history: K = 5 adds nothing. R = 1, 0, 0: 2/3, −1/3, −1/3.
    got = Hgpo(gamma=1.0, history=5, normalise=False)(HAND)
    assert [a[0] for a in got] == pytest.approx([2 / 3, -1 / 3, -1 / 3])
    # At the second turn {A, A} are two of S: (2·(1 − 1/2) + 3·(1 − 1/2))/5 = 1/2, and B is alone in both: 0.
    assert [a[1] for a in got] == pytest.approx([1 / 2, 0.0, -1 / 2])


def test_alpha_weighs_the_closer_groups():
    # α = 0: (2/3 + 1/2)/2 = 0.583333; α = 2: (4·2/3 + 9·1/2)/13 = 0.551282
    assert at_x(Hgpo(gamma=1.0, history=1, normalise=False, alpha=0.0))[0] == pytest.approx(0.583333, abs=1e-6)
    assert at_x(Hgpo(gamma=1.0, history=1, normalise=False, alpha=2.0))[0] == pytest.approx(0.551282, abs=1e-6)


def test_the_episode_group_is_a_group_of_weight_one():
    # A^E = 1 − 1/3 = 2/3 for t1: (1·2/3 + 2·2/3 + 3·1/2)/6 = 0.583333; t2: (−1/3 + 2·−1/3)/3 = −1/3
    credit = Hgpo(gamma=1.0, history=1, normalise=False, episode_group=True)
    assert at_x(credit)[:2] == pytest.approx([0.583333, -0.333333], abs=1e-6)
    parts = credit.parts(HAND)
    assert parts.episode[0][2] == pytest.approx(2 / 3 / 6)
    assert parts.step[0][2] == pytest.approx(0.583333 - 2 / 3 / 6, abs=1e-6)


def test_a_turn_at_the_mean_says_nothing_and_dilutes_nothing():
    # X: returns 2, 1, 0, so t2 is at the mean 1 and dropped; its AX group with t1: 1 − 1.5 = −0.5, undiluted.
    group = states_group(("SAX", [0, 0, 2]), ("SAX", [0, 0, 1]), ("SBX", [0, 0, 0]))
    assert Hgpo(gamma=1.0, history=1, normalise=False)(group)[1][2] == pytest.approx(-0.5)


def test_repeated_visits_count():
    # One episode, A twice, γ = 0.5: returns 0.5 and 1 around 0.75; the second A has seen A A, alone.
    got = Hgpo(gamma=0.5, history=1, normalise=False)(states_group(("AA", [0, 1])))
    assert got[0].tolist() == pytest.approx([-0.25, 0.25])


def naive(group: Group, credit: Hgpo) -> list[list[float]]:
    """The definition, word by word: for each turn, the groups that it belongs to, found by looking at all turns."""
    windows: dict[tuple[int, tuple[str, ...]], list[float]] = {}
    turns = []
    for episode in group.episodes:
        keys = [turn.state_key for turn in episode.turns]
        mine = []
        for t in range(len(keys)):
            value = sum(credit.gamma ** (k - t) * episode.turns[k].reward for k in range(t, len(keys)))
            contexts = [(k, tuple(keys[t + 1 - k : t + 1])) for k in range(1, min(credit.history + 1, t + 1) + 1)]
            for context in contexts:
                windows.setdefault(context, []).append(value)
            mine.append((value, contexts))
        turns.append(mine)
    result = []
    for mine in turns:
        advantages = []
        for value, contexts in mine:
            terms = []
            for k, window in contexts:
                others = np.array(windows[k, window])
                difference = value - others.mean()
                if abs(difference) > 1e-9 * max(1.0, abs(others).max()):
                    scale = others.std() + 1e-6 if credit.normalise else 1.0
                    terms.append(((k + 1) ** credit.alpha, difference / scale))
            total = sum(weight for weight, _ in terms)
            advantages.append(sum(weight * a for weight, a in terms) / total if terms else 0.0)
        result.append(advantages)
    return result


@given(state_groups, st.sampled_from([0, 1, 2, 4]), st.sampled_from([0.0, 1.0, 2.0]), st.booleans())
def test_it_is_the_naive_definition(group, history, alpha, normalise):
    credit = Hgpo(history=history, alpha=alpha, normalise=normalise)
    for mine, theirs in zip(credit(group), naive(group, credit), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-7)


@given(state_groups, st.sampled_from([0.0, 0.95, 1.0]))
def test_without_history_it_is_the_step_part_of_gigpo(group, gamma):
    got = Hgpo(gamma=gamma, history=0, normalise=False)(group)
    for mine, theirs in zip(got, Gigpo(gamma=gamma, normalise=False).step_advantages(group), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-9)


@given(state_groups, st.booleans())
def test_with_unique_states_only_the_episode_group_speaks(group, normalise):
    unique = states_group(
        *((tuple(f"{i}.{t}" for t in range(len(e.turns))), e.rewards.tolist()) for i, e in enumerate(group.episodes))
    )
    expected = [np.zeros(len(e.turns)) for e in unique.episodes]
    for mine, zero in zip(Hgpo(normalise=normalise)(unique), expected, strict=True):
        np.testing.assert_array_equal(mine, zero)
    grpo = Grpo(normalise=normalise)(unique)
    for mine, theirs in zip(Hgpo(normalise=normalise, episode_group=True)(unique), grpo, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@given(state_groups, st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_episodes_does_not_matter(group, random: Random, episode_group):
    credit = Hgpo(episode_group=episode_group)
    order = list(range(len(group.episodes)))
    random.shuffle(order)
    original, other = credit(group), credit(shuffled(group, order))
    for position, i in enumerate(order):
        np.testing.assert_allclose(other[position], original[i], atol=1e-9)


def test_nothing_to_compare_is_exactly_zero():
    assert [a.tolist() for a in Hgpo(episode_group=True)(totals_group(0.3, 0.1 + 0.2))] == [[0.0], [0.0]]
    assert Hgpo()(Group(task="t", episodes=())) == []


@pytest.mark.parametrize(("name", "value"), [("gamma", 1.5), ("history", -1), ("alpha", float("nan"))])
def test_settings_that_mean_nothing_are_refused(name, value):
    with pytest.raises(ValueError, match=f"expected .*{name}"):
        Hgpo(**{name: value})
