"""NetHack as `AgentGym/MiniHack-v0` plays it: levels of the package minihack, driven key by key through nle.

minihack compiles the level. Its own `step` is not used, so that chance can be drawn anew for each command.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import gymnasium as gym
import numpy as np

from agent_gym.envs.diagnostic import digest
from agent_gym.errors import MissingExtraError

Cell = tuple[int, int]

LEVELS = MappingProxyType(
    {
        "KeyRoom-Fixed-S5": 200,
        "KeyRoom-S15": 400,
        "KeyRoom-S5": 200,
        "Room-Random-15x15": 300,
        "Room-Random-5x5": 100,
    }
)
"""Levels by their name in minihack, without `MiniHack-` and version, and minihack's limit on steps."""

MOVES = MappingProxyType(
    {
        "go east": ("l", 0, 1),
        "go north": ("k", -1, 0),
        "go northeast": ("u", -1, 1),
        "go northwest": ("y", -1, -1),
        "go south": ("j", 1, 0),
        "go southeast": ("n", 1, 1),
        "go southwest": ("b", 1, -1),
        "go west": ("h", 0, -1),
    }
)
"""The key of each way to go, and how it changes row and column."""

PICK_UP, UNLOCK = "pick up key", "unlock door"
KEY, STAIRS, CLOSED, OPEN, FLOOR = "(", ">", "+", "/", "."
_DOORS = MappingProxyType({12: FLOOR, 13: OPEN, 14: OPEN, 15: CLOSED, 16: CLOSED})
"""NetHack draws open doors as walls; the places of doors in its table of map symbols, and our signs."""
_OBSERVED = ("glyphs", "chars", "message", "blstats", "inv_strs", "inv_letters", "internal")
_TIME, _SCORE = 20, 9
"""Places in `blstats` of what a state key leaves out."""
_MORE = 40
"""Most keys that dismiss pages of messages."""


@dataclass(frozen=True, slots=True)
class View:
    """What NetHack shows after a command."""

    message: str
    rows: tuple[str, ...]
    """The map, from the first row with something on it; `@` is the player."""
    at: Cell
    """Row and column of the player on the whole map."""
    corner: Cell
    """Row and column of the first sign of `rows` on the whole map."""
    key_letter: str
    """Under which the key is carried; empty without it."""
    on_stairs: bool
    digest: str
    """Of map, inventory and attributes."""

    def signs(self) -> dict[Cell, str]:
        """Return what is drawn, by row and column on the whole map."""
        top, left = self.corner
        return {
            (top + row, left + column): sign
            for row, line in enumerate(self.rows)
            for column, sign in enumerate(line)
            if sign != " "
        }


@functools.cache
def _package() -> Any:
    """Import minihack.

    Raises:
        MissingExtraError: Without it, or without what it needs.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of setuptools, about the part of it that minihack uses
            import minihack
            from nle import nethack
    except ImportError as error:
        raise MissingExtraError(
            f"AgentGym/MiniHack-v0 needs the packages nle and minihack, and setuptools before version 82 ({error}): "
            "pip install 'agent-gym[minihack]'"
        ) from error
    del minihack
    return nethack


def check_installed() -> None:
    """Find out whether minihack and nle are there.

    Raises:
        MissingExtraError: If they are not.
    """
    _package()


class Game:
    """One game of NetHack in a level; what happens by chance is drawn from the seeds that are given."""

    def __init__(self, level: str) -> None:
        """Compile the level.

        Raises:
            MissingExtraError: Without minihack.
        """
        self._doors = {_package().GLYPH_CMAP_OFF + place: sign for place, sign in _DOORS.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Gymnasium, about the spaces of minihack
            self._env = gym.make(
                f"MiniHack-{level}-v0", observation_keys=("chars", "message"), disable_env_checker=True
            ).unwrapped
        places = self._env._observation_keys  # type: ignore[attr-defined]  # minihack's own
        self._places = {name: places.index(name) for name in _OBSERVED}
        self._nethack = self._env.nethack  # type: ignore[attr-defined]  # nle's own

    def start(self, core: int, display: int) -> View:
        """Start the game that two seeds decide."""
        self._env.seed(core, display, reseed=False)  # type: ignore[attr-defined]  # likewise
        self._env.reset()
        return self._view(self._env.last_observation)  # type: ignore[attr-defined]  # likewise

    def press(self, keys: Sequence[str], seed: int) -> View:
        """Press keys, one after the other, then dismiss what waits to be read; chance is drawn from `seed` alone."""
        self._nethack.set_current_seeds(seed, seed, False)
        for key in keys:
            observation, _ = self._nethack.step(ord(key))
        for _ in range(_MORE):
            internal = observation[self._places["internal"]]
            if not any(internal[1:4]):  # a question, a text to type, more to read
                break
            observation, _ = self._nethack.step(13 if internal[3] else 27)
        return self._view(observation)

    def close(self) -> None:
        """End the game and remove its directory."""
        self._env.close()

    def _view(self, observation: Any) -> View:
        glyphs, chars, message, stats, things, letters, internal = (
            observation[self._places[name]] for name in _OBSERVED
        )
        drawn = chars != ord(" ")
        filled = np.flatnonzero(drawn.any(axis=1)).tolist()
        left, *_, right = np.flatnonzero(drawn.any(axis=0)).tolist()
        rows = []
        for row in range(filled[0], filled[-1] + 1):
            symbols = zip(glyphs[row, left : right + 1].tolist(), chars[row, left : right + 1].tolist(), strict=True)
            rows.append("".join([self._doors.get(glyph) or chr(sign) for glyph, sign in symbols]).rstrip())
        carried = [
            (chr(letter), _text(thing)) for letter, thing in zip(letters.tolist(), things, strict=True) if letter
        ]
        told = [value for place, value in enumerate(stats.tolist()) if place not in (_TIME, _SCORE)]
        return View(
            message=_text(message),
            rows=tuple(rows),
            at=(int(stats[1]), int(stats[0])),
            corner=(filled[0], left),
            key_letter=next((letter for letter, thing in carried if "key" in thing.lower()), ""),
            on_stairs=bool(internal[4]),
            digest=f"{digest(rows, told, carried):016x}",
        )


def _text(signs: Any) -> str:
    """Return what NetHack wrote into a field that is filled up with zeros."""
    return bytes(signs).rstrip(b"\0").decode("latin-1")
