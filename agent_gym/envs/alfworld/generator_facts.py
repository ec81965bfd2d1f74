"""Facts the generator builds from: 120 rooms with their furniture, what goes where, and how often it does.

The files under ``data/`` are made by ``tools/build_alfworld_facts.py`` from the alfworld wheel and the published games
(both MIT); its docstring says what is exact and what is completed. They are read once, at the first game.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

TASK_TYPES = (
    "pick_and_place_simple",
    "look_at_obj_in_light",
    "pick_clean_then_place_in_recep",
    "pick_heat_then_place_in_recep",
    "pick_cool_then_place_in_recep",
    "pick_two_obj_and_place",
)
ROOMS = ("kitchen", "living", "bedroom", "bathroom")
TASK_ROOMS: Mapping[str, tuple[str, ...]] = {
    "pick_and_place_simple": ROOMS,
    "look_at_obj_in_light": ("living", "bedroom"),
    "pick_clean_then_place_in_recep": ("kitchen", "bathroom"),
    "pick_heat_then_place_in_recep": ("kitchen",),
    "pick_cool_then_place_in_recep": ("kitchen",),
    "pick_two_obj_and_place": ROOMS,
}
"""In which rooms a task type occurs in ALFRED."""
WORDINGS = ("put", "move")


@dataclass(frozen=True, slots=True)
class Receptacle:
    """A piece of furniture that things lie in or on.

    Attributes:
        kind: for instance ``Cabinet``.
        identifier: its name in PDDL, ``Cabinet_bar__minus_00_dot_48_bar_...``.
        position: x, y, z in hundredths of a metre.
        openable: whether it starts closed and can be opened; some cabinets and drawers of the published rooms are not.
        location: PDDL name of the place where the agent stands at it; no two receptacles share one.
    """

    kind: str
    identifier: str
    position: tuple[int, int, int]
    openable: bool
    location: str


@dataclass(frozen=True, slots=True)
class Fixture:
    """A thing that cannot be carried: a lamp, a window, a light switch.

    Attributes:
        kind: for instance ``DeskLamp``.
        identifier: its name in PDDL.
        receptacle: index into the scene's receptacles, or -1 for the walls and the floor.
        location: PDDL name of the place it is seen from.
    """

    kind: str
    identifier: str
    receptacle: int
    location: str


@dataclass(frozen=True, slots=True)
class Scene:
    """One of the 120 rooms.

    Attributes:
        number: of the floor plan, 1 to 430.
        room: one of `ROOMS`.
        held_out: whether the room is kept for the test split.
        receptacles: all furniture, in the order of the data file.
        fixtures: what does not move.
        objects: kinds of portable objects that the room may contain.
        places: x and z of the agent at each receptacle, in quarter metres.
    """

    number: int
    room: str
    held_out: bool
    receptacles: tuple[Receptacle, ...]
    fixtures: tuple[Fixture, ...]
    objects: tuple[str, ...]
    places: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Kinds:
    """What is true of kinds of things, and the frequencies of the published training games.

    Attributes:
        can_contain: receptacle kind to the object kinds it may hold.
        properties: PDDL predicate (``cleanable``, ...) to the object kinds that have it.
        placement: room, object kind, receptacle kind to the number of times seen.
        counts: room, object kind to how often 0, 1, 2, ... of it were in a room that lists the kind.
        task_mix: task type to its number of published training games.
        goal_receptacles: task type, receptacle kind to the number of goals.
        goal_rooms: task type, room to the number of games.
    """

    can_contain: Mapping[str, frozenset[str]]
    properties: Mapping[str, frozenset[str]]
    placement: Mapping[str, Mapping[str, Mapping[str, int]]]
    counts: Mapping[str, Mapping[str, tuple[int, ...]]]
    task_mix: Mapping[str, int]
    goal_receptacles: Mapping[str, Mapping[str, int]]
    goal_rooms: Mapping[str, Mapping[str, int]]


def read_text(name: str) -> str:
    """Text of a file under ``data/``."""
    return (files("agent_gym.envs.alfworld") / "data" / name).read_text(encoding="utf-8")


@cache
def load_scenes() -> Mapping[int, Scene]:
    """All rooms by number."""
    content = json.loads(read_text("scenes.json"))
    held_out = set(content["held_out"])
    return {int(number): _scene(int(number), int(number) in held_out, row) for number, row in content["scenes"].items()}


@cache
def load_kinds() -> Kinds:
    """All facts about kinds."""
    content = json.loads(read_text("kinds.json"))
    return Kinds(
        can_contain={kind: frozenset(held) for kind, held in content["can_contain"].items()},
        properties={name: frozenset(kinds) for name, kinds in content["properties"].items()},
        placement=content["placement"],
        counts={room: {kind: tuple(numbers) for kind, numbers in of.items()} for room, of in content["counts"].items()},
        task_mix=content["task_mix"],
        goal_receptacles=content["goal_receptacles"],
        goal_rooms=content["goal_rooms"],
    )


@cache
def scenes_of(room: str, held_out: bool) -> tuple[Scene, ...]:
    """Rooms of one sort that belong to the test split (``held_out``) or to the others, by number."""
    return tuple(scene for scene in load_scenes().values() if scene.room == room and scene.held_out == held_out)


def thing_identifier(kind: str, position: tuple[int, int, int]) -> str:
    """PDDL name of a thing at x, y, z (hundredths of a metre), spelled as in the published games.

    The part after ``Sink`` and ``Bathtub`` is what the benchmark's naming looks for: basins are written
    ``Sink_bar_..._bar_SinkBasin`` and come out as "sinkbasin 1".
    """
    x, y, z = (_hundredths(value) for value in position)
    if kind in ("SinkBasin", "BathtubBasin"):
        return f"{kind.removesuffix('Basin')}_bar_{x}_bar_{y}_bar_{z}_bar_{kind}"
    return f"{kind}_bar_{x}_bar_{y}_bar_{z}"


def location_identifier(x: int, z: int, rotation: int, horizon: int) -> str:
    """PDDL name of a place and view: quarter metres, quarter turns, degrees."""
    parts = (f"_minus_{-value}" if value < 0 else str(value) for value in (x, z, rotation, horizon))
    return "loc_bar_" + "_bar_".join(parts)


def _hundredths(value: int) -> str:
    sign = "" if value == 0 else "_plus_" if value > 0 else "_minus_"
    return f"{sign}{abs(value) // 100:02d}_dot_{abs(value) % 100:02d}"


def _scene(number: int, held_out: bool, row: Mapping[str, Any]) -> Scene:
    receptacles = tuple(
        Receptacle(kind, thing_identifier(kind, (x, y, z)), (x, y, z), bool(openable), location_identifier(*place))
        for kind, x, y, z, openable, *place in row["receptacles"]
    )
    fixtures = tuple(
        Fixture(kind, thing_identifier(kind, (x, y, z)), receptacle, location_identifier(*place))
        for kind, x, y, z, receptacle, *place in row["fixtures"]
    )
    places = tuple((column[5], column[6]) for column in row["receptacles"])
    return Scene(number, row["room"], held_out, receptacles, fixtures, tuple(row["objects"]), places)
