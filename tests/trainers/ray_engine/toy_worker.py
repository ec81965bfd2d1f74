"""A worker without environments and model, whose tasks say what happens to it."""

import os
import signal
import time
from typing import Any

from agent_gym.errors import BadOptionError


class ToyWorker:
    """Does what the first of a stretch's tasks says."""

    def ready(self) -> None:
        pass

    def play(self, stretch: Any, version: int, weights: list[Any]) -> tuple[str, int]:
        word = stretch.tasks[0]
        if word == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if word == "hang":
            time.sleep(3600)
        if word == "refuse":
            raise BadOptionError("there is no such task.")
        return word, version
