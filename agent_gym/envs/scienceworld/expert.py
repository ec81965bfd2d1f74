"""The expert of `AgentGym/ScienceWorld-v0`: the solution that scienceworld itself brings, and a way back to it."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from types import MappingProxyType

_DOORS = MappingProxyType(
    {
        "art studio": ("hallway",),
        "bathroom": ("kitchen",),
        "bedroom": ("hallway",),
        "foundry": ("outside",),
        "greenhouse": ("hallway", "outside"),
        "hallway": ("art studio", "bedroom", "greenhouse", "kitchen", "living room", "workshop"),
        "kitchen": ("bathroom", "hallway", "outside"),
        "living room": ("hallway",),
        "outside": ("foundry", "greenhouse", "kitchen"),
        "workshop": ("hallway",),
    }
)
"""Which rooms doors lead to: the house of every task."""
_START = re.compile(r"This (?:room|outside location) is called the ([a-z ]+)\.")
_MOVED = re.compile(r"You (?:move|teleport) to the ([a-z ]+)\.")
_SHUT = "The door is not open."
_NOTHING = "wait1"


class GoldPath:
    """Follows scienceworld's own solution, command by command.

    Where others have played in between, it returns to the room in which it was and goes on from there. That solves the
    task if what they did is in nobody's way; it does not look.
    """

    def __init__(self, path: Sequence[str], *, teleports: bool) -> None:
        """Take the solution, and whether there is a command to teleport."""
        self._path = [_plain(command) for command in path]
        self._teleports = teleports
        self._done = 0
        self._room = self._wanted = ""
        self._shut = self._opened = ""
        """Behind which door, found shut, somebody wanted to go, and which was then opened."""

    def observe(self, command: str | None, observation: str) -> None:
        """Take in where the agent is, and whether the next command of the solution was played."""
        if command is None:
            place = _START.search(observation)
            self._room = self._wanted = place[1] if place else ""
            return
        words = _plain(command)
        on_path = self._room == self._wanted and self._path[self._done : self._done + 1] == [words]
        moved = _MOVED.match(observation)
        if moved:
            self._room = moved[1]
        target = words.removeprefix("go to ")
        if words == f"open door to {self._shut}":
            self._shut, self._opened = "", self._shut
        elif observation == _SHUT and target != self._opened:
            self._shut, on_path = target, False
        if on_path:
            self._done += 1
            self._wanted = self._room

    def act(self) -> str:
        """Return the next command of the solution, or one that leads to where it goes on."""
        if self._shut:
            return f"open door to {self._shut}"
        if self._room != self._wanted:
            return f"teleport to {self._wanted}" if self._teleports else f"go to {_next_room(self._room, self._wanted)}"
        return self._path[self._done] if self._done < len(self._path) else _NOTHING


def _plain(command: str) -> str:
    return " ".join(command.lower().split())


def _next_room(start: str, goal: str) -> str:
    """Return the first room on a shortest way through the house."""
    first = {start: start}
    waiting = deque([start])
    while waiting:
        room = waiting.popleft()
        for to in _DOORS.get(room, ()):
            if to not in first:
                first[to] = to if room == start else first[room]
                waiting.append(to)
    return first.get(goal, goal)
