"""Training on Ray: what one process learns, any number of workers and ranks learn, whatever happens to them."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from safetensors.torch import load_file

from agent_gym.errors import AgentGymError, BadOptionError
from tests.trainers.ray_engine.ray_runs import Meanwhile, check_same, configure, lines_of, processes, train
from tests.trainers.ray_engine.toy_worker import ToyWorker
from trainers.config import to_toml
from trainers.interrupt import Interruption
from trainers.ray_engine.cluster import load_ray, placed
from trainers.ray_engine.pool import Pool
from trainers.ray_engine.run import POLL_S, _show, _watch
from trainers.settings import RaySettings, SamplerSettings

WEIGHTS = "checkpoints/step_00000004/model.safetensors"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A node with three cores, as Ray is told, for a learner rank and two workers; more nodes can be added."""
    if importlib.util.find_spec("ray") is None:  # not imported before `load_ray` has set it up
        pytest.skip("needs Ray: pip install 'agent-gym[ray]'")
    ray = load_ray()
    cluster_utils = importlib.import_module("ray.cluster_utils")
    made = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 3, "include_dashboard": False})
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


def wait_until_alone():
    """Wait until Ray has noticed that the nodes which were added are gone, or it puts the next test's actors there."""
    until = time.monotonic() + 600.0
    while sum(node["Alive"] for node in load_ray().nodes()) > 1:
        assert time.monotonic() < until, "Ray has not noticed within ten minutes that a node is gone"
        time.sleep(0.1)


def check_weights(run, plain):
    mine, theirs = load_file(run / WEIGHTS), load_file(plain / WEIGHTS)
    for name, tensor in theirs.items():
        assert (mine[name] - tensor).abs().max() < 1e-5, name


def test_a_worker_that_is_killed_is_replaced(cluster, model, plain, tmp_path):
    task = lines_of(plain, "episodes.jsonl")[6]["task"]  # the first group of the second iteration
    (tmp_path / "kill").write_text(task)
    run = tmp_path / "run"
    assert train(configure(model, run, tmp_path, ray={"address": "auto"})) == 0
    assert (tmp_path / "kill.done").exists()
    assert lines_of(run)[3]["ray/replaced_workers"] == 1
    check_same(run, plain)
    check_weights(run, plain)


def test_gpus_that_a_run_is_given_none_of_are_named(cluster, model, tmp_path):
    node = cluster.add_node(num_cpus=1, num_gpus=2)  # as Ray is told
    start = configure(model, tmp_path / "run", ray={"address": "auto", "learner_gpus": 1})
    given = [start, replace(start, sampler=SamplerSettings(engine="vllm")), replace(start, ray=RaySettings())]
    given = [replace(config, model=replace(config.model, device="auto")) for config in given]
    with placed(given[0]):  # its workers are on CPUs, as a small model's may be
        pass
    for config in given[1:]:
        with (
            pytest.raises(BadOptionError, match=r"has 2 GPUs, and ray\.worker_gpus is 0, ray\.learner_gpus"),
            placed(config),
        ):
            pass
    cluster.remove_node(node)
    wait_until_alone()


def test_a_worker_that_hangs_is_replaced(cluster, model, plain, tmp_path):
    (tmp_path / "hang").write_text(lines_of(plain, "episodes.jsonl")[6]["task"])
    run = tmp_path / "run"
    settings = {"address": "auto", "play_timeout_s": 40.0}
    assert train(configure(model, run, tmp_path, ray=settings)) == 0
    assert (tmp_path / "hang.done").exists()
    assert lines_of(run)[3]["ray/replaced_workers"] >= 1
    check_same(run, plain)


def test_a_learner_rank_that_is_killed_is_one_of_a_run_that_resumes(cluster, model, plain, tmp_path, capsys):
    run = tmp_path / "run"
    (tmp_path / "wait").write_text(lines_of(plain, "episodes.jsonl")[6]["task"])  # the second iteration, after a save
    settings = {"address": "auto", "learners": 2, "workers": 1}
    kill = Meanwhile(tmp_path, lambda: os.kill(processes("LearnerRank")[-1], signal.SIGKILL))
    assert train(configure(model, run, tmp_path, ray=settings)) == 0
    assert kill.done
    told = capsys.readouterr().out
    assert "It goes on from the last checkpoint (start 1 of at most 3 in a row)" in told
    check_same(run, plain)
    check_weights(run, plain)


def test_what_is_played_during_an_update_is_one_update_old(cluster, model, plain, tmp_path):
    run = tmp_path / "run"
    settings = {"address": "auto", "staleness": 1}
    assert train(configure(model, run, ray=settings)) == 0
    lines = lines_of(run)[:4]
    assert [line["rollout/staleness"] for line in lines] == [0, 1, 1, 1]
    assert [line["rollout/staleness_max"] for line in lines] == [0, 1, 1, 1]
    # What the same weights have drawn weighs 1, up to rounding; what older ones have, more or less.
    assert lines[0]["learner/sampler_difference_max"] < 1e-5
    assert all(line["learner/sampler_difference_max"] > 1e-4 for line in lines[1:])
    assert all(abs(line["learner/importance_weight"] - 1) > 1e-6 for line in lines[1:])
    # Of the first iteration all is as ever. The second was played with the weights that had played the first.
    expected = lines_of(plain)
    assert lines[0]["learner/grad_norm"] == pytest.approx(expected[0]["learner/grad_norm"], rel=1e-5)
    assert [line["rollout/episodes"] for line in lines] == [6, 6, 6, 6]
    tasks, others = ([one["task"] for one in lines_of(where, "episodes.jsonl")] for where in (run, plain))
    assert tasks == others


