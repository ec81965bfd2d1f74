"""Drawing a household: a room, a goal that can be reached in it, and everything that lies about."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from agent_gym.envs.alfworld.generator_difficulty import Difficulty
from agent_gym.envs.alfworld.generator_draws import Draws
from agent_gym.envs.alfworld.generator_facts import (
    TASK_ROOMS,
    Fixture,
    Kinds,
    Receptacle,
    Scene,
    load_kinds,
    location_identifier,
    scenes_of,
    thing_identifier,
)

APPLIANCES = {
    "pick_clean_then_place_in_recep": ("cleanable", "SinkBasin"),
    "pick_heat_then_place_in_recep": ("heatable", "Microwave"),
    "pick_cool_then_place_in_recep": ("coolable", "Fridge"),
}
"""Task type to the property its object needs and the furniture that gives it the wanted state."""
LAMP = "DeskLamp"
_HOLDS_ONE = frozenset({"CoffeeMachine", "HandTowelHolder", "StoveBurner", "ToiletPaperHanger", "TowelHolder"})
_TARGET_COUNTS = ((1, 2, 3, 4), (34, 20, 18, 13))  # copies of the goal's object in the 85 one-object training games
_TARGET_COUNTS_TWO = ((2, 3, 4), (5, 8, 4))  # and in the 17 two-object ones
_UNSEEN_KIND = 0.5  # weight of what is possible but in no training game, against 1 for each time seen
_UNKNOWN_COUNTS = (1, 1)  # number of copies of a kind that no training game of this sort of room has


class Rejection(StrEnum):
    """Why a candidate was thrown away; the value is the sentence that tables print."""

    NO_LAMP = "no desk lamp stands in the room"
    NO_APPLIANCE = "the room lacks the sink basin, microwave or fridge"
    NO_OBJECT = "no object of the room fits the task"
    NO_RECEPTACLE = "no receptacle of the room may hold the object"
    NOWHERE_ELSE = "the object can start only where the goal wants it"
    TOO_SMALL = "what the task needs exceeds the size limit"
    UNSOLVED = "the walkthrough does not reach the goal"


class RejectedError(Exception):
    """Raised while drawing a candidate; never leaves the generator."""

    def __init__(self, reason: Rejection) -> None:
        """Keep the reason for the count."""
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Goal:
    """What has to be done.

    Attributes:
        task_type: one of the six.
        object_kind: what to pick up.
        receptacle_kind: where to put it, "" for looking at it in the light.
    """

    task_type: str
    object_kind: str
    receptacle_kind: str


@dataclass(frozen=True, slots=True)
class Thing:
    """A portable object and the index of the receptacle it starts in."""

    kind: str
    identifier: str
    receptacle: int


@dataclass(frozen=True, slots=True)
class Household:
    """Everything a problem file says.

    Attributes:
        scene: the room it is made from.
        goal: the task.
        receptacles: the furniture kept, at most ``Difficulty.max_receptacles``.
        fixtures: with ``receptacle`` counted in the kept furniture.
        things: portable objects; those of the goal's kind come first.
        start: PDDL name of the agent's first location, at no furniture.
    """

    scene: Scene
    goal: Goal
    receptacles: tuple[Receptacle, ...]
    fixtures: tuple[Fixture, ...]
    things: tuple[Thing, ...]
    start: str


def draw_household(draws: Draws, task_type: str, *, held_out: bool, difficulty: Difficulty) -> Household:
    """One candidate.

    Raises:
        RejectedError: when this combination of room, object and receptacle makes no game.
    """
    kinds = load_kinds()
    scene = _draw_scene(draws, task_type, held_out, difficulty, kinds)
    goal = _draw_goal(draws, scene, task_type, kinds)
    kept = _draw_receptacles(draws, scene, goal, difficulty)
    things = _draw_things(draws, scene, goal, kept, difficulty, kinds)
    position = {old: new for new, old in enumerate(kept)}
    fixtures = tuple(
        Fixture(fixture.kind, fixture.identifier, position.get(fixture.receptacle, -1), fixture.location)
        for fixture in scene.fixtures
        if fixture.receptacle in position or (fixture.receptacle < 0 and difficulty.max_receptacles is None)
    )
    receptacles = tuple(scene.receptacles[index] for index in kept)
    return Household(scene, goal, receptacles, fixtures, things, _draw_start(draws, scene))


def _draw_scene(draws: Draws, task_type: str, held_out: bool, difficulty: Difficulty, kinds: Kinds) -> Scene:
    rooms = [room for room in TASK_ROOMS[task_type] if room in difficulty.rooms]
    seen = kinds.goal_rooms[task_type]
    room = draws.weighted(rooms, [1 + seen.get(room, 0) for room in rooms])
    return draws.choice(scenes_of(room, held_out))


def _draw_goal(draws: Draws, scene: Scene, task_type: str, kinds: Kinds) -> Goal:
    present = {receptacle.kind for receptacle in scene.receptacles}
    needed, appliance = APPLIANCES.get(task_type, ("pickupable", ""))
    if appliance and appliance not in present:
        raise RejectedError(Rejection.NO_APPLIANCE)
    if task_type == "look_at_obj_in_light" and not any(_is_lamp(fixture) for fixture in scene.fixtures):
        raise RejectedError(Rejection.NO_LAMP)
    placeable = frozenset[str]().union(*(kinds.can_contain[kind] for kind in present))
    objects = [kind for kind in scene.objects if kind in kinds.properties[needed] and kind in placeable]
    if not objects:
        raise RejectedError(Rejection.NO_OBJECT)
    object_kind = draws.choice(objects)
    if task_type == "look_at_obj_in_light":
        return Goal(task_type, object_kind, "")
    refused = {appliance} | (_HOLDS_ONE if task_type == "pick_two_obj_and_place" else set())
    targets = sorted(kind for kind in present - refused if object_kind in kinds.can_contain[kind])
    if not targets:
        raise RejectedError(Rejection.NO_RECEPTACLE)
    seen = kinds.goal_receptacles[task_type]
    return Goal(task_type, object_kind, draws.weighted(targets, [1 + seen.get(kind, 0) for kind in targets]))


def _is_lamp(fixture: Fixture) -> bool:
    return fixture.kind == LAMP and fixture.receptacle >= 0


def _draw_receptacles(draws: Draws, scene: Scene, goal: Goal, difficulty: Difficulty) -> list[int]:
    """Indices of the furniture to keep, ascending: what the goal needs, then a random rest up to the limit."""
    everything = list(range(len(scene.receptacles)))
    limit = difficulty.max_receptacles
    if limit is None or limit >= len(everything):
        return everything
    needed: set[int] = set()
    if goal.task_type == "look_at_obj_in_light":
        needed.add(draws.choice([fixture.receptacle for fixture in scene.fixtures if _is_lamp(fixture)]))
    for kind in (goal.receptacle_kind, APPLIANCES.get(goal.task_type, ("", ""))[1]):
        options = [index for index in everything if scene.receptacles[index].kind == kind]
        if options:
            needed.add(draws.choice(options))
    if len(needed) > limit:
        raise RejectedError(Rejection.TOO_SMALL)
    rest = draws.shuffled([index for index in everything if index not in needed])
    return sorted([*needed, *rest[: limit - len(needed)]])


def _draw_things(
    draws: Draws, scene: Scene, goal: Goal, kept: Sequence[int], difficulty: Difficulty, kinds: Kinds
) -> tuple[Thing, ...]:
    """Portable objects with numbers and places as in the training games, the goal's object first."""
    two = goal.task_type == "pick_two_obj_and_place"
    wanted = draws.weighted(*(_TARGET_COUNTS_TWO if two else _TARGET_COUNTS))
    counts = kinds.counts[scene.room]
    others: list[str] = []
    for kind in scene.objects:
        if kind != goal.object_kind:
            weights = counts.get(kind, _UNKNOWN_COUNTS)
            others += [kind] * draws.weighted(range(len(weights)), weights)
    limit = difficulty.max_objects
    if limit is not None:
        wanted = min(wanted, max(limit, 2 if two else 1))
        others = draws.shuffled(others)[: max(0, limit - wanted)]
    forbidden = goal.receptacle_kind if goal.task_type not in APPLIANCES else ""
    spots: dict[str, list[int]] = {}
    for index, old in enumerate(kept):
        spots.setdefault(scene.receptacles[old].kind, []).append(index)
    things: list[Thing] = []
    taken: set[str] = set()
    for number, kind in enumerate([goal.object_kind] * wanted + others):
        target = number < wanted
        where = _draw_place(draws, kind, scene.room, spots, forbidden if target else "", kinds)
        if where is None and target:
            raise RejectedError(Rejection.NOWHERE_ELSE)
        if where is not None:
            identifier = _draw_identifier(draws, kind, scene.receptacles[kept[where]].position, taken)
            things.append(Thing(kind, identifier, where))
    return tuple(things)


