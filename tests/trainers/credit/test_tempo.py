"""TEMPO's hand vector, its sums, and the tree it never builds."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_gym.keys import STATE_KEY
from tests.trainers.credit.made import batch_of, completion, shuffled, states_group, token_groups, totals_group
from trainers.credit import Grpo, Tempo, TempoTurns
from trainers.credit.tempo import prefix_differences
from trainers.types import Episode, Group, Turn

A, B, C, X, Y, Z = range(6)


def answers(*episodes: tuple[list[int], float]) -> Group:
    return Group(
        task="t",
        episodes=tuple(
            Episode(turns=(Turn(completion=completion(tokens, prompt=[9]), state_key="s", reward=reward),))
            for tokens, reward in episodes
        ),
    )


# abx 1, aby 0, acz 0, acz 0: mean 0.25, std 0.5. V(a) = 0.25, V(ab) = 0.5, V(ac) = 0, V(abx) = 1, V(aby) = 0.
HAND = answers(([A, B, X], 1), ([A, B, Y], 0), ([A, C, Z], 0), ([A, C, Z], 0))


def rows(credit: Tempo, group: Group) -> list[list[float]]:
    batch = batch_of(group)
    [episodes] = batch.per_turn(credit.assign(batch).advantages_n)
    return [np.concatenate(turns).tolist() for turns in episodes]


def test_hand_vector():
    # abx: 0.75 + (0, 0.25, 0.5); aby: −0.25 + (0, 0.25, −0.5); acz: −0.25 + (0, −0.25, 0)
    expected = [[0.75, 1.0, 1.25], [-0.25, 0.0, -0.75], [-0.25, -0.5, -0.25], [-0.25, -0.5, -0.25]]
    np.testing.assert_allclose(rows(Tempo(normalise=False), HAND), expected, atol=1e-12)
    normalised = [[1.5, 2.0, 2.5], [-0.5, 0.0, -1.5], [-0.5, -1.0, -0.5], [-0.5, -1.0, -0.5]]
    np.testing.assert_allclose(rows(Tempo(), HAND), normalised, atol=1e-5)


def test_an_answer_that_ends_where_another_goes_on_is_a_branch():
    # V(a) = 0.5; one ends there, the other goes on to V = 1: TD 0, 0.5.
    got = rows(Tempo(normalise=False), answers(([A], 0), ([A, B], 1)))
    assert got == [[-0.5], [0.5, 1.0]]


def test_what_the_environment_says_parts_attempts_but_is_no_tokens_doing():
    # The same token a, then prompts 1 and 2, then b or c: the attempts are apart before those tokens are chosen.
    def attempt(prompt: int, token: int, reward: float) -> Episode:
        first = Turn(completion=completion([A], prompt=[9]), state_key="s", reward=0.0)
        then = Turn(completion=completion([token], prompt=[prompt]), state_key="s", reward=reward)
        return Episode(turns=(first, then))

    group = Group(task="t", episodes=(attempt(1, B, 1.0), attempt(2, C, 0.0)))
    assert rows(Tempo(normalise=False), group) == [[0.5, 0.5], [-0.5, -0.5]]
    # After the same prompt it is the tokens that part them.
    group = Group(task="t", episodes=(attempt(1, B, 1.0), attempt(1, C, 0.0)))
    assert rows(Tempo(normalise=False), group) == [[0.5, 1.0], [-0.5, -1.0]]


def test_groups_of_a_batch_do_not_mix():
    batch = batch_of(HAND)
    twice = Tempo().assign(replace(batch, groups=(HAND, HAND)))
    np.testing.assert_array_equal(twice.advantages_n, np.tile(Tempo().assign(batch).advantages_n, 2))


def test_turns_part_where_they_lead():
    # States ABC 1, ABD 0, AE 0, with D reached at the end only: V(AB) = 0.5, V(AE) = 0, mean 1/3.
    group = states_group(("ABC", [0, 0, 1]), ("ABD", [0, 0, 0]), ("AE", [0, 0]))
    got = TempoTurns(normalise=False)(group)
    # Turn 0 leads to B or E: 0.5 − 1/3 or 0 − 1/3; turn 1 to C or D: ±0.5; the last turn to the end, alone.
    np.testing.assert_allclose(got[0], [2 / 3 + 1 / 6, 2 / 3 + 0.5, 2 / 3], atol=1e-12)
    np.testing.assert_allclose(got[1], [-1 / 3 + 1 / 6, -1 / 3 - 0.5, -1 / 3], atol=1e-12)
    np.testing.assert_allclose(got[2], [-1 / 3 - 1 / 3, -1 / 3], atol=1e-12)
    np.testing.assert_allclose(TempoTurns(normalise=False).parts(group).step[2], [-1 / 3, 0.0], atol=1e-12)


def test_turns_part_by_what_is_answered():
    def attempt(*answered: str, reward: float) -> Episode:
        turns = [Turn(completion=completion([1]), state_key="s", reward=0.0, answer=text) for text in answered]
        return Episode(turns=(*turns[:-1], replace(turns[-1], reward=reward)))

    group = Group(task="t", episodes=(attempt("go", "take", reward=1.0), attempt("go", "drop", reward=0.0)))
    got = TempoTurns(branching="actions", normalise=False)(group)
    assert [a.tolist() for a in got] == [[0.5, 1.0], [-0.5, -1.0]]
    # All states are the same here, but for how it ended: nothing is known of that, so nothing parts.
    assert [a.tolist() for a in TempoTurns(normalise=False)(group)] == [[0.5, 0.5], [-0.5, -0.5]]


def test_the_state_at_the_end_is_what_the_environment_tells():
    def attempt(end: str, reward: float) -> Episode:
        return Episode(turns=(Turn(completion=completion([1]), state_key="s", reward=reward, info={STATE_KEY: end}),))

    group = Group(task="t", episodes=(attempt("won", 1.0), attempt("lost", 0.0)))
    assert [a.tolist() for a in TempoTurns(normalise=False)(group)] == [[1.0], [-1.0]]


sequences = st.lists(st.lists(st.sampled_from("ab"), max_size=6), min_size=1, max_size=8)


@given(sequences)
def test_differences_are_those_of_the_naive_definition(answered):
    outcomes = np.array([float(len(one) + 3 * one.count("a")) for one in answered])
    for i, (one, found) in enumerate(zip(answered, prefix_differences(answered, outcomes), strict=True)):
        for t in range(len(one)):
            before = [j for j, other in enumerate(answered) if other[:t] == one[:t] and len(other) >= t]
            after = [j for j in before if other_starts(answered[j], answered[i][: t + 1])]
            assert found[t] == pytest.approx(outcomes[after].mean() - outcomes[before].mean())


def other_starts(other: list[str], prefix: list[str]) -> bool:
    return other[: len(prefix)] == prefix


@given(token_groups)
def test_differences_add_up_to_the_reward_relative_to_the_mean(group):
    # Whole attempts that are the same earn the same here, and with an end mark none ends within another.
    flat = [
        [*(i for t in e.turns for i in (*t.completion.prompt_ids, *t.completion.token_ids)), 0] for e in group.episodes
    ]
    outcomes = np.array([float(sum(i * symbol for i, symbol in enumerate(one)) % 7) for one in flat])
    for outcome, found in zip(outcomes, prefix_differences(flat, outcomes), strict=True):
        assert found.sum() == pytest.approx(outcome - outcomes.mean())


@given(token_groups, st.booleans())
def test_where_nobody_branches_it_is_grpo(group, normalise):
    alone = Group(
        task="t",
        episodes=tuple(
            replace(e, turns=tuple(replace(t, completion=completion([0, 0], prompt=[i])) for t in e.turns))
            for i, e in enumerate(group.episodes)
        ),
    )
    batch = batch_of(alone)
    got = Tempo(normalise=normalise).assign(batch).advantages_n
    np.testing.assert_allclose(got, batch.spread([Grpo(normalise=normalise)(alone)]), atol=1e-9)


@given(token_groups, st.randoms(use_true_random=False))
def test_the_order_of_episodes_does_not_matter(group, random: Random):
    order = list(range(len(group.episodes)))
    random.shuffle(order)
    original, other = rows(Tempo(), group), rows(Tempo(), shuffled(group, order))
    for position, i in enumerate(order):
        np.testing.assert_allclose(other[position], original[i], atol=1e-8)


def test_nothing_to_compare_is_exactly_zero():
    for group in (totals_group(0.3, 0.1 + 0.2), totals_group(5.0)):
        assert rows(Tempo(), group) == [[0.0]] * len(group.episodes)
        assert [a.tolist() for a in TempoTurns()(group)] == [[0.0]] * len(group.episodes)
    nothing = Group(task="t", episodes=())
    assert Tempo().assign(batch_of(nothing)).advantages_n.shape == (0,)
    assert TempoTurns()(nothing) == []


def test_an_unknown_branching_is_refused():
    with pytest.raises(ValueError, match="expected branching to be one of"):
        TempoTurns(branching="words")  # type: ignore[arg-type]  # what is refused
