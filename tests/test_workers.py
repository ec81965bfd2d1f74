"""Environments in worker processes give what they give in this one, and outlive their workers."""

import functools
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from agent_gym import keys
from agent_gym.errors import BadOptionError, UnknownTaskError, WorkerError
from agent_gym.vector import LocalSlots, TextVectorEnv
from agent_gym.workers import WorkerSlots
from tests import odd_env
from trainers.cli import make_envs
from trainers.config import EnvConfig
from wrappers import make_llm_vec


def odd(number=2, workers=1, timeout_s=60.0, **settings):
    """Slots of the odd environment; 60 s are never waited for unless something is wrong."""
    return WorkerSlots([functools.partial(odd_env.OddEnv, **settings)] * number, workers, timeout_s=timeout_s)


def ended(pid):
    """Whether a process has ended; one that nobody has waited for yet has ended, too."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state in "ZX"


def wait_until(true):
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until, "it has not come about within a minute"
        time.sleep(0.02)


@pytest.fixture
def slots():
    made = odd()
    yield made
    made.close()


def test_slots_agree_with_those_in_this_process():
    make = functools.partial(gym.make, "AgentGym/FrozenLake-v0")  # slippery: what happens is drawn
    here, there = LocalSlots([make() for _ in range(5)]), WorkerSlots([make] * 5, workers=2)
    places, tasks = [4, 0, 3, 1, 2], [None, here.tasks("train")[3], None, None, None]
    assert there.num_slots == 5
    assert len(there.processes) == 2
    assert list(there.tasks("valid")) == list(here.tasks("valid"))
    frames = here.start(places, tasks, [5, 6, 7, 8, 9])
    assert there.start(places, tasks, [5, 6, 7, 8, 9]) == frames
    rng = np.random.default_rng(0)
    over = {slot for slot, frame in zip(places, frames, strict=True) if frame.terminated}
    for _ in range(30):
        live = [slot for slot in places if slot not in over]
        said = [("left", "down", "right", "sing")[int(rng.integers(4))] for _ in live]
        frames = here.step(live, said)
        assert there.step(live, said) == frames
        over |= {slot for slot, frame in zip(live, frames, strict=True) if frame.terminated}
    assert over
    assert there.expert_action(0) == here.envs[0].unwrapped.expert_action()
    there.close()


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_the_vector_environment_agrees_in_all_autoreset_modes(mode):
    lists = []
    for workers in (0, 2):
        envs = TextVectorEnv.of(
            "AgentGym/FrozenLake-v0", 3, autoreset_mode=mode, workers=workers, max_episode_steps=4, steps=4
        )
        frames: list[tuple[object, ...]] = [envs.reset(seed=1)]
        frames += [envs.step(("left", "down", "right")) for _ in range(4 if mode is AutoresetMode.DISABLED else 11)]
        mask = {"reset_mask": np.array([True, False, True])}
        frames += [envs.reset(seed=[4, 5, 6], options=mask | {"task": envs.slots.tasks("test")[0]})]
        frames += [envs.reset()]
        lists.append([[repr(part) for part in frame] for frame in frames])
        envs.close()
    assert lists[0] == lists[1]


def test_make_vec_takes_workers():
    envs = gym.make_vec("AgentGym/Rooms-v0", num_envs=2, workers=1)
    assert envs.envs[1].unwrapped.split == "train"
    assert envs.envs[1].tasks("valid") == gym.make("AgentGym/Rooms-v0").unwrapped.tasks("valid")
    assert envs.reset(seed=0)[0][0].startswith("Your task")
    envs.close()


def test_what_a_vector_environment_tells_of_its_environments_is_what_it_is_there():
    told: list[tuple[Any, ...]] = []
    for workers in (0, 2):
        envs = TextVectorEnv.of("AgentGym/FrozenLake-v0", 3, workers=workers, render_mode="ansi")
        envs.reset(seed=4)
        envs.step(("down", "right", "left"))
        told.append((envs.render_mode, envs.render(), envs.np_random_seed, envs.get_attr("split")))
        told[-1] += tuple(str(generator.bit_generator.state) for generator in envs.np_random)
        with pytest.raises(ValueError, match="list"):
            envs.reset(seed=np.arange(2))  # type: ignore[arg-type]  # that is what is refused
        if workers:
            with pytest.raises(BadOptionError, match=r"settings .* got split='valid'"):
                envs.set_attr("split", "valid")
        envs.close()
    assert told[0] == told[1]
    assert told[0][1][0].startswith("> down\n")


def test_a_killed_worker_is_replaced_and_its_episodes_go_on():
    here, there = LocalSlots([odd_env.OddEnv() for _ in range(4)]), odd(4, workers=2)
    for slots in (here, there):
        slots.start(range(4), ["train/1"] * 4, [1, 2, 3, 4])
        slots.step(range(4), ["draw"] * 4)
    first, second = there.processes
    assert first != second
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: ended(first))
    assert there.step([3, 2, 0], ["draw", "draw", "add"]) == here.step([3, 2, 0], ["draw", "draw", "add"])
    assert there.processes[0] != first
    assert there.processes[1] == second
    for slots in (here, there):  # the state of chance goes on, too, where no seed says how
        slots.start([0, 1], [None, None], [None, None])
    os.kill(there.processes[0], signal.SIGKILL)
    assert there.step([0, 1], ["draw"] * 2) == here.step([0, 1], ["draw"] * 2)
    there.close()


def test_a_request_that_kills_its_worker_is_made_once_more(tmp_path):
    slots = odd(2, marker=tmp_path / "died")
    slots.start([0, 1], ["train/0"] * 2, [0, 0])
    slots.step([0], ["add"])
    one, other = slots.step([0, 1], ["die once", "add"])
    assert one.observation.startswith("2: die once")
    assert other.observation.startswith("1: add")
    slots.close()


def test_a_request_that_kills_every_worker_fails_and_the_others_go_on(slots):
    slots.start([0, 1], ["train/0"] * 2, [0, 0])
    one, other = slots.step_each([0, 1], ["die", "add"])
    assert isinstance(one, WorkerError)
    assert "the episode in slot 0 is lost: its worker process died" in str(one)
    assert other.observation.startswith("1: add")
    with pytest.raises(WorkerError, match="Start another one there"):
        slots.step([0], ["add"])
    assert slots.start([0], ["train/0"], [0])[0].observation.startswith("train/0")
    assert slots.step([0, 1], ["add", "add"])[1].observation.startswith("2: add")


def test_a_worker_that_hangs_is_replaced(tmp_path):
    slots = odd(2, timeout_s=8.0, marker=tmp_path / "hung")
    slots.start([0, 1], ["train/0"] * 2, [0, 0])
    slots.step([1], ["draw"])
    assert slots.step([0, 1], ["hang once", "add"])[0].observation.startswith("1: hang once")
    slots.close()
    slots = odd(2, timeout_s=4.0)
    slots.start([0, 1], ["train/0"] * 2, [0, 0])
    one, other = slots.step_each([0, 1], ["hang", "add"])
    assert "gave no answer for 4 s" in str(one)
    assert other.observation.startswith("1: add")
    slots.close()


def test_an_episode_that_does_not_come_back_as_it_was_is_lost(slots):
    slots.start([0, 1], ["train/0"] * 2, [0, 0])
    slots.step([0, 1], ["pid", "add"])  # what it says is another in another process
    os.kill(slots.processes[0], signal.SIGKILL)
    one, other = slots.step_each([0, 1], ["add", "add"])
    assert isinstance(one, WorkerError)
    assert "led elsewhere" in str(one)
    assert other.observation.startswith("2: add")


def test_errors_of_an_environment_are_raised_as_here(slots):
    with pytest.raises(UnknownTaskError, match="got 'train/7'"):
        slots.start([0, 1], ["train/7", "train/0"], [0, 0])
    slots.start([0, 1], ["train/0"] * 2, [0, 0])
    with pytest.raises(ValueError, match="nothing in particular"):
        slots.step([0, 1], ["lose", "add"])
    with pytest.raises(RuntimeError, match="Odd: this and that"):  # it would not survive being sent
        slots.step([1], ["raise"])
    assert slots.step([1], ["add"])[0].observation.startswith("2: add")  # nothing is out of step after errors


def test_numbers_that_make_no_sense_are_refused(slots):
    with pytest.raises(BadOptionError, match="expected one of texts for each of 2 slots, got 1"):
        slots.step([0, 1], ["add"])
    with pytest.raises(IndexError, match="from 0 to 1, got 2"):
        slots.start([2], [None], [0])
    for workers in (0, -1, True):
        with pytest.raises(BadOptionError, match="workers must be a number of processes"):
            WorkerSlots([odd_env.OddEnv], workers)
    with pytest.raises(BadOptionError, match="timeout_s must be a number of seconds above 0"):
        WorkerSlots([odd_env.OddEnv], 1, timeout_s=0)
    with pytest.raises(BadOptionError, match="at least one"):
        WorkerSlots([], 1)
    lock = threading.Lock()
    with pytest.raises(BadOptionError, match="must pickle"):
        WorkerSlots([functools.partial(odd_env.OddEnv, marker=lock)], 1)


def test_what_can_not_be_made_is_refused_and_leaves_no_process():
    with pytest.raises(UnknownTaskError, match="got refuse=True"):
        odd(refuse=True)
    with pytest.raises(WorkerError, match="died"):
        WorkerSlots([functools.partial(os._exit, 3)], 1, timeout_s=60)
    with pytest.raises(BadOptionError, match="no setting 'colour'"):
        TextVectorEnv.of("AgentGym/Rooms-v0", 2, workers=2, colour="red")


def test_closed_slots_say_so_and_their_workers_have_ended():
    slots = odd()
    pids = slots.processes
    slots.close()
    slots.close()
    assert all(ended(pid) for pid in pids)
    with pytest.raises(WorkerError, match="closed"):
        slots.start([0], [None], [0])


def test_workers_end_when_nobody_holds_them_any_more():
    slots = odd()
    pids = slots.processes
    del slots
    assert all(ended(pid) for pid in pids)


PARENT = """
import functools, os, signal, sys, time
from agent_gym.workers import WorkerSlots
from tests.odd_env import OddEnv

