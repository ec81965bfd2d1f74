import functools

import gymnasium as gym
import pytest

from agent_gym import LocalSlots
from agent_gym.errors import BadOptionError, UnknownTaskError
from agent_gym.workers import WorkerSlots
from examples import locked_corridor
from tests.odd_env import OddEnv
from tests.trainers.corridor import corridor
from trainers.policies.base import Sampling
from trainers.policies.scripted import ExpertPolicy, RandomPolicy, ReplayPolicy
from trainers.rollout import play
from trainers.stepping import expert_action
from trainers.streams import stream
from trainers.types import Completion
from wrappers import wrap_for_llm

BARE = "{command}"
TASKS = ["train/3-1-2-3", "train/4-2-1-4", "train/3-3-1-2"]


def play_tasks(policy, env, tasks=TASKS, *, group_size=2, context="conversation", **options):
    return play(policy, env, tasks, group_size=group_size, context=context, sampling=Sampling(), seed=5, **options)


def make_corridor(context):
    return corridor(1, context=context).envs[0]


class Asked(RandomPolicy):
    """Notes what it is asked, and which conversations it holds."""

    def __init__(self):
        super().__init__(form=BARE)
        self.requests = []
        self.held = set()

    def complete(self, requests):
        self.requests += requests
        self.held |= {request.session for request in requests}
        return super().complete(requests)

    def release(self, sessions):
        self.held -= set(sessions)


def test_groups_are_in_the_order_of_the_tasks():
    groups, stats = play_tasks(ExpertPolicy(form=BARE), corridor())
    assert [group.task for group in groups] == TASKS
    episodes = [episode for group in groups for episode in group.episodes]
    assert [(episode.status, episode.success, episode.score) for episode in episodes] == [("finished", True, 1.0)] * 6
    for group in groups:
        assert group.episodes[0].seed == group.episodes[1].seed
    # Of train/3-1-2-3 (three rooms, start 1, key 2, door 3): right, take, right, open.
    answers = [turn.answer for turn in groups[0].episodes[0].turns]
    assert answers == ["go right", "take key", "go right", "open door"]
    assert list(groups[0].episodes[0].rewards) == [0, 0, 0, 1]
    assert stats.episodes == 6
    assert stats.turns == sum(len(episode.turns) for episode in episodes)


@pytest.mark.parametrize("context", ["conversation", "step"])
def test_the_outcome_does_not_depend_on_the_number_of_slots(context):
    first, *others = [
        play_tasks(RandomPolicy(form=BARE), corridor(slots, context=context), context=context)[0]
        for slots in (1, 2, 5, 9)
    ]
    assert all(other == first for other in others)
    assert first[0].episodes[0] != first[0].episodes[1]


def test_a_part_of_the_groups_plays_as_in_the_whole():
    whole, _ = play_tasks(RandomPolicy(form=BARE), corridor())
    part, _ = play_tasks(RandomPolicy(form=BARE), corridor(), TASKS[1:], first_group=1)
    assert part == whole[1:]


def test_only_live_episodes_are_asked_and_stepped():
    steps = []

    class Counting(gym.Wrapper):
        def step(self, action):
            steps.append(action)
            return super().step(action)

    policy = Asked()
    groups, stats = play_tasks(policy, corridor(inner=Counting))
    lengths = [len(episode.turns) for group in groups for episode in group.episodes]
    assert len(set(lengths)) > 1
    assert len(steps) == len(policy.requests) == sum(lengths) == stats.turns
    assert stats.wasted_tokens == 0
    assert stats.generated_tokens == sum(
        len(turn.completion.token_ids) for group in groups for episode in group.episodes for turn in episode.turns
    )


