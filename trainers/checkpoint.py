"""Checkpoints: written whole or not at all, read back exactly, and nothing in them is ever unpickled.

    checkpoints/step_00000012/          a model directory that transformers and peft load as it is, and beside it
        config.json model.safetensors tokenizer.json ...
        trainer_state.safetensors       tensors: the optimiser's averages
        pieces/                         those that are in pieces (`learner.sharding`), in a file of each rank
        trainer_state.json              everything else: step counts, position, generators
        manifest.json                   size and SHA-256 of every file, written last
        first/ second/ ...              in place of a model's files, where each role of a game has a model of its own
    checkpoints/best -> step_00000008   the best so far on the validation tasks; not cleaned away

A checkpoint is written to a temporary directory beside its place, flushed to the disk and then renamed, so that a
process killed at any moment leaves either a whole checkpoint or none under that name.
"""

import hashlib
import json
import os
import re
import shutil
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from agent_gym.errors import AgentGymError
from trainers.parallel import Ranks
from trainers.pieces import Pieces, write_pieces
from trainers.sharding import is_piece

MANIFEST = "manifest.json"
TENSORS = "trainer_state.safetensors"
VALUES = "trainer_state.json"
ADAPTER = "adapter_model.safetensors"
PIECES = "pieces"
BEST = "best"
_NAME = re.compile(r"step_(\d{8,})")


class CheckpointError(AgentGymError, ValueError):
    """A checkpoint that is not what was written, or does not fit what it is loaded into."""


class SavesItself(Protocol):
    """A model or a tokenizer, of transformers or peft."""

    def save_pretrained(self, save_directory: str, /) -> Any:
        """Write files into a directory."""


@dataclass(frozen=True, kw_only=True)
class State:
    """What is to be kept besides the weights: tensors by name, and values that JSON can hold (floats stay exact)."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    """Whole ones; where they are in pieces (DTensor) each rank has its part."""
    values: dict[str, Any] = field(default_factory=dict)
    pieces: Pieces | None = None
    """Of what was read: the tensors that were written in pieces."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint on disk whose files are as they were written."""

    path: Path
    step: int
    state: State


def save(
    directory: Path,
    step: int,
    state: State,
    *,
    model: SavesItself,
    tokenizer: SavesItself | None = None,
    keep: int = 2,
    best: bool = False,
    ranks: Ranks | None = None,
) -> Path:
    """Write a checkpoint, then remove older ones beyond the last `keep`.

    Args:
        directory: Holds the checkpoints of one run; made if need be.
        step: Number of the iteration after which this is the state. An existing checkpoint of it is replaced.
        state: What the trainer needs to go on.
        model: Written in its own format; a peft model writes its adapter only.
        tokenizer: Written beside the model, so that the checkpoint can be evaluated as it is.
        keep: Checkpoints to keep, this one included, besides the best.
        best: Let `best` point to this one.
        ranks: Who calls this, all of them: each writes its pieces of the state, and the first writes the rest. They
            must find the directory under the same path.

    Returns:
        Where the checkpoint lies.

    Raises:
        OSError: If it cannot be written, for instance on a full disk. Earlier checkpoints are untouched.
    """
    if keep < 1:
        raise ValueError(f"expected to keep 1 checkpoint or more, got {keep}")
    ranks = ranks or Ranks()
    final = directory / f"step_{step:08d}"
    temporary = directory / f".writing_{final.name}"
    if ranks.is_main:
        directory.mkdir(parents=True, exist_ok=True)
        for leftover in directory.glob(".writing_*"):  # of a process that was killed while it wrote
            shutil.rmtree(leftover)
        temporary.mkdir()
    pieces = {name: tensor for name, tensor in state.tensors.items() if is_piece(tensor)}
    try:
        if pieces:
            ranks.wait()  # until there is a place for them
            write_pieces(temporary / PIECES, pieces)
        if ranks.is_main:
            model.save_pretrained(str(temporary))
            if tokenizer is not None:
                tokenizer.save_pretrained(str(temporary))
            _write_state(temporary, step, state)
            _replace(temporary, final)
    except BaseException as error:  # Ctrl-C included: half a checkpoint is of no use to anyone
        if ranks.is_main:
            shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError | SafetensorError):  # the latter is what the library raises on a full disk
            raise OSError(
                f"could not write checkpoint {final}: {error}; earlier ones are as they were, so make room and go on "
                "with --resume"
            ) from error
        raise
    if ranks.is_main:
        if best:
            _point(directory / BEST, final.name)
        _flush(directory)
        _remove_older(directory, keep)
    return final


def _write_state(directory: Path, step: int, state: State) -> None:
    """Write what is not in pieces and the manifest of all that is there, and have the disk hold it."""
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items() if not is_piece(tensor)
    }
    save_file(tensors, directory / TENSORS)
    (directory / VALUES).write_text(json.dumps({"step": step, "values": state.values}, indent=1), encoding="utf-8")
    manifest = {name: _fingerprint(directory / name) for name in _files(directory)}
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    for name in _files(directory):
        _flush(directory / name)
    for directory_inside in {(directory / name).parent for name in _files(directory)}:
        _flush(directory_inside)


