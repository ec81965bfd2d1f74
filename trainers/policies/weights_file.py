"""Weights on their way to an engine: a file that its processes can read, and that nobody has to clear away."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import torch
from torch import Tensor

_NAMES: Final = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""What safetensors calls them."""


@contextmanager
def nameless_file(directory: str | None) -> Iterator[IO[bytes]]:
    """Open a file that other processes can read at `path_of` it, for as long as it is open here.

    It stands in no directory, so it takes no room once this process has ended, also if it was killed. Without `/proc`
    it has a name, and a process that is killed leaves it behind.

    Args:
        directory: On whose file system it is; by default that of temporary files.
    """
    opened = tempfile.TemporaryFile if _descriptors().is_dir() else tempfile.NamedTemporaryFile
    with opened(prefix="agent-gym-", dir=directory) as file:
        yield file


def path_of(file: IO[bytes]) -> str:
    """Where other processes find an open file."""
    path = _descriptors() / str(file.fileno())
    return str(path) if path.exists() else str(file.name)


def write_weights(tensors: Mapping[str, Tensor], file: IO[bytes], dtype: torch.dtype) -> None:
    """Write tensors as safetensors does, those of floating point in another type.

    They are brought to the CPU and converted one after another: beside the file one of them takes memory, where the
    library's own function would want them all at once.

    Args:
        tensors: By name, on any device. What shares its memory with another is left out, as in a checkpoint.
        file: Empty, and open for writing; everything is in it afterwards.
        dtype: Of what has a floating point.
    """
    kept = dict(_untied(tensors))
    kinds = {name: dtype if tensor.is_floating_point() else tensor.dtype for name, tensor in kept.items()}
    header, end = {}, 0
    for name, tensor in kept.items():
        start, end = end, end + tensor.numel() * kinds[name].itemsize
        header[name] = {"dtype": _NAMES[kinds[name]], "shape": list(tensor.shape), "data_offsets": [start, end]}
    words = json.dumps(header).encode()
    words += b" " * (-len(words) % 8)
    file.write(len(words).to_bytes(8, "little") + words)
    for name, tensor in kept.items():
        flat = tensor.detach().to("cpu", kinds[name]).reshape(-1)
        file.write(flat.view(torch.uint8).numpy().data)
    file.flush()


def _untied(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    seen: set[tuple[int, int, torch.Size]] = set()
    for name, tensor in tensors.items():
        place = (tensor.data_ptr(), int(tensor.storage_offset()), tensor.shape)
        if place not in seen:
            seen.add(place)
            yield name, tensor


def _descriptors() -> Path:
    return Path(f"/proc/{os.getpid()}/fd")
