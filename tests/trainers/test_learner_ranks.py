"""What one rank learns, several learn together."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.trainers import rank_run
from tests.trainers.small_model import random_samples
from trainers.checkpoint import load_latest, load_weights
from trainers.parallel import Ranks, limit_threads


def run_ranks(size: int, output: Path, root: Path, sharding: str = "none") -> tuple[Any, dict[str, torch.Tensor]]:
    output.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = os.environ | {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    common |= {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.trainers.rank_run", str(output), sharding],
            env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank), "CUDA_VISIBLE_DEVICES": ""},
            cwd=root,
        )
        for rank in range(size)
    ]
    assert [process.wait(timeout=1200) for process in processes] == [0] * size
    return json.loads((output / "metrics.json").read_text()), load_file(output / "weights.safetensors")


@pytest.fixture(scope="module")
def one_rank(tmp_path_factory, root):
    return run_ranks(1, tmp_path_factory.mktemp("ranks") / "one", root)


@pytest.mark.parametrize("sharding", ["none", "fsdp2"])
def test_two_ranks_learn_what_one_does(one_rank, sharding, tmp_path, root):
    one, weights = one_rank
    two, weights_of_two = run_ranks(2, tmp_path / "two", root, sharding)
    for alone, shared in zip(one["metrics"], two["metrics"], strict=True):
        assert alone.keys() == shared.keys()
        # How the samples fall into micro-batches depends on which of them are together.
        for name in alone.keys() - {"seconds", "micro_batches", "padding"}:
            assert shared[name] == pytest.approx(alone[name], rel=1e-5, abs=1e-5), name
    assert two["sums"][0] == two["sums"][1]
    assert two["held"] == pytest.approx(one["held"] / (2 if sharding == "fsdp2" else 1), rel=0.01)
    for name, tensor in weights.items():
        torch.testing.assert_close(weights_of_two[name], tensor, atol=1e-5, rtol=0, msg=name)
    # What went on from a checkpoint, in as many ranks, is the same to the bit.
    assert one["difference"] == two["difference"] == {}
    # And a single rank goes on from what two have saved.
    checkpoint = load_latest(tmp_path / "two")
    assert checkpoint is not None
    alone = rank_run.make_learner(Ranks())
    load_weights(alone.model, checkpoint.path)
    alone.load_state(checkpoint.state)
    metrics = alone.update(random_samples(seed=10))
    for name in metrics.keys() - {"seconds", "micro_batches", "padding"}:
        assert metrics[name] == pytest.approx(one["metrics"][-1][name], rel=1e-5, abs=1e-5), name
    for name, weight in alone.model.named_parameters():
        torch.testing.assert_close(weight.detach(), weights[name], atol=1e-5, rtol=0, msg=name)


def test_alone_a_rank_is_everyone():
    ranks = Ranks.from_environment()
    assert ranks == Ranks()
    assert ranks.is_main
    assert ranks.share([1, 2, 3]) == [1, 2, 3]
    assert ranks.gather("mine") == ["mine"]
    assert ranks.sums({"a": 1.5}) == {"a": 1.5}
    ranks.wait()
    ranks.close()


def test_shares_are_dealt_out_in_turn():
    assert [Ranks(rank=rank, size=2).share("abcde") for rank in range(2)] == [["a", "c", "e"], ["b", "d"]]
    assert [Ranks(rank=rank, size=3).stretch(5) for rank in range(3)] == [range(1), range(1, 3), range(3, 5)]


def test_threads_are_one_unless_said_otherwise(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert limit_threads() == 1
    assert limit_threads(2) == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert limit_threads() == 2  # left alone
    torch.set_num_threads(before)
