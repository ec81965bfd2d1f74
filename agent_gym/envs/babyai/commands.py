"""The commands of `AgentGym/BabyAI-v0`, and when each does something."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

ACTIONS = MappingProxyType(
    {"drop": 4, "go forward": 2, "pick up": 3, "toggle": 5, "turn left": 0, "turn right": 1},
)
"""minigrid's number of each command."""

NOTHING = 6
"""minigrid's action "done", which does nothing in these levels."""


def possible(game: Any, command: str) -> bool:
    """Whether a command does something now."""
    if command in ("turn left", "turn right"):
        return True
    ahead = game.grid.get(*game.front_pos)
    if command == "go forward":
        return ahead is None or bool(ahead.can_overlap())
    if command == "pick up":
        return ahead is not None and game.carrying is None and bool(ahead.can_pickup())
    if command == "drop":
        return ahead is None and game.carrying is not None
    if command != "toggle" or ahead is None:
        return False
    if ahead.type == "door" and ahead.is_locked:
        return game.carrying is not None and game.carrying.type == "key" and game.carrying.color == ahead.color
    return ahead.type in ("door", "box")
