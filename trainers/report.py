"""Turn a run directory into one HTML file that needs nothing else: curves, tasks, and every episode step by step.

How the file is built, and why:

- Text that a model or an environment wrote never stands in the page as markup. All data are gzipped and base64-coded
  inside inert `<script>` blocks, and the page's own script puts them on screen as text nodes only. A
  Content-Security-Policy allows exactly that script and that style sheet, by hash, and no connection at all.
- Episodes lie in chunks that are unpacked when someone looks into them, so that a report of tens of thousands of
  episodes opens at once. The episodes of a group share a chunk wherever the run wrote them one after the other.
- Reading is one pass with one chunk in memory. The same run directory gives the same bytes.
"""

import base64
import gzip
import hashlib
import html
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import Any

from trainers.metric_meanings import meaning_of
from trainers.run_files import EPISODES, METRICS, Json, Lines, RunFiles, number, open_run, written_whole

SCRIPTS = ("base.js", "charts.js", "tables.js", "episode.js", "main.js")
COLUMNS = (
    *("chunk", "iteration", "task", "member", "status", "split", "kind", "player"),
    *("success", "score", "return", "turns", "invalid", "advantage"),
)
"""What the page's lists and filters go by."""
CHUNK_CHARACTERS = 400_000
"""Of episode text per chunk, before packing: what is unpacked when an episode is opened, a few milliseconds' work."""


def view(run_dir: str | os.PathLike[str], output: str | os.PathLike[str] | None = None) -> Path:
    """Write the report of a run, finished or not.

    Args:
        run_dir: Directory of the run. Of its files only one of metrics and episodes has to be there.
        output: File to write, replaced if it exists; by default `report.html` in `run_dir`.

    Returns:
        The file.

    Raises:
        DataNotFoundError: If `run_dir` is not the directory of a run.
        BadOptionError: If the file can't be written.
    """
    run = open_run(run_dir)
    path = Path(output) if output is not None else run.directory / "report.html"
    with written_whole(path) as file:
        head, tail = _page(run.name)
        file.write(head)
        index = _Index()
        for number_of_chunk, chunk in enumerate(_chunks(run.episodes, index)):
            file.write(_block(f"chunk-{number_of_chunk}", chunk))
        file.write(_block("index", _overview(run, index)))
        file.write(tail)
    return path


@dataclass(slots=True)
class _Index:
    """What the page knows of every episode before its text is unpacked: one list per property, all of one length."""

    tasks: dict[str, int] = field(default_factory=dict)
    """Task id to its number, in order of appearance."""
    labels: dict[str, int] = field(default_factory=dict)
    """Statuses, splits, task types and players, likewise numbered."""
    columns: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in COLUMNS})

    def add(self, episode: Json, chunk: int) -> None:
        """Note an episode; properties that it lacks are None."""
        turns = episode["turns"]
        advantages = [value for turn in turns if (value := number(turn.get("advantage"))) is not None]
        bad = sum(turn.get("action_valid") is False or turn.get("format_valid") is False for turn in turns)
        success = episode.get("success")
        row = {
            "chunk": chunk,
            "iteration": number(episode.get("iteration")),
            "task": self.tasks.setdefault(str(episode.get("task")), len(self.tasks)),
            "member": number(episode.get("member")),
            "status": self._label(episode.get("status")),
            "split": self._label(episode.get("split")),
            "kind": self._label(episode.get("kind", episode.get("task_type"))),
            "player": self._label(episode.get("player")),  # none where it is who learns: others are not counted
            "success": int(success) if isinstance(success, bool) else None,
            "score": number(episode.get("score")),
            "return": number(episode.get("return")),
            "turns": len(turns),
            "invalid": bad,
            "advantage": round(sum(advantages) / len(advantages), 4) if advantages else None,
        }
        for name, column in self.columns.items():
            column.append(row[name])

    def _label(self, value: Any) -> int | None:
        return self.labels.setdefault(value, len(self.labels)) if isinstance(value, str) else None


