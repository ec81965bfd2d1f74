"""MiniHack: NetHack's own game, told by its map, with its chance drawn from the environment's generator."""

import importlib.util
import random
import sys
from typing import Any

import gymnasium as gym
import pytest

import agent_gym  # noqa: F401  registers the ids
from agent_gym import keys
from agent_gym.envs.minihack import game as games
from agent_gym.envs.minihack.game import LEVELS, MOVES, PICK_UP, UNLOCK, Game
from agent_gym.envs.minihack.session import IN_DOORWAY, Session
from agent_gym.errors import BadOptionError, EpisodeError, MissingExtraError, UnknownTaskError
from agent_gym.testing import check_text_env

needs_minihack = pytest.mark.skipif(
    importlib.util.find_spec("minihack") is None
    or importlib.util.find_spec("nle") is None
    or importlib.util.find_spec("pkg_resources") is None,
    reason="needs the extra minihack",
)
ID = "AgentGym/MiniHack-v0"
TASK = "train/KeyRoom-S5-000"


def make(**settings):
    return gym.make(ID, disable_env_checker=True, **settings)


def played_by_expert(env, task, seed=0):
    """Yield each command of the expert with what came of it."""
    env.reset(seed=seed, options={"task": task})
    over = False
    while not over:
        command = env.unwrapped.expert_action()
        observation, reward, terminated, truncated, info = env.step(command)
        over = terminated or truncated
        yield command, observation, reward, info


@needs_minihack
def test_key_door_and_stairs_are_subgoals_and_score():
    env = make()
    told: list[Any] = []
    for command, observation, reward, info in played_by_expert(env, TASK):
        if not told or told[-1][1:] != (info[keys.SUBGOALS], info[keys.SCORE]):
            told.append((command, info[keys.SUBGOALS], info[keys.SCORE]))
        assert info[keys.ACTION_VALID]
        assert ("You carry the key." in observation) is (PICK_UP in info[keys.SUBGOALS])
        assert reward == float(info[keys.SUCCESS])
    assert [line[1:] for line in told] == [
        ((), 0.0), ((PICK_UP,), 1 / 3), ((PICK_UP, UNLOCK), 2 / 3), ((PICK_UP, UNLOCK), 1.0),
    ]  # fmt: skip
    assert [line[0] for line in told[1:3]] == [PICK_UP, UNLOCK]


@needs_minihack
def test_the_map_is_nethacks_with_doors_of_our_own():
    """An open door is | or - in NetHack, as a wall is; here it is /. All else is what NetHack draws."""
    env = make()
    seen = set()
    for _, observation, *_ in played_by_expert(env, TASK):
        raw = env.unwrapped._game._env.last_observation[1]
        lines = [bytes(row).decode() for row in raw]
        drawn = "".join("".join(lines).split())
        view = env.unwrapped._session.view
        ours = "".join("".join(view.rows).split())
        assert len(drawn) == len(ours)
        differ = {pair for pair in zip(drawn, ours, strict=True) if pair[0] != pair[1]}
        assert differ <= {("|", "/"), ("-", "/")}
        seen |= differ
        assert "\n".join(view.rows) in observation
    assert seen  # the door was open at the end


@needs_minihack
def test_chance_is_drawn_from_the_environments_generator():
    """The door sticks now and then; from one state the same generator has it open or not, others may not."""
    env = make().unwrapped
    for command, _, _, _ in played_by_expert(env, TASK):
        if command == UNLOCK:
            break
    state, into = env.get_state(), env.expert_action()

    def opens(seed):
        env.set_state(state)
        env.np_random = type(env.np_random)(type(env.np_random.bit_generator)(seed))
        return "The door opens." in env.step(into)[0]

    outcomes = [opens(seed) for seed in range(24)]
    assert outcomes == [opens(seed) for seed in range(24)]
    assert {True, False} == set(outcomes)


@needs_minihack
def test_a_locked_door_is_not_gone_into_and_an_unlocked_one_is_another_state():
    env = make()
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for command, _, _, info in played_by_expert(env, TASK):
        if command == UNLOCK:
            after = info
            break
        before = info
    into = env.unwrapped.expert_action()
    assert into in after[keys.ADMISSIBLE_ACTIONS]
    assert into not in before[keys.ADMISSIBLE_ACTIONS]
    assert UNLOCK not in after[keys.ADMISSIBLE_ACTIONS]
    # NetHack shows the same in both: only our memory tells them apart.
    assert before[keys.STATE_KEY].removesuffix("locked") == after[keys.STATE_KEY].removesuffix("unlocked")
    assert before[keys.STATE_KEY] != after[keys.STATE_KEY]


@needs_minihack
def test_who_starts_on_the_key_is_told_and_coming_back_is_the_same_state():
    env = make()
    observation, first = env.reset(seed=0, options={"task": "train/KeyRoom-S5-050"})
    assert "You stand on the key." in observation.splitlines()
    assert PICK_UP in first[keys.ADMISSIBLE_ACTIONS]
    env.step("go east")
    *_, again = env.step("go west")
    for name in (keys.STATE_KEY, keys.ADMISSIBLE_ACTIONS):
        assert again[name] == first[name]
    *_, info = env.step(PICK_UP)
    assert info[keys.SUBGOALS] == (PICK_UP,)


