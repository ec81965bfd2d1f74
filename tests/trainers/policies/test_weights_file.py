"""Weights on their way to an engine, read as the engine reads them."""

import signal
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from trainers.policies.weights_file import nameless_file, path_of, write_weights

TENSORS = {
    "matrix": torch.arange(6.0).reshape(2, 3),
    "turned": torch.arange(6.0).reshape(2, 3).T,
    "long": torch.tensor(1 / 3, dtype=torch.float64),
    "short": torch.tensor([1.5, -2.25], dtype=torch.float16),
    "places": torch.tensor([1, 2**40]),
    "small": torch.tensor([7], dtype=torch.int32),
    "mask": torch.tensor([True, False, True]),
    "bytes": torch.tensor([0, 255], dtype=torch.uint8),
    "nothing": torch.zeros(0, 3),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_what_is_written_is_read(tmp_path, dtype):
    with nameless_file(str(tmp_path)) as file:
        write_weights(TENSORS, file, dtype)
        found = load_file(path_of(file))
    assert list(found) == list(TENSORS)
    for name, tensor in TENSORS.items():
        expected = tensor.to(dtype) if tensor.is_floating_point() else tensor
        assert found[name].dtype == expected.dtype
        assert torch.equal(found[name], expected)


def test_what_is_tied_is_written_once(tmp_path):
    weights = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    tensors = {"embedding": weights, "head": weights, "a part": weights[:2]}
    with nameless_file(str(tmp_path)) as file:
        write_weights(tensors, file, torch.float32)
        assert list(load_file(path_of(file))) == ["embedding", "a part"]


def test_a_killed_process_leaves_nothing(tmp_path):
    program = f"""if True:
        import sys, time, torch
        from trainers.policies.weights_file import nameless_file, path_of, write_weights
        with nameless_file({str(tmp_path)!r}) as file:
            write_weights({{"weight": torch.ones(1000)}}, file, torch.float32)
            print(path_of(file), flush=True)
            time.sleep(600)
    """
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        path = process.stdout.readline().strip()
        try:
            assert load_file(path)["weight"].sum() == 1000
        finally:
            process.kill()
    assert process.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []
