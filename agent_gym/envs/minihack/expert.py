"""The expert of `AgentGym/MiniHack-v0`: it reads the map, looks round corners, and goes to what is next."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable

from agent_gym.envs.minihack.game import CLOSED, FLOOR, KEY, MOVES, OPEN, PICK_UP, STAIRS, UNLOCK, Cell
from agent_gym.envs.minihack.session import CARRIED, IN_DOORWAY, ON_KEY

_AROUND = tuple(cell for cell in itertools.product((-1, 0, 1), repeat=2) if cell != (0, 0))


class Explorer:
    """Fetches the key, unlocks the door, goes to the stairs; looks for whatever of these it has not seen.

    All it needs stands in the last observation, but for whether the door is unlocked, of which it has been told once.
    """

    def __init__(self) -> None:
        """Wait for the map."""
        self._rows: list[str] = []
        self._carries = self._unlocked = self._on_key = self._in_doorway = False

    def observe(self, command: str | None, observation: str) -> None:
        """Read the map."""
        del command
        lines = observation.splitlines()
        self._unlocked |= "unlocking" in lines[0]
        self._on_key, self._carries, self._in_doorway = (line in lines for line in (ON_KEY, CARRIED, IN_DOORWAY))
        self._rows = [line for line in lines if not line[:1].isalnum()]

    def act(self) -> str:
        """Return the next command."""
        if self._on_key:
            return PICK_UP
        wanted: list[Callable[[Cell], bool]] = [
            lambda cell: self._sign(cell) == STAIRS,
            lambda cell: self._sign(cell) == KEY,
        ]
        door = self._find(CLOSED)
        if door is not None and (self._carries or self._unlocked):
            if not self._unlocked and _distance(self._player, door) == 1:
                return UNLOCK
            if self._unlocked:
                wanted.append(lambda cell: cell == door)
            else:
                wanted.append(lambda cell: _distance(cell, door) == 1)
        wanted.append(self._shows_more)
        for goal in wanted:
            command = self._towards(goal)
            if command is not None:
                return command
        return "go north"

    def _find(self, sign: str) -> Cell | None:
        for row, line in enumerate(self._rows):
            if sign in line:
                return row, line.index(sign)
        return None

    @property
    def _player(self) -> Cell:
        found = self._find("@")
        assert found is not None, "every map shows the player"
        return found

    def _sign(self, cell: Cell) -> str:
        row, column = cell
        if 0 <= row < len(self._rows) and 0 <= column < len(self._rows[row]):
            return self._rows[row][column]
        return " "

    def _shows_more(self, cell: Cell) -> bool:
        """Whether from a place something may be seen that is not on the map yet."""
        return any(self._sign((cell[0] + down, cell[1] + right)) == " " for down, right in _AROUND)

    def _towards(self, goal: Callable[[Cell], bool]) -> str | None:
        """Return the first command of a shortest way to a place other than this one; None if there is no way."""
        start = self._player
        first: dict[Cell, str] = {start: ""}
        waiting = deque([start])
        while waiting:
            cell = waiting.popleft()
            if cell != start and goal(cell):
                return first[cell]
            for command, (_, down, right) in MOVES.items():
                to = (cell[0] + down, cell[1] + right)
                if to not in first and self._passes(cell, to):
                    first[to] = first[cell] or command
                    waiting.append(to)
        return None

    def _passes(self, cell: Cell, to: Cell) -> bool:
        sign, straight = self._sign(to), cell[0] == to[0] or cell[1] == to[1]
        from_doorway = self._sign(cell) == OPEN or (self._in_doorway and cell == self._player)
        if not straight and (from_doorway or sign == OPEN):
            return False
        if sign == CLOSED:
            return self._unlocked and straight
        return sign in (FLOOR, OPEN, KEY, STAIRS, "<")


def _distance(one: Cell, other: Cell) -> int:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])
