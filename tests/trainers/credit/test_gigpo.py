"""GiGPO's hand vectors, with the arithmetic in comments, and properties that hold for every group."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.credit import Gigpo, Grpo
from trainers.types import Completion, Episode, Group, Turn

EMPTY = Completion(prompt_ids=(), token_ids=(), logprobs=())


def make_group(*episodes: tuple[str, list[float]]) -> Group:
    """A group from pairs: one letter per turn for its state, and the rewards of the turns."""
    return Group(
        task="toy/0",
        episodes=tuple(
            Episode(
                turns=tuple(
                    Turn(completion=EMPTY, state_key=key, reward=reward)
                    for key, reward in zip(states, rewards, strict=True)
                )
            )
            for states, rewards in episodes
        ),
    )


# Two successes and a failure that pass through the states A and B; the third episode is in A twice. With γ = 0.9:
#   R_t:  t1 A 0.81, B 0.9, C 1     t2 A 0, B 0     t3 A 0.729, A 0.81, B 0.9, C 1
#   A: mean (0.81 + 0 + 0.729 + 0.81)/4 = 0.58725      B: mean (0.9 + 0 + 0.9)/3 = 0.6      C: both 1, so 0
HAND = make_group(("ABC", [0, 0, 1]), ("AB", [0, 0]), ("AABC", [0, 0, 0, 1]))


@pytest.mark.parametrize(
    ("credit", "expected"),
    [
        # A^E = R − 2/3 = 0.3333 and −0.6667. A^S: A 0.22275, −0.58725, 0.14175, 0.22275; B 0.3, −0.6, 0.3.
        (
            Gigpo(gamma=0.9, normalise=False),
            [[0.5561, 0.6333, 0.3333], [-1.2539, -1.2667], [0.4751, 0.5561, 0.6333, 0.3333]],
        ),
        # std of 1, 0, 1 is 0.57735: A^E = 0.57735 and −1.15470. std in A is 0.39338: A^S = 0.56624, −1.49283,
        # 0.36034, 0.56624; in B 0.51962: A^S = 0.57735, −1.15470, 0.57735.
        (
            Gigpo(gamma=0.9),
            [[1.1436, 1.1547, 0.5773], [-2.6476, -2.3094], [0.9377, 1.1436, 1.1547, 0.5773]],
        ),
        # Statistics over the nine turns: A^E = 1 − 7/9 = 0.2222 and −0.7778; A^S as in the first case.
        (
            Gigpo(gamma=0.9, normalise=False, statistics="turns"),
            [[0.4450, 0.5222, 0.2222], [-1.3650, -1.3778], [0.3640, 0.4450, 0.5222, 0.2222]],
        ),
        # ... and divided by 0.440959: A^E = 0.5040 and −1.7638; A^S as in the second case.
        (
            Gigpo(gamma=0.9, statistics="turns"),
            [[1.0702, 1.0813, 0.5040], [-3.2567, -2.9185], [0.8643, 1.0702, 1.0813, 0.5040]],
        ),
        # Half the step weight: 0.3333 + 0.5·0.22275 and so on.
        (
            Gigpo(gamma=0.9, normalise=False, step_weight=0.5),
            [[0.4447, 0.4833, 0.3333], [-0.9603, -0.9667], [0.4042, 0.4447, 0.4833, 0.3333]],
        ),
    ],
)
def test_hand_vector(credit: Gigpo, expected: list[list[float]]) -> None:
    advantages = credit(HAND)
    for got, want in zip(advantages, expected, strict=True):
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, want, atol=7e-5)


def test_discounting_separates_successes_of_different_length() -> None:
    # Both episodes succeed, so A^E = 0. In state A the short way returns 0.95, the long way 0.9025: ±0.02375.
    group = make_group(("AB", [0, 1]), ("ACD", [0, 0, 1]))
    short, long = Gigpo(normalise=False)(group)
    np.testing.assert_allclose(short, [0.02375, 0.0], atol=1e-12)
    np.testing.assert_allclose(long, [-0.02375, 0.0, 0.0], atol=1e-12)
    # With γ = 1 there is nothing between them.
    np.testing.assert_array_equal(np.concatenate(Gigpo(gamma=1.0)(group)), np.zeros(5))


def test_equal_returns_by_different_ways_give_exactly_zero() -> None:
    # 10·0.95³ as a product and as a running return differ in the last bit; over a std of 1e-16 that would be order one.
    group = make_group(("ABCD", [0, 0, 0, 10]), ("A", [10 * 0.95**3]))
    assert Gigpo().step_advantages(group)[0][0] == 0.0


def test_a_group_of_one_and_groups_without_turns() -> None:
    # The only episode is twice in A: returns 0.95 and 1, mean 0.975.
    single = make_group(("AA", [0, 1]))
    np.testing.assert_allclose(Gigpo(normalise=False)(single)[0], [-0.025, 0.025])
    np.testing.assert_allclose(Gigpo(normalise=False, singletons="return")(single)[0], [0.975, 1.025])
    assert [a.shape for a in Gigpo()(make_group(("", []), ("A", [1.0])))] == [(0,), (1,)]
    assert Gigpo()(make_group()) == []


@pytest.mark.parametrize("gamma", [-0.1, 1.01, float("nan")])
def test_bad_settings_are_named(gamma: float) -> None:
    with pytest.raises(ValueError, match="expected a gamma between 0 and 1, got"):
        Gigpo(gamma=gamma)
    with pytest.raises(ValueError, match="expected a finite step_weight, got inf"):
        Gigpo(step_weight=float("inf"))
    with pytest.raises(ValueError, match="expected singletons to be one of 'zero', 'return', got 'drop'"):
        Gigpo(singletons="drop")  # type: ignore[arg-type]  # the point of the test


turns = st.lists(st.tuples(st.sampled_from("ABCDE"), st.sampled_from([-0.1, 0.0, 0.5, 1.0, 10.0])), max_size=12)
groups = st.lists(turns, min_size=1, max_size=8).map(
    lambda episodes: make_group(*(("".join(k for k, _ in e), [r for _, r in e]) for e in episodes))
)
estimators = st.builds(
    Gigpo,
    gamma=st.sampled_from([0.0, 0.9, 0.95, 1.0]),
    step_weight=st.sampled_from([0.0, 0.5, 1.0]),
    normalise=st.booleans(),
    statistics=st.sampled_from(["episodes", "turns"]),
    singletons=st.sampled_from(["zero", "return"]),
)


def as_grpo(credit: Gigpo) -> Grpo:
    return Grpo(normalise=credit.normalise, statistics=credit.statistics, singletons=credit.singletons)


@given(groups, estimators)
def test_without_step_weight_or_repeated_states_it_is_grpo(group: Group, credit: Gigpo) -> None:
    unweighted = Gigpo(
        gamma=credit.gamma,
        step_weight=0.0,
        normalise=credit.normalise,
        statistics=credit.statistics,
        singletons=credit.singletons,
    )
    unique = Group(
        task=group.task,
        episodes=tuple(
            Episode(
                turns=tuple(
                    Turn(completion=EMPTY, state_key=f"{i}.{t}", reward=turn.reward)
                    for t, turn in enumerate(episode.turns)
                )
            )
            for i, episode in enumerate(group.episodes)
        ),
    )
    for got, want in (
        (unweighted(group), as_grpo(credit)(group)),
        (credit(unique), as_grpo(credit)(unique)),
    ):
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a, b)


@given(groups, estimators)
def test_step_advantages_of_a_group_sum_to_zero(group: Group, credit: Gigpo) -> None:
    assert abs(sum(a.sum() for a in credit.step_advantages(group))) < 1e-8


@given(groups, estimators, st.randoms(use_true_random=False))
def test_the_order_of_episodes_does_not_matter(group: Group, credit: Gigpo, random: Random) -> None:
    order = list(range(len(group.episodes)))
    random.shuffle(order)
    shuffled = credit(Group(task=group.task, episodes=tuple(group.episodes[i] for i in order)))
    original = credit(group)
    for position, i in enumerate(order):
        np.testing.assert_allclose(shuffled[position], original[i], atol=1e-9)
