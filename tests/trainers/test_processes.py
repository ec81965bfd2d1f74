"""Several processes as one: what they do together, and that they end together."""

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent_gym.errors import AgentGymError, BadOptionError
from tests.trainers import process_work
from tests.trainers.corridor import small_config, tiny_model
from tests.trainers.ray_engine.ray_runs import configure, lines_of
from trainers import processes
from trainers.config import load_config, to_toml
from trainers.processes import choose_processes, model_weights, run_processes, usable_cores, usable_memory

PROGRAM = [sys.executable, "-c", "import sys; from trainers.cli import main; sys.exit(main(sys.argv[1:]))"]

# -- running them ------------------------------------------------------------------------------------------------------


def test_processes_are_ranks_of_which_the_first_speaks(capfd):
    assert run_processes(process_work.add_up, 2) == 3  # 1 + 2
    assert capfd.readouterr().out == "2 processes, 3 together\n"


def test_a_mistake_in_one_is_told_once_and_ends_all():
    with pytest.raises(AgentGymError, match=r"^the second process can't do this\.$"):
        run_processes(process_work.refuse, 2)


def test_a_defect_in_one_comes_with_its_traceback():
    with pytest.raises(RuntimeError, match=r"(?s)process 2 of 2 failed.*break_down.*KeyError: 'a defect'"):
        run_processes(process_work.break_down, 2)


def test_ctrl_c_before_the_work_has_begun_is_told_once(capfd):
    assert run_processes(process_work.interrupted, 2) == 130
    assert capfd.readouterr().err == "agent-gym: interrupted.\n"


# -- a run -------------------------------------------------------------------------------------------------------------


def start(root, *words, **options):
    command = [*PROGRAM, "train", *map(str, words)]
    return subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True, **options)


def wait_for(process, file):
    while not file.exists():
        assert process.poll() is None
        time.sleep(0.01)


def children_of(process) -> list[int]:
    """Processes that were started by it for the work; their names hold how they came about."""
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in found if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux, to find the processes")
def test_processes_stop_together_and_go_on_exactly(root, tmp_path):
    model, file = tiny_model(tmp_path / "model"), tmp_path / "run.toml"
    whole, run, accidents = (tmp_path / name for name in ("whole", "run", "accidents"))
    accidents.mkdir()
    file.write_text(to_toml(configure(model, whole, accidents, processes=2)))
    with start(root, file) as process:
        assert process.wait(timeout=1200) == 0
    tasks = [episode["task"] for episode in lines_of(whole, "episodes.jsonl")]  # six of each iteration
    # Asked to stop, as a batch system does, while the first group of the second iteration is played.
    (accidents / "wait").write_text(tasks[6])
    with start(root, file, "--output-dir", run) as process:
        wait_for(process, accidents / "wait.done")
        ranks = children_of(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=1200) == 130
        assert process.stderr.read() == ""
    assert len(ranks) == 2
    assert not [pid for pid in ranks if Path(f"/proc/{pid}").exists()]
    assert load_config(run / "config.toml").processes == 2
    assert [line["iteration"] for line in lines_of(run)] == [0]
    # One of them is killed, as by a system without memory, while the second group of the third is played: as many go on
    # by themselves, and the run is the one that nobody touched.
    (accidents / "wait.done").unlink()
    (accidents / "wait").write_text(tasks[15])
    with start(root, "--resume", run, stdout=subprocess.PIPE) as process:
        wait_for(process, accidents / "wait.done")
        ranks = children_of(process)
        os.kill(ranks[1], signal.SIGKILL)
        (accidents / "go").touch()
        told, mistakes = process.communicate(timeout=1200)
    assert (process.returncode, mistakes) == (0, "")
    assert "process 2 of 2 was ended by SIGKILL" in told
    assert "It goes on from the last checkpoint (start 1 of at most 3 in a row)." in told
    assert not [pid for pid in ranks if Path(f"/proc/{pid}").exists()]
    assert lines_of(run) == lines_of(whole)
    assert lines_of(run, "episodes.jsonl") == lines_of(whole, "episodes.jsonl")
    weights = "checkpoints/step_00000004/model.safetensors"
    assert (run / weights).read_bytes() == (whole / weights).read_bytes()


