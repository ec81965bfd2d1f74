"""`AgentGym/Rooms-v0`: a row of rooms with four doors each, of which only experience tells where they lead.

The standing benchmark for credit assignment. In regime `slow` almost every episode succeeds, so that comparing episodes
says nothing and only comparing turns does; in `sparse` almost every episode fails; in `tree` every door leads on, and
only the first two decide.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from agent_gym import keys
from agent_gym.core import with_known_settings
from agent_gym.envs.diagnostic import SPLITS, DiagnosticEnv, check_count, check_name, limited, shuffled
from agent_gym.registration import ROOMS
from agent_gym.vector import TextVectorEnv

COMMANDS = ("blue door", "green door", "red door", "white door")
_LAST_TASK = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Regime:
    """What makes one kind of difficulty."""

    rooms: int
    steps: int
    """Limit on an episode's steps."""
    decisive: int = 0
    """0: one door of a room leads on, one back and two nowhere. n: all lead on, and at the exit the first n count."""


REGIMES: Mapping[str, Regime] = {
    "short": Regime(rooms=5, steps=20),
    "slow": Regime(rooms=5, steps=200),
    "sparse": Regime(rooms=11, steps=30),
    "tree": Regime(rooms=10, steps=10, decisive=2),
}


class RoomsEnv(DiagnosticEnv):
    """Find the way out of a row of rooms. Reward 1 on leaving, which is also the only reward.

    A walk by chance through n rooms takes 2n(n + 1) steps on average (60 for 5 rooms), the optimal one n. Behind the
    doors of `tree` a walk by chance succeeds in 1 of 4ⁿ episodes for n decisive doors, and nothing tells before the
    end.

    Example:
        >>> import gymnasium as gym, agent_gym
        >>> env = gym.make("AgentGym/Rooms-v0", regime="slow")
        >>> observation, info = env.reset(options={"task": "train/row-5-000"})
        >>> observation.splitlines()[1]
        'You are in room 1 of 5. It has a blue, a green, a red and a white door.'
        >>> env.unwrapped.optimal_steps("train/row-5-000")
        5
    """

    def __init__(
        self,
        *,
        split: str = "train",
        regime: str = "short",
        rooms: int | None = None,
        layouts: int = 16,
        render_mode: str | None = None,
    ) -> None:
        """Set up the tasks; see `make_rooms` for the settings."""
        self.regime = REGIMES[check_name("regime", regime, list(REGIMES))]
        self.rooms = check_count("rooms", self.regime.rooms if rooms is None else rooms, 2, 99)
        layouts = check_count("layouts", layouts, 1, _LAST_TASK)
        kind = "tree" if self.regime.decisive else "row"
        names = {name: [f"{name}/{kind}-{self.rooms}-{number:03d}" for number in range(layouts)] for name in SPLITS}
        super().__init__(tasks=names, split=split, render_mode=render_mode)
        self._playing = ""
        self._doors: tuple[Mapping[str, str], ...] = ()
        self._room = 0
        self._right = True

    @property
    def instructions(self) -> str:
        """The rules and commands."""
        return (
            f"You are in the first of {self.rooms} rooms that lie in a row; the last one has the exit. Every "
            "room has four doors, and only trying tells where they lead. Find the way out in as few steps as you can.\n"
            f"Commands: {', '.join(COMMANDS)}."
        )

    def optimal_steps(self, task: str) -> int:
        """One step per room."""
        self._check_task(task)
        return self.rooms

    def make_expert(self) -> Guide:
        """Return a player who was told the layout, and walks straight to the exit."""
        return Guide([next(door for door, where in room.items() if where == "on") for room in self._doors])

    def _start(self, task: str) -> tuple[str, dict[str, Any]]:
        self._check_task(task)
        self._playing, self._room, self._right = task, 0, True
        self._doors = _layout(task, self.rooms)
        return f"Your task is to leave by the exit of the last room.\n{self._look()}", self._info()

    def _act(self, command: str) -> tuple[str, float, bool, dict[str, Any]]:
        if command not in COMMANDS:
            return f"There is no such door. {self._look()}", 0.0, False, self._info() | {keys.ACTION_VALID: False}
        where = self._doors[self._room][command]
        if self.regime.decisive:
            if self._room < self.regime.decisive:
                self._right = self._right and where == "on"
            where = "on"
        if where == "on":
            self._room += 1
            said = "You walk on."
        elif where == "back" and self._room:
            self._room -= 1
            said = "You are back in the room before."
        else:
            said = f"The {command} does not lead anywhere."
        out = self._room == self.rooms
        if out:
            said = "You are outside." if self._right else "A guard at the exit turns you away."
        return said if out else f"{said} {self._look()}", float(out and self._right), out, self._info()

    def _look(self) -> str:
        return f"You are in room {self._room + 1} of {self.rooms}. It has a blue, a green, a red and a white door."

    def _info(self) -> dict[str, Any]:
        out = self._room == self.rooms
        won = out and self._right
        if self.regime.decisive:  # how far an episode has come says nothing of how good it is
            key, score = f"{self._room}:{'right' if self._right else 'wrong'}", float(won)
        else:
            key, score = str(self._room), self._room / self.rooms
        return self._frame_info(self._playing, key, () if out else COMMANDS, success=won, score=score)

    def _get_state(self) -> tuple[int, bool]:
        return self._room, self._right

    def _set_state(self, state: tuple[int, bool]) -> None:
        self._room, self._right = state


class Guide:
    """Takes the door that leads on, room by room."""

    def __init__(self, way: list[str]) -> None:
        """Take the right door of each room."""
        self._way = way
        self._room = 0

    def observe(self, command: str | None, observation: str) -> None:
        """Read the number of the room."""
        number = re.search(r"You are in room (\d+) of", observation)
        self._room = int(number[1]) - 1 if number else self._room

    def act(self) -> str:
        """Return the next command."""
        return self._way[self._room]


@functools.cache
def _layout(task: str, rooms: int) -> tuple[Mapping[str, str], ...]:
    """Return where each door of each room leads."""
    return tuple(
        dict(zip(shuffled(COMMANDS, task, room), ("on", "back", "nowhere", "nowhere"), strict=True))
        for room in range(rooms)
    )


@with_known_settings
def make_rooms(
    *,
    split: str = "train",
    regime: str = "short",
    rooms: int | None = None,
    steps: int | None = None,
    layouts: int = 16,
    render_mode: str | None = None,
) -> gym.Env[str, str]:
    """Make the environment with its regime's limit on steps; the entry point of `AgentGym/Rooms-v0`.

    Args:
        split: Where `reset` draws tasks from: `train`, `valid` or `test`; each has its own layouts.
        regime: `short` (5 rooms, 20 steps), `slow` (5, 200), `sparse` (11, 30) or `tree` (10, 10).
        rooms: Number of rooms instead of the regime's.
        steps: Limit on steps instead of the regime's.
        layouts: Tasks per split, the first of a fixed list; 1 is a single problem to learn.
        render_mode: `"ansi"` or `None`.

    Raises:
        BadOptionError: If a setting is not known or out of range.
    """
    env = RoomsEnv(split=split, regime=regime, rooms=rooms, layouts=layouts, render_mode=render_mode)
    return limited(env, env.regime.steps if steps is None else check_count("steps", steps, 1, 100_000))


def rooms_vector_env(num_envs: int, **kwargs: Any) -> TextVectorEnv:
    """Create `num_envs` environments in this process; the vector entry point of `AgentGym/Rooms-v0`."""
    return TextVectorEnv.of(ROOMS, num_envs, **kwargs)
