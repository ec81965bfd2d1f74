"""The diagnostic environments: the optimum each claims is what search over its true dynamics finds."""

import itertools
from collections import deque

import gymnasium as gym
import numpy as np
import pytest

import agent_gym  # noqa: F401  registers the ids
from agent_gym import keys
from agent_gym.envs import diagnostic
from agent_gym.envs.busy_work import PROCESS_SCORES, STEPS
from agent_gym.envs.macro_copy import text_of
from agent_gym.errors import BadOptionError, UnknownTaskError
from agent_gym.testing import check_text_env

SMALL = {
    "busy work": ("AgentGym/BusyWork-v0", {}),
    "bandit": ("AgentGym/DynamicalLinearBandit-v0", {"horizon": 4, "sigma": 0.0}),
    "key and door": ("AgentGym/KeyDoor-v0", {"size": 4}),
    "copy": ("AgentGym/MacroCopy-v0", {"length": 4}),
    "whole copy": ("AgentGym/MacroCopy-v0", {"length": 4, "mode": "whole"}),
    "rooms": ("AgentGym/Rooms-v0", {}),
    "many rooms": ("AgentGym/Rooms-v0", {"regime": "sparse"}),
    "tree": ("AgentGym/Rooms-v0", {"regime": "tree", "rooms": 4}),
}
each = pytest.mark.parametrize(("env_id", "settings"), SMALL.values(), ids=SMALL.keys())


def states_of(env, task, payoff=lambda reward, info: reward):
    """Every state that can be reached: state key -> [(payoff, next key)], and the key of the start."""
    _, info = env.reset(options={"task": task})
    start = info[keys.STATE_KEY]
    moves: dict[str, list[tuple[float, str]]] = {}
    waiting = deque([(start, info[keys.ADMISSIBLE_ACTIONS], env.get_state())])
    while waiting:
        key, commands, state = waiting.popleft()
        if key in moves:
            continue
        moves[key] = []
        for command in commands:
            env.set_state(state)
            _, reward, terminated, _, after = env.step(command)
            moves[key].append((payoff(reward, after), after[keys.STATE_KEY]))
            if not terminated:
                waiting.append((after[keys.STATE_KEY], after[keys.ADMISSIBLE_ACTIONS], env.get_state()))
    return moves, start


def best_value(moves, start, gamma, sweeps):
    """Value iteration; with gamma 1 the best sum of payoffs in `sweeps` steps."""
    values = dict.fromkeys(moves, 0.0)
    for _ in range(sweeps):
        values = {
            key: max((payoff + gamma * values.get(then, 0.0) for payoff, then in after), default=0.0)
            for key, after in moves.items()
        }
    return values[start]


@each
@pytest.mark.parametrize("gamma", [0.9, 1.0])
def test_the_known_optimum_is_that_of_value_iteration(env_id, settings, gamma):
    env = gym.make(env_id, disable_env_checker=True, **settings).unwrapped
    for task in [*env.tasks("train")[:2], env.tasks("test")[-1]]:
        moves, start = states_of(env, task)
        assert best_value(moves, start, gamma, sweeps=60) == pytest.approx(env.optimal_value(task, gamma), abs=1e-12)


@each
def test_the_expert_is_optimal(env_id, settings):
    env = gym.make(env_id, disable_env_checker=True, **settings)
    for task in env.unwrapped.tasks("valid")[:5]:
        env.reset(options={"task": task})
        rewards, over = [], False
        while not over:
            _, reward, terminated, truncated, info = env.step(env.unwrapped.expert_action())
            rewards.append(float(reward))
            over = terminated or truncated
        assert terminated
        assert len(rewards) == env.unwrapped.optimal_steps(task)
        assert sum(rewards) == pytest.approx(env.unwrapped.optimal_value(task), abs=1e-5)
        # Four rounds are too few for the bandit's state to build up, so its success can't be had there.
        assert info[keys.SUCCESS] is True or settings.get("horizon") == 4


@each
def test_the_contract_holds_for_other_settings_too(env_id, settings):
    check_text_env(env_id, **settings | ({"horizon": 60} if "horizon" in settings else {}))


@each
def test_an_unknown_task_is_told_from_a_known_one(env_id, settings):
    env = gym.make(env_id, disable_env_checker=True, **settings).unwrapped
    with pytest.raises(UnknownTaskError, match=r"expected a task id such as"):
        env.optimal_value("train/none")


@pytest.mark.parametrize(
    ("env_id", "settings", "said"),
    [
        ("Rooms", {"regime": "shrot"}, r"Did you mean 'short'\?"),
        ("Rooms", {"rooms": 1}, "rooms must be a whole number from 2 to 99, got 1"),
        ("Rooms", {"steps": 0}, "steps must be"),
        ("Rooms", {"layouts": 2.5}, "layouts must be"),
        ("MacroCopy", {"mode": "half"}, "mode must be one of"),
        ("MacroCopy", {"length": True}, "length must be"),
        ("KeyDoor", {"size": 9}, "size must be"),
        ("DynamicalLinearBandit", {"form": "boxes"}, "Did you mean 'box'"),
        ("DynamicalLinearBandit", {"sigma": -1}, "sigma must be"),
        ("DynamicalLinearBandit", {"horizon": 1}, "horizon must be"),
    ],
)
def test_settings_that_mean_nothing_are_refused(env_id, settings, said):
    with pytest.raises(BadOptionError, match=said):
        gym.make(f"AgentGym/{env_id}-v0", **settings)


