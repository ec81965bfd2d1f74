"""What is true in a simulator's present state, fact by fact, under the names that grammars and goals use.

Each predicate has a function that lists the facts matching a pattern, sorted by their arguments; the order decides the
order of words in observations. A pattern is a tuple of ids, with `None` where anything may stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from agent_gym.envs.alfworld.engine import Simulator

Pattern: TypeAlias = "tuple[str | None, ...]"
Lister: TypeAlias = "Callable[[Simulator, Pattern], Iterable[tuple[str, ...]]]"


OBJECT_PROPERTIES = (
    "pickupable",
    "cleanable",
    "heatable",
    "coolable",
    "sliceable",
    "toggleable",
    "isreceptacleobject",
    "moveable",
)
"""What objects are; no action changes it."""

OBJECT_STATES = ("isclean", "ishot", "iscool", "istoggled", "issliced")
"""What objects become."""

PREDICATES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys((*OBJECT_PROPERTIES, *OBJECT_STATES), ("object",)),
    "openable": ("receptacle",),
    "opened": ("receptacle",),
    "receptacletype": ("receptacle", "rtype"),
    "objecttype": ("object", "otype"),
    "receptacleatlocation": ("receptacle", "location"),
    "objectatlocation": ("object", "location"),
    "cancontain": ("rtype", "otype"),
    "inreceptacleobject": ("object", "object"),
    "isreceptacleobjectfull": ("object",),
    "atlocation": ("agent", "location"),
    "inreceptacle": ("object", "receptacle"),
    "holds": ("agent", "object"),
    "holdsany": ("agent",),
    "holdsanyreceptacleobject": ("agent",),
}
"""Types of the arguments of every predicate that matters."""


def _fits(fact: tuple[str, ...], pattern: Pattern) -> bool:
    return all(want is None or want == have for want, have in zip(pattern, fact, strict=True))


def _static(predicate: str) -> Lister:
    def listing(sim: Simulator, pattern: Pattern) -> Iterable[tuple[str, ...]]:
        return [fact for fact in sim.game.static[predicate] if _fits(fact, pattern)]

    return listing


def _object_flag(predicate: str) -> Lister:
    """List a static property of objects."""

    def listing(sim: Simulator, pattern: Pattern) -> Iterable[tuple[str, ...]]:
        have = sim.game.flags[predicate]
        (thing,) = pattern
        if thing is None:
            return [(one,) for one in sorted(have)]
        return [(thing,)] if thing in have else []

    return listing


def _state_flag(predicate: str) -> Lister:
    """List a property of objects that actions change."""

    def listing(sim: Simulator, pattern: Pattern) -> Iterable[tuple[str, ...]]:
        have = sim.flags[predicate]
        (thing,) = pattern
        if thing is None:
            return [(one,) for one in sorted(have)]
        return [(thing,)] if thing in have else []

    return listing


def _openable(sim: Simulator, pattern: Pattern) -> Iterable[tuple[str, ...]]:
    (receptacle,) = pattern
    if receptacle is None:
        return [(one,) for one in sorted(sim.game.openable)]
    return [(receptacle,)] if receptacle in sim.game.openable else []


def _opened(sim: Simulator, pattern: Pattern) -> Iterable[tuple[str, ...]]:
    (receptacle,) = pattern
    if receptacle is None:
        return [(one,) for one in sorted(sim.opened)]
    return [(receptacle,)] if receptacle in sim.opened else []


def _kind(sim: Simulator, pattern: Pattern) -> Iterable[tuple[str, ...]]:
    """List types of receptacles or of objects; the two have no type in common, so one table serves both."""
    thing, kind = pattern
    if thing is not None:
        return [(thing, one) for one in sorted(sim.game.kinds.get(thing, ())) if kind in (None, one)]
    if kind is not None:
        return [(one, kind) for one in sim.game.things_of.get(kind, ())]
    return sorted((one, of) for of, things in sim.game.things_of.items() for one in things)


def _receptacle_at(sim: Simulator, pattern: Pattern) -> Iterable[tuple[str, ...]]:
    receptacle, location = pattern
    if receptacle is not None:
        at = sim.game.location_of.get(receptacle)
        return [(receptacle, at)] if at is not None and location in (None, at) else []
    if location is not None:
        return [(one, location) for one in sim.game.receptacles_at.get(location, ())]
    return [(one, sim.game.location_of[one]) for one in sim.game.receptacles]


def _at_location(sim: Simulator, pattern: Pattern) -> Iterable[tuple[str, ...]]:
    fact = (sim.game.agent, sim.location)
    return [fact] if _fits(fact, pattern) else []


def _object_at(sim: Simulator, pattern: Pattern) -> Iterable[tuple[str, ...]]:
    thing, location = pattern
    things = sorted(sim.object_at) if thing is None else [thing]
    return [(one, at) for one in things for at in sorted(sim.object_at.get(one, ())) if location in (None, at)]


def _in_receptacle(sim: Simulator, pattern: Pattern) -> Iterable[tuple[str, ...]]:
    thing, receptacle = pattern
    if receptacle is not None:
        return [(one, receptacle) for one in sim.contents.get(receptacle, ()) if thing in (None, one)]
    return sorted((one, where) for where, inside in sim.contents.items() for one in inside if thing in (None, one))


def _not_in_receptacle(sim: Simulator, pattern: Pattern) -> Iterable[tuple[str, ...]]:
    """List what has been taken out of where, and not been put back.

    Only facts that an action deleted count as negated facts, not all that are untrue.
    """
    return [fact for fact in sorted(sim.taken_from) if _fits(fact, pattern)]


def _never(_sim: Simulator, _pattern: Pattern) -> Iterable[tuple[str, ...]]:
    """List facts that no action can bring about."""
    return []


def _holds(sim: Simulator, pattern: Pattern) -> Iterable[tuple[str, ...]]:
    if sim.held is None:
        return []
    fact = (sim.game.agent, sim.held)
    return [fact] if _fits(fact, pattern) else []


def _holds_any(sim: Simulator, pattern: Pattern) -> Iterable[tuple[str, ...]]:
    return [] if sim.held is None or pattern[0] not in (None, sim.game.agent) else [(sim.game.agent,)]


LISTERS: dict[str, Lister] = {
    **{name: _object_flag(name) for name in OBJECT_PROPERTIES},
    **{name: _state_flag(name) for name in OBJECT_STATES},
    "openable": _openable,
    "opened": _opened,
    "receptacletype": _kind,
    "objecttype": _kind,
    "receptacleatlocation": _receptacle_at,
    "inreceptacleobject": _static("inreceptacleobject"),
    "isreceptacleobjectfull": _static("isreceptacleobjectfull"),
    "atlocation": _at_location,
    "objectatlocation": _object_at,
    "inreceptacle": _in_receptacle,
    "holds": _holds,
    "holdsany": _holds_any,
    "holdsanyreceptacleobject": _never,
    "not_inreceptacle": _not_in_receptacle,
    "not_istoggled": _never,
}
"""Every predicate that a grammar's condition or a goal may name."""

STATIC = frozenset(
    {
        *OBJECT_PROPERTIES,
        *(
            "openable",
            "receptacletype",
            "objecttype",
            "receptacleatlocation",
            "inreceptacleobject",
            "isreceptacleobjectfull",
        ),
        *("holdsanyreceptacleobject", "not_istoggled"),
    }
)
"""Those of them that no action changes."""
