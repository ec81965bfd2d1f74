"""Where the results of a study lie, and which of them count.

    files   <results>/<arena>/<method>-lr<rate>-<seed>.json      one per run, written whole or not at all
    lines   <results>/<arena>.jsonl                              one line per run

Lines are appended as runs end, by one process, each flushed to the disk before the next: one that was torn by a kill is
passed over, and its run is done again. A later line of a run takes the place of an earlier one. When nothing is left to
do, the lines are sorted, so that the same results make the same file.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agent_gym.errors import BadOptionError
from trainers.bench.study import Results, Run, Study
from trainers.run_files import written_whole

Json = dict[str, Any]


def load_results(study: Study, directory: Path) -> tuple[Results, list[str]]:
    """Read the results that belong to a study as it is now.

    Returns:
        The results, and what else was found: results whose configuration was another one, by file or line.

    Raises:
        BadOptionError: If something that is stored is no result.
    """
    results: Results = {}
    stale: list[str] = []
    for arena in study.arenas:
        found = _of_lines(directory / f"{arena}.jsonl") if study.store == "lines" else _of_files(directory, arena)
        for name, run, result in found:
            known = run is not None and run.arena == arena and run.method in study.methods
            if run is not None and known and result["fingerprint"] == study.fingerprint(run):
                results[run] = result
            else:
                stale.append(name)
    return results, stale


def write_file(directory: Path, run: Run, result: Mapping[str, Any]) -> None:
    """Write the result of a run as a file of its own."""
    path = directory / run.path
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as file:
        file.write(_dumps(result) + "\n")


def append_line(directory: Path, run: Run, result: Mapping[str, Any]) -> None:
    """Append the result of a run to the lines of its arena."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{run.arena}.jsonl"
    torn = _ends_torn(path)
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write("\n" * torn + _dumps(result) + "\n")
        file.flush()
        os.fsync(file.fileno())


def sort_lines(study: Study, directory: Path) -> None:
    """Sort the lines of each arena by method, rate and seed, and leave out those that later ones have replaced."""
    for arena in study.arenas:
        path = directory / f"{arena}.jsonl"
        if path.is_file():
            newest = {run: result for _, run, result in _of_lines(path)}
            with written_whole(path) as file:
                for run in sorted(newest, key=lambda run: (run.method, run.rate or 0.0, run.seed)):
                    file.write(_dumps(newest[run]) + "\n")


def _of_files(directory: Path, arena: str) -> Iterator[tuple[str, Run | None, Json]]:
    """Name, run and content of each file; no run where the file is not named after it."""
    for path in sorted((directory / arena).glob("*.json")):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            run = _run_of(result)
        except (ValueError, KeyError, TypeError) as error:
            raise BadOptionError(f"expected the result of a run in {path}, got {error!r}: delete it.") from error
        yield str(path), run if path == directory / run.path else None, result


def _of_lines(path: Path) -> Iterator[tuple[str, Run, Json]]:
    """Name, run and content of each line that is whole."""
    if not path.is_file():
        return
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            result = json.loads(line)
        except ValueError:  # torn by a kill, or empty
            continue
        name = f"{path}, line {number}"
        try:
            yield name, _run_of(result), result
        except (KeyError, TypeError) as error:
            raise BadOptionError(f"expected the result of a run in {name}, got {error!r}: delete it.") from error


def _run_of(result: Json) -> Run:
    result["fingerprint"]
    return Run(arena=result["arena"], method=result["method"], seed=result["seed"], rate=result["rate"])


def _ends_torn(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:  # not there, or empty
        return False


def as_stored(result: Mapping[str, Any]) -> Json:
    """A result as it is read back, with four decimals: what is decided on it must not depend on who asks first."""
    stored: Json = json.loads(_dumps(result))
    return stored


def _dumps(result: Mapping[str, Any]) -> str:
    """JSON with four decimals, for small files and differences that can be read; the rate, which names a run, whole."""
    return json.dumps(_rounded(result) | {"rate": result["rate"]})


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) and abs(value) >= 1e-3 else value