def play(env_id, commands, task=None, **settings):
    """(observation, reward, terminated, truncated, info) of each command."""
    env = gym.make(env_id, disable_env_checker=True, **settings)
    env.reset(options={"task": task or env.unwrapped.tasks("train")[0]})
    return [env.step(command) for command in commands]


# Rooms ----------------------------------------------------------------------------------------------------------------


def walk_lengths(episodes, **settings):
    env = gym.make("AgentGym/Rooms-v0", disable_env_checker=True, **settings)
    rng = np.random.default_rng(0)
    lengths, successes = [], []
    for _ in range(episodes):
        _, info = env.reset(seed=int(rng.integers(2**31)))
        over, steps = False, 0
        while not over:
            _, _, terminated, truncated, info = env.step(info[keys.ADMISSIBLE_ACTIONS][int(rng.integers(4))])
            over, steps = terminated or truncated, steps + 1
        lengths.append(steps)
        successes.append(info[keys.SUCCESS])
    return np.mean(lengths), np.mean(successes)


def test_chance_succeeds_in_slow_and_fails_in_sparse():
    """5 rooms: 2·5·6 = 60 steps on average; the slowest mode decays by 1 − (1 − cos(π/11))/2 = .97975 a step, and
    .97975^200 ≈ .017, so 98 % are out after 200 steps. 11 rooms take 264 on average: 30 steps are hardly ever enough.
    """
    length, success = walk_lengths(600, regime="slow")
    assert 0.96 < success < 1.0
    assert 53 < length < 62
    _, success = walk_lengths(600, regime="sparse")
    assert success < 0.03
    # Two doors of four each: 1/16 = .0625, standard deviation of the mean of 600 is .0099.
    length, success = walk_lengths(600, regime="tree")
    assert 0.03 < success < 0.1
    assert length == 10


def test_doors_differ_from_room_to_room_and_from_task_to_task():
    env = gym.make("AgentGym/Rooms-v0", regime="sparse", layouts=8).unwrapped
    ways = []
    for task in [*env.tasks("train"), *env.tasks("test")]:
        env.reset(options={"task": task})
        expert = env.make_expert()
        ways.append(tuple(expert._way))
    assert len(set(ways)) == 16
    counts = np.unique([door for way in ways for door in way], return_counts=True)[1]
    assert len(counts) == 4  # 176 doors, 44 of each colour expected, standard deviation 5.7
    assert counts.min() > 20


def test_short_and_slow_are_the_same_rooms_with_another_limit():
    short = gym.make("AgentGym/Rooms-v0", regime="short").unwrapped
    slow = gym.make("AgentGym/Rooms-v0", regime="slow").unwrapped
    assert short.tasks("train") == slow.tasks("train")
    assert [step[:2] for step in play("AgentGym/Rooms-v0", ["blue door", "red door"], regime="short")] == [
        step[:2] for step in play("AgentGym/Rooms-v0", ["blue door", "red door"], regime="slow")
    ]


def test_the_limit_on_steps_truncates():
    steps = play("AgentGym/Rooms-v0", ["sing"] * 7, steps=7)
    assert [step[3] for step in steps] == [False] * 6 + [True]
    assert not steps[-1][2]


def test_the_tree_says_nothing_before_the_end():
    env = gym.make("AgentGym/Rooms-v0", regime="tree").unwrapped
    task = env.tasks("train")[0]
    env.reset(options={"task": task})
    right = env.make_expert()._way
    wrong = [next(door for door in env._doors[0] if door != right[0]), *right[1:]]
    good, bad = (play("AgentGym/Rooms-v0", way, task, regime="tree") for way in (right, wrong))
    assert [step[0] for step in good[:-1]] == [step[0] for step in bad[:-1]]
    assert (good[-1][1], bad[-1][1]) == (1.0, 0.0)
    assert good[1][4][keys.STATE_KEY] != bad[1][4][keys.STATE_KEY]


# Copying --------------------------------------------------------------------------------------------------------------


def test_only_the_end_of_a_copy_pays_and_by_the_share_that_is_right():
    text = text_of("train", "000", 8)
    wrong = ["a" if symbol != "a" else "b" for symbol in text[:2]]
    steps = play("AgentGym/MacroCopy-v0", [*wrong, *text[2:]], length=8)
    assert [step[1] for step in steps] == [0.0] * 7 + [0.75]  # 6 of 8
    assert steps[-1][4][keys.SUCCESS] is False
    assert steps[-1][4][keys.SCORE] == 0.75


