"""Rebuild ``agent_gym/envs/alfworld/data/{scenes,kinds}.json`` from the alfworld wheel and the published games.

Run as ``python tools/build_alfworld_facts.py [--data DIRECTORY] [--check]``, with the ``alfworld`` package installed
(nothing of it is imported except ``gen/constants.py``) and the games in ``--data``, ``ALFWORLD_DATA`` or
``../shared/data/alfworld``. Only facts are taken: which furniture stands where in the 120 rooms, which receptacle may
hold which object, what can be heated, and how often the published games put what where. Both sources are MIT licensed
(ALFWorld, Shridhar and others 2020; ALFRED, Shridhar and others 2019).

Furniture is the same in every published game of a room, so one game completes a room exactly. Rooms without a game
get the wheel's list of reachable furniture plus what the wheel names for the room but does not locate (stove burners,
toaster, bin, holders), at made-up coordinates. Tried on the 88 rooms with games, that finds 1,637 of their 1,804
pieces, none of a kind that is not there, and misses mostly cabinets and drawers.

Priors of placement, counts and goals come from training games only.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
ABOUT = (
    "Facts from ALFWorld 0.4.2 and its published games (MIT, 2020 Mohit Shridhar and others) and ALFRED (MIT, 2019); "
    "made by tools/build_alfworld_facts.py, which explains them"
)
TARGET = REPOSITORY / "agent_gym" / "envs" / "alfworld" / "data"
ROOMS = {"kitchen": range(1, 31), "living": range(201, 231), "bedroom": range(301, 331), "bathroom": range(401, 431)}
# 10, 219, 308 and 424 are the scenes of the benchmark's valid_unseen; the other eight occur in no published train game.
HELD_OUT = (9, 10, 29, 215, 219, 226, 308, 315, 325, 404, 424, 425)
PROPERTIES = ("pickupable", "cleanable", "heatable", "coolable", "sliceable", "toggleable", "isReceptacleObject")
# Task counts of the benchmark's 3,553 training games (ALFWorld paper, table of the data set).
TASK_MIX = {
    "pick_and_place_simple": 790,
    "look_at_obj_in_light": 308,
    "pick_clean_then_place_in_recep": 650,
    "pick_heat_then_place_in_recep": 459,
    "pick_cool_then_place_in_recep": 533,
    "pick_two_obj_and_place": 813,
}
ESCAPES = (("_bar_", "|"), ("_minus_", "-"), ("_plus_", "+"), ("_dot_", "."))
HORIZONS = (45, 60, 30, 0, 15, -30)

Location = tuple[int, int, int, int]


@dataclass(frozen=True)
class PublishedGame:
    """What one published game says: its facts by predicate, and its task.

    Attributes:
        scene: number of the floor plan.
        training: whether it belongs to the benchmark's training split.
        task_type: one of the six task types.
        parent: kind of the goal's receptacle, or "".
        facts: predicate name to the argument tuples of the initial state, in the file's order.
    """

    scene: int
    training: bool
    task_type: str
    parent: str
    facts: dict[str, list[tuple[str, ...]]]


def main(arguments: list[str] | None = None) -> int:
    """Write both files, or with ``--check`` only compare; returns the exit status."""
    parser = argparse.ArgumentParser(description="rebuild the generator's facts")
    parser.add_argument("--data", type=Path, default=None, help="directory that holds json_2.1.1")
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    options = parser.parse_args(arguments)
    data = options.data or Path(os.environ.get("ALFWORLD_DATA", REPOSITORY.parent / "shared" / "data" / "alfworld"))
    wheel = _find_wheel()
    constants = _load_constants(wheel)
    games = list(_read_games(data / "json_2.1.1"))
    scenes = _scene_facts(wheel / "gen" / "layouts", constants, games)
    kinds = _kind_facts(constants, scenes, games)
    status = 0
    for name, content in (("scenes.json", _dump(scenes)), ("kinds.json", _dump(kinds))):
        path = TARGET / name
        if options.check:
            same = path.exists() and path.read_text() == content
            status |= not same
            sys.stdout.write(f"{name}: {'unchanged' if same else 'differs'}\n")
        else:
            path.write_text(content)
            sys.stdout.write(f"{name}: {len(content)} bytes\n")
    return status


def _find_wheel() -> Path:
    """Directory of the installed alfworld package, found without importing it."""
    spec = importlib.util.find_spec("alfworld")
    if spec is None or spec.origin is None:
        raise SystemExit("the alfworld package is needed to rebuild the facts: pip install alfworld==0.4.2")
    return Path(spec.origin).parent


def _load_constants(wheel: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("alfworld_constants", wheel / "gen" / "constants.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _read_games(root: Path) -> Iterator[PublishedGame]:
    paths = sorted(root.glob("*/*/*/game.tw-pddl"))
    if not paths:
        raise SystemExit(f"no game.tw-pddl under {root}: give --data or ALFWORLD_DATA")
    for path in paths:
        problem = json.loads(path.read_text())["pddl_problem"]
        described = json.loads((path.parent / "traj_data.json").read_text())
        init = problem[problem.index("(:init") : problem.index("(:goal")]
        facts: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        for predicate, names in re.findall(r"\((\w+)((?: [^\s()]+)+)\)", init):
            facts[predicate].append(tuple(names.split()))
        yield PublishedGame(
            scene=described["scene"]["scene_num"],
            training="train" in path.relative_to(root).parts[0],
            task_type=described["task_type"],
            parent=described["pddl_params"]["parent_target"],
            facts=facts,
        )


def _split_id(identifier: str) -> tuple[str, list[int]]:
    """Kind and position in hundredths: ``Sink|-01.11|+00.93|+00.34|SinkBasin`` is a ``SinkBasin`` at [-111, 93, 34]."""
    for old, new in ESCAPES:
        identifier = identifier.replace(old, new)
    kind, x, y, z, *part = identifier.split("|")
    return part[0] if part else kind, [round(100 * float(number)) for number in (x, y, z)]


def _split_location(name: str) -> Location:
    x, z, rotation, horizon = (
        int(part) for part in name.removeprefix("loc_bar_").replace("_minus_", "-").split("_bar_")
    )
    return x, z, rotation, horizon


def _free_location(wanted: Location, taken: set[Location]) -> Location:
    """The wanted location, or the nearest variation of view and place that nobody has; it is added to ``taken``."""
    x, z, rotation, horizon = wanted
    views = [wanted, *((x, z, turn, tilt) for turn in (rotation, 0, 1, 2, 3) for tilt in HORIZONS)]
    steps = sorted(
        ((dx, dz) for dx in range(-4, 5) for dz in range(-4, 5)), key=lambda step: (abs(step[0]) + abs(step[1]), step)
    )
    views += [(x + dx, z + dz, rotation, horizon) for dx, dz in steps]
    location = next(view for view in views if view not in taken)
    taken.add(location)
    return location


def _scene_facts(layouts: Path, constants: ModuleType, games: list[PublishedGame]) -> dict[str, Any]:
    published: dict[int, PublishedGame] = {}
    for game in games:
        published.setdefault(game.scene, game)
    kinds = set(constants.VAL_RECEPTACLE_OBJECTS) - set(constants.MOVABLE_RECEPTACLES)
    pickupable = {_split_id(name)[0] for game in games for (name,) in game.facts["pickupable"]}
    scenes = {}
    for room, numbers in ROOMS.items():
        for number in numbers:
            named = set(json.loads((layouts / f"FloorPlan{number}-objects.json").read_text()))
            if number in published:
                receptacles, fixtures = _furniture_of_game(published[number])
            else:
                located = json.loads((layouts / f"FloorPlan{number}-openable.json").read_text())
                receptacles, fixtures = _furniture_of_layout(located, named & kinds, named)
            scenes[str(number)] = {
                "room": room,
                "published": number in published,
                "receptacles": receptacles,
                "fixtures": fixtures,
                "objects": sorted(named & pickupable),
            }
    return {"about": ABOUT, "held_out": list(HELD_OUT), "scenes": scenes}


def _furniture_of_game(game: PublishedGame) -> tuple[list[list[Any]], list[list[Any]]]:
    """Rows ``[kind, x, y, z, openable, *location]``; of fixtures ``[kind, x, y, z, receptacle or -1, *location]``."""
    openable = {name for (name,) in game.facts["openable"]}
    pickupable = {name for (name,) in game.facts["pickupable"]}
    taken: set[Location] = set()
    receptacles: list[list[Any]] = []
    index: dict[str, int] = {}
    for name, location in sorted(game.facts["receptacleAtLocation"]):
        kind, position = _split_id(name)
        index[name] = len(receptacles)
        place = _free_location(_split_location(location), taken)
        receptacles.append([kind, *position, int(name in openable), *place])
    holder = {name: index[where] for name, where in game.facts["inReceptacle"]}
    place_of = {name: location for name, location in game.facts["objectAtLocation"]}  # noqa: C416  # pairs, for mypy
    fixtures = []
    for name, _ in sorted(game.facts["objectType"]):
        if name in pickupable or name not in place_of:
            continue
        kind, position = _split_id(name)
        inside = holder.get(name, -1)
        seen_from = receptacles[inside][5:] if inside >= 0 else _split_location(place_of[name])
        fixtures.append([kind, *position, inside, *seen_from])
    return receptacles, fixtures


def _furniture_of_layout(
    located: dict[str, list[float]], receptacle_kinds: set[str], named: set[str]
) -> tuple[list[list[Any]], list[list[Any]]]:
    """The wheel's located furniture, then what it names without a place, beside the located ones; and a desk lamp."""
    taken: set[Location] = set()
    receptacles: list[list[Any]] = []
    for name, (x, z, rotation, horizon) in sorted(located.items()):
        kind, position = _split_id(name)
        place = _free_location((round(4 * x), round(4 * z), round(rotation / 90), round(horizon)), taken)
        receptacles.append([kind, *position, int(kind in ("Cabinet", "Drawer", "Fridge", "Microwave", "Safe")), *place])
    present = {receptacle[0] for receptacle in receptacles}
    anchors = [list(receptacle) for receptacle in receptacles]
    missing = [kind for kind in sorted(receptacle_kinds - present) for _ in range(4 if kind == "StoveBurner" else 1)]
    for number, kind in enumerate(missing):
        anchor = anchors[number % len(anchors)]
        x, _, z = anchor[1:4]
        place = _free_location(tuple(anchor[5:]), taken)
        openable = int(kind in ("Fridge", "Microwave", "Safe"))
        receptacles.append([kind, x + 20 + 7 * number, 90, z - 20 - 7 * number, openable, *place])
    fixtures = []
    if "DeskLamp" in named:
        tops = ("Desk", "SideTable", "Dresser", "Shelf", "CoffeeTable", "DiningTable")
        stands = [number for top in tops for number, receptacle in enumerate(receptacles) if receptacle[0] == top]
        stand = receptacles[stands[0]]
        fixtures.append(["DeskLamp", stand[1] + 5, stand[2] + 40, stand[3] - 5, stands[0], *stand[5:]])
    return receptacles, fixtures


