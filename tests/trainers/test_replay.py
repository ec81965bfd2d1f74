"""ARPO's replay: exactly one row of a group that failed, and nothing else."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainers.shaping.made import made_episode, made_group, made_turn
from trainers.credit import Gigpo, Grpo
from trainers.replay import ReplaySettings, SuccessReplay, episode_from_json, episode_to_json, with_logprobs
from trainers.types import Episode

FAILURE = made_episode("AB", [0, 0])
SUCCESS = made_episode("AXY", [0, 0, 1], answers="one")


def stored(*episodes, settings=None, task="toy/0"):
    replay = SuccessReplay(settings)
    replay.add([made_group(*episodes, task=task)], iteration=0)
    return replay


def test_hand_vector():
    failed = made_group(*[FAILURE] * 8)
    mixed = stored(SUCCESS).mix([failed], iteration=1, seed=0)
    [group] = mixed.groups
    assert mixed.replayed == [(0, 0)]
    assert group.task == "toy/0"
    assert group.episodes == (SUCCESS, *[FAILURE] * 7)
    # Mean 1/8, std √((7/8)² + 7·(1/8)²)/√7 = .353553: (1 − .125)/.353553 = 2.4749 and −.125/.353553 = −.3536.
    advantages = Grpo()(group)
    np.testing.assert_allclose(advantages[0], [2.4749] * 3, atol=1e-4)
    for one in advantages[1:]:
        np.testing.assert_allclose(one, [-0.3536] * 2, atol=1e-4)


def test_a_replayed_episode_has_its_own_states():
    [group] = stored(SUCCESS).mix([made_group(FAILURE, FAILURE)], iteration=1, seed=0).groups
    # In A the success returns .95² and the failure 0: GiGPO compares them, .9025 − .45125.
    assert Gigpo(normalise=False).step_advantages(group)[0][0] == pytest.approx(0.45125)


def test_one_success_is_enough_to_be_left_alone():
    group = made_group(*[FAILURE] * 7, SUCCESS)
    mixed = stored(SUCCESS).mix([group], iteration=1, seed=0)
    assert mixed.groups[0] is group
    assert mixed.replayed == []


def test_failures_that_differ_are_left_alone():
    # Scores 0 and .3: mean .15, standard deviation .15. Twice .15: flat. Twice .25: not low.
    replay = stored(SUCCESS)
    for scores, expected in (((0.0, 0.3), []), ((0.15, 0.15), [(0, 0)]), ((0.25, 0.25), [])):
        group = made_group(*(replace(FAILURE, score=score) for score in scores))
        assert replay.mix([group], iteration=1, seed=0).replayed == expected


def test_nothing_stored_changes_nothing():
    group = made_group(FAILURE, FAILURE)
    for replay in (SuccessReplay(), stored(SUCCESS, task="another"), stored(made_episode("B", [1]))):
        # Nothing; a success in another task; one that starts in another state.
        assert replay.mix([group], iteration=1, seed=0).groups == [group]


def test_failures_are_never_stored_and_the_oldest_success_goes():
    wins = [made_episode("A", [1], answers=letter) for letter in "abcdefghij"]
    broken = replace(SUCCESS, status="failed")
    replay = stored(FAILURE, *wins, broken, Episode(turns=(), success=True))
    assert len(replay) == 8
    taken = {
        replay.mix([made_group(FAILURE)], iteration=1, seed=seed).groups[0].episodes[0].turns[0].answer
        for seed in range(200)
    }
    assert taken == set("cdefghij")


def test_which_success_is_taken_is_a_function_of_the_seed():
    replay = stored(*[made_episode("A", [1], answers=letter) for letter in "abcdef"])
    groups = [made_group(FAILURE)] * 6
    one, same, other = (replay.mix(groups, iteration=1, seed=seed).groups for seed in (0, 0, 1))
    assert one == same != other


def test_old_successes_are_not_replayed():
    replay = stored(SUCCESS, settings=ReplaySettings(max_age=2))
    assert replay.mix([made_group(FAILURE)], iteration=2, seed=0).replayed == [(0, 0)]
    assert replay.mix([made_group(FAILURE)], iteration=3, seed=0).replayed == []


@given(
    st.lists(st.lists(st.sampled_from([FAILURE, SUCCESS]), min_size=1, max_size=8), min_size=1, max_size=4),
    st.booleans(),
    st.integers(0, 99),
)
def test_at_most_one_row_of_a_failed_group_changes(drawn, empty, seed):
    groups = [made_group(*episodes) for episodes in drawn]
    replay = SuccessReplay() if empty else stored(SUCCESS)
    mixed = replay.mix(groups, iteration=1, seed=seed)
    for number, (before, after) in enumerate(zip(groups, mixed.groups, strict=True)):
        changed = [a != b for a, b in zip(before.episodes, after.episodes, strict=True)]
        expected = not empty and all(episode is FAILURE for episode in before.episodes)
        assert changed == [expected] + [False] * (len(changed) - 1)
        assert ((number, 0) in mixed.replayed) == expected
        assert after.task == before.task


def test_a_saved_buffer_goes_on_as_before():
    settings = ReplaySettings(per_task=2)
    replay = stored(SUCCESS, made_episode("A", [1]), settings=settings)
    again = SuccessReplay(settings)
    again.load_state(json.loads(json.dumps(replay.state())))
    for one in (replay, again):
        one.add([made_group(made_episode("AC", [0, 1]))], iteration=1)
    assert len(again) == 2
    for seed in range(4):
        groups = [made_group(FAILURE)]
        assert again.mix(groups, iteration=2, seed=seed) == replay.mix(groups, iteration=2, seed=seed)


def test_an_episode_comes_back_from_json():
    turn = made_turn(
        reward=0.5, tokens=2, logprob=-0.1, token_rewards=(0.25, 0.25), messages=({"role": "user", "content": "Hi"},)
    )
    episode = Episode(turns=(turn,), status="cut", success=True, score=0.75, seed=3, kind="k")
    assert episode_from_json(json.loads(json.dumps(episode_to_json(episode)))) == episode
    told = replace(turn, info={"subgoals": ("key",), "handle": object()})
    [back] = episode_from_json(episode_to_json(replace(episode, turns=(told,)))).turns
    assert back.info == {"subgoals": ["key"]}


def test_log_probabilities_can_be_put_in_place():
    episode = Episode(turns=(made_turn(tokens=2), made_turn(tokens=1)))
    changed = with_logprobs(episode, [[-1, -2], [-3]])
    assert [turn.completion.logprobs for turn in changed.turns] == [(-1.0, -2.0), (-3.0,)]
    with pytest.raises(ValueError, match="one log-probability per sampled token"):
        with_logprobs(episode, [[-1], [-3]])


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="per_task and max_age of 1 or more"):
        ReplaySettings(per_task=0)
    with pytest.raises(ValueError, match="low and flat above 0"):
        ReplaySettings(flat=0.0)
