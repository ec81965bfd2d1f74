import json
import multiprocessing
import threading

import pytest
from gymnasium.utils.env_checker import check_env

from agent_gym import restore_state, save_state
from agent_gym.errors import BadOptionError
from wrappers import ParseAction, RecordEpisodes
from wrappers.record_episodes import append_line

START = "A corridor. You are in cell 0.\n\nYour task is to: reach cell 2."


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def test_record_episodes_writes_a_finished_episode(corridor, tmp_path):
    path = tmp_path / "new" / "episodes.jsonl"
    env = RecordEpisodes(ParseAction(corridor), path)
    env.reset(seed=5, options={"task": "train/2"})
    env.step("<action>east</action>")
    env.step("é 🥄 \ud800")
    assert read(path) == []
    env.step("<action>east</action>")
    env.close()
    first = {"observation": START, "state_key": "0 of 2", "action": "<action>east</action>", "command": "east"}
    second = {"observation": "You are in cell 1.", "state_key": "1 of 2", "action": "é 🥄 \ud800", "command": ""}
    third = {"observation": "Nothing happens.", "state_key": "1 of 2", "action": "<action>east</action>"}
    assert read(path) == [
        {
            "schema": 1,
            "env": "WrapperTest/Corridor-v0",
            "task": "train/2",
            "split": "train",
            "source": "generated",
            "seed": 5,
            "status": "terminated",
            "success": True,
            "score": 1.0,
            "return": 1.0,
            "length": 3,
            "steps": [
                first | {"reward": 0.0, "action_valid": True, "format_valid": True},
                second | {"reward": 0.0, "action_valid": False, "format_valid": False},
                third | {"command": "east", "reward": 1.0, "action_valid": True, "format_valid": True},
            ],
            "observation": "You are in cell 2.",
            "state_key": "2 of 2",
        }
    ]


def test_record_episodes_tells_how_an_episode_ended(corridor, tmp_path):
    path = tmp_path / "episodes.jsonl"
    env = RecordEpisodes(corridor, path)
    env.reset(options={"task": "train/3"})
    for _ in range(6):  # the limit is six steps
        env.step("sing")
    env.reset(options={"task": "train/3"})
    env.step("east")
    env.reset(options={"task": "train/2"})  # abandons an episode of one step
    env.close()  # and one without a step
    told = [(e["status"], e["length"], e["success"], e["return"]) for e in read(path)]
    assert told == [("truncated", 6, False, 0.0), ("abandoned", 1, False, 0.0), ("abandoned", 0, False, 0)]


def test_record_episodes_writes_nothing_twice(corridor, tmp_path):
    path = tmp_path / "episodes.jsonl"
    env = RecordEpisodes(corridor, path)
    env.close()
    env.reset(options={"task": "train/2"})
    env.step("east")
    env.step("east")
    env.reset()
    env.close()
    env.close()
    assert [e["status"] for e in read(path)] == ["terminated", "abandoned"]


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_record_episodes_on_a_strangers_environment(echo, tmp_path):
    path = tmp_path / "episodes.jsonl"
    env = RecordEpisodes(echo, path)
    check_env(env, skip_render_check=True)
    env.close()
    path.unlink()
    env.reset()
    for text in "abc":
        env.step(text)
    [episode] = read(path)
    assert {name: episode[name] for name in ("env", "task", "success", "score", "state_key")} == {
        "env": "EchoEnv",
        "task": None,
        "success": None,
        "score": None,
        "state_key": None,
    }
    assert episode["return"] == 1.5  # three times 0.5
    assert episode["steps"][1] == {
        "observation": "A",
        "state_key": None,
        "action": "b",
        "command": None,
        "reward": 0.5,
        "action_valid": None,
        "format_valid": None,
    }


def test_record_episodes_of_two_environments_in_one_file(echo, corridor, tmp_path):
    path = tmp_path / "episodes.jsonl"
    first, second = RecordEpisodes(corridor, path), RecordEpisodes(echo, path)
    first.reset(options={"task": "train/2"})
    second.reset()
    for _ in range(3):
        second.step("east")
    first.step("east")
    first.step("east")
    assert [(e["env"], e["length"]) for e in read(path)] == [("EchoEnv", 3), ("WrapperTest/Corridor-v0", 2)]


def test_record_episodes_follows_an_undo(corridor, tmp_path):
    path = tmp_path / "episodes.jsonl"
    env = RecordEpisodes(corridor, path)
    env.reset(options={"task": "train/2"})
    env.step("east")
    state = save_state(env)
    env.step("sing")
    restore_state(env, state)
    env.step("east")
    [episode] = read(path)
    assert [step["action"] for step in episode["steps"]] == ["east", "east"]
    # An undo of the last step opens the episode again, and its new end is another line.
    restore_state(env, state)
    env.step("dance")
    env.step("east")
    assert [len(e["steps"]) for e in read(path)] == [2, 3]


def test_record_episodes_refuses_a_path_that_is_no_file(corridor, tmp_path):
    with pytest.raises(BadOptionError, match="must be a file that can be written"):
        RecordEpisodes(corridor, tmp_path)


def test_append_line_starts_anew_after_a_line_that_was_cut_off(tmp_path):
    path = tmp_path / "lines"
    path.write_text('{"a": 1}\n{"b')
    append_line(path, '{"c": 3}')
    assert path.read_text() == '{"a": 1}\n{"b\n{"c": 3}\n'


def append_many(path, mark):
    for _ in range(50):
        append_line(path, mark * 100_000)


@pytest.mark.parametrize("worker", [threading.Thread, multiprocessing.get_context("fork").Process])
def test_append_line_keeps_lines_whole(worker, tmp_path):
    path = tmp_path / "lines"
    workers = [worker(target=append_many, args=(path, mark)) for mark in "abc"]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    lines = path.read_text().splitlines()
    # 3 workers x 50 lines, each of 100,000 equal letters.
    assert len(lines) == 150
    assert all(line == line[0] * 100_000 for line in lines)
