"""Ctrl-C at a moment of our choosing: never in the middle of an update or of a checkpoint."""

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
        self._before: Any = None

    def __enter__(self) -> Self:
        """Take over Ctrl-C."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give Ctrl-C back."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

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