def test_a_node_that_goes_takes_nothing_with_it(cluster, model, plain, tmp_path):
    run = tmp_path / "run"
    node = cluster.add_node(num_cpus=1)
    raylet = node.all_processes["raylet"][0].process.pid
    (tmp_path / "wait").write_text(lines_of(plain, "episodes.jsonl")[6]["task"])
    lost: list[int] = []

    def take_node():
        while not lost:  # it may start later than the other
            lost.extend(processes("RolloutWorker", [raylet]))
        cluster.remove_node(node, allow_graceful=False)

    take = Meanwhile(tmp_path, take_node)
    # Two cores for the learner rank and one for a worker are the first node, one for another worker is the second.
    settings = {"address": "auto", "learner_cpus": 2}
    assert train(configure(model, run, tmp_path, ray=settings)) == 0
    assert take.done
    assert len(lost) == 1
    assert lines_of(run)[3]["ray/replaced_workers"] >= 1
    check_same(run, plain)
    wait_until_alone()


# -- the pool, with workers that only die ------------------------------------------------------------------------------


@pytest.fixture
def pool(cluster):
    kind = load_ray().remote(ToyWorker)
    settings = RaySettings(workers=1, play_timeout_s=20.0)
    made = Pool(lambda number: kind.options(num_cpus=0).remote(), settings, 1)
    yield made
    made.close()


def play(pool, *words):
    return pool.collect(pool.submit([SimpleNamespace(tasks=[word]) for word in words], 7, None), Interruption())


def test_a_cluster_that_can_not_be_joined_is_not_passed_over(cluster, model, tmp_path, root):
    program = "import sys, ray; ray.__version__ = '0.1'; from trainers.cli import main; sys.exit(main(sys.argv[1:]))"
    (tmp_path / "run.toml").write_text(to_toml(configure(model, tmp_path / "run")))
    words = [sys.executable, "-c", program, "train", str(tmp_path / "run.toml"), "--ray", "auto"]
    env = os.environ | {"RAY_ADDRESS": cluster.address}
    done = subprocess.run(words, cwd=root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"--ray auto has found a cluster at {cluster.address}, which it can't join: Version mismatch" in done.stderr
    assert "Ray: 0.1" in done.stderr


def test_what_a_rank_tells_late_is_shown_later(cluster, capsys):
    class Slow:
        def __init__(self):
            self.left = ["first line\n"]

        def told(self):
            time.sleep(1.0)
            return self.left.pop() if self.left else ""

    slow = load_ray().remote(Slow).options(num_cpus=0, max_restarts=-1, max_task_retries=-1).remote()
    console = Console(width=80)
    telling = _show(slow, console, timeout_s=0.01)
    assert telling is not None
    assert "first line" not in capsys.readouterr().out  # Ray itself may speak of nodes that other tests have ended
    assert _show(slow, console, telling, timeout_s=60.0) is None
    assert "first line\n" in capsys.readouterr().out
    load_ray().kill(slow)
    assert _show(slow, console, timeout_s=60.0) is None, "a rank that is gone tells nothing"


def test_what_a_rank_tells_last_is_shown(cluster, capsys):
    class Ending:
        def __init__(self):
            self.left, self.asked = ["first line\n"], False

        def train(self):
            while not self.asked:
                time.sleep(0.01)
            self.left.append("last line\n")
            return 0

        def told(self):
            text = "".join(self.left)
            self.left.clear()
            if not self.asked:
                self.asked = True
                time.sleep(5 * POLL_S)  # long after its training has ended
            return text

    rank = load_ray().remote(Ending).options(num_cpus=0, max_concurrency=2).remote()
    assert _watch({rank.train.remote(): 0}, rank, Interruption(), Console(width=80)) == 0
    assert "first line\nlast line\n" in capsys.readouterr().out
    load_ray().kill(rank)


def test_what_is_played_comes_in_the_order_in_which_it_was_asked(pool):
    assert play(pool, "a", "b", "c") == [("a", 7), ("b", 7), ("c", 7)]


def test_a_mistake_in_a_worker_is_told_as_it_is(pool):
    with pytest.raises(BadOptionError, match=r"^there is no such task\.$"):
        play(pool, "a", "refuse")


@pytest.mark.parametrize("word", ["die", "hang"])
def test_what_no_worker_survives_is_given_up(pool, word):
    with pytest.raises(AgentGymError, match=rf"^2 rollout workers were lost over the same groups \(tasks {word} …\)"):
        play(pool, "a", word)
    assert pool.replaced == 1


def test_an_interruption_ends_the_wait(pool):
    interruption = Interruption()
    interruption.requested = True
    with pytest.raises(KeyboardInterrupt):
        pool.collect(pool.submit([SimpleNamespace(tasks=["hang"])], 7, None), interruption)
