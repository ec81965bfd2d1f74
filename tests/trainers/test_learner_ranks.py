"""What one rank learns, several learn together."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.ports import free_port
from tests.trainers import rank_run
from trainers import checkpoint
from trainers.parallel import Ranks, limit_threads


def run_ranks(size: int, output: Path, root: Path, other: Path | None = None, **settings: Any) -> Any:
    """Let so many ranks learn, and return what they have measured and the weights that they have come to."""
    output.mkdir()
    common = os.environ | {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    common |= {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    words = [str(output), json.dumps(settings), *([] if other is None else [str(other)])]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.trainers.rank_run", *words],
            env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank), "CUDA_VISIBLE_DEVICES": ""},
            cwd=root,
        )
        for rank in range(size)
    ]
    assert [process.wait(timeout=1200) for process in processes] == [0] * size
    return json.loads((output / "metrics.json").read_text()), load_file(output / "weights.safetensors")


@pytest.fixture(scope="module")
def one_rank(tmp_path_factory, root):
    directory = tmp_path_factory.mktemp("ranks") / "one"
    return directory, *run_ranks(1, directory, root)


PIECES: dict[str, Any] = {"sharding": "fsdp2"}


def agree(metrics: Any, others: Any, bound: float) -> None:
    """How the samples fall into micro-batches depends on which of them are together; all else must be the same."""
    assert metrics.keys() == others.keys()
    for name in metrics.keys() - {"seconds", "micro_batches", "padding"}:
        assert metrics[name] == pytest.approx(others[name], rel=bound, abs=bound), name


@pytest.mark.parametrize(
    "settings", [{}, PIECES, PIECES | {"logit_chunk": 7}], ids=["whole", "pieces", "pieces, logits in chunks"]
)
def test_two_ranks_learn_what_one_does(one_rank, settings, tmp_path, root):
    place, one, weights = one_rank
    two, weights_of_two = run_ranks(2, tmp_path / "two", root, place, **settings)
    for alone, shared in zip(one["metrics"], two["metrics"], strict=True):
        agree(shared, alone, 1e-5)
    assert two["sums"][0] == two["sums"][1]
    assert two["held"] == pytest.approx(one["held"] / (2 if settings else 1), rel=0.01)
    for name, tensor in weights.items():
        torch.testing.assert_close(weights_of_two[name], tensor, atol=1e-5, rtol=0, msg=name)
    # What went on from a checkpoint, in as many ranks, is the same to the bit.
    assert one["difference"] == two["difference"] == {}
    # Two ranks go on from what one has saved, whether they hold it in pieces or not.
    agree(json.loads((tmp_path / "two" / "other.json").read_text()), one["metrics"][-1], 1e-5)
    for name, weight in load_file(tmp_path / "two" / "other.safetensors").items():
        torch.testing.assert_close(weight, weights[name], atol=1e-5, rtol=0, msg=name)
    # And a single rank goes on from what two have saved.
    alone, metrics = rank_run.go_on(Ranks(), {}, tmp_path / "two")
    agree(metrics, one["metrics"][-1], 1e-5)
    for name, weight in alone.model.named_parameters():
        torch.testing.assert_close(weight.detach(), weights[name], atol=1e-5, rtol=0, msg=name)


def test_bfloat16_moves_weights_that_are_float32(one_rank, tmp_path, root):
    # Arithmetic in bfloat16 has three digits, so ranks agree that far, and no two ways of computing further: here in
    # autocast by one rank, and with weights that come together in bfloat16 by two.
    _, exact, weights = one_rank
    one, weights_of_one = run_ranks(1, tmp_path / "one", root, precision="bfloat16")
    two, weights_of_two = run_ranks(2, tmp_path / "two", root, precision="bfloat16", **PIECES)
    for found in (one, two):
        assert found["types"] == ["torch.float32"]
        assert found["difference"] == {}, "a checkpoint has all digits"
        # A step of 1e-6 is a thousandth of what bfloat16 can tell from 1e-3 or more (its numbers there are 4e-6 apart).
        assert found["tiny"]["moved"] > 0.9
        assert found["tiny"]["moved_short"] < 0.01
        assert found["tiny"]["furthest"] == pytest.approx(1e-6, rel=0.1)
    for alone, shared in zip(one["metrics"], two["metrics"], strict=True):
        agree(shared, alone, 0.05)
    # Where a gradient is next to nothing its sign is a matter of rounding, and AdamW steps by the rate all the same.
    for name, weight in weights_of_one.items():
        torch.testing.assert_close(weights_of_two[name], weight, atol=1.5e-2, rtol=0, msg=name)
        torch.testing.assert_close(weight, weights[name], atol=1.5e-2, rtol=0, msg=name)
    assert exact["metrics"][0]["entropy"] != one["metrics"][0]["entropy"], "it was computed in bfloat16"


def test_an_adapter_is_learnt_in_pieces(tmp_path, root):
    # On a base in bfloat16, as on a GPU; and in one step, so that the first pass of all is the reference's, without the
    # adapter.
    settings: dict[str, Any] = {"adapter": 4, "precision": "bfloat16", "minibatches": 1, "epochs": 1}
    settings["gradient_checkpointing"] = True
    one, weights_of_one = run_ranks(1, tmp_path / "one", root, **settings)
    two, weights_of_two = run_ranks(2, tmp_path / "two", root, **settings, **PIECES)
    assert two["difference"] == {}
    assert two["held"] == pytest.approx(one["held"] / 2, rel=0.01)
    for alone, shared in zip(one["metrics"], two["metrics"], strict=True):
        agree(shared, alone, 0.05)
    for name, weight in weights_of_one.items():
        torch.testing.assert_close(weights_of_two[name], weight, atol=1.5e-2, rtol=0, msg=name)


def test_a_renewed_reference_is_gone_on_with_by_any_number_of_ranks(one_rank, tmp_path, root):
    # It is renewed by the fourth of the calls, after which the checkpoint is written.
    one, weights = run_ranks(1, tmp_path / "one", root, renew_reference=4)
    assert one["difference"] == {}
    assert 0 < one["metrics"][-1]["kl"] < one_rank[1]["metrics"][-1]["kl"] / 2, "it is to a nearer reference"
    agree(one["metrics"][-2], one_rank[1]["metrics"][-2], 1e-6)  # and was to the same one before
    two, _ = run_ranks(2, tmp_path / "two", root, tmp_path / "one", renew_reference=4, **PIECES)
    assert two["difference"] == {}
    agree(two["metrics"][-1], one["metrics"][-1], 1e-5)
    agree(json.loads((tmp_path / "two" / "other.json").read_text()), one["metrics"][-1], 1e-5)
    # It is kept whatever the settings say when the run goes on.
    alone, metrics = rank_run.go_on(Ranks(), {}, tmp_path / "two")
    agree(metrics, one["metrics"][-1], 1e-5)
    for name, weight in alone.model.named_parameters():
        torch.testing.assert_close(weight.detach(), weights[name], atol=1e-5, rtol=0, msg=name)


def test_each_rank_writes_its_pieces_and_no_more(one_rank, tmp_path, root):
    run_ranks(2, tmp_path / "two", root, **PIECES)
    whole, cut = (checkpoint.load(directory / "step_00000004") for directory in (one_rank[0], tmp_path / "two"))
    files = sorted((cut.path / checkpoint.PIECES).iterdir())
    sizes = [file.stat().st_size for file in files]
    averages = {name: tensor for name, tensor in whole.state.tensors.items() if not name.endswith(".step")}
    assert len(files) == 2
    # With a table of contents each, which weighs something beside so small a model.
    assert sum(sizes) == pytest.approx(sum(4 * tensor.numel() for tensor in averages.values()), rel=0.2)
    assert sizes[0] == pytest.approx(sizes[1], rel=0.1)
    # Together they are all, and what one process has.
    assert cut.state.tensors.keys() == whole.state.tensors.keys() - averages.keys()
    assert cut.state.pieces is not None
    assert cut.state.pieces.sizes == {name: tuple(tensor.shape) for name, tensor in averages.items()}
    together = {name: torch.empty_like(tensor) for name, tensor in averages.items()}
    cut.state.pieces.read_into(together)
    for name, tensor in together.items():
        torch.testing.assert_close(tensor, averages[name], atol=1e-5, rtol=0, msg=name)
    # A piece that is damaged is noticed, and weights of another shape are refused.
    with pytest.raises(ValueError, match="expected the pieces of this model"):
        cut.state.pieces.read_into({next(iter(averages)): torch.empty(3)})
    with files[1].open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    with pytest.raises(checkpoint.CheckpointError, match="is not the file that was written"):
        checkpoint.load(cut.path)


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
