"""What somebody sees who waits for a large catalogue: a bar in a terminal, and a line in the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent_gym.search.bm25 import Progress

LARGE = 20_000
"""Products of a catalogue that takes long enough to build for a bar; a smaller one is there within seconds."""

_log = logging.getLogger(__name__)


@contextmanager
def shown_building(products: int) -> Iterator[Progress | None]:
    """Yield what to call during a build, or `None` if the catalogue is small.

    Nothing is shown where the catalogue is in the cache already, for then nothing calls. The bar is drawn on standard
    error, and only if that is a terminal; the beginning of each stage is logged in any case.

    Args:
        products: How many the catalogue has.
    """
    if products < LARGE:
        yield None
        return
    from rich.console import Console  # only for those who wait
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("shop: {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    stages = {}

    def show(what: str, done: int, total: int | None) -> None:
        if what not in stages:
            bar.start()
            stages[what] = bar.add_task(what, total=total)
            _log.info("building a catalogue of %d products: %s", products, what)
        bar.update(stages[what], completed=done)

    try:
        yield show
    finally:
        bar.stop()
