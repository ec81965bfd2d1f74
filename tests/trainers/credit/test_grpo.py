"""GRPO's hand vectors, with the arithmetic in comments."""

import numpy as np
import pytest

from trainers.credit import Grpo
from trainers.types import Completion, Episode, Group, Turn


def make_group(*rewards: list[float]) -> Group:
    """A group with these rewards per turn and all states different."""
    empty = Completion(prompt_ids=(), token_ids=(), logprobs=())
    return Group(
        task="toy/0",
        episodes=tuple(
            Episode(
                turns=tuple(
                    Turn(completion=empty, state_key=f"{i}.{t}", reward=reward) for t, reward in enumerate(episode)
                )
            )
            for i, episode in enumerate(rewards)
        ),
    )


def test_hand_vector_of_five_episodes() -> None:
    group = make_group([1.0], [0.0, 0.0], [0.0], [0.0, 1.0], [0.0])
    # R = 1, 0, 0, 1, 0: mean 0.4, variance (2·0.36 + 3·0.16)/4 = 0.3, deviation 0.547723
    # 0.6/0.547723 = 1.095443 and −0.4/0.547723 = −0.730295 (the 1e-6 in the denominator moves the sixth digit)
    advantages = Grpo()(group)
    assert [len(a) for a in advantages] == [1, 2, 1, 2, 1]
    assert [a.dtype for a in advantages] == [np.float64] * 5
    np.testing.assert_allclose(
        np.concatenate(advantages), [1.095443, *[-0.730295] * 3, *[1.095443] * 2, -0.730295], atol=3e-6
    )
    np.testing.assert_allclose([a[0] for a in Grpo(normalise=False)(group)], [0.6, -0.4, -0.4, 0.6, -0.4])


def test_statistics_over_turns_weight_by_length() -> None:
    # Totals 1 (three turns), 0 (two), 1 (four): nine rows with mean 7/9, so 2/9 and −7/9;
    # variance (7·(2/9)² + 2·(7/9)²)/8 = 0.194444, deviation 0.440959: 0.503953 and −1.763834
    group = make_group([0.0, 0.0, 1.0], [0.0, 0.0], [0.0, 0.0, 0.0, 1.0])
    rows = Grpo(statistics="turns", normalise=False)(group)
    np.testing.assert_allclose([a[0] for a in rows], [2 / 9, -7 / 9, 2 / 9])
    normalised = Grpo(statistics="turns")(group)
    np.testing.assert_allclose([a[-1] for a in normalised], [0.503953, -1.763834, 0.503953], atol=6e-6)


def test_a_group_of_one_gets_zero_or_its_return() -> None:
    group = make_group([0.25, 0.5])
    np.testing.assert_array_equal(Grpo()(group)[0], [0.0, 0.0])
    np.testing.assert_array_equal(Grpo(singletons="return")(group)[0], [0.75, 0.75])
    # Over turns there are two rows to compare, which are equal: zero in either case.
    np.testing.assert_array_equal(Grpo(singletons="return", statistics="turns")(group)[0], [0.0, 0.0])


def test_returns_that_differ_in_the_last_bit_are_equal() -> None:
    # 0.1 + 0.2 = 0.30000000000000004: a deviation of 4e-17 over an epsilon of 1e-6 is small, but at 10·γ^k it is not;
    # the rule makes it exactly zero. One part in 10⁸ is a difference.
    np.testing.assert_array_equal(np.concatenate(Grpo()(make_group([0.1, 0.2], [0.3]))), [0.0, 0.0, 0.0])
    large = 1e9
    np.testing.assert_array_equal(np.concatenate(Grpo()(make_group([large], [large + 0.5]))), [0.0, 0.0])
    assert Grpo()(make_group([large], [large + 10.0]))[1][0] > 0.7  # two values: ±1/√2


def test_episodes_without_turns_count_as_episodes() -> None:
    # R = 1, 0 (an attempt that failed at its start): mean 0.5, so 0.5 for the first; nothing to give to the second.
    advantages = Grpo(normalise=False)(make_group([1.0], []))
    np.testing.assert_allclose(advantages[0], [0.5])
    assert advantages[1].shape == (0,)
    over_turns = Grpo(normalise=False, statistics="turns")(make_group([1.0], []))
    np.testing.assert_allclose(over_turns[0], [0.0])
    assert Grpo()(make_group()) == []


def test_bad_settings_and_rewards_are_named() -> None:
    with pytest.raises(ValueError, match="one of 'episodes', 'turns', got 'steps'"):
        Grpo(statistics="steps")  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(ValueError, match="finite rewards"):
        Grpo()(make_group([float("nan")], [0.0]))
    with pytest.raises(ValueError, match="one log-probability per sampled token, got 1 for 2"):
        Completion(prompt_ids=(), token_ids=(1, 2), logprobs=(0.0,))
