"""BabyAI: minigrid's games, told in words that are true of its grid, with keys that tell all states apart."""

import importlib.util
import io
import random
import re
import sys
from concurrent.futures import ThreadPoolExecutor

import gymnasium as gym
import pytest

import agent_gym  # noqa: F401  registers the ids
from agent_gym import keys
from agent_gym.envs.babyai import game as games
from agent_gym.envs.babyai.commands import ACTIONS, NOTHING
from agent_gym.errors import BadOptionError, MissingExtraError, UnknownTaskError
from agent_gym.testing import check_text_env

needs_minigrid = pytest.mark.skipif(importlib.util.find_spec("minigrid") is None, reason="needs the extra babyai")
ID = "AgentGym/BabyAI-v0"
LINE = re.compile(r"You see (?:an? )?(.+?) (?:(\d) steps? forward)?(?: and )?(?:(\d) steps? (left|right))?\.")


def make(**settings):
    return gym.make(ID, disable_env_checker=True, **settings)


def raw(env, task):
    """Return minigrid's own environment at the start of a task."""
    game = gym.make(games.levels()[env.unwrapped.level], disable_env_checker=True).unwrapped
    game.reset(seed=env.unwrapped.seed_of(task))
    return game


def walk(env, task, steps, seed=0):
    """Play random admissible commands; yield each command with what came of it, until the episode ends."""
    rng = random.Random(seed)
    _, info = env.reset(seed=0, options={"task": task})
    for _ in range(steps):
        command = rng.choice(info[keys.ADMISSIBLE_ACTIONS])
        observation, reward, terminated, truncated, info = env.step(command)
        yield command, observation, reward, terminated, info
        if terminated or truncated:
            return


def words_of(thing):
    if thing.type != "door":
        return f"{thing.color} {thing.type}"
    return f"{'open' if thing.is_open else 'locked' if thing.is_locked else 'closed'} {thing.color} door"


@needs_minigrid
@pytest.mark.parametrize("level", ["GoToLocal", "UnlockPickupDist", "MiniBossLevel"])
def test_what_is_said_is_true_of_the_grid_and_the_dynamics_are_minigrids(level):
    env = make(level=level)
    seen = walked = 0
    for task in env.unwrapped.tasks("train")[:3]:
        game = raw(env, task)
        assert env.reset(options={"task": task})[0].startswith(f"Your task is to {game.mission}.\n")
        for command, observation, reward, terminated, _ in walk(env, task, 60):
            _, paid, over, _, _ = game.step(ACTIONS[command])
            assert (terminated, reward) == (over, float(paid > 0))
            ahead, right = game.dir_vec, game.right_vec
            for line in observation.splitlines()[terminated:-1]:
                told = LINE.fullmatch(line)
                assert told, line
                what, forward, sideways, side = told.groups()
                to_the_right = int(sideways or 0) * (1 if side == "right" else -1)
                place = game.agent_pos + int(forward or 0) * ahead + to_the_right * right
                thing = game.grid.get(*place)
                assert what == ("wall" if thing.type == "wall" else words_of(thing)), (line, place)
                seen += what != "wall"
            held = "nothing" if game.carrying is None else f"a {words_of(game.carrying)}"
            assert observation.splitlines()[-1] == f"You carry {held}."
            walked += 1
    assert seen > walked > 60  # about one thing in each view, and none of the walks was short


@needs_minigrid
def test_what_is_seen_is_all_that_minigrid_shows():
    """Counted in minigrid's picture, whose codes above 3 are things; the agent's own cell shows what it carries."""
    env = make(level="MiniBossLevel")
    for task in env.unwrapped.tasks("test")[:2]:
        game = raw(env, task)
        for command, observation, _, terminated, _ in walk(env, task, 40):
            image = game.step(ACTIONS[command])[0]["image"]
            image[3, 6] = 0
            things = [line for line in observation.splitlines()[terminated:-1] if "a wall" not in line]
            assert len(things) == int((image[:, :, 0] > 3).sum())


@needs_minigrid
def test_commands_that_are_not_admissible_do_nothing_in_minigrid_either():
    env = make(level="UnlockPickupDist")
    tried = 0
    for task in env.unwrapped.tasks("valid")[:3]:
        game = raw(env, task)
        _, info = env.reset(options={"task": task})
        for command, _, _, terminated, after in walk(env, task, 40):
            for other in sorted(set(ACTIONS) - set(info[keys.ADMISSIBLE_ACTIONS])):
                before = (game.hash(), game.carrying)
                game.step(ACTIONS[other])
                assert (game.hash(), game.carrying) == before
                tried += 1
            game.step(ACTIONS[command])
            info = after
            if terminated:
                break
    assert tried > 100


@needs_minigrid
def test_a_futile_command_costs_a_step_and_is_said_to_do_nothing():
    env = make()
    _, start = env.reset(options={"task": "train/GoToLocal-0000"})
    observation, reward, terminated, _, info = env.step("drop")
    assert observation.startswith("That does nothing.\nYou see a wall 1 step right.\n")
    assert (reward, terminated, info[keys.ACTION_VALID]) == (0.0, False, False)
    assert info[keys.STATE_KEY] == start[keys.STATE_KEY]


@needs_minigrid
def test_splits_share_no_layout_and_no_mission_is_fulfilled_at_the_start():
    env = make(level="GoToObjS4").unwrapped  # the smallest level: two cells by two
    found: dict[object, str] = {}
    for split in env.splits:
        for task in env.tasks(split)[:30]:
            game = raw(env, task)
            layout = game.grid.encode().tobytes(), tuple(map(int, game.agent_pos)), game.agent_dir, game.mission
            assert found.setdefault(layout, split) == split
            *_, over, _, _ = game.step(NOTHING)
            assert not over


