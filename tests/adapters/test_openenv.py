"""Our environments behind OpenEnv's server, played by OpenEnv's own client over loopback."""

import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gymnasium as gym
import httpx
import pytest

from agent_gym import keys
from agent_gym.adapters.openenv import make_app
from agent_gym.errors import BadOptionError

pytest.importorskip("openenv", reason="needs the extra openenv")
uvicorn = pytest.importorskip("uvicorn", reason="needs the extra openenv")

LAKE = "AgentGym/FrozenLake-v0"


@pytest.fixture(scope="module")
def url():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = uvicorn.Config(make_app(LAKE, max_sessions=8, layouts=4), host="127.0.0.1", port=port, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=30)


def client(url):
    from openenv.core import GenericEnvClient

    return GenericEnvClient(base_url=url).sync()


def play_directly(task, seed):
    env = gym.make(LAKE, layouts=4)
    frames: list[Any] = [env.reset(seed=seed, options={"task": task})]
    ended = False
    while not ended:
        frames.append(env.step(env.unwrapped.expert_action()))
        ended = frames[-1][2] or frames[-1][3]
    return frames, [command for command, _ in env.unwrapped._transcript[1:]]


def play_through(url, task, seed, commands):
    with client(url) as env:
        results = [env.reset(task=task, seed=seed)]
        results += [env.step({"command": command}) for command in commands]
    return results


def test_a_session_sees_what_the_environment_says(url):
    frames, commands = play_directly("train/4-3-001", 3)
    results = play_through(url, "train/4-3-001", 3, commands)
    assert [result.observation["text"] for result in results] == [frame[0] for frame in frames]
    assert [result.reward for result in results] == [0.0, *(frame[1] for frame in frames[1:])]
    assert [result.observation["state_key"] for result in results] == [frame[-1][keys.STATE_KEY] for frame in frames]
    assert results[-1].done
    assert "frozen lake" in results[0].observation["instructions"]


def test_several_sessions_at_once_do_not_meet(url):
    tasks = [(f"train/4-3-{number % 4:03d}", number) for number in range(6)]
    expected = [play_directly(*task) for task in tasks]
    with ThreadPoolExecutor(6) as pool:
        waiting = [
            pool.submit(play_through, url, task, seed, commands)
            for (task, seed), (_, commands) in zip(tasks, expected, strict=True)
        ]
        played = [result.result() for result in waiting]
    for results, (frames, _) in zip(played, expected, strict=True):
        assert [result.observation["text"] for result in results] == [frame[0] for frame in frames]


def test_a_mistake_is_answered_and_the_session_goes_on(url):
    with client(url) as env:
        with pytest.raises(RuntimeError, match="train/4-3-000"):
            env.reset(task="no/such/task")
        with pytest.raises(RuntimeError, match="reset starts one"):
            env.step({"command": "down"})
        for index in (4, -1):
            with pytest.raises(RuntimeError, match=f"index must be a whole number from 0 to 3, got {index}"):
                env.reset(split="valid", index=index)
        assert env.reset(split="valid", index=2).observation["task"] == "valid/4-3-002"
        with pytest.raises(RuntimeError, match="Invalid message"):
            env.step({"comand": "down"})
        assert env.step({"command": "down"}).observation["action_valid"] in (True, False)
        assert env.state()["step_count"] == 1
        assert env.state()["task"] == "valid/4-3-002"


def test_splits_and_tasks_are_listed(url):
    name = httpx.get(f"{url}/list_environments").json()[0]
    assert name == "AgentGym.FrozenLake-v0"
    assert {split["name"] for split in httpx.get(f"{url}/{name}/splits").json()} == {"train", "valid", "test"}
    assert httpx.post(f"{url}/{name}/num_tasks", json={"split": "train"}).json() == {"num_tasks": 4}
    tasks = httpx.post(f"{url}/{name}/task_range", json={"split": "train", "start": 1, "stop": 3}).json()["tasks"]
    assert tasks == [{"id": "train/4-3-001", "index": 1}, {"id": "train/4-3-002", "index": 2}]


def test_mistakes_are_said_before_anything_is_served():
    with pytest.raises(BadOptionError, match="environment of text"):
        make_app("CartPole-v1")
    with pytest.raises(BadOptionError, match="max_sessions"):
        make_app(LAKE, max_sessions=0)
    with pytest.raises(BadOptionError, match="slipery"):
        make_app(LAKE, slipery=True)


def test_the_client_on_the_page_plays(url, root):
    page = (root / "docs" / "adapters.md").read_text(encoding="utf-8")
    [block] = [one for one in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE) if "openenv" in one]
    assert "http://127.0.0.1:8000" in block
    names: dict[str, Any] = {}
    exec(compile(block.replace("http://127.0.0.1:8000", url), "docs/adapters.md", "exec"), names)
    assert names["result"].observation["task"] == "train/4-3-000"