def _chunks(episodes: Lines, index: _Index) -> Iterator[list[Json]]:
    """Cut the episodes into chunks of about `CHUNK_CHARACTERS`, preferably between two groups, and note each."""
    chunk: list[Json] = []
    count = size = 0
    last_group: tuple[Any, Any] | None = None
    for episode in episodes:
        turns = episode.get("turns")
        episode["turns"] = [turn for turn in turns if isinstance(turn, dict)] if isinstance(turns, list) else []
        group = (episode.get("iteration"), episode.get("task"))
        # A group far larger than a chunk is cut all the same: the page finds its members wherever they are.
        if size > CHUNK_CHARACTERS and (group != last_group or size > 8 * CHUNK_CHARACTERS):
            yield chunk
            chunk, size, count = [], 0, count + 1
        index.add(episode, count)
        chunk.append(episode)
        size += sum(len(str(turn.get("observation"))) + len(str(turn.get("answer"))) + 200 for turn in episode["turns"])
        last_group = group
    if chunk:
        yield chunk


def _overview(run: RunFiles, index: _Index) -> Json:
    """Everything but the text of the episodes; the metrics are read here."""
    metrics = _metric_rows(run.metrics)
    problems = list(run.problems)
    for lines, name in ((run.metrics, METRICS), (run.episodes, EPISODES)):
        if lines.damaged:
            were = "line was" if lines.damaged == 1 else "lines were"
            problems.append(f"{lines.damaged} damaged {were} left out of {name}")
    return {
        "run": run.name,
        "problems": problems,
        "config": run.config,
        "summary": run.summary,
        "metrics": metrics,
        "meanings": {name: str(one) for name in sorted({*chain(*metrics)}) if (one := meaning_of(name)) is not None},
        "tasks": list(index.tasks),
        "labels": list(index.labels),
        "episodes": index.columns,
    }


def _metric_rows(lines: Lines) -> list[Json]:
    """One row per iteration with all of its numbers under flat names; of repeated values the latest counts.

    A run that was resumed may have written an iteration twice, and evaluation may come as a line of its own.
    """
    rows: dict[float, Json] = {}
    for line in lines:
        flat = dict(_flat(line))
        iteration = flat.pop("iteration", None)
        if iteration is not None:
            rows.setdefault(iteration, {"iteration": iteration}).update(flat)
    return [rows[iteration] for iteration in sorted(rows)]


def _flat(table: Json, prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a nested table, named by their path: `{"loss": {"kl": 0.1}}` gives `("loss/kl", 0.1)`."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}/")
        elif (plain := number(value)) is not None:
            yield f"{prefix}{name}", plain


def _block(name: str, value: Any) -> str:
    """A script block that no browser runs, with a value as base64 of gzipped JSON: letters, digits, + / and = only."""
    packed = gzip.compress(json.dumps(_plain(value), separators=(",", ":")).encode("ascii"), 6, mtime=0)
    return f'<script type="text/plain" id="{name}">{base64.b64encode(packed).decode("ascii")}</script>\n'


def _plain(value: Any) -> Any:
    """The value without what JSON lacks: numbers that are not finite become None, dates of a TOML file text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return number(value)
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else str(value)


def _page(name: str) -> tuple[str, str]:
    """The page before and after its data."""
    assets = resources.files("trainers") / "report_assets"
    script = "".join((assets / part).read_text(encoding="utf-8") for part in SCRIPTS)
    script = f'"use strict";(() => {{\n{script}}})();'
    style = (assets / "report.css").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    page = (assets / "report.html").read_text(encoding="utf-8")
    for mark, text in (("POLICY", policy), ("NAME", html.escape(name).replace("@", "&#64;")), ("STYLE", style)):
        page = page.replace(f"@@{mark}@@", text)
    head, _, tail = page.partition("@@DATA@@")
    return head, tail.replace("@@SCRIPT@@", script)


def _hash(text: str) -> str:
    """What a Content-Security-Policy calls the source of an inline block."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
