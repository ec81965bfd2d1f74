"""Read what a training run leaves behind: the files of its directory, also while the run is still writing them.

A run directory holds `metrics.jsonl` (one object per iteration and kind of measurement), `episodes.jsonl` (one object
per episode), `summary.json` (the evaluation) and `config.toml` (the resolved configuration). Any of them may be absent,
and a line may be torn where the run was killed: such lines are counted, not fatal, so that one can look at any run.
"""

import contextlib
import json
import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from agent_gym.errors import BadOptionError, DataNotFoundError

EPISODES = "episodes.jsonl"
METRICS = "metrics.jsonl"
SUMMARY = "summary.json"
CONFIG = "config.toml"
CHECKPOINTS = "checkpoints"

Json = dict[str, Any]


def holds_run(directory: Path) -> bool:
    """Whether there is a run to lose: one that stopped before anything was played has only its settings."""
    begun = any((directory / name).exists() for name in (METRICS, CHECKPOINTS))
    return begun and (directory / CONFIG).exists()


@dataclass(slots=True)
class Lines:
    """The objects of a file of JSON lines, in order; iterating reads the file once more."""

    path: Path
    damaged: int = 0
    """Lines that were no JSON object, in the latest pass."""

    def __iter__(self) -> Iterator[Json]:
        """Yield the objects. A file that does not exist has none."""
        self.damaged = 0
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as file:
            for line in file:
                if not line.strip():
                    continue
                try:
                    value = json.loads(line)
                except ValueError:  # torn by a kill, or not UTF-8
                    value = None
                if isinstance(value, dict):
                    yield value
                else:
                    self.damaged += 1


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFiles:
    """A run directory that has been looked at."""

    directory: Path
    name: str
    """The directory's name, for titles."""
    episodes: Lines
    metrics: Lines
    summary: Json
    config: Json
    problems: tuple[str, ...]
    """What could not be read, in words for a person."""


def open_run(directory: str | os.PathLike[str]) -> RunFiles:
    """Look at a run directory.

    Raises:
        DataNotFoundError: If it does not exist, or holds neither episodes nor metrics.
    """
    path = Path(directory)
    if not path.is_dir():
        raise DataNotFoundError(
            f"expected the directory of a training run, got {str(path)!r}, which is no directory: pass what "
            "`agent-gym train --output-dir` was given."
        )
    if not (path / EPISODES).is_file() and not (path / METRICS).is_file():
        raise DataNotFoundError(
            f"expected {METRICS} or {EPISODES} in {str(path)!r}, found neither: is it the directory of a training run?"
        )
    problems: list[str] = []
    return RunFiles(
        directory=path,
        name=path.resolve().name,
        episodes=Lines(path / EPISODES),
        metrics=Lines(path / METRICS),
        summary=_load(path / SUMMARY, json.loads, problems),
        config=_load(path / CONFIG, tomllib.loads, problems),
        problems=tuple(problems),
    )


def _load(path: Path, loads: Any, problems: list[str]) -> Json:
    """A table from a file; empty, and noted as a problem, if the file can't be understood."""
    try:
        value = loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:  # JSONDecodeError, TOMLDecodeError and UnicodeDecodeError are all of this kind
        problems.append(f"{path.name} can't be read: {error}")
        return {}
    if not isinstance(value, dict):
        problems.append(f"{path.name} holds no table")
        return {}
    return value


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[IO[str]]:
    """Open a text file that appears under its name only once it is complete; on an error nothing is left behind.

    Raises:
        BadOptionError: If the file can't be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = draft.open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise BadOptionError(
            f"the output must be a file that can be written, got {str(path)!r} ({error.strerror})."
        ) from error
    try:
        with file:
            yield file
        draft.replace(path)
    except OSError as error:
        raise BadOptionError(f"{str(path)!r} could not be written ({error.strerror}).") from error
    finally:
        draft.unlink(missing_ok=True)


def number(value: Any) -> float | None:
    """A JSON number as a float; anything else, truth values, NaN and infinities included, as None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    result = float(value)
    return result if abs(result) < float("inf") else None  # NaN compares as False