def _kind_facts(constants: ModuleType, scenes: dict[str, Any], games: list[PublishedGame]) -> dict[str, Any]:
    """What may hold what, what can be done to what, and the priors of the training games, by room."""
    training = [game for game in games if game.training]
    room_of = {number: room for room, numbers in ROOMS.items() for number in numbers}
    properties: dict[str, set[str]] = {name: set() for name in PROPERTIES}
    for game in games:
        for name in PROPERTIES:
            properties[name] |= {_split_id(identifier)[0] for (identifier,) in game.facts[name]}
    known = {_split_id(name)[0] for game in games for name, _ in game.facts["objectType"]}
    receptacles: dict[str, set[str]] = constants.VAL_RECEPTACLE_OBJECTS
    placed: dict[str, dict[str, Counter[str]]] = {room: defaultdict(Counter) for room in ROOMS}
    counts: dict[str, dict[str, Counter[int]]] = {room: defaultdict(Counter) for room in ROOMS}
    goals: dict[str, Counter[str]] = defaultdict(Counter)
    rooms: dict[str, Counter[str]] = defaultdict(Counter)
    for game in training:
        room = room_of[game.scene]
        goals[game.task_type][game.parent] += 1
        rooms[game.task_type][room] += 1
        pickupable = {name for (name,) in game.facts["pickupable"]}
        for name, where in game.facts["inReceptacle"]:
            if name in pickupable:
                placed[room][_split_id(name)[0]][_split_id(where)[0]] += 1
        number = Counter(_split_id(name)[0] for name in pickupable)
        for kind in scenes["scenes"][str(game.scene)]["objects"]:
            counts[room][kind][number[kind]] += 1
    movable = set(constants.MOVABLE_RECEPTACLES)
    return {
        "about": ABOUT,
        "task_mix": TASK_MIX,
        "can_contain": {
            kind: sorted(held & known) for kind, held in sorted(receptacles.items()) if kind not in movable
        },
        "properties": {name: sorted(found) for name, found in properties.items()},
        "placement": {
            room: {kind: dict(sorted(where.items())) for kind, where in sorted(of.items())}
            for room, of in placed.items()
        },
        "counts": {
            room: {kind: [number[n] for n in range(max(number) + 1)] for kind, number in sorted(of.items())}
            for room, of in counts.items()
        },
        "goal_receptacles": {task: dict(sorted(found.items())) for task, found in sorted(goals.items())},
        "goal_rooms": {task: dict(sorted(found.items())) for task, found in sorted(rooms.items())},
    }


def _dump(value: dict[str, Any]) -> str:
    """JSON with one line for each entry of the second level, so that changes can be read in a diff."""
    blocks = []
    for key, entry in value.items():
        if isinstance(entry, dict):
            lines = [
                f"  {json.dumps(name)}: {json.dumps(content, separators=(',', ':'))}" for name, content in entry.items()
            ]
            blocks.append(f" {json.dumps(key)}: {{\n" + ",\n".join(lines) + "\n }")
        else:
            blocks.append(f" {json.dumps(key)}: {json.dumps(entry)}")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


if __name__ == "__main__":
    sys.exit(main())
