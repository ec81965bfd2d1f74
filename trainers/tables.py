"""Tables of figures for a terminal, a pipe or a file, in which no column is left out for want of room."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_AMPLE = 10_000
"""Columns of a terminal that nothing would have to be squeezed into."""


class _InFull:
    """A table at the width that it needs, whatever the console's is."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        ample = options.update(width=_AMPLE, max_width=_AMPLE)
        needed = Measurement.get(console, ample, self._table).maximum
        yield from console.render(self._table, options.update(width=needed, max_width=needed))


def figures_table(title: str, first: str, headings: Sequence[str]) -> Table:
    """Return an empty table: a column of names, and columns of figures."""
    table = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, show_edge=False, pad_edge=False
    )
    table.add_column(first, no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def show_table(console: Console, table: Table) -> None:
    """Print a table with every column and every cell in full.

    Rich fits a table into the console by cutting cells and leaving out columns, and takes a pipe for 80 columns wide.
    Here a line is as long as the table needs it: a pipe or a file holds it as it is, and a terminal that is narrower
    folds it. Title and caption are lines of their own.
    """
    title, caption = table.title, table.caption
    table.title = table.caption = None
    if title:
        console.print(Text(str(title), "bold"), soft_wrap=True)
    console.print(_InFull(table), crop=False)
    if caption:
        console.print(Text(str(caption), "dim"), soft_wrap=True)
