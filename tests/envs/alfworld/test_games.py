"""Where games come from, and what is said when they can't be had."""

import json
import shutil

import gymnasium as gym
import pytest

import agent_gym  # noqa: F401  registers the ids
from agent_gym.envs.alfworld.engine import Simulator
from agent_gym.envs.alfworld.games import NumberedTasks, list_published
from agent_gym.envs.alfworld.generator import generate_game, write_game
from agent_gym.envs.alfworld.problem import load_game, parse_game
from agent_gym.errors import (
    AgentGymError,
    BadOptionError,
    DataNotFoundError,
    GameFileError,
    UnknownSplitError,
    UnknownTaskError,
    UnsupportedGameError,
)

ID = "AgentGym/ALFWorld-v0"


@pytest.fixture
def data(tmp_path):
    """A directory in the benchmark's layout, with three games of ours."""
    for index in range(3):
        game = generate_game("generated_train", index)
        write_game(
            tmp_path / "json_2.1.1" / "valid_seen" / f"{game['task_type']}-Thing-None-Place-{index}" / "trial_T1", game
        )
    return tmp_path


def test_tasks_are_relative_paths_sorted_and_played(data):
    env = gym.make(ID, data=data, split="valid_seen")
    tasks = env.unwrapped.tasks("valid_seen")
    assert len(tasks) == 3
    assert list(tasks) == sorted(tasks)
    assert all(task.startswith("valid_seen/") and task.endswith("/trial_T1") for task in tasks)
    for task in tasks:
        _, info = env.reset(options={"task": task})
        assert (info["task"], info["split"], info["source"]) == (task, "valid_seen", "published")
        assert info["task_type"] == task.split("/")[1].split("-")[0]


def test_data_may_be_the_inner_directory_and_come_from_the_environment(data, monkeypatch):
    inner = gym.make(ID, data=data / "json_2.1.1", split="valid_seen").unwrapped.tasks("valid_seen")
    monkeypatch.setenv("ALFWORLD_DATA", str(data))
    assert list(gym.make(ID, split="valid_seen").unwrapped.tasks("valid_seen")) == list(inner)


def test_the_collector_leaves_out_what_the_original_leaves_out(data):
    split = data / "json_2.1.1" / "valid_seen"
    first = sorted(split.iterdir())[0]
    changes: dict[str, dict[str, bool | None]] = {
        "pick_and_place_with_movable_recep-A-B-C-1": {},
        "pick_and_place_simple-AppleSliced-None-Table-1": {},
        "pick_and_place_simple-Unsolvable-None-Table-1": {"solvable": False},
        "pick_and_place_simple-Unmarked-None-Table-1": {"solvable": None},
    }
    for name, change in changes.items():
        shutil.copytree(first, split / name)
        file = split / name / "trial_T1" / "game.tw-pddl"
        game = {**json.loads(file.read_text()), **change}
        file.write_text(json.dumps({key: value for key, value in game.items() if value is not None}))
    no_game = split / "pick_and_place_simple-NoGame-None-Table-1"
    shutil.copytree(first, no_game)
    (no_game / "trial_T1" / "game.tw-pddl").unlink()
    assert len(list_published(str(split))) == 3


def test_without_data_published_splits_say_where_it_is_expected(monkeypatch, tmp_path):
    monkeypatch.delenv("ALFWORLD_DATA", raising=False)
    env = gym.make(ID, split="valid_seen")
    with pytest.raises(DataNotFoundError, match="ALFWORLD_DATA"):
        env.reset(seed=0)
    with pytest.raises(DataNotFoundError, match="does not exist"):
        gym.make(ID, data=tmp_path / "nowhere")
    with pytest.raises(DataNotFoundError, match="valid_seen"):
        gym.make(ID, data=tmp_path, split="valid_seen").reset(seed=0)
    env.reset(options={"task": "generated_train/000000001"})  # the environment still works


def test_the_default_split_is_the_same_with_and_without_data(data, monkeypatch):
    monkeypatch.delenv("ALFWORLD_DATA", raising=False)
    without = gym.make(ID).reset(seed=3)
    monkeypatch.setenv("ALFWORLD_DATA", str(data))
    assert gym.make(ID).reset(seed=3) == without
    assert without[1]["split"] == "generated_train"


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"split": "valid_sen"}, UnknownSplitError, "Did you mean 'valid_seen'"),
        ({"data": 3}, BadOptionError, "data must be the path of a file or directory, got 3"),
        ({"engine": "textword"}, BadOptionError, "Did you mean 'textworld'"),
        ({"wording": "puts"}, BadOptionError, "Did you mean 'put'"),
        ({"difficulty": "standart"}, BadOptionError, "Did you mean 'standard'"),
        ({"render_mode": "human"}, BadOptionError, "render_mode"),
    ],
)
def test_unknown_settings_come_with_a_suggestion(settings, error, message):
    with pytest.raises(error, match=message):
        gym.make(ID, **settings)


@pytest.mark.parametrize(
    "task",
    [
        "generated_test/000000400",  # behind the end
        "generated_test/7",  # not written as the list has it
        "generated_tset/000000001",
        "../../etc/passwd",
        "valid_seen/../../secret",
        "",
    ],
)
def test_unknown_tasks_are_refused_and_the_environment_goes_on(task, data):
    env = gym.make(ID, data=data)
    with pytest.raises(UnknownTaskError):
        env.reset(options={"task": task})
    env.reset(seed=1)