# -- how many ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def sixteen_cores(monkeypatch):
    monkeypatch.setattr(processes, "usable_cores", lambda: 16)
    monkeypatch.setattr(processes, "usable_memory", lambda: 64 * 10**9)


def chosen(tmp_path, *, resume=None, model="", device="cpu", groups=16, group_size=8, number=None):
    config = small_config(
        tmp_path, rollout={"groups": groups, "group_size": group_size}, processes="none" if number is None else number
    )
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, path=model, device=device))
    return choose_processes(config, resume)


@pytest.mark.usefixtures("sixteen_cores")
def test_as_many_as_pay(tmp_path):
    # 32 × 16 = 512 episodes are 32 for each of 16.
    assert chosen(tmp_path, groups=32, group_size=16) == (16, "16 processes, one per core (16 cores)")
    # 16 × 8 = 128 episodes are 16 for each of 8.
    assert chosen(tmp_path)[0] == 8
    assert chosen(tmp_path, groups=3, group_size=64)[0] == 3
    number, told = chosen(tmp_path, groups=2, group_size=4)
    assert (number, told) == (1, "1 process, each with a group and 16 episodes or more (16 cores)")
    assert chosen(tmp_path, number=5) == (5, "")
    assert chosen(tmp_path, device="cuda") == (1, "")
    assert chosen(tmp_path, model="tabular") == (1, "")  # a table is small: nothing to choose


@pytest.mark.usefixtures("sixteen_cores")
def test_all_of_them_fit_into_memory(tmp_path):
    # 250 million weights take 5 GB with optimiser, gradient and reference, and 0.8 besides: half of 64 GB holds 5.
    weights_file(tmp_path, [250, 10**6])
    number, told = chosen(tmp_path, model=str(tmp_path), groups=64)
    assert number == 5
    assert "half of the memory" in told
    # Not here yet, so taken for a billion weights: 20.8 GB.
    assert chosen(tmp_path, model="someone/large", groups=64)[0] == 1


def weights_file(directory, shape, dtype="F32"):
    """A file of weights with a hole for each of them."""
    size = math.prod(shape) * (4 if dtype == "F32" else 2)
    words = json.dumps({"weight": {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}}).encode()
    with (directory / "model.safetensors").open("wb") as file:
        file.write(len(words).to_bytes(8, "little") + words)
        file.truncate(8 + len(words) + size)


def test_how_many_weights_a_model_has(tmp_path, monkeypatch):
    assert model_weights("") == 0
    for dtype in ("F32", "BF16"):
        weights_file(tmp_path, [3, 5, 10**6], dtype)
        assert model_weights(str(tmp_path)) == 15 * 10**6
    assert model_weights("someone/large") == 10**9
    # 1,543,714,304 weights: what transformers counts, see tests/trainers/scale.
    assert model_weights("Qwen/Qwen2.5-1.5B-Instruct") == 1_543_714_304
    # What was loaded from the hub before is looked at.
    cached = tmp_path / "models--someone--large"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs/main").write_text("abc")
    snapshot = cached / "snapshots/abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    weights_file(snapshot, [7, 1000])
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert model_weights("someone/large") == 7000


@pytest.mark.usefixtures("sixteen_cores")
def test_a_run_keeps_its_number(tmp_path):
    assert chosen(tmp_path, resume=str(tmp_path))[0] == 8  # nothing there yet
    (tmp_path / "config.toml").write_text("")
    assert chosen(tmp_path, resume=str(tmp_path)) == (1, "")
    assert chosen(tmp_path, resume=str(tmp_path), number=4) == (4, "")


def test_what_a_control_group_grants(monkeypatch):
    files = {"cpu.max": "150000 100000\n", "memory.max": "1000000\n"}
    monkeypatch.setattr(processes, "_control_group", files.__getitem__)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    assert usable_cores() == 2  # 1.5, rounded up
    assert usable_memory() == 1_000_000
    files |= {"cpu.max": "max 100000\n", "memory.max": "max\n"}
    assert usable_cores() == 8
    assert usable_memory() > 1_000_000


def test_no_processes_are_refused(tmp_path):
    with pytest.raises(BadOptionError, match="processes must be 1 or more, got 0"):
        small_config(tmp_path, processes=0)