@needs_minihack
def test_what_is_admissible_moves_the_player_and_what_is_not_would_not():
    """Pressed in NetHack itself, from the same state, ways to go outside of the list lead nowhere."""
    env, rng = make().unwrapped, random.Random(0)
    tried = 0
    for task in env.tasks("valid")[:3]:
        _, info = env.reset(seed=0, options={"task": task})
        for _ in range(6):
            session = env._session
            state, at = env.get_state(), session.view.at
            for command in MOVES:
                env.set_state(state)
                view = session._game.press([MOVES[command][0]], 1)
                stuck = "door" in view.message  # it sticks, or opens and is not gone through yet
                assert (view.at != at) is (command in info[keys.ADMISSIBLE_ACTIONS]) or stuck, (task, command)
                tried += 1
            env.set_state(state)
            _, _, over, _, info = env.step(rng.choice(info[keys.ADMISSIBLE_ACTIONS]))
            if over:
                break
    assert tried > 48  # 8 ways from each of at least 7 places


@needs_minihack
def test_the_expert_takes_over_wherever_others_left():
    env, rng = make(), random.Random(1)
    for task in env.unwrapped.tasks("test")[:4]:
        _, info = env.reset(seed=3, options={"task": task})
        over = False
        for _ in range(40):
            if not over:
                *_, over, _, info = env.step(rng.choice(info[keys.ADMISSIBLE_ACTIONS]))
        while not over:
            *_, over, truncated, info = env.step(env.unwrapped.expert_action())
            assert not truncated
            assert info[keys.ACTION_VALID]
        assert info[keys.SUCCESS]


@needs_minihack
def test_nobody_goes_through_a_door_across_a_corner():
    doorways = 0
    env = make()
    for task in env.unwrapped.tasks("train")[:3]:
        for _, observation, _, info in played_by_expert(env, task):
            if IN_DOORWAY in observation.splitlines():
                doorways += 1
                assert all(" " in command and command.split()[1] in ("north", "south", "east", "west", "key")
                           for command in info[keys.ADMISSIBLE_ACTIONS])  # fmt: skip
    assert doorways


@needs_minihack
def test_splits_share_no_start():
    env = make(layouts=6).unwrapped
    found: dict[object, str] = {}
    for split in env.splits:
        for task in env.tasks(split):
            observation, _ = env.reset(options={"task": task})
            assert found.setdefault(observation, split) == split


@needs_minihack
def test_a_closed_game_is_over_until_it_is_started_or_restored():
    env = make(layouts=2, render_mode="ansi")
    base = env.unwrapped
    env.reset(seed=0)
    command = base.expert_action()
    env.step(command)
    state = base.get_state()
    looked = base.render()
    env.close()
    with pytest.raises(EpisodeError, match=r"call reset\(\) first"):
        base.step(command)
    with pytest.raises(EpisodeError, match=r"call reset\(\) first"):
        base.get_state()
    base.set_state(state)
    assert base.render() == looked
    env.close()
    env.reset(seed=0)
    env.step(command)
    env.close()


@needs_minihack
def test_two_games_in_one_process_do_not_disturb_each_other():
    one, other = Game("KeyRoom-S5"), Game("KeyRoom-S5")
    first, second = Session(one, 11), Session(other, 11)
    assert first.look() == second.look()
    Session(other, 12)
    command = first.admissible[0]
    before = first.look()
    first.play(command, 5)
    assert first.look() != before
    first.begin()
    assert first.look() == before
    one.close()
    other.close()


@needs_minihack
@pytest.mark.parametrize("level", sorted(set(LEVELS) - {"KeyRoom-S5"}))
def test_the_expert_solves_other_levels(level):
    env = make(level=level, layouts=2)
    for task in env.unwrapped.tasks("test"):
        *_, (_, _, _, info) = played_by_expert(env, task)
        assert (info[keys.SUCCESS], info[keys.SCORE]) == (True, 1.0)
    env.close()


@needs_minihack
def test_a_room_without_a_key_keeps_the_contract():
    check_text_env(ID, level="Room-Random-5x5", episodes=2, layouts=8)


@needs_minihack
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"level": "KeyRoom-S6"}, r"Did you mean 'KeyRoom-S5'\?"),
        ({"steps": 0}, "steps must be"),
        ({"layouts": 1001}, "layouts must be"),
        ({"levels": 1}, r"Did you mean 'level'\?"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, said):
    with pytest.raises(BadOptionError, match=said):
        make(**settings)


@needs_minihack
@pytest.mark.parametrize("task", ["train/KeyRoom-S5-999", "train/Room-5x5-000", "KeyRoom", "train/KeyRoom-S5-²"])
def test_unknown_tasks_are_told_from_known_ones(task):
    with pytest.raises(UnknownTaskError, match=f"such as '{TASK}'"):
        make().reset(options={"task": task})


@pytest.mark.parametrize("lacking", ["minihack", "nle", "pkg_resources"])
def test_without_its_packages_the_extra_is_named(monkeypatch, lacking):
    for name in [name for name in sys.modules if name.split(".")[0] in ("minihack", "nle")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, lacking, None)
    games._package.cache_clear()
    env = make()
    for call in (env.reset, lambda: env.unwrapped.tasks("train")):
        with pytest.raises(MissingExtraError, match=r"pip install 'agent-gym\[minihack\]'"):
            call()
    games._package.cache_clear()
