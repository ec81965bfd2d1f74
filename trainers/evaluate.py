"""Evaluation as a protocol: a fixed list of tasks, each played equally often, and an interval for the result.

The tasks are those of a split, in its frozen order; decoding is greedy unless said otherwise. The summary holds what
is needed to tell whether two evaluations measured the same thing: versions, the settings, and hashes of the task list
and of the model's files. It holds no times and no absolute paths, so evaluating twice gives the same file.
"""

import hashlib
import json
import platform
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from math import comb
from pathlib import Path
from typing import Any

import numpy as np

from agent_gym import SlotEnv
from agent_gym.errors import BadOptionError, DataNotFoundError
from trainers.policies.base import Policy, Sampling
from trainers.rollout import RolloutStats, play
from trainers.samples import Context
from trainers.statistics import difference_interval, rate_interval, wilson_interval
from trainers.types import Episode, Group

SUMMARY = "summary.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """How one set of tasks went."""

    tasks: int
    episodes: int
    success: float
    """Share of successful episodes."""
    interval: tuple[float, float]
    """95 % of the success rate over tasks: Wilson's for one episode per task, else `rate_interval`."""
    score: float
    length: float
    """Turns per episode."""
    length_of_successes: float | None
    invalid_actions: float
    """Share of turns whose command the environment did not accept."""
    failed: int
    """Episodes that ended in an error of the environment or of a server. They count as not solved."""
    pass_at: dict[str, float]
    """Estimated chance that at least one of k episodes of a task succeeds, by k."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Results of all tasks together, and by type of task."""

    all: Result
    by_kind: dict[str, Result]
    per_task: list[dict[str, Any]]
    """Task, type, and for each of its episodes success and length."""

    def metrics(self, prefix: str = "eval/") -> dict[str, float]:
        """Return the main figures under flat names."""
        figures = {
            "success": self.all.success,
            "success_low": self.all.interval[0],
            "success_high": self.all.interval[1],
            "score": self.all.score,
            "length": self.all.length,
            "invalid_actions": self.all.invalid_actions,
            "failed": float(self.all.failed),
        }
        figures |= {f"success_of_{kind}": result.success for kind, result in self.by_kind.items()}
        return {prefix + name: value for name, value in figures.items()}


def evaluate(
    policy: Policy,
    env: SlotEnv,
    tasks: Sequence[str],
    *,
    context: Context,
    sampling: Sampling,
    samples: int = 1,
    seed: int = 0,
    first_group: int = 0,
    players: Sequence[Policy] | None = None,
    on_episode: Callable[[str, int, Episode], None] | None = None,
) -> tuple[list[Group], RolloutStats]:
    """Play every task `samples` times, to the environment's own limit on steps; see `summarise` for the result.

    Raises:
        BadOptionError: If there is nothing to play, or several greedy episodes of one task are asked for.
    """
    if not tasks:
        raise BadOptionError("expected at least one task to evaluate on, got none: is the split's data there?")
    if samples < 1:
        raise BadOptionError(f"samples must be 1 or more, got {samples}.")
    if samples > 1 and sampling.temperature == 0:
        raise BadOptionError(
            f"samples is {samples}, but greedy episodes of one task are all the same: give a temperature above 0."
        )
    return play(
        policy,
        env,
        tasks,
        group_size=samples,
        sampling=sampling,
        context=context,
        seed=seed,
        first_group=first_group,
        players=players,
        on_episode=on_episode,
    )


def summarise(groups: Sequence[Group]) -> Evaluation:
    """Return the figures of episodes that were played for an evaluation."""
    kinds: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        kinds[group.episodes[0].kind or "unknown"].append(group)
    return Evaluation(
        all=_result(groups),
        by_kind={kind: _result(kinds[kind]) for kind in sorted(kinds)} if len(kinds) > 1 else {},
        per_task=[
            {
                "task": group.task,
                "kind": group.episodes[0].kind,
                "success": [episode.success for episode in group.episodes],
                "length": [len(episode.turns) for episode in group.episodes],
            }
            for group in groups
        ],
    )


def _result(groups: Sequence[Group]) -> Result:
    episodes = [episode for group in groups for episode in group.episodes]
    turns = [turn for episode in episodes for turn in episode.turns]
    wins = [sum(episode.success for episode in group.episodes) for group in groups]
    samples = len(groups[0].episodes)
    solved = [len(episode.turns) for episode in episodes if episode.success]
    if samples == 1:
        interval = wilson_interval(sum(wins), len(groups))
    else:
        interval = rate_interval([won / samples for won in wins])
    return Result(
        tasks=len(groups),
        episodes=len(episodes),
        success=sum(wins) / len(episodes),
        interval=interval,
        score=sum(episode.score for episode in episodes) / len(episodes),
        length=len(turns) / len(episodes),
        length_of_successes=sum(solved) / len(solved) if solved else None,
        invalid_actions=sum(not turn.action_valid for turn in turns) / max(1, len(turns)),
        failed=sum(episode.status == "failed" for episode in episodes),
        pass_at={
            str(k): sum(pass_at(k, samples, won) for won in wins) / len(wins)
            for k in sorted({1, *(2**e for e in range(1, samples.bit_length())), samples})
            if k <= samples
        },
    )


