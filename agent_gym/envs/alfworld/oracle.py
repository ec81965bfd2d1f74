"""A planner that looks at the simulator's state: the shortest way to win from wherever the game stands.

It covers the goals of the benchmark's six task types, recognised by their formula. A plan brings the objects one after
the other: take, treat, put; every choice of objects, their order, where each is taken, the station, the target, and
where to leave a thing that is in the way is tried, and the shortest plan is returned. Receptacles that share a place
need one walk, open ones stay open, and an object that is listed in two receptacles counts in both, as the game counts
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import permutations
from typing import TYPE_CHECKING

from agent_gym.envs.alfworld.goal import Atom
from agent_gym.envs.alfworld.grammar import Literal
from agent_gym.errors import EpisodeError, UnsupportedGameError

if TYPE_CHECKING:
    from agent_gym.envs.alfworld.engine import Simulator

_VERBS = {"isclean": "clean", "ishot": "heat", "iscool": "cool"}
"""Flag to the verb that brings it about."""


@dataclass(frozen=True, slots=True)
class Aim:
    """What a goal formula asks for, all kinds and things by their ids."""

    wanted: str
    """Kind of the objects to bring or to hold."""
    needs: frozenset[str] = frozenset()
    """Facts that must be true of such an object, as `cleanable` or `isclean`."""
    target: str = ""
    """Kind of the receptacle that they must share; empty if one is to be held under a lamp."""
    count: int = 1
    """How many objects must be there."""
    lamp: str = ""
    """Kind of the lamp that must be switched on where the player stands."""


@dataclass(slots=True)
class _Route:
    """A plan under construction: the commands, and what they change."""

    sim: Simulator
    at: str
    opened: set[str]
    dropped: dict[str, str] = field(default_factory=dict)
    """Where the object was put that was in hand at first and in the way."""
    left: set[tuple[str, str]] = field(default_factory=set)
    """What was taken from where: (object, receptacle)."""
    commands: list[str] = field(default_factory=list)

    def name(self, thing: str) -> str:
        return self.sim.game.names[thing]

    def walk(self, receptacle: str) -> None:
        place = self.sim.game.location_of[receptacle]
        if place != self.at:
            self.commands.append(f"go to {self.name(receptacle)}")
            self.at = place

    def reach(self, receptacle: str) -> None:
        self.walk(receptacle)
        if receptacle in self.sim.game.openable and receptacle not in self.opened:
            self.commands.append(f"open {self.name(receptacle)}")
            self.opened.add(receptacle)

    def take(self, thing: str, receptacle: str) -> None:
        self.reach(receptacle)
        self.commands.append(f"take {self.name(thing)} from {self.name(receptacle)}")
        self.left.add((thing, receptacle))

    def put(self, thing: str, receptacle: str) -> None:
        self.reach(receptacle)
        first = self.sim.game.grammar.rules.actions["putobject"].template[0]
        moves = isinstance(first, Literal) and first.text.startswith("move")
        words = ("move", "to") if moves else ("put", "in/on")
        self.commands.append(f"{words[0]} {self.name(thing)} {words[1]} {self.name(receptacle)}")

    def apply(self, verb: str, thing: str, station: str) -> None:
        self.walk(station)
        self.commands.append(f"{verb} {self.name(thing)} with {self.name(station)}")


def plan(sim: Simulator) -> list[str]:
    """Return the shortest list of commands that wins from the present state; empty if the game is won.

    Args:
        sim: The simulator; it is looked at and not changed.

    Raises:
        UnsupportedGameError: If the goal is none of the six task types'.
        EpisodeError: If the state is a dead end: some objects of the published games can be taken and put nowhere.
    """
    if sim.won:
        return []
    aim = read_aim([atom for part in sim.game.goal.parts for atom in part])
    candidates = list(_under_lamp(sim, aim) if aim.lamp else _brought(sim, aim))
    if not candidates:
        stuck = f"; {sim.game.names[sim.held]} is held and may fit nowhere" if sim.held else ""
        raise EpisodeError(
            f"{sim.game.name}: expected a state that can still be won, got a dead end{stuck}; start anew."
        )
    return min(candidates, key=len)


def read_aim(atoms: Iterable[Atom]) -> Aim:
    """Return what a goal, given as its atoms, asks for.

    Raises:
        UnsupportedGameError: If it is none of the six task types' goals.
    """
    kinds: dict[str, str] = {}
    places: dict[str, str] = {}
    facts: dict[str, set[str]] = {}
    for atom in atoms:
        if atom.predicate in ("objecttype", "receptacletype"):
            kinds[atom.terms[0]] = atom.terms[1]
        elif atom.predicate == "inreceptacle":
            places[atom.terms[0]] = atom.terms[1]
        elif len(atom.terms) == 1:
            facts.setdefault(atom.terms[0], set()).add(atom.predicate)
        elif atom.predicate == "holds":
            facts.setdefault(atom.terms[1], set()).add("holds")
    lamps = [one for one, true in facts.items() if "istoggled" in true and one in kinds]
    held = [one for one, true in facts.items() if "holds" in true and one in kinds]
    if len(lamps) == len(held) == 1:
        return Aim(kinds[held[0]], frozenset(facts[held[0]] - {"holds"}), lamp=kinds[lamps[0]])
    brought = [one for one in places if one in kinds]
    wanted = {(kinds[one], frozenset(facts.get(one, ()))) for one in brought}
    targets = {kinds.get(places[one], "") for one in brought}
    if lamps or held or len(wanted) != 1 or len(targets) != 1 or "" in targets or len(set(places.values())) != 1:
        raise UnsupportedGameError(
            "The oracle plans for the goals of the benchmark's six task types; got another goal."
        )
    ((kind, needs),) = wanted
    return Aim(kind, needs, target=targets.pop(), count=len(brought))


def _brought(sim: Simulator, aim: Aim) -> Iterator[list[str]]:
    """Yield plans that put enough objects into one receptacle of the target kind."""
    game = sim.game
    things = _usable(sim, aim)
    for target in (r for r in game.receptacles if aim.target in game.kinds[r]):
        inside = set(sim.contents.get(target, ()))
        there = [thing for thing in things if thing in inside and not _missing(sim, aim, thing)]
        others = [thing for thing in things if thing not in there and game.may_hold(target, thing)]
        for chosen in permutations(others, max(aim.count - len(there), 0)):
            for route in _first_hands_free(sim, chosen[:1], target):
                yield from _bring_all(sim, aim, route, chosen, target)


def _bring_all(sim: Simulator, aim: Aim, route: _Route, chosen: tuple[str, ...], target: str) -> Iterator[list[str]]:
    """Yield the plans that continue a route by bringing the chosen objects in turn."""
    if not chosen:
        yield route.commands
        return
    thing, rest = chosen[0], chosen[1:]
    for picked in _with_in_hand(sim, route, thing):
        for ready in _treated(sim, aim, picked, thing):
            listed_there = thing in sim.contents.get(target, ()) and (thing, target) not in ready.left
            if rest or not listed_there:  # an object in hand still counts where it is listed a second time
                ready.put(thing, target)
            yield from _bring_all(sim, aim, ready, rest, target)


def _under_lamp(sim: Simulator, aim: Aim) -> Iterator[list[str]]:
    """Yield plans that hold an object where a lamp is on."""
    for thing in _usable(sim, aim):
        for start in _first_hands_free(sim, (thing,), ""):
            for picked in _with_in_hand(sim, start, thing):
                for lamp, where in _lamps(picked, aim):
                    route = _copy(picked)
                    route.walk(where)
                    if lamp not in sim.flags["istoggled"]:
                        route.commands.append(f"use {route.name(lamp)}")
                    yield route.commands


def _lamps(route: _Route, aim: Aim) -> list[tuple[str, str]]:
    """Return lamps of the wanted kind and the receptacles they are in, perhaps just put down."""
    game = route.sim.game
    lying = [(lamp, where) for where, inside in route.sim.contents.items() for lamp in inside]
    lying += route.dropped.items()
    return [(lamp, where) for lamp, where in lying if aim.lamp in game.kinds[lamp] and lamp in game.flags["toggleable"]]


def _usable(sim: Simulator, aim: Aim) -> list[str]:
    """Return the objects that could fulfil the aim, held or lying somewhere."""
    game = sim.game
    lying = {thing for inside in sim.contents.values() for thing in inside}
    found = []
    for thing in sorted(lying | ({sim.held} if sim.held else set())):
        stays = {need for need in aim.needs if need in game.flags}
        if aim.wanted in game.kinds[thing] and all(thing in game.flags[need] for need in stays):
            found.append(thing)
    return found


def _missing(sim: Simulator, aim: Aim, thing: str) -> list[str]:
    """Return the flags that an object still lacks."""
    return sorted(need for need in aim.needs if need in _VERBS and thing not in sim.flags[need])


def _first_hands_free(sim: Simulator, first: tuple[str, ...], target: str) -> Iterator[_Route]:
    """Yield routes after which the first object can be taken: nothing to do unless another thing is held."""
    game = sim.game
    start = _Route(sim, sim.location, set(sim.opened))
    held = sim.held
    if held is None or not first or held == first[0]:
        yield start
        return
    on_the_way = {r for r in game.receptacles if r == target or first[0] in sim.contents.get(r, ())}
    near = {
        r
        for r in game.receptacles
        if game.location_of[r] == start.at or game.location_of[r] in _places(sim, on_the_way)
    }
    open_elsewhere = [r for r in game.receptacles if r not in game.openable or r in sim.opened]
    fitting = [r for r in game.receptacles if game.may_hold(r, held)]
    choices = [r for r in fitting if r in near] + [r for r in fitting if r in open_elsewhere][:1] + fitting[:1]
    for receptacle in dict.fromkeys(choices):
        route = _copy(start)
        route.put(held, receptacle)
        route.dropped[held] = receptacle
        yield route


def _places(sim: Simulator, receptacles: Iterable[str]) -> set[str]:
    return {sim.game.location_of[r] for r in receptacles}


def _with_in_hand(sim: Simulator, route: _Route, thing: str) -> Iterator[_Route]:
    """Yield routes that end with the object in hand."""
    if thing == sim.held and thing not in route.dropped:
        yield _copy(route)
        return
    if thing not in sim.game.flags["pickupable"]:
        return
    where = [r for r in sim.game.receptacles if thing in sim.contents.get(r, ())]
    if thing in route.dropped:
        where.append(route.dropped[thing])
    for receptacle in where:
        longer = _copy(route)
        longer.take(thing, receptacle)
        yield longer


def _treated(sim: Simulator, aim: Aim, route: _Route, thing: str) -> Iterator[_Route]:
    """Yield routes after which the object in hand has what the aim needs."""
    routes = [route]
    for flag in _missing(sim, aim, thing):
        helps = {"isclean": sim.game.clean_at, "ishot": {"microwavetype"}, "iscool": {"fridgetype"}}[flag]
        stations = [r for r in sim.game.receptacles if not sim.game.kinds[r].isdisjoint(helps)]
        longer = []
        for before in routes:
            for station in stations:
                after = _copy(before)
                after.apply(_VERBS[flag], thing, station)
                longer.append(after)
        routes = longer
    yield from routes


def _copy(route: _Route) -> _Route:
    return _Route(route.sim, route.at, set(route.opened), dict(route.dropped), set(route.left), list(route.commands))
