"""An environment that can die, hang, or refuse, for the tests of worker processes."""

import os
import signal
import time
from pathlib import Path

import gymnasium as gym

from agent_gym import TextEnv, keys
from agent_gym.errors import UnknownTaskError

ID = "OddTests/Odd-v0"


class Odd(Exception):  # noqa: N818  its constructor takes what pickle does not give it
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


class OddEnv(TextEnv):
    """Counts. `die` kills its process, `hang` sleeps; with `once` they do so unless the file `marker` exists."""

    splits = ("train",)

    def __init__(self, *, marker=os.devnull, split="train", refuse=False):
        super().__init__(split=split)
        if refuse:
            raise UnknownTaskError("expected to be made, got refuse=True")
        self.marker = Path(marker)

    instructions = "Count."

    def tasks(self, split):
        self._check_split(split)
        return ("train/0", "train/1")

    def make_expert(self):
        return self

    def observe(self, command, observation):
        self.last = observation

    def act(self):
        return f"after {self.last}"

    def _info(self):
        return {
            keys.STATE_KEY: str(self.count),
            keys.ADMISSIBLE_ACTIONS: ("add", "draw"),
            keys.ACTION_VALID: True,
            keys.SUCCESS: False,
            keys.SCORE: 0.0,
            keys.SPLIT: "train",
            keys.SOURCE: "generated",
        }

    def _start(self, task):
        if task not in self.tasks("train"):
            raise UnknownTaskError(f"expected a task, got {task!r}")
        self.count = 0
        return f"{task}, {self.np_random.integers(1000)}", self._info()

    def _act(self, command):
        word, _, once = command.partition(" ")
        first = once == "once" and not self.marker.exists()
        if first:
            self.marker.touch()
        if word == "die" and (first or not once):
            os.kill(os.getpid(), signal.SIGKILL)
        if word == "hang" and (first or not once):
            time.sleep(600)
        if word == "raise":
            raise Odd("this", "that")
        if word == "lose":
            raise ValueError("expected nothing in particular")
        drawn = self.np_random.integers(1000) if word == "draw" else os.getpid() if word == "pid" else 0
        self.count += 1
        return f"{self.count}: {command}, {drawn}", 0.5, command == "end", self._info()

    def _get_state(self):
        return self.count

    def _set_state(self, state):
        self.count = state


if ID not in gym.registry:
    gym.register(ID, entry_point="tests.odd_env:OddEnv", max_episode_steps=1000)