def pass_at(k: int, n: int, successes: int) -> float:
    """Unbiased estimate, from n episodes of a task, of the chance that at least one of k succeeds.

    1 − C(n − c, k) / C(n, k)        c successes out of n     (Chen et al. 2021, arXiv 2107.03374, eq. 1)
    """
    return 1.0 - comb(n - successes, k) / comb(n, k)


# The summary ----------------------------------------------------------------------------------------------------------


def summary(evaluation: Evaluation, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `summary.json` holds.

    Args:
        evaluation: The results.
        about: What was evaluated and how: environment, split, model, sampling.
    """
    tasks = [entry["task"] for entry in evaluation.per_task]
    return {
        **about,
        "task_list": {"tasks": len(tasks), "sha256": hash_tasks(tasks)},
        "versions": versions(),
        "all": asdict(evaluation.all),
        "by_kind": {kind: asdict(result) for kind, result in evaluation.by_kind.items()},
        "per_task": evaluation.per_task,
    }


def hash_tasks(tasks: Sequence[str]) -> str:
    """SHA-256 of a list of task ids, one per line."""
    return hashlib.sha256("".join(f"{task}\n" for task in tasks).encode()).hexdigest()


def hash_model(path: str | Path) -> str | None:
    """SHA-256 over names and contents of a model directory's files; `None` for what is not a directory here."""
    directory = Path(path)
    if not directory.is_dir():
        return None
    total = hashlib.sha256()
    for file in sorted(directory.iterdir()):
        # What a trainer keeps beside the weights to go on from there is not part of the model.
        if file.is_file() and not file.name.startswith(("trainer_state", "manifest")):
            with file.open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
            total.update(f"{file.name} {digest}\n".encode())
    return total.hexdigest()


def versions() -> dict[str, str]:
    """Versions of what a result depends on; of packages that are not installed nothing."""
    found = {"python": platform.python_version()}
    for name in ("agent-gym", "gymnasium", "numpy", "torch", "transformers"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def read_summary(path: str | Path) -> dict[str, Any]:
    """Read a summary from its file or its directory.

    Raises:
        DataNotFoundError: If there is none.
        BadOptionError: If it is none.
    """
    file = Path(path)
    file = file / SUMMARY if file.is_dir() else file
    try:
        loaded = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataNotFoundError(f"expected {SUMMARY} of an evaluation at {str(path)!r}, found none.") from error
    except ValueError as error:
        raise BadOptionError(f"expected {SUMMARY} of an evaluation, got {str(file)!r}: {error}.") from error
    rows = loaded.get("per_task") if isinstance(loaded, dict) else None
    if not isinstance(rows, list) or not rows or not all(map(_is_row, rows)):
        raise BadOptionError(f"expected {SUMMARY} of an evaluation, got {str(file)!r}, which has no results by task.")
    assert isinstance(loaded, dict)  # it has rows
    return loaded


def _is_row(row: Any) -> bool:
    """Whether an entry tells what `compare` reads: a task, its type or none, and how each of its episodes went."""
    if not isinstance(row, dict) or not isinstance(row.get("task"), str):
        return False
    wins = row.get("success")
    plain = isinstance(wins, list) and bool(wins) and all(isinstance(won, bool) for won in wins)
    return plain and isinstance(row.get("kind"), str | None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """How much more often b solves the tasks than a, on the same tasks."""

    name: str
    tasks: int
    a: float
    b: float
    difference: float
    interval: tuple[float, float]
    """95 %, over tasks; see `difference_interval`."""
    only_a: int
    """Tasks that a solves more often."""
    only_b: int


def compare(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    """Return the paired difference of two summaries: by type of task if there are several, then of all.

    Raises:
        BadOptionError: If they are not about the same tasks.
    """
    rates = [{entry["task"]: float(np.mean(entry["success"])) for entry in one["per_task"]} for one in (a, b)]
    if rates[0].keys() != rates[1].keys():
        common = len(rates[0].keys() & rates[1].keys())
        raise BadOptionError(
            f"expected two evaluations of the same tasks, got {len(rates[0])} and {len(rates[1])} tasks with {common} "
            "in common: evaluate both on the same split."
        )
    kinds: dict[str, list[str]] = defaultdict(list)
    for entry in a["per_task"]:
        kinds[entry["kind"] or "unknown"].append(entry["task"])
    sets = {kind: kinds[kind] for kind in sorted(kinds)} if len(kinds) > 1 else {}
    return [_difference(name, tasks, *rates) for name, tasks in {**sets, "all": list(rates[0])}.items()]


def _difference(name: str, tasks: Sequence[str], a: Mapping[str, float], b: Mapping[str, float]) -> Difference:
    gains = [b[task] - a[task] for task in tasks]
    return Difference(
        name=name,
        tasks=len(tasks),
        a=sum(a[task] for task in tasks) / len(tasks),
        b=sum(b[task] for task in tasks) / len(tasks),
        difference=sum(gains) / len(gains),
        interval=difference_interval(gains),
        only_a=sum(gain < 0 for gain in gains),
        only_b=sum(gain > 0 for gain in gains),
    )