def test_a_conversation_is_shown_what_is_new_and_a_step_everything():
    policy = Asked()
    [group], stats = play_tasks(policy, corridor(), TASKS[:1], group_size=1)
    first, second = policy.requests[:2]
    assert first.session == second.session
    start = policy.codec.decode(first.prompt_ids)
    assert start.startswith("system: ")
    more = policy.codec.decode(second.prompt_ids)
    assert more == f"user: {group.episodes[0].turns[1].observation}"
    assert policy.held == set()
    assert stats.prompt_tokens == sum(len(request.prompt_ids) for request in policy.requests)

    policy = Asked()
    play_tasks(policy, corridor(context="step"), TASKS[:1], group_size=1, context="step")
    assert all(request.session is None for request in policy.requests)
    assert all(policy.codec.decode(request.prompt_ids).startswith("system: ") for request in policy.requests)
    assert len({request.seed for request in policy.requests}) == len(policy.requests)


def test_a_turn_has_the_key_of_the_state_before_its_action():
    [group], _ = play_tasks(ExpertPolicy(form=BARE), corridor(), TASKS[:1], group_size=1)
    keys = [turn.state_key.removeprefix(TASKS[0]) for turn in group.episodes[0].turns]
    assert keys == [":1:False:False", ":2:False:False", ":2:True:False", ":3:True:False"]


def test_without_a_key_the_observation_stands_for_the_state():
    class Keyless(gym.Wrapper):
        def reset(self, **options):
            observation, info = super().reset(**options)
            del info["state_key"]
            return observation, info

    [group], _ = play_tasks(RandomPolicy(form=BARE), corridor(inner=Keyless), TASKS[:1], group_size=1)
    turn = group.episodes[0].turns[0]
    assert turn.state_key == turn.observation


def test_a_turn_knows_what_the_environment_replied():
    [group], _ = play_tasks(ExpertPolicy(form=BARE), corridor(), TASKS[:1], group_size=1)
    turns = group.episodes[0].turns
    assert [turn.reply for turn in turns[:-1]] == [turn.observation for turn in turns[1:]]
    assert [turn.info["state_key"] for turn in turns[:-1]] == [turn.state_key for turn in turns[1:]]
    assert [turn.info["success"] for turn in turns] == [False] * (len(turns) - 1) + [True]
    assert turns[-1].reply not in ("", turns[-1].observation)
    assert not {"messages", "admissible_actions", "admissible_commands"} & turns[0].info.keys()


def test_an_invalid_answer_costs_a_turn_and_is_marked():
    policy = ReplayPolicy({TASKS[0]: ["go right", "fly\naway", "sing", "take key", "go right", "open door"]})
    [group], _ = play_tasks(policy, corridor(), TASKS[:1], group_size=1)
    turns = group.episodes[0].turns
    assert [turn.action_valid for turn in turns] == [True, False, False, True, True, True]
    assert [turn.format_valid for turn in turns] == [True, False, True, True, True, True]


def test_an_error_in_an_environment_ends_its_own_episode():
    class Breaks(gym.Wrapper):
        def reset(self, **options):
            self.fragile = options["options"]["task"] == TASKS[1]
            return super().reset(**options)

        def step(self, action):
            if self.fragile and action == "take key":
                raise RuntimeError("the key\nbroke")
            return super().step(action)

    groups, stats = play_tasks(ExpertPolicy(form=BARE), corridor(inner=Breaks))
    assert [episode.status for group in groups for episode in group.episodes] == (
        ["finished"] * 2 + ["failed"] * 2 + ["finished"] * 2
    )
    failed = groups[1].episodes[0]
    assert failed.error == "RuntimeError: the key broke"
    # Corridor 4-2-1-4: one step to the left, where the key lies; taking it is no turn, and its tokens are counted.
    assert [turn.answer for turn in failed.turns] == ["go left"]
    assert stats.wasted_tokens == 2 * len("take key ")  # both members; the end token takes the place of the blank


def test_an_error_at_the_start_is_an_episode_without_turns():
    class Closed(gym.Wrapper):
        def reset(self, **options):
            raise OSError("closed")

    [group], stats = play_tasks(ExpertPolicy(form=BARE), corridor(inner=Closed), TASKS[:1])
    assert [(episode.status, episode.turns) for episode in group.episodes] == [("failed", ())] * 2
    assert stats.turns == 0


