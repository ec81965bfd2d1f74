"""Two small environments that wrappers are tested on: one of ours, and one as a third party would write it."""

import string

import gymnasium as gym
import pytest

import agent_gym
from agent_gym import TextEnv, keys
from agent_gym.errors import UnknownTaskError

CORRIDOR = "WrapperTest/Corridor-v0"


class CorridorExpert:
    """Walks east; the observations hold nothing that it needs."""

    def observe(self, command, observation):
        """Take in nothing."""

    def act(self):
        return "east"


class CorridorEnv(TextEnv):
    """A corridor of cells 0, 1, 2, …; the agent starts in cell 0 and has to reach the cell that the task names."""

    splits = ("train", "test")

    def __init__(self, split="train", render_mode=None):
        super().__init__(split=split, render_mode=render_mode)
        self._cell = self._goal = 0

    @property
    def instructions(self):
        return "Walk a corridor. Commands: east, west."

    def tasks(self, split):
        self._check_split(split)
        return {"train": ("train/2", "train/3"), "test": ("test/4",)}[split]

    def _start(self, task):
        if task not in (*self.tasks("train"), *self.tasks("test")):
            raise UnknownTaskError(f"no task {task!r}")
        self._cell, self._goal = 0, int(task[-1])
        info = {keys.SPLIT: task.split("/")[0], keys.SOURCE: "generated"}
        return f"A corridor. You are in cell 0.\n\nYour task is to: reach cell {self._goal}.", info | self._told()

    def _act(self, command):
        valid = command == "east" or (command == "west" and self._cell > 0)
        self._cell += {"east": 1, "west": -1}[command] if valid else 0
        won = self._cell == self._goal
        text = f"You are in cell {self._cell}." if valid else "Nothing happens."
        return text, float(won), won, {keys.ACTION_VALID: valid} | self._told()

    def _told(self):
        won = self._cell == self._goal
        commands = ("east",) if self._cell == 0 else ("east", "west")
        key = f"{self._cell} of {self._goal}"
        return {keys.STATE_KEY: key, keys.ADMISSIBLE_ACTIONS: commands, keys.SUCCESS: won, keys.SCORE: float(won)}

    def _get_state(self):
        return self._cell, self._goal

    def _set_state(self, state):
        self._cell, self._goal = state

    def make_expert(self):
        return CorridorExpert()


class EchoEnv(gym.Env):
    """A stranger's environment: text in and out, an empty info, no tasks. It shouts back; three steps."""

    observation_space = gym.spaces.Text(1000, charset=string.printable)
    action_space = gym.spaces.Text(1000, charset=string.printable, min_length=0)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._left = 3
        return "Say something.", {}

    def step(self, action):
        self._left -= 1
        return action.upper() or "(silence)", 0.5, self._left == 0, False, {}


if CORRIDOR not in gym.registry:
    gym.register(
        id=CORRIDOR,
        entry_point=CorridorEnv,  # type: ignore[arg-type]  # Gymnasium calls it by keyword, as its type asks for
        vector_entry_point=lambda **kwargs: agent_gym.TextVectorEnv.of(CORRIDOR, **kwargs),
        max_episode_steps=6,
    )


@pytest.fixture
def corridor():
    """The corridor as `gymnasium.make` gives it, with the limit of six steps."""
    return gym.make(CORRIDOR)


@pytest.fixture
def echo():
    return EchoEnv()