slots = WorkerSlots([OddEnv] * 2, workers=2)
slots.start([0, 1], ["train/0"] * 2, [0, 0])
print(*slots.processes, flush=True)
{then}
"""


def parent_that(then, root):
    code = PARENT.format(then=textwrap.dedent(then))
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=root)


def test_workers_end_with_a_parent_that_is_killed_even_while_they_hang(root):
    parent = parent_that("slots.step([0, 1], ['hang', 'hang'])", root)
    workers = [int(word) for word in parent.stdout.readline().split()]
    assert len(workers) == 2
    assert not any(ended(pid) for pid in workers)
    parent.kill()
    parent.wait()
    wait_until(lambda: all(ended(pid) for pid in workers))
    parent.stdout.close()


def test_a_keyboard_interrupt_leaves_episodes_as_they_were(root):
    parent = parent_that(
        """
        slots.step([0, 1], ["add", "add"])
        try:
            print("now", flush=True)
            slots.step([0, 1], ["hang", "add"])
        except KeyboardInterrupt:
            frames = slots.step([0, 1], ["add", "add"])
            print(*(frame.observation for frame in frames), len(slots.processes), flush=True)
        """,
        root,
    )
    workers = [int(word) for word in parent.stdout.readline().split()]
    assert parent.stdout.readline() == "now\n"
    time.sleep(0.5)  # so that it waits; whenever the signal comes, the outcome is the same
    parent.send_signal(signal.SIGINT)
    # The interrupted step has not happened, in neither slot; the worker that hung was replaced.
    assert parent.stdout.readline() == "2: add, 0 2: add, 0 2\n"
    assert parent.wait() == 0
    wait_until(lambda: all(ended(pid) for pid in workers))
    parent.stdout.close()


def test_the_command_line_makes_workers():
    envs = make_envs(EnvConfig(id="AgentGym/Rooms-v0", num_envs=2, workers=1))
    assert len(envs.slots.processes) == 1
    envs.close()
    with pytest.raises(BadOptionError, match=r"--env\.workers must be 0 for a game of several agents, got 1"):
        make_envs(EnvConfig(id="kuhn_poker_v0", workers=1))
    with pytest.raises(BadOptionError, match=r"an option of its own, --env\.workers"):
        make_envs(EnvConfig(id="AgentGym/Rooms-v0", settings={"workers": 1}))


def test_code_on_the_page_runs(root, capsys):
    page = (root / "docs" / "workers.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "docs/workers.md", "exec"), {})
        assert capsys.readouterr().out.splitlines() == re.findall(r"^ *print\(.*\)  # (.*)$", block, re.MULTILINE)


def test_frames_hold_what_a_state_key_and_a_wrapper_need():
    here, there = (make_llm_vec("AgentGym/Rooms-v0", 2, context="step", workers=workers) for workers in (0, 1))
    assert there.envs[0].metadata["context"] == "step"
    for slots in (here.slots, there.slots):
        slots.start([0, 1], [None, None], [3, 4])
    said = ["<action>blue door</action>", "nonsense"]
    assert there.slots.step([0, 1], said) == here.slots.step([0, 1], said)
    assert there.slots.step([1], said[:1])[0].info[keys.FORMAT_VALID] is True
    there.close()
