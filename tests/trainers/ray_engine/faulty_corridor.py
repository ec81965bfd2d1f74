"""The corridor, with accidents: its process is killed, hangs or waits in an episode of a given task, once.

Whatever happens to a run from outside happens while it waits, and not at a time that depends on how quick it is.
"""

import os
import signal
import time
from pathlib import Path
from typing import Any

import gymnasium as gym

from examples.locked_corridor import LockedCorridor

ID = "Example/FaultyCorridor-v0"
HERE = f"{__name__}:{ID}"


class FaultyCorridor(LockedCorridor):
    """A file named after what is to happen, `kill`, `hang` or `wait`, holds the task that it happens in.

    It is called `kill.done` and so on once it happens. What waits goes on when there is a file called `go`.
    """

    def __init__(self, split: str = "train", render_mode: str | None = None, *, accidents: str = "") -> None:
        super().__init__(split=split, render_mode=render_mode)
        self._accidents = accidents

    def _act(self, command: str) -> tuple[str, float, bool, dict[str, Any]]:
        if self._accidents:
            for name, happen in (("kill", self._die), ("hang", self._hang), ("wait", self._wait)):
                file = Path(self._accidents) / name
                if self._is_meant(file):
                    file.rename(file.with_suffix(".done"))
                    happen()
        return super()._act(command)

    def _is_meant(self, file: Path) -> bool:
        try:
            return file.read_text() == self._task_id
        except FileNotFoundError:  # it has happened, in another process perhaps
            return False

    def _die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def _hang(self) -> None:
        time.sleep(3600)

    def _wait(self) -> None:
        while not (Path(self._accidents) / "go").exists():
            time.sleep(0.01)


gym.register(id=ID, entry_point=f"{__name__}:FaultyCorridor", max_episode_steps=40)
