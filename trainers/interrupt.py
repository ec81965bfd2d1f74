"""Ctrl-C at a moment of our choosing: never in the middle of an update or of a checkpoint.

SIGTERM, by which batch systems end a job, is taken for it.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Self


class Interruption:
    """While it is entered, Ctrl-C is remembered, and raised as `KeyboardInterrupt` only inside `allowed()`.

    A second Ctrl-C is raised at once, with `forced` set: the moment is then no safe one. Outside the main thread, where
    signals can't be handled, it does nothing.

        with Interruption() as interruption:
            with interruption.allowed():
                play()                         # what is lost here can be played again
            update()                           # finished first, however long it takes
    """

    def __init__(self) -> None:
        self.requested = False
        self.forced = False
        self._allowed = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Take over Ctrl-C."""
        if threading.current_thread() is threading.main_thread():
            self._before = {one: signal.signal(one, self._handle) for one in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give Ctrl-C back."""
        for one, before in self._before.items():
            signal.signal(one, before)

    @contextlib.contextmanager
    def allowed(self) -> Iterator[None]:
        """Let Ctrl-C raise in this block; one that came before is raised at its start."""
        if self.requested:
            raise KeyboardInterrupt
        self._allowed = True
        try:
            yield
        finally:
            self._allowed = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.forced = self.requested
        self.requested = True
        if self._allowed or self.forced:
            raise KeyboardInterrupt
