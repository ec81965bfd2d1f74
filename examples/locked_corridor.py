"""A complete environment of one's own: find the key, open the door (explained in docs/write-your-own-environment.md).

Run it to see the expert play: `python examples/locked_corridor.py`
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym

import agent_gym
from agent_gym import keys
from agent_gym.errors import UnknownSplitError, UnknownTaskError

ID = "Example/LockedCorridor-v0"
SIZES = {"test": (8, 9), "train": (3, 4, 5, 6)}
"""Numbers of rooms in each split: an agent is tested on corridors longer than those it was trained on."""


def layouts(split: str) -> list[str]:
    """Return the ids of a split's tasks: `split/rooms-start-key-door`, rooms counted from 1 at the left end."""
    return sorted(
        f"{split}/{rooms}-{start}-{key}-{door}"
        for rooms in SIZES[split]
        for start in range(1, rooms + 1)
        for key in range(1, rooms + 1)
        for door in range(1, rooms + 1)
        if key != door
    )


class LockedCorridor(agent_gym.TextEnv):
    """A row of rooms. A key lies in one of them; a door in another leads out, for who has the key."""

    splits = ("test", "train")

    def __init__(self, split: str = "train", render_mode: str | None = None) -> None:
        """Set up the lists of tasks; `split` is the one that `reset` draws from."""
        super().__init__(split=split, render_mode=render_mode)
        self._tasks = {name: layouts(name) for name in self.splits}
        self._split_of = {task: name for name, tasks in self._tasks.items() for task in tasks}
        self._task_id = ""
        self._rooms = self._room = self._key = self._door = 1
        self._has_key = False

    @property
    def instructions(self) -> str:
        """The rules, as an agent is told them."""
        return (
            "You are in a corridor of rooms that lie in a row. Find the key, then the door, and open it. "
            "Commands: go left, go right, take key, open door."
        )

    def tasks(self, split: str) -> Sequence[str]:
        """Return the task ids of a split."""
        if split not in self._tasks:
            raise UnknownSplitError(f"split must be one of {self.splits}, got {split!r}.")
        return tuple(self._tasks[split])

    def _start(self, task: str) -> tuple[str, dict[str, Any]]:
        if task not in self._split_of:
            raise UnknownTaskError(
                f"expected a task id such as 'train/3-1-2-3', got {task!r}; tasks(split) lists them."
            )
        numbers = task.split("/")[1].split("-")
        self._rooms, self._room, self._key, self._door = (int(number) for number in numbers)
        self._task_id, self._has_key = task, False
        return f"{self.instructions}\n{self._look()}", self._info(solved=False)

    def _act(self, command: str) -> tuple[str, float, bool, dict[str, Any]]:
        valid = command in self._admissible()
        solved = valid and command == "open door"
        if not valid:
            observation = "That does not work."
        elif command == "take key":
            self._has_key = True
            observation = "You take the key."
        elif solved:
            observation = "The door opens, and you walk out."
        else:
            self._room += 1 if command == "go right" else -1
            observation = self._look()
        return observation, float(solved), solved, self._info(solved=solved) | {keys.ACTION_VALID: valid}

    def _look(self) -> str:
        things = []
        if self._room == self._key and not self._has_key:
            things.append("a key on the floor")
        if self._room == self._door:
            things.append("a locked door")
        seen = f"You see {' and '.join(things)}." if things else "There is nothing here."
        exits = [side for side, there in (("left", self._room > 1), ("right", self._room < self._rooms)) if there]
        return f"{seen} You can go {' or '.join(exits)}."

    def _admissible(self) -> tuple[str, ...]:
        possible = {
            "go left": self._room > 1,
            "go right": self._room < self._rooms,
            "open door": self._room == self._door and self._has_key,
            "take key": self._room == self._key and not self._has_key,
        }
        return tuple(command for command, works in possible.items() if works)

    def _info(self, *, solved: bool) -> dict[str, Any]:
        return {
            # All that decides the future. Empty rooms read alike, so the observation would be no key.
            keys.STATE_KEY: f"{self._task_id}:{self._room}:{self._has_key}:{solved}",
            keys.ADMISSIBLE_ACTIONS: () if solved else self._admissible(),
            keys.SUCCESS: solved,
            keys.SCORE: 1.0 if solved else 0.5 * self._has_key,
            keys.SPLIT: self._split_of[self._task_id],
            keys.SOURCE: "generated",
        }

    def _get_state(self) -> tuple[int, bool]:
        return self._room, self._has_key

    def _set_state(self, state: tuple[int, bool]) -> None:
        self._room, self._has_key = state

    def make_expert(self) -> Sweeper:
        """Return a player who solves every task from what it reads."""
        return Sweeper()


class Sweeper:
    """Walks to the left end, then right to the other, and back; takes and opens what it comes across.

    A corridor of n rooms is left after at most 3n commands.
    """

    def __init__(self) -> None:
        """Start with empty hands, walking left."""
        self._has_key = False
        self._direction = "left"
        self._seen = ""

    def observe(self, command: str | None, observation: str) -> None:
        """Remember the room last described, and the key once it is taken."""
        if observation.startswith("You take the key"):
            self._has_key = True
            self._seen = self._seen.replace("a key", "")
        elif "You can go" in observation:
            self._seen = observation.splitlines()[-1]
        if self._direction not in self._seen.partition("You can go")[2]:
            self._direction = "right" if self._direction == "left" else "left"

    def act(self) -> str:
        """Return the next command."""
        if "a key" in self._seen:
            return "take key"
        if "a locked door" in self._seen and self._has_key:
            return "open door"
        return f"go {self._direction}"


def make_vector(num_envs: int, **settings: Any) -> agent_gym.TextVectorEnv:
    """Make many corridors in one process."""
    return agent_gym.TextVectorEnv.of(ID, num_envs, **settings)


gym.register(
    ID,
    entry_point=f"{__name__}:LockedCorridor",
    vector_entry_point=f"{__name__}:make_vector",
    max_episode_steps=40,
)


def main() -> None:
    """Let the expert play one task of each split."""
    env = gym.make(ID)
    for task in ("train/5-3-5-1", "test/8-4-2-7"):
        observation, info = env.reset(options={"task": task})
        print(f"--- {task}\n{observation}")
        ended = False
        while not ended:
            command = env.unwrapped.expert_action()  # type: ignore[attr-defined]  # every TextEnv has it
            observation, reward, terminated, truncated, info = env.step(command)
            ended = terminated or truncated
            print(f"> {command}\n{observation}")
        print(f"success: {info['success']}, reward {reward:g}\n")


if __name__ == "__main__":
    main()
