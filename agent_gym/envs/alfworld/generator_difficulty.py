"""How large and how varied generated games are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent_gym.envs.alfworld.generator_facts import ROOMS, TASK_ROOMS, TASK_TYPES
from agent_gym.errors import BadOptionError, did_you_mean

_FEWEST_RECEPTACLES = 3  # the object's first place, the appliance or lamp, the goal


@dataclass(frozen=True, kw_only=True)
class Difficulty:
    """Limits on what is generated. The defaults are the published games' own variety.

    Attributes:
        task_types: task types to draw from, mixed in the published proportions.
        rooms: sorts of room to draw from.
        max_receptacles: furniture kept in a room, at least 3; ``None`` keeps all 6 to 54 pieces.
        max_objects: portable objects in a room, at least 2; ``None`` is 10 to about 60.
    """

    task_types: tuple[str, ...] = TASK_TYPES
    rooms: tuple[str, ...] = ROOMS
    max_receptacles: int | None = None
    max_objects: int | None = None

    def __post_init__(self) -> None:
        """Refuse words that are not known and limits that leave no game."""
        for name, words, known in (("task_types", self.task_types, TASK_TYPES), ("rooms", self.rooms, ROOMS)):
            if isinstance(words, str) or not words:
                raise BadOptionError(f"{name} must be a tuple with at least one of {', '.join(known)}; got {words!r}")
            for word in words:
                if word not in known:
                    raise BadOptionError(
                        f"{name} may contain {', '.join(known)}; got {word!r}.{did_you_mean(str(word), known)}"
                    )
        for task_type in self.task_types:
            if not set(TASK_ROOMS[task_type]) & set(self.rooms):
                raise BadOptionError(
                    f"{task_type} occurs only in {', '.join(TASK_ROOMS[task_type])}; add one of these to rooms, "
                    f"which is {self.rooms!r}, or leave the task type out"
                )
        for name, limit, fewest in (
            ("max_receptacles", self.max_receptacles, _FEWEST_RECEPTACLES),
            ("max_objects", self.max_objects, 2),
        ):
            if limit is not None and limit < fewest:
                raise BadOptionError(f"{name} must be at least {fewest} or None; got {limit}")

    @property
    def name(self) -> str:
        """A text that equal settings share on every machine: random streams are named by it."""
        return f"{','.join(self.task_types)};{','.join(self.rooms)};{self.max_receptacles};{self.max_objects}"


DIFFICULTIES: Mapping[str, Difficulty] = {
    "standard": Difficulty(),
    "medium": Difficulty(max_receptacles=14, max_objects=16),
    "easy": Difficulty(max_receptacles=8, max_objects=8),
    "pick": Difficulty(task_types=("pick_and_place_simple",)),
    "pick-easy": Difficulty(task_types=("pick_and_place_simple",), max_receptacles=6, max_objects=6),
}
"""Named settings: ``standard`` is like the published games, the others smaller or with one task type."""


def as_difficulty(value: str | Difficulty | None) -> Difficulty:
    """The setting itself, the one of that name, or ``standard`` for ``None``.

    Raises:
        BadOptionError: for an unknown name or another type.
    """
    if value is None:
        return DIFFICULTIES["standard"]
    if isinstance(value, Difficulty):
        return value
    if isinstance(value, str) and value in DIFFICULTIES:
        return DIFFICULTIES[value]
    hint = did_you_mean(value, DIFFICULTIES) if isinstance(value, str) else ""
    raise BadOptionError(f"difficulty must be one of {', '.join(DIFFICULTIES)} or a Difficulty; got {value!r}.{hint}")