def load_latest(directory: Path, ranks: Ranks | None = None) -> Checkpoint | None:
    """Read the newest checkpoint that is whole; None if there is none at all.

    A damaged one is named in a warning and the one before it is tried. All `ranks` must call it.

    Raises:
        CheckpointError: If there are checkpoints, and every one of them is damaged.
    """
    damaged: list[str] = []
    for path in reversed(list_checkpoints(directory)):
        try:
            return load(path, ranks)
        except CheckpointError as error:
            damaged.append(str(error))
            warnings.warn(f"{error}; trying the checkpoint before it", stacklevel=2)
    if damaged:
        raise CheckpointError(
            f"expected a whole checkpoint in {directory}, got only damaged ones ({'; '.join(damaged)}): start the run "
            "anew in another directory"
        )
    return None


def load(path: Path, ranks: Ranks | None = None) -> Checkpoint:
    """Read one checkpoint, after comparing every file with the manifest, each of `ranks` its share of them.

    What is in pieces is not read yet, see `State.pieces`.

    Raises:
        CheckpointError: If a file is missing or is not what was written; on all ranks.
    """
    ranks = ranks or Ranks()
    found, fault = None, ""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        for name in ranks.share(sorted(manifest)):
            if _fingerprint(path / name) != manifest[name]:
                raise CheckpointError(f"checkpoint {path} is damaged: {name} is not the file that was written")
        saved = json.loads((path / VALUES).read_text(encoding="utf-8"))
        state = State(tensors=load_file(path / TENSORS), values=saved["values"], pieces=Pieces(path / PIECES))
        found = Checkpoint(path=path, step=saved["step"], state=state)
    except CheckpointError as error:
        fault = str(error)
    except (OSError, SafetensorError, json.JSONDecodeError, UnicodeDecodeError, KeyError, AttributeError) as error:
        fault = f"checkpoint {path} is damaged: {type(error).__name__}: {error}"
    faults = [one for one in ranks.gather(fault) if one]
    if faults or found is None:
        raise CheckpointError(faults[0])
    return found


def load_weights(model: nn.Module, path: Path) -> None:
    """Put a checkpoint's weights into a model of the same kind: all of them, or those of a peft model's adapter.

    Raises:
        CheckpointError: If the checkpoint is of another kind or another shape.
    """
    if hasattr(model, "peft_config"):
        # peft takes a second to import and belongs to runs with an adapter only.
        from peft import set_peft_model_state_dict

        if not (path / ADAPTER).is_file():
            raise CheckpointError(
                f"expected an adapter in {path}, got whole weights: resume with the settings of the run"
            )
        result: Any = set_peft_model_state_dict(model, load_file(path / ADAPTER))
        if result.unexpected_keys:
            raise CheckpointError(f"the adapter in {path} does not fit the model: {result.unexpected_keys[:3]} ...")
        return
    if not (path / "config.json").is_file():
        raise CheckpointError(f"expected whole weights in {path}, got none: resume with the settings of the run")
    # Through the model's own loader, which knows about shards, tied weights and renamed ones.
    dtype = next(model.parameters()).dtype
    stored = type(model).from_pretrained(path, dtype=dtype, use_safetensors=True, local_files_only=True)  # type: ignore[attr-defined]
    try:
        model.load_state_dict(stored.state_dict())
    except RuntimeError as error:
        raise CheckpointError(f"the weights in {path} do not fit the model: {error}") from error


def list_checkpoints(directory: Path) -> list[Path]:
    """The checkpoints of a run, oldest first, whether damaged or not."""
    if not directory.is_dir():
        return []
    found = [(int(match[1]), path) for path in directory.iterdir() if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def require_space(directory: Path, needed_bytes: int) -> None:
    """Raise an OSError, before anything is trained, if the disk of `directory` has less free space than is needed."""
    existing = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise OSError(
            f"expected {needed_bytes / 1e9:.1f} GB of free space for checkpoints in {directory}, got "
            f"{free / 1e9:.1f} GB: free some, keep fewer checkpoints or choose another output directory"
        )


def checkpoint_bytes(model: nn.Module, keep: int, besides: int = 0) -> int:
    """Space that a run's checkpoints take at most: `keep` of them, the best and the one being written.

    Each holds the trained weights and two averages per weight in float32, a float32 copy of weights that are not, and
    `besides`: what a critic knows. What shapers and replay remember is not foreseen: it grows with what is played.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    sizes = (p.numel() * (p.element_size() + 8 + (0 if p.dtype == torch.float32 else 4)) for p in trained)
    return (keep + 2) * (sum(sizes) + besides + 2**20)


def _files(directory: Path) -> list[str]:
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _flush(path: Path) -> None:
    """Have the disk hold what was written: a file's content, or a directory's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(temporary: Path, final: Path) -> None:
    if final.exists():  # a directory cannot be renamed over another
        old = final.with_name(f".writing_old_{final.name}")
        final.rename(old)
        temporary.rename(final)
        shutil.rmtree(old)
    else:
        temporary.rename(final)


def _point(link: Path, target: str) -> None:
    """Make `link` a symbolic link to its sibling, in one step."""
    fresh = link.with_name(f".{link.name}_new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target, target_is_directory=True)
    fresh.replace(link)


def _remove_older(directory: Path, keep: int) -> None:
    best = directory / BEST
    kept = best.resolve() if best.exists() else None
    for path in list_checkpoints(directory)[:-keep]:
        if path.resolve() != kept:
            # Renamed first: a half-removed checkpoint must not look like a damaged one.
            gone = path.rename(path.with_name(f".writing_old_{path.name}"))
            shutil.rmtree(gone)