def test_in_worker_processes_the_same_is_played_and_a_lost_episode_is_a_failed_one():
    for context in ("conversation", "step"):
        here = play_tasks(RandomPolicy(form=BARE), corridor(context=context), context=context)[0]
        make = functools.partial(make_corridor, context)
        there = WorkerSlots([make] * 4, workers=2)
        assert play_tasks(RandomPolicy(form=BARE), there, context=context)[0] == here
        assert play_tasks(ExpertPolicy(form=BARE), there, context=context)[0][0].episodes[0].success
        there.close()
    slots = WorkerSlots([lambda: wrap_for_llm(OddEnv(), action_format="bare")] * 3, workers=1)
    policy = ReplayPolicy({"train/0": ["add", "end"], "train/1": ["add", "die"]})
    groups, _ = play_tasks(policy, slots, ["train/0", "train/1"], group_size=1)
    slots.close()
    assert [[episode.status for episode in group.episodes] for group in groups] == [["finished"], ["failed"]]
    assert groups[1].episodes[0].error.startswith("WorkerError: the episode in slot ")
    assert [turn.answer for turn in groups[1].episodes[0].turns] == ["add"]


def test_limits_cut_an_episode_off():
    [group], _ = play_tasks(ExpertPolicy(form=BARE), corridor(), TASKS[:1], group_size=1, max_turns=2)
    assert (group.episodes[0].status, len(group.episodes[0].turns)) == ("cut", 2)
    [group], _ = play_tasks(ExpertPolicy(form=BARE), corridor(max_episode_steps=3), TASKS[:1], group_size=1)
    assert (group.episodes[0].status, len(group.episodes[0].turns)) == ("cut", 3)


def test_an_answer_without_room_in_the_context_cuts_the_episode_off():
    class Full(ExpertPolicy):
        def complete(self, requests):
            return [
                Completion(prompt_ids=request.prompt_ids, token_ids=(), logprobs=(), finish="overflow")
                for request in requests
            ]

    [group], stats = play_tasks(Full(form=BARE), corridor(), TASKS[:1], group_size=1)
    assert (group.episodes[0].status, group.episodes[0].turns) == ("cut", ())
    assert (stats.turns, stats.wasted_tokens) == (0, 0)


def test_what_was_asked_for_wrongly_is_raised():
    with pytest.raises(UnknownTaskError):
        play_tasks(ExpertPolicy(form=BARE), corridor(), ["train/unknown"])
    bare = LocalSlots([gym.make(locked_corridor.ID)])
    with pytest.raises(BadOptionError, match="wrap_for_llm"):
        play_tasks(ExpertPolicy(form=BARE), bare)
    with pytest.raises(BadOptionError, match="group_size"):
        play_tasks(ExpertPolicy(form=BARE), corridor(), group_size=0)
    with pytest.raises(BadOptionError, match="expert"):
        expert_action(LocalSlots([gym.make("CartPole-v1")]), 0)


def test_sessions_are_released_when_playing_is_interrupted():
    class Stops(Asked):
        def complete(self, requests):
            if len(self.requests) > 4:
                raise KeyboardInterrupt
            return super().complete(requests)

    policy = Stops()
    with pytest.raises(KeyboardInterrupt):
        play_tasks(policy, corridor())
    assert policy.held == set()


def test_episodes_are_announced_as_they_end():
    told = []
    groups, _ = play_tasks(ExpertPolicy(form=BARE), corridor(2), on_episode=lambda *end: told.append(end))
    assert len(told) == 6
    assert all(groups[TASKS.index(task)].episodes[member] == episode for task, member, episode in told)


def test_streams_are_far_apart():
    numbers = {stream(seed, group) for seed in range(50) for group in range(50)}
    assert len(numbers) == 2500
    assert all(0 <= number < 2**63 for number in numbers)