@needs_minigrid
def test_equal_things_in_swapped_places_are_different_states():
    """Two red balls change places: minigrid's own hash is the same, but a mission may be about one of them."""
    env = make(level="GoToLocal").unwrapped
    env.reset(options={"task": "train/GoToLocal-0000"})
    game = env._game
    places = [place for place, thing in enumerate(game.grid.grid) if thing is not None and thing.type == "ball"]
    one, other = places[0], places[1]
    game.grid.grid[one].color = game.grid.grid[other].color = "red"
    before, hashed = games.placed(game, env._things), game.hash()
    cells = game.grid.grid
    cells[one], cells[other] = cells[other], cells[one]
    assert game.hash() == hashed
    assert games.placed(game, env._things) != before


@needs_minigrid
def test_what_the_mission_remembers_is_part_of_the_key_and_its_share_is_the_score():
    env = make(level="OpenRedBlueDoors", steps=200)
    base = env.unwrapped
    _, info = env.reset(options={"task": base.tasks("train")[0]})
    scores = [info[keys.SCORE]]
    while not info[keys.SUCCESS]:
        before = base._game.hash()
        *_, info = env.step(base.expert_action())
        if info[keys.SCORE] != scores[-1]:
            scores.append(info[keys.SCORE])
            assert base._game.hash() != before
    assert scores == [0.0, 0.5, 1.0]
    state = base._game, base._things, base._places
    after = games.state_of(*state)
    base._game.instrs.a_done = False
    assert games.state_of(*state) != after


@needs_minigrid
@pytest.mark.parametrize("level", ["GoToLocal", "OpenTwoDoors", "UnlockPickup", "GoToSeqS5R2", "FindObjS5"])
def test_the_expert_solves_what_it_starts_and_what_others_leave_it(level):
    env = make(level=level)
    taken_over = 0
    for task in env.unwrapped.tasks("test")[:3]:
        for steps in (0, 25):
            env.reset(options={"task": task})
            ended = any(terminated for *_, terminated, _ in walk(env, task, steps))
            taken_over += steps > 0 and not ended
            while not ended:
                _, reward, ended, truncated, info = env.step(env.unwrapped.expert_action())
                assert (info[keys.ACTION_VALID], truncated, reward) == (True, False, float(ended))
    assert taken_over


@needs_minigrid
def test_an_opened_box_does_not_end_the_experts_advice():
    """minigrid's bot raises an error when somebody opens a box; here a new one starts."""
    env = make(level="PutNextLocal")
    opened = 0
    for task in env.unwrapped.tasks("train")[:12]:
        for command, *_ in walk(env, task, 60, seed=2):
            before = env.unwrapped._game.grid.get(*env.unwrapped._game.front_pos)
            assert env.unwrapped.expert_action() in ACTIONS
            opened += command == "toggle" and before is None
    assert opened


@needs_minigrid
def test_a_seed_on_which_the_bot_never_ends_is_no_task():
    """Seed 4 of UnlockToUnlock: the bot of minigrid 3.2 piles up subgoals for ever."""
    game = games.make_game("UnlockToUnlock")
    assert not games.solves(game, lambda: games.start(game, 4))
    assert games.solves(game, lambda: games.start(game, 5))


@needs_minigrid
@pytest.mark.parametrize(("level", "steps"), [("GoToLocal", 64), ("GoToObjS4", 16), ("GoToSeqS5R2", 400)])
def test_the_limit_on_steps_is_minigrids(level, steps):
    """room_size² × rooms × parts of the mission: 8² × 1 × 1, 4² × 1 × 1, 5² × 4 × 4."""
    env, taken, truncated = make(level=level), 0, False
    env.reset(seed=0)
    while not truncated:
        *_, truncated, _ = env.step("drop")  # with empty hands
        taken += 1
    assert taken == steps


@needs_minigrid
@pytest.mark.parametrize("level", ["PutNextLocalS5N3", "GoToSeqS5R2", "KeyCorridorS3R1"])
def test_other_levels_keep_the_contract(level):
    check_text_env(ID, level=level, episodes=2, layouts=8)


@needs_minigrid
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"level": "GoToLocl"}, r"Did you mean 'GoToLocal'\?"),
        ({"level": "KeyInBox"}, "level must be one of minigrid's BabyAI levels"),
        ({"level": "OpenDoorDebug"}, "level must be one of"),
        ({"steps": 0}, "steps must be"),
        ({"layouts": 0}, "layouts must be"),
        ({"layout": 1}, r"Did you mean 'layouts'\?"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, said):
    with pytest.raises(BadOptionError, match=said):
        make(**settings)


@needs_minigrid
@pytest.mark.parametrize("task", ["train/GoToLocal-9999", "train/GoTo-0000", "GoToLocal", "train/GoToLocal-²"])
def test_unknown_tasks_are_told_from_known_ones(task):
    with pytest.raises(UnknownTaskError, match="such as 'train/GoToLocal-0000'"):
        make().reset(options={"task": task})


@needs_minigrid
def test_games_that_start_in_threads_leave_standard_output_where_it_is(monkeypatch):
    ours = io.StringIO()
    monkeypatch.setattr(sys, "stdout", ours)
    envs = [make() for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda env: [env.reset(seed=seed) for seed in range(50)], envs))
    assert sys.stdout is ours


def test_without_minigrid_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "minigrid", None)
    games.levels.cache_clear()
    env = make()
    for call in (env.reset, lambda: env.unwrapped.tasks("train")):
        with pytest.raises(MissingExtraError, match=r"pip install 'agent-gym\[babyai\]'"):
            call()
    games.levels.cache_clear()
