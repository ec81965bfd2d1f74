"""The process that makes games, as seen from the one that needs them."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from agent_gym.errors import GameFileError, MissingExtraError

TIMEOUT_S = 900.0
"""After which a game is given up; most take seconds, and `simple` with dense rewards up to a minute."""

EXTRA = "TextWorld needs the engine and what keeps its games: pip install 'agent-gym[textworld]'"

_PROGRAM = Path(__file__).with_name("make_games.py")


class GenerationError(GameFileError):
    """The engine can't make a game of this seed; another seed may do."""


class Maker:
    """Makes one game after the other; its process starts with the first and ends with this one."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def make(self, request: dict[str, Any], directory: Path) -> None:
        """Make the game of a request into a directory.

        Raises:
            GenerationError: If there is none of this seed.
            GameFileError: If it can't be made, with what the engine says.
            MissingExtraError: If the engine is not installed.
        """
        with self._lock:  # there is one answer at a time, whichever thread has asked
            answer = self._ask(json.dumps(request | {"into": os.fspath(directory)}))
        if answer.get("again"):
            raise GenerationError(answer["error"])
        if "error" in answer:
            raise GameFileError(answer["error"])

    def _ask(self, line: str) -> dict[str, Any]:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        patience = threading.Timer(TIMEOUT_S, process.kill)
        patience.daemon = True
        patience.start()
        answer = ""
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        finally:
            patience.cancel()
            if not answer:  # it died, was too slow, or somebody has interrupted us
                self._end()
        if not answer:
            raise GameFileError(
                "the process that makes games has ended before this one was made, killed or after "
                f"{TIMEOUT_S:g} s: try again, or choose a smaller game."
            )
        told: dict[str, Any] = json.loads(answer)
        return told

    def _running(self) -> subprocess.Popen[str]:
        if self._owner != os.getpid():
            self._process = None  # that of another process, of which this one is a copy
        if self._process is None or self._process.poll() is not None:
            if importlib.util.find_spec("textworld") is None:
                raise MissingExtraError(EXTRA)
            self._owner = os.getpid()
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(_PROGRAM)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                env=os.environ | {"PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,  # Ctrl-C is for us, who then end it
            )
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
        self._process = None


MAKER = Maker()
"""The one of this process."""
