import numpy as np
import pytest

from trainers.credit import Gigpo
from trainers.credit.anchors import anchor_states
from trainers.types import Completion, Episode, Group, Turn

EMPTY = Completion(prompt_ids=(), token_ids=(), logprobs=())


def group(*episodes):
    """Pairs of key and observation per turn; the last turn of an episode earns the episode's number."""

    def turn(number, pair, last):
        key, seen = pair
        return Turn(completion=EMPTY, state_key=key, observation=seen, reward=float(number * last))

    return Group(
        task="t",
        episodes=tuple(
            Episode(turns=tuple(turn(number, pair, t == len(pairs) - 1) for t, pair in enumerate(pairs)))
            for number, pairs in enumerate(episodes)
        ),
    )


def test_equal_keys_are_one_state():
    played = group([("a", "x"), ("b", "y")], [], [("a", "z"), ("c", "x")])
    np.testing.assert_array_equal(anchor_states(played), [0, 1, 0, 2])
    assert len(anchor_states(group([]))) == 0


def test_similar_observations_are_one_state():
    # "shelf 1 holds a mug" and "shelf 1 holds a cup" have 16 of 19 characters in common, in order: 2·16/38 = 0.842
    # ("shelf 1 holds a " and the u); "fridge 2 is closed" is far from both.
    texts = ["shelf 1 holds a mug", "fridge 2 is closed", "shelf 1 holds a cup", "fridge 2 is closed"]
    played = group([(str(t), text) for t, text in enumerate(texts)])
    np.testing.assert_array_equal(anchor_states(played, 0.84), [0, 1, 0, 1])
    np.testing.assert_array_equal(anchor_states(played, 0.95), [0, 1, 2, 1])
    np.testing.assert_array_equal(anchor_states(played), [0, 1, 2, 3])


def test_a_turn_without_an_observation_is_known_by_its_key():
    np.testing.assert_array_equal(anchor_states(group([("a", ""), ("b", "")], [("a", "")]), 0.9), [0, 1, 0])


def test_gigpo_compares_turns_in_similar_states():
    played = group([("k0", "You see a mug 1.")], [("k1", "You see a mug 2.")])
    # Returns 0 and 1 in one state: without normalisation the step part is −1/2 and 1/2; in two states it is zero.
    together = Gigpo(normalise=False, similarity=0.9).step_advantages(played)
    np.testing.assert_allclose(np.concatenate(together), [-0.5, 0.5])
    apart = Gigpo(normalise=False).step_advantages(played)
    np.testing.assert_allclose(np.concatenate(apart), [0.0, 0.0])


@pytest.mark.parametrize("similarity", [0.0, 1.5, -1.0])
def test_a_similarity_that_means_nothing(similarity):
    with pytest.raises(ValueError, match="similarity"):
        Gigpo(similarity=similarity)
