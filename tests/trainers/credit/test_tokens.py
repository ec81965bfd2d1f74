"""The table of tokens."""

from dataclasses import replace

import numpy as np
import pytest

from tests.trainers.credit.made import batch_of, completion, tokens_group, totals_group
from trainers.credit.tokens import token_batch
from trainers.types import Episode, Group, Turn

# Two episodes: turns of 3 and 2 tokens, and one of 2.
GROUP = tokens_group([[0, 0, 0], [0, 1]], [[0.5, 0.25]])


def test_who_owns_a_token():
    batch = token_batch([GROUP, GROUP])
    assert batch.turn_n.tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 5]
    assert batch.episode_n.tolist() == [0] * 5 + [1] * 2 + [2] * 5 + [3] * 2
    assert batch.group_e.tolist() == [0, 0, 1, 1]
    assert batch.turn_ends_n[:7].tolist() == [False, False, True, False, True, False, True]
    assert batch.episode_ends_n[:7].tolist() == [False] * 4 + [True, False, True]
    assert batch.rewards_n[:7].tolist() == [0, 0, 0, 0, 1, 0.5, 0.25]


def test_a_turns_reward_is_paid_at_its_last_token():
    turn = Turn(completion=completion([1, 2, 3], logprobs=[-1, -2, -3]), state_key="s", reward=2.0)
    batch = batch_of(Group(task="t", episodes=(Episode(turns=(turn,)),)))
    assert batch.rewards_n.tolist() == [0, 0, 2]
    assert batch.logprobs_n.tolist() == [-1, -2, -3]


def test_the_reward_of_a_turn_without_tokens_goes_to_the_token_before():
    silent = Turn(completion=completion([]), state_key="s", reward=5.0)
    spoken = Turn(completion=completion([1, 2]), state_key="s", reward=1.0)
    # Nothing comes before the first silent turn of an episode, and the token before it is another episode's.
    talk = (silent, spoken, silent, silent)
    group = Group(task="t", episodes=(Episode(turns=(silent,)), Episode(turns=talk), Episode(turns=talk)))
    batch = batch_of(group)
    assert batch.rewards_n.tolist() == [0, 11, 0, 11]
    assert batch.turn_n.tolist() == [2, 2, 6, 6]
    [[first, second, _]] = batch.per_turn(np.array([1.0, 2.0, 3.0, 4.0]))
    assert [one.tolist() for one in first] == [[]]
    assert [one.tolist() for one in second] == [[], [1.0, 2.0], [], []]


def test_numbers_per_turn_are_spread_over_tokens():
    batch = batch_of(GROUP)
    assert batch.spread([[np.array([1.0, 2.0]), np.array([3.0])]]).tolist() == [1, 1, 1, 2, 2, 3, 3]


def test_only_a_cut_episode_has_something_to_come():
    group = replace(GROUP, episodes=(GROUP.episodes[0], replace(GROUP.episodes[1], status="cut")))
    batch = batch_of(group, [0] * 7, last_values=np.array([4.0, 5.0]))
    assert batch.next_values_e().tolist() == [0.0, 5.0]
    with pytest.raises(ValueError, match="after the last token of episodes that a limit cut off"):
        batch_of(group, [0] * 7).require_values()


def test_shapes_and_numbers_are_checked():
    with pytest.raises(ValueError, match="expected 7 values, got an array of shape"):
        batch_of(GROUP, [0.0] * 6)
    with pytest.raises(ValueError, match="expected finite values, got nan"):
        batch_of(GROUP, [float("nan")] * 7)
    with pytest.raises(ValueError, match="expected finite rewards, got inf"):
        batch_of(totals_group(float("inf")))
    with pytest.raises(ValueError, match="this estimator needs a critic"):
        batch_of(GROUP).require_values()


def test_an_empty_batch_is_empty():
    batch = token_batch([Group(task="t", episodes=())])
    assert len(batch.rewards_n) == len(batch.turn_ends_n) == len(batch.next_values_e()) == 0
    assert batch.per_turn(np.zeros(0)) == [[]]
