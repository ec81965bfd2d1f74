"""A shortest way to the goal for somebody who knows where everything is, and a check that it gets there."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import permutations, product

from agent_gym.envs.alfworld.generator_facts import Fixture, Receptacle, load_kinds
from agent_gym.envs.alfworld.generator_world import APPLIANCES, LAMP, Household, Thing

Step = tuple[str, str, int]
"""A verb, the identifier of the object it is about ("" for none) and the index of the receptacle."""
_CHANGES = {"SinkBasin": "clean", "Microwave": "heat", "Fridge": "cool"}


class _Route:
    """Steps so far; walks and opens only where that is necessary."""

    def __init__(self, household: Household) -> None:
        self._household = household
        self._at = -1
        self._opened: set[int] = set()
        self.steps: list[Step] = []

    def go(self, receptacle: int) -> None:
        if self._at != receptacle:
            self.steps.append(("go", "", receptacle))
            self._at = receptacle

    def reach_into(self, verb: str, thing: str, receptacle: int) -> None:
        self.go(receptacle)
        if self._household.receptacles[receptacle].openable and receptacle not in self._opened:
            self.steps.append(("open", "", receptacle))
            self._opened.add(receptacle)
        self.steps.append((verb, thing, receptacle))

    def use(self, verb: str, thing: str, receptacle: int) -> None:
        self.go(receptacle)
        self.steps.append((verb, thing, receptacle))


def shortest_walkthrough(household: Household) -> list[Step]:
    """The shortest of the sensible plans; of equal ones the first by the order of things and furniture."""
    goal = household.goal
    targets = [thing for thing in household.things if thing.kind == goal.object_kind]
    if goal.task_type == "look_at_obj_in_light":
        plans = _looking_plans(household, targets)
    elif goal.task_type == "pick_two_obj_and_place":
        plans = (
            _carrying_plan(household, pair, None, place)
            for pair in permutations(targets, 2)
            for place in _worthwhile(household, goal.receptacle_kind, pair)
        )
    else:
        appliance = APPLIANCES.get(goal.task_type, ("", ""))[1]
        helpers = [index for index, found in enumerate(household.receptacles) if found.kind == appliance]
        plans = (
            _carrying_plan(household, (thing,), helper, place)
            for thing, helper in product(targets, helpers or (None,))
            for place in _worthwhile(household, goal.receptacle_kind, (thing,))
        )
    return min(plans, key=len)


def _looking_plans(household: Household, targets: Sequence[Thing]) -> Iterable[list[Step]]:
    lamps = [fixture for fixture in household.fixtures if fixture.kind == LAMP and fixture.receptacle >= 0]
    for thing, lamp in product(targets, lamps):
        route = _Route(household)
        route.reach_into("take", thing.identifier, thing.receptacle)
        route.use("use", lamp.identifier, lamp.receptacle)
        yield route.steps


def _carrying_plan(household: Household, things: Sequence[Thing], helper: int | None, place: int) -> list[Step]:
    """Take each thing, change it at the helper if there is one, put it into the place."""
    route = _Route(household)
    for thing in things:
        route.reach_into("take", thing.identifier, thing.receptacle)
        if helper is not None:
            route.use(_CHANGES[household.receptacles[helper].kind], thing.identifier, helper)
        route.reach_into("put", thing.identifier, place)
    return route.steps


def _worthwhile(household: Household, kind: str, things: Iterable[Thing]) -> list[int]:
    """Places of a kind that can make a difference: where the things already are, one with and one without a door."""
    places = [index for index, found in enumerate(household.receptacles) if found.kind == kind]
    first = {household.receptacles[index].openable: index for index in reversed(places)}
    return sorted({*first.values(), *(thing.receptacle for thing in things if thing.receptacle in places)})


def entity_names(household: Household) -> dict[str, str]:
    """PDDL identifier to the name in the game, "sinkbasin 1", by the benchmark's rule.

    Identifiers in lower case are sorted; within each kind of name the last gets 1, the one before it 2, and so on.
    """
    groups: defaultdict[str, list[str]] = defaultdict(list)
    located: tuple[Receptacle | Fixture, ...] = (*household.receptacles, *household.fixtures)
    places = {found.location for found in located} | {household.start}
    for identifier in (
        *(found.identifier for found in located),
        *(thing.identifier for thing in household.things),
        *places,
    ):
        word = identifier.lower().split("_bar_", 1)[0]
        groups[word + "basin" if "basin" in identifier.lower() else word].append(identifier)
    return {
        identifier: f"{word} {number}"
        for word, members in groups.items()
        for number, identifier in enumerate(sorted(members, key=str.lower, reverse=True), start=1)
    }


def as_commands(household: Household, steps: Iterable[Step], wording: str) -> list[str]:
    """The steps in the words of the game."""
    names = entity_names(household)
    patterns = {
        "go": "go to {place}",
        "open": "open {place}",
        "take": "take {thing} from {place}",
        "put": "put {thing} in/on {place}" if wording == "put" else "move {thing} to {place}",
        "clean": "clean {thing} with {place}",
        "heat": "heat {thing} with {place}",
        "cool": "cool {thing} with {place}",
        "use": "use {thing}",
    }
    return [
        patterns[verb].format(thing=names.get(thing, ""), place=names[household.receptacles[place].identifier])
        for verb, thing, place in steps
    ]


def reaches_goal(household: Household, steps: Sequence[Step]) -> bool:
    """Play the steps by the rules of ``household.pddl``: each allowed, the goal open before and met after.

    This shares nothing with the planner, so that a mistake there shows up as a rejected game.
    """
    play = _Play(household)
    return not play.goal_met() and all(play.allows(step) for step in steps) and play.goal_met()


class _Play:
    """The part of the rules that walkthroughs use, on a household's state."""

    def __init__(self, household: Household) -> None:
        self._household = household
        self._kinds = load_kinds()
        movable = {thing.identifier: thing.kind for thing in household.things}
        self._kind = movable | {fixture.identifier: fixture.kind for fixture in household.fixtures}
        self._place = {fixture.identifier: fixture.receptacle for fixture in household.fixtures}
        self._place |= {thing.identifier: thing.receptacle for thing in household.things}
        self._movable = frozenset(movable)
        self._at, self._held = -1, ""
        self._opened: set[int] = set()
        self._marks: set[tuple[str, str]] = set()

    def allows(self, step: Step) -> bool:
        """Whether the step's conditions hold; if so it is carried out."""
        verb, thing, place = step
        receptacle = self._household.receptacles[place]
        here = self._at == place
        reachable = here and (not receptacle.openable or place in self._opened)
        kind = self._kind.get(thing, "")
        if verb == "go":
            self._at = place
            return True
        if verb == "open":
            allowed = here and receptacle.openable and place not in self._opened
            self._opened.add(place)
            return allowed
        if verb == "take":
            allowed = reachable and not self._held and thing in self._movable and self._place[thing] == place
            self._place[thing], self._held = -1, thing
            return allowed
        if verb == "put":
            allowed = reachable and self._held == thing and kind in self._kinds.can_contain[receptacle.kind]
            self._place[thing], self._held = place, ""
            return allowed
        self._marks.add((verb, thing))
        if verb == "use":
            return here and self._place[thing] == place and kind in self._kinds.properties["toggleable"]
        able = kind in self._kinds.properties[{"clean": "cleanable", "heat": "heatable", "cool": "coolable"}[verb]]
        return here and self._held == thing and able and _CHANGES.get(receptacle.kind) == verb

    def goal_met(self) -> bool:
        """Whether the goal's condition holds now."""
        goal = self._household.goal
        if goal.task_type == "look_at_obj_in_light":
            lit = any(
                mark == "use" and self._kind[thing] == LAMP and self._place[thing] == self._at
                for mark, thing in self._marks
            )
            return lit and self._kind.get(self._held) == goal.object_kind
        wanted = APPLIANCES.get(goal.task_type, ("", ""))[1]
        placed = Counter(
            self._place[thing.identifier]
            for thing in self._household.things
            if thing.kind == goal.object_kind
            and self._place[thing.identifier] >= 0
            and self._household.receptacles[self._place[thing.identifier]].kind == goal.receptacle_kind
            and (not wanted or (_CHANGES[wanted], thing.identifier) in self._marks)
        )
        return max(placed.values(), default=0) >= (2 if goal.task_type == "pick_two_obj_and_place" else 1)