@pytest.mark.parametrize(
    ("answer", "reward"),
    [
        (lambda text: text, 1.0),
        (lambda text: " ".join(text), 1.0),
        (lambda text: text[:6], 0.75),  # two are missing
        (lambda text: text + "ab", 0.75),  # two are too much: 8 right − 2
        (lambda text: text[0], 0.125),
    ],
)
def test_a_whole_copy_is_compared_place_by_place(answer, reward):
    text = text_of("train", "000", 8)
    [step] = play("AgentGym/MacroCopy-v0", [answer(text)], length=8, mode="whole")
    assert step[1:3] == (reward, True)


def test_both_modes_have_the_same_texts():
    starts = []
    for mode in ("symbols", "whole"):
        env = gym.make("AgentGym/MacroCopy-v0", mode=mode).unwrapped
        starts.append([env.reset(options={"task": task})[0].splitlines()[0] for task in env.tasks("valid")])
    assert starts[0] == starts[1]
    assert len(set(starts[0])) == 16


# Busy-work ------------------------------------------------------------------------------------------------------------


def test_process_scores_pay_best_for_never_handing_in():
    """12 times polish is 10.8; eight times polish, three parts and submit are 7.2 + 1.8 + 0.5 = 9.5, with the outcome
    10.5."""
    env = gym.make("AgentGym/BusyWork-v0").unwrapped
    task = env.tasks("train")[0]
    farmed, start = states_of(env, task, payoff=lambda reward, info: reward + info[keys.PROCESS_SCORE])
    assert best_value(farmed, start, 1.0, sweeps=STEPS) == pytest.approx(10.8)
    assert max(PROCESS_SCORES, key=lambda name: PROCESS_SCORES[name]) == "polish"

    # With 1 taken off each step of an episode that fails (ReNorm) every such episode is worth 0 or less, every other
    # more.
    scores = [score for name, score in PROCESS_SCORES.items() if name != "submit"]
    assert max(scores) - 1 <= 0 < PROCESS_SCORES["submit"]


def test_the_process_score_is_no_reward_and_polish_changes_nothing():
    steps = play("AgentGym/BusyWork-v0", ["polish", "polish", "sing"])
    assert [step[1] for step in steps] == [0.0, 0.0, 0.0]
    assert [step[4][keys.PROCESS_SCORE] for step in steps] == [0.9, 0.9, 0.0]
    assert len({step[4][keys.STATE_KEY] for step in steps}) == 1


def test_an_incomplete_report_is_turned_down():
    [(said, reward, terminated, _, info)] = play("AgentGym/BusyWork-v0", ["submit"])
    assert (reward, terminated, info[keys.SUCCESS]) == (0.0, True, False)
    assert "incomplete" in said


def test_splits_share_no_outline():
    env = gym.make("AgentGym/BusyWork-v0").unwrapped
    outlines = [task.partition("/")[2] for split in env.splits for task in env.tasks(split)]
    assert len(outlines) == len(set(outlines)) == 60  # 5·4·3 orders of three parts out of five


# Key and door ---------------------------------------------------------------------------------------------------------


def test_a_subgoal_counts_once_however_often_it_is_reached():
    way = ["pick up key", "drop key", "pick up key"]
    steps = play("AgentGym/KeyDoor-v0", ["go east", "go east", "go south", *way], task="train/3-11-23-3-32")
    assert [step[4][keys.SUBGOALS] for step in steps[2:]] == [(), *[("pick up key",)] * 3]
    assert [step[0].splitlines()[0] for step in steps[3:]] == [
        "You pick up the key.",
        "You drop the key.",
        "You pick up the key.",
    ]
    # The score is that of the state: with the key in hand it is a third, and nothing without.
    assert [step[4][keys.SCORE] for step in steps[2:]] == pytest.approx([0, 1 / 3, 0, 1 / 3])
    assert all(step[1] == 0.0 for step in steps)


def test_the_door_opens_only_with_the_key_and_from_the_west():
    steps = play("AgentGym/KeyDoor-v0", ["go south", "go south", "go east", "go east", "open door", "go east"],
                 task="train/3-11-23-3-32")  # fmt: skip
    assert [step[4][keys.ACTION_VALID] for step in steps] == [True] * 4 + [False, False]


def test_splits_share_no_layout():
    env = gym.make("AgentGym/KeyDoor-v0", layouts=500).unwrapped
    layouts = [task.partition("/")[2] for split in env.splits for task in env.tasks(split)]
    assert len(layouts) == len(set(layouts)) == 1500
    assert set(gym.make("AgentGym/KeyDoor-v0", layouts=10).unwrapped.tasks("test")) < set(env.tasks("test"))


# What they share ------------------------------------------------------------------------------------------------------


def test_a_shuffle_is_fair_and_belongs_to_its_seed():
    assert diagnostic.shuffled("abcd", 1) == diagnostic.shuffled("abcd", 1)
    orders = ["".join(diagnostic.shuffled("abc", number)) for number in range(1200)]
    counts = [orders.count("".join(order)) for order in itertools.permutations("abc")]
    assert min(counts) > 150  # 200 expected, standard deviation 12.9
