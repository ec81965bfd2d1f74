"""Evaluations as tables for a terminal; rates and bounds are in percent."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from trainers.evaluate import Difference, Evaluation, Result


def result_table(title: str, evaluation: Evaluation) -> Table:
    """Return one line per type of task and one for all."""
    table = _table(title, ("n", "success", "95 % interval", "score", "turns", "invalid", "failed"))
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


def comparison_table(differences: Sequence[Difference]) -> Table:
    """Return one line per type of task and one for all: success of both, and B − A with its interval."""
    table = _table("B compared with A", ("n", "A", "B", "B - A", "95 % interval", "only A", "only B"))
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


def _table(title: str, headings: Sequence[str]) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, show_edge=False, pad_edge=False
    )
    table.add_column("tasks", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table