def _draw_place(
    draws: Draws, kind: str, room: str, spots: dict[str, list[int]], forbidden: str, kinds: Kinds
) -> int | None:
    """Index of a receptacle for an object, by how often the training games put it there; ``None`` without any.

    Kinds that no receptacle is declared to hold (teddy bears, paper towel rolls) go where the games have them.
    """
    seen = kinds.placement[room].get(kind, {})
    options = [holder for holder in spots if kind in kinds.can_contain[holder] and holder != forbidden]
    if not options and not any(kind in held for held in kinds.can_contain.values()):
        options = [holder for holder in spots if holder in seen]
    if not options:
        return None
    return draws.choice(spots[draws.weighted(options, [_UNSEEN_KIND + seen.get(holder, 0) for holder in options])])


def _draw_identifier(draws: Draws, kind: str, around: tuple[int, int, int], taken: set[str]) -> str:
    """An unused name: it carries a position within 40 cm of the receptacle's."""
    x, y, z = around
    while True:
        position = (x + draws.below(81) - 40, y + draws.below(41), z + draws.below(81) - 40)
        identifier = thing_identifier(kind, position)
        if identifier not in taken:
            taken.add(identifier)
            return identifier


def _draw_start(draws: Draws, scene: Scene) -> str:
    """A location between the furniture that belongs to no receptacle."""
    used: Collection[str] = {receptacle.location for receptacle in scene.receptacles}
    (left, right), (front, back) = ((min(axis), max(axis)) for axis in zip(*scene.places, strict=True))
    while True:
        x, z = left + draws.below(right - left + 1), front + draws.below(back - front + 1)
        location = location_identifier(x, z, draws.below(4), 30)
        if location not in used:
            return location