def test_numbered_tasks_are_a_lazy_sorted_sequence():
    tasks = NumberedTasks("generated_train", 1_000_000)
    assert (len(tasks), tasks[0], tasks[-1]) == (1_000_000, "generated_train/000000000", "generated_train/000999999")
    assert list(tasks[5:7]) == ["generated_train/000000005", "generated_train/000000006"]
    with pytest.raises(IndexError):
        tasks[1_000_000]


# Damaged files --------------------------------------------------------------------------------------------------------


def game_text(change):
    game = generate_game("generated_train", 0)
    return json.dumps(change(game) if change else game)


def replace(part, old, new):
    def change(game):
        assert old in game[part]
        return {**game, part: game[part].replace(old, new, 1)}

    return change


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (game_text(None)[:2000], GameFileError, "truncated"),
        ("", GameFileError, "JSON"),
        ("[1, 2]", GameFileError, "JSON object"),
        (game_text(lambda game: {key: game[key] for key in game if key != "grammar"}), GameFileError, "'grammar'"),
        (game_text(lambda game: {**game, "pddl_problem": 3}), GameFileError, "'pddl_problem'"),
        (game_text(lambda game: {**game, "pddl_problem": game["pddl_problem"][:900]}), GameFileError, "unclosed"),
        (game_text(replace("pddl_problem", "(:init", "(:init (atLocation agent1 nowhere)")), GameFileError, "nowhere"),
        (game_text(replace("pddl_problem", "(:goal", "(:gaol")), GameFileError, ":goal"),
        (game_text(replace("pddl_problem", "(:init", "(:init (flies agent1)")), UnsupportedGameError, "flies"),
        (game_text(replace("pddl_problem", "(:init", "(:init (holdsAny agent1)")), UnsupportedGameError, "hands"),
        (game_text(replace("pddl_problem", "(exists", "(forall")), UnsupportedGameError, "forall"),
        (game_text(replace("pddl_domain", "(opened ?r)", "(isClean ?r)")), UnsupportedGameError, "object"),
        (game_text(replace("pddl_domain", "(:action look", "(:action dance")), UnsupportedGameError, "look"),
        (game_text(lambda game: {**game, "grammar": game["grammar"][:3000]}), GameFileError, "grammar"),
        (
            game_text(replace("grammar", "opened(r:receptacle)", "checked(r:receptacle)")),
            UnsupportedGameError,
            "checked",
        ),
        (game_text(replace("grammar", "open {r}", "open")), UnsupportedGameError, "openobject"),
        (game_text(replace("grammar", '"go to [{', '"go from {lstart} to [{')), UnsupportedGameError, "lstart"),
        (game_text(replace("grammar", "open {r}", "open {r} #list_empty#")), UnsupportedGameError, "more than words"),
        (game_text(replace("grammar", "{o.name}", "{o + 'x'}")), UnsupportedGameError, "expression"),
        (game_text(replace("pddl_domain", "(:action look", "(:action inventory")), UnsupportedGameError, "twice"),
        (game_text(replace("pddl_problem", "(:init", "(:init (opened agent1)")), UnsupportedGameError, "receptacle"),
        (game_text(replace("pddl_problem", "(:init", "(:init (opened)")), GameFileError, "opened"),
        (game_text(replace("pddl_problem", "(:objects", "(:objects agent1 - agent")), GameFileError, "twice"),
        (game_text(replace("pddl_problem", "(:goal", "(:goal " + "(" * 2000)), GameFileError, "nested"),
        (game_text(lambda game: {**game, "solvable": False}), UnsupportedGameError, "solvable"),
    ],
)
def test_a_damaged_or_unknown_game_says_what_is_wrong(text, error, message, tmp_path):
    path = tmp_path / "game.tw-pddl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(error, match=message) as caught:
        Simulator(load_game(path)).reset()
    assert isinstance(caught.value, AgentGymError)
    if error is UnsupportedGameError and message != "solvable":
        assert "engine='textworld'" in str(caught.value)


def test_a_binary_or_missing_file_says_so(tmp_path):
    path = tmp_path / "game.tw-pddl"
    with pytest.raises(GameFileError, match="readable"):
        load_game(path)
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(GameFileError, match="readable"):
        load_game(path)


def test_a_damaged_game_stays_listed_and_says_what_is_wrong_when_played(data):
    split = data / "json_2.1.1" / "valid_seen"
    file = sorted(split.glob("*/*/game.tw-pddl"))[0]
    file.write_text(file.read_text()[:5000])
    env = gym.make(ID, data=data, split="valid_seen")
    tasks = env.unwrapped.tasks("valid_seen")
    assert len(tasks) == 3
    with pytest.raises(GameFileError, match="truncated"):
        env.reset(options={"task": tasks[0]})
    env.reset(options={"task": tasks[1]})


def test_words_may_change_where_the_rules_stay():
    """The grammar inside the game decides the words: any text may stand in it, in any rule that is understood."""
    game = generate_game("generated_train", 1)
    changed = (
        game["grammar"]
        .replace("You open the {r.name}.", "Creak: {r.name} ({r.indefinite}).")
        .replace('"close {r}"', '"shut {r}"')
    )
    sim = Simulator(parse_game({**game, "grammar": changed}))
    sim.reset()
    place = next(r for r in sorted(sim.game.openable) if r not in sim.game.initial_opened)
    name = sim.game.names[place]
    sim.step(f"go to {name}")
    assert sim.step(f"open {name}")[0].startswith(f"Creak: {name} (a). The {name} is open.")
    assert f"shut {name}" in sim.admissible()
