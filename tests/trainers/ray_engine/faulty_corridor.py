"""The corridor, with accidents: its process is killed, or hangs, in the middle of an episode of a given task, once."""

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
    """A file named after what is to happen, `kill` or `hang`, holds the task that it happens in."""

    def __init__(self, split: str = "train", render_mode: str | None = None, *, accidents: str = "") -> None:
        super().__init__(split=split, render_mode=render_mode)
        self._accidents = accidents

    def _act(self, command: str) -> tuple[str, float, bool, dict[str, Any]]:
        if self._accidents:
            time.sleep(0.02)  # so that whoever watches the run sees its iterations come
            for name, happen in (("kill", self._die), ("hang", self._hang)):
                file = Path(self._accidents) / name
                if file.exists() and file.read_text() == self._task_id:
                    file.rename(file.with_suffix(".done"))
                    happen()
        return super()._act(command)

    def _die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def _hang(self) -> None:
        time.sleep(3600)


gym.register(id=ID, entry_point=f"{__name__}:FaultyCorridor", max_episode_steps=40)
