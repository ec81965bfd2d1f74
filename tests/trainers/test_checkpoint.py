"""Checkpoints: exact, whole or absent, and loadable by others."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from agent_gym.errors import AgentGymError
from tests.trainers.small_model import random_samples, small_model
from trainers.checkpoint import (
    CheckpointError,
    State,
    checkpoint_bytes,
    list_checkpoints,
    load,
    load_latest,
    load_weights,
    require_space,
    save,
)
from trainers.learner import Learner
from trainers.losses.ppo import PpoLoss
from trainers.settings import LearnerSettings


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def save_steps(directory: Path, *steps: int, **options) -> list[Path]:
    model = small_model()
    return [save(directory, n, State(values={"at": n}), model=model, **{"keep": 9} | options) for n in steps]


def test_what_is_saved_comes_back_exactly(tmp_path):
    generator = np.random.default_rng(3)
    state = State(
        tensors={"a": torch.tensor([0.1, -0.0, float("inf")]), "b": torch.arange(3)},
        values={"third": 1 / 3, "nothing": None, "generator": generator.bit_generator.state, "best": float("-inf")},
    )
    expected = generator.random(5)
    path = save(tmp_path, 7, state, model=small_model())
    found = load_latest(tmp_path)
    assert found is not None
    assert (found.path, found.step) == (path, 7)
    assert found.state.values.keys() == state.values.keys()
    assert found.state.values["third"] == 1 / 3
    assert found.state.values["best"] == float("-inf")
    assert all(torch.equal(found.state.tensors[name], tensor) for name, tensor in state.tensors.items())
    again = np.random.default_rng()
    again.bit_generator.state = found.state.values["generator"]
    assert (again.random(5) == expected).all()


@pytest.mark.parametrize("tied", [False, True])
def test_weights_load_here_and_in_transformers(tmp_path, tied):
    model = small_model(seed=1, tied=tied)
    path = save(tmp_path, 1, State(), model=model)
    other = small_model(seed=2, tied=tied)
    load_weights(other, path)
    elsewhere = AutoModelForCausalLM.from_pretrained(path)
    for name, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)
        assert torch.equal(elsewhere.state_dict()[name], tensor)


def adapted(seed: int):
    peft = pytest.importorskip("peft")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
        return peft.get_peft_model(small_model(), config)


def test_an_adapter_is_saved_alone_and_loads_in_peft(tmp_path):
    peft = pytest.importorskip("peft")
    model = adapted(1)
    path = save(tmp_path, 1, State(), model=model)
    assert (path / "adapter_model.safetensors").is_file()
    assert not (path / "model.safetensors").exists()
    ids = torch.arange(6)[None]
    expected = model(ids).logits
    other = adapted(2)
    assert not torch.allclose(other(ids).logits, expected)
    load_weights(other, path)
    assert torch.equal(other(ids).logits, expected)
    assert torch.equal(peft.PeftModel.from_pretrained(small_model(), path)(ids).logits, expected)


def test_weights_of_another_kind_are_refused(tmp_path):
    whole = save(tmp_path / "whole", 1, State(), model=small_model())
    adapter = save(tmp_path / "adapter", 1, State(), model=adapted(1))
    with pytest.raises(CheckpointError, match="expected an adapter"):
        load_weights(adapted(1), whole)
    with pytest.raises(CheckpointError, match="expected whole weights"):
        load_weights(small_model(), adapter)


def test_a_run_goes_on_from_disk_bit_for_bit(tmp_path):
    def learner(model):
        settings = LearnerSettings(learning_rate=1e-3, schedule="linear", minibatches=2)
        return Learner(model, settings, PpoLoss(), total_updates=3)

    whole = learner(small_model())
    for update in range(3):
        expected = whole.update(random_samples(seed=update))

    killed = learner(small_model())
    for update in range(2):
        killed.update(random_samples(seed=update))
    save(tmp_path, 2, killed.state(), model=killed.model)

    resumed = learner(small_model())
    found = load_latest(tmp_path)
    assert found is not None
    load_weights(resumed.model, found.path)
    resumed.load_state(found.state)
    metrics = resumed.update(random_samples(seed=2))
    assert {**metrics, "seconds": 0} == {**expected, "seconds": 0}
    pairs = zip(resumed.model.parameters(), whole.model.parameters(), strict=True)
    assert all(torch.equal(p, q) for p, q in pairs)


def test_old_ones_go_and_the_best_stays(tmp_path):
    save_steps(tmp_path, 1, keep=2)
    save_steps(tmp_path, 2, keep=2, best=True)
    save_steps(tmp_path, 3, 4, 5, keep=2)
    assert names(tmp_path) == ["best", "step_00000002", "step_00000004", "step_00000005"]
    assert load(tmp_path / "best").step == 2
    save_steps(tmp_path, 6, keep=2, best=True)
    assert names(tmp_path) == ["best", "step_00000005", "step_00000006"]
    assert load(tmp_path / "best").step == 6


def test_a_step_can_be_saved_again(tmp_path):
    save(tmp_path, 1, State(values={"at": "first"}), model=small_model())
    save(tmp_path, 1, State(values={"at": "second"}), model=small_model())
    found = load_latest(tmp_path)
    assert found is not None
    assert found.state.values == {"at": "second"}
    assert names(tmp_path) == ["step_00000001"]


def test_without_checkpoints_there_is_none(tmp_path):
    assert load_latest(tmp_path) is None
    assert load_latest(tmp_path / "absent") is None
    assert list_checkpoints(tmp_path / "absent") == []


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [cut, flip, Path.unlink])
@pytest.mark.parametrize(
    "file", ["model.safetensors", "config.json", "trainer_state.safetensors", "trainer_state.json", "manifest.json"]
)
def test_a_damaged_one_is_named_and_the_one_before_is_used(tmp_path, file, harm):
    _, newest = save_steps(tmp_path, 1, 2)
    harm(newest / file)
    with pytest.warns(UserWarning, match=r"step_00000002 is damaged.*trying the checkpoint before it"):
        found = load_latest(tmp_path)
    assert found is not None
    assert found.step == 1


def test_if_all_are_damaged_it_says_so(tmp_path):
    for path in save_steps(tmp_path, 1, 2):
        cut(path / "config.json")
    with (
        pytest.warns(UserWarning, match="damaged"),
        pytest.raises(CheckpointError, match=r"only damaged ones.*step_00000001") as raised,
    ):
        load_latest(tmp_path)
    assert isinstance(raised.value, AgentGymError)
    assert isinstance(raised.value, ValueError)


def test_a_pickle_is_never_opened(tmp_path):
    (path,) = save_steps(tmp_path, 1)
    (path / "model.safetensors").unlink()
    torch.save(small_model().state_dict(), path / "pytorch_model.bin")
    with pytest.raises(OSError, match=r"model\.safetensors"):
        load_weights(small_model(), path)


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs a limit on the size of files")
def test_a_full_disk_leaves_earlier_checkpoints_alone(tmp_path):
    save_steps(tmp_path, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # the weights take more
    try:
        with pytest.raises(OSError, match=r"[Ff]ile too large"):
            save_steps(tmp_path, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == ["step_00000001"]
    found = load_latest(tmp_path)
    assert found is not None
    assert found.step == 1


def test_space_is_asked_for_before_anything_is_trained(tmp_path):
    require_space(tmp_path / "not" / "there" / "yet", 1)
    with pytest.raises(OSError, match="GB of free space for checkpoints"):
        require_space(tmp_path, 10**18)
    model = small_model()
    (path,) = save_steps(tmp_path, 1)
    one = sum(file.stat().st_size for file in path.iterdir())
    assert checkpoint_bytes(model, keep=2) >= 4 * one


def test_keeping_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="1 checkpoint or more, got 0"):
        save_steps(tmp_path, 1, keep=0)


def test_killed_at_any_moment_what_is_there_is_whole(tmp_path, root):
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.trainers.checkpoint_writer", str(tmp_path)],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
    )
    try:
        while not (tmp_path / "best").exists() and process.poll() is None:  # the third is the first that is best
            time.sleep(0.01)
        for _ in range(20):  # also while it lives, as somebody who copies a run would
            time.sleep(0.013)
            for path in list_checkpoints(tmp_path)[-1:]:
                try:
                    load(path)
                except CheckpointError:  # removed by now, as two newer ones exist
                    assert not path.exists()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    for path in list_checkpoints(tmp_path):
        found = load(path)
        assert found.state.values["count"] == found.step
        assert (found.state.tensors["count"] == found.step).all()
    # The next run goes on, and clears away what was being written.
    (newest,) = list_checkpoints(tmp_path)[-1:]
    save_steps(tmp_path, int(newest.name.removeprefix("step_")) + 1, keep=2)
    assert not [name for name in names(tmp_path) if name.startswith(".writing")]
    assert load(tmp_path / "best").step % 3 == 0
