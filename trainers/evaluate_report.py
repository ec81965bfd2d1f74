"""Evaluations as tables for a terminal; rates and bounds are in percent."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from trainers.evaluate import Difference, Evaluation, Result
from trainers.tables import figures_table


def result_table(title: str, evaluation: Evaluation) -> Table:
    """Return one line per type of task and one for all."""
    table = figures_table(title, "tasks", ("n", "success", "95 % interval", "score", "turns", "invalid", "failed"))
    for name, result in {**evaluation.by_kind, "all": evaluation.all}.items():
        table.add_row(name, *_cells(result), style="bold" if name == "all" else "")
    return table


def _cells(result: Result) -> tuple[str, ...]:
    low, high = result.interval
    return (
        str(result.episodes),
        f"{100 * result.success:.1f}",
        f"{100 * low:.1f} to {100 * high:.1f}",
        f"{100 * result.score:.1f}",
        f"{result.length:.1f}",
        f"{100 * result.invalid_actions:.1f}",
        str(result.failed),
    )


def suite_table(title: str, suite: Mapping[str, Any]) -> Table:
    """Return one line per environment of a suite's summary, one for their mean, and what was left out below."""
    headings = ("split", "tasks", "success", "95 % interval", "score", "turns", "tokens", "failed")
    table = figures_table(title, "environment", headings)
    for name, row in suite["environments"].items():
        table.add_row(
            name + "*" * bool(row["note"]),
            row["split"],
            str(row["tasks"]),
            *_rate(row),
            f"{row['length']:.1f}",
            f"{row['tokens']['completion'] / row['episodes']:.1f}",
            str(row["failed"]),
        )
    if suite["mean"]:
        tasks = sum(row["tasks"] for row in suite["environments"].values())
        table.add_row("mean, each environment once", "", str(tasks), *_rate(suite["mean"]), "", "", "", style="bold")
    notes = [f"* {name}: {row['note']}" for name, row in suite["environments"].items() if row["note"]]
    left_out = [f"left out: {', '.join(suite['left_out'])}"] if suite["left_out"] else []
    table.caption = "\n".join(["turns and tokens of answers: per episode", *notes, *left_out])
    return table


def _rate(row: Mapping[str, Any]) -> tuple[str, str, str]:
    low, high = row["interval"]
    return f"{100 * row['success']:.1f}", f"{100 * low:.1f} to {100 * high:.1f}", f"{100 * row['score']:.1f}"


def comparison_table(differences: Sequence[Difference]) -> Table:
    """Return one line per type of task and one for all: success of both, and B − A with its interval."""
    table = figures_table("B compared with A", "tasks", ("n", "A", "B", "B - A", "95 % interval", "only A", "only B"))
    for one in differences:
        low, high = one.interval
        cells = (
            str(one.tasks),
            f"{100 * one.a:.1f}",
            f"{100 * one.b:.1f}",
            f"{100 * one.difference:+.1f}",
            f"{100 * low:+.1f} to {100 * high:+.1f}",
            str(one.only_a),
            str(one.only_b),
        )
        table.add_row(one.name, *cells, style="bold" if one.name == "all" else "")
    return table
