"""A game file turned into an immutable `Game`: who is where, what can be done with it, what the goal is.

A `game.tw-pddl` file is JSON with a PDDL domain, a PDDL problem and a grammar. The problem lists facts; those that no
action changes become look-up tables here, the others become the initial state.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent_gym.envs.alfworld.facts import OBJECT_PROPERTIES, OBJECT_STATES, PREDICATES
from agent_gym.envs.alfworld.goal import Goal, parse_goal
from agent_gym.envs.alfworld.grammar import Grammar, load_grammar
from agent_gym.envs.alfworld.pddl import cannot_play, check_domain, parse_sexpr, parse_typed_list
from agent_gym.errors import GameFileError, UnsupportedGameError

_STATIC_FACTS = ("inreceptacleobject", "isreceptacleobjectfull")
_BOOKKEEPING = ("checked", "examined", "wasinreceptacle", "full", "ison", "total-cost", "distance")
"""Facts that no rule and no text of the household depends on; they still give their arguments a name."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Game:
    """One parsed game. Nothing in it changes while it is played, so any number of simulators share it.

    All ids are the lower-case ids of the problem file; `names` gives the words a player sees.
    """

    name: str
    grammar: Grammar
    actions: frozenset[str]
    clean_at: frozenset[str]
    digest: str
    walkthrough: tuple[str, ...] | None
    types: dict[str, str]
    names: dict[str, str]
    static: dict[str, tuple[tuple[str, ...], ...]]
    agent: str
    start: str
    receptacles: tuple[str, ...]
    location_of: dict[str, str]
    receptacles_at: dict[str, tuple[str, ...]]
    openable: frozenset[str]
    kinds: dict[str, frozenset[str]]
    things_of: dict[str, tuple[str, ...]]
    flags: dict[str, frozenset[str]]
    initial_opened: frozenset[str]
    initial_contents: dict[str, tuple[str, ...]]
    initial_flags: dict[str, frozenset[str]]
    initial_object_at: dict[str, frozenset[str]]
    goal: Goal
    holdable: frozenset[tuple[str, str]] = field(repr=False)
    memo: dict[Any, Any] = field(default_factory=dict, repr=False)
    """Texts that never change during this game, worked out when first needed and shared by its simulators."""

    def may_hold(self, receptacle: str, thing: str) -> bool:
        """Return whether the receptacle's type may contain the object's type."""
        return any((r, o) in self.holdable for r in self.kinds[receptacle] for o in self.kinds[thing])

    @property
    def task_sentence(self) -> str:
        """The sentence after "Your task is to: ", as the grammar has it."""
        return self.grammar.task


def load_game(path: str | Path) -> Game:
    """Read and parse a `game.tw-pddl` file.

    Raises:
        GameFileError: If it can't be read, is not JSON (truncated files are not), lacks a part, or contradicts itself.
        UnsupportedGameError: If its domain, grammar or goal is outside what the native engine implements.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GameFileError(
            f"{path}: expected a readable game.tw-pddl file, got {type(error).__name__}: {error}."
        ) from error
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise GameFileError(
            f"{path}: expected JSON, got a syntax error ({error}); the file may be truncated. Fetch or make it again."
        ) from error
    return parse_game(data, str(path))


def parse_game(data: Mapping[str, Any], name: str = "game") -> Game:
    """Turn the contents of a game file into a `Game`.

    Args:
        data: Entries `pddl_domain`, `pddl_problem` and `grammar` (texts), and perhaps `walkthrough` and `solvable`.
        name: Name of the game for messages.

    Raises:
        GameFileError: If a part is missing or contradicts another.
        UnsupportedGameError: If domain, grammar or goal is outside what the native engine implements.
    """
    if not isinstance(data, Mapping):
        raise GameFileError(
            f"{name}: expected a JSON object with pddl_domain, pddl_problem and grammar, got {type(data).__name__}."
        )
    for part in ("pddl_domain", "pddl_problem", "grammar"):
        if not isinstance(data.get(part), str):
            raise GameFileError(
                f"{name}: expected the text {part!r}, got {type(data.get(part)).__name__}; is this a game.tw-pddl file?"
            )
    if data.get("solvable") is False:
        raise UnsupportedGameError(
            f"{name}: the file says that the game is not solvable; the benchmark leaves such games out."
        )
    try:
        actions, clean_at = check_domain(data["pddl_domain"])
        grammar = load_grammar(data["grammar"])
        types, facts, goal = _read_problem(data["pddl_problem"])
        return _build(name, data, actions, clean_at, grammar, types, facts, goal)
    except GameFileError as error:
        raise GameFileError(f"{name}: {error}") from error
    except UnsupportedGameError as error:
        raise UnsupportedGameError(f"{name}: {error}") from error


def _read_problem(text: str) -> tuple[dict[str, str], dict[str, set[tuple[str, ...]]], list[Any]]:
    expression = parse_sexpr(text, "pddl_problem")
    sections = {
        part[0]: part[1:] for part in expression[1:] if isinstance(part, list) and part and isinstance(part[0], str)
    }
    for needed in (":objects", ":init", ":goal"):
        if needed not in sections:
            raise GameFileError(f"pddl_problem: expected a section {needed}, got {sorted(sections)}.")
    declared = parse_typed_list(sections[":objects"], "pddl_problem :objects")
    types = {sys.intern(thing): sys.intern(kind) for thing, kind in declared}
    if len(types) != len(declared):
        raise GameFileError("pddl_problem: expected each name once in :objects, got some twice.")
    facts: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for fact in sections[":init"]:
        if not isinstance(fact, list) or not fact or not isinstance(fact[0], str):
            raise GameFileError(f"pddl_problem: expected facts in :init, got {fact!r}.")
        if fact[0] == "=":
            continue  # a cost or distance
        if fact[0] in ("not", "and", "or"):
            raise cannot_play(f":init contains {fact[0]!r}")
        arguments = tuple(map(sys.intern, fact[1:]))
        _check_fact(fact[0], arguments, types)
        facts[fact[0]].add(arguments)
    goal = sections[":goal"]
    if len(goal) != 1:
        raise GameFileError(f"pddl_problem: expected one formula as goal, got {len(goal)}.")
    return types, facts, goal[0]


def _check_fact(predicate: str, arguments: tuple[str, ...], types: dict[str, str]) -> None:
    for argument in arguments:
        if argument not in types:
            raise GameFileError(
                f"pddl_problem: the fact {predicate} names {argument!r}, which :objects does not declare."
            )
    if predicate in PREDICATES:
        wanted, got = PREDICATES[predicate], f"expected {predicate} to take {PREDICATES[predicate]}, got {arguments}"
        if len(arguments) != len(wanted):
            raise GameFileError(f"pddl_problem: {got}.")
        if tuple(types[argument] for argument in arguments) != wanted:
            raise cannot_play(got)  # the original does not look at the types
    elif predicate not in _BOOKKEEPING:
        raise cannot_play(f"the problem has facts {predicate!r}, which are not known")


def _build(
    name: str,
    data: Mapping[str, Any],
    actions: frozenset[str],
    clean_at: frozenset[str],
    grammar: Grammar,
    types: dict[str, str],
    facts: dict[str, set[tuple[str, ...]]],
    goal: list[Any],
) -> Game:
    agents = facts["atlocation"]
    if len(agents) != 1 or sum(kind == "agent" for kind in types.values()) != 1:
        raise cannot_play(f"it needs one agent at one place, got {sorted(agents)}")
    for unsupported in ("holds", "holdsany", "holdsanyreceptacleobject"):
        if facts[unsupported]:
            raise cannot_play("it starts with something in the hands")
    ((agent, start),) = agents
    receptacles = tuple(sorted(r for r, _ in facts["receptacleatlocation"]))
    if len(set(receptacles)) != len(receptacles):
        raise cannot_play("a receptacle is at several places")
    location_of: dict[str, str] = {fact[0]: fact[1] for fact in facts["receptacleatlocation"]}
    receptacles_at: dict[str, list[str]] = defaultdict(list)
    for receptacle in receptacles:
        receptacles_at[location_of[receptacle]].append(receptacle)
    kinds: dict[str, set[str]] = {thing: set() for thing, kind in types.items() if kind in ("receptacle", "object")}
    for thing, kind in (*facts["receptacletype"], *facts["objecttype"]):
        kinds[thing].add(kind)
    things_of: dict[str, list[str]] = defaultdict(list)
    for thing in sorted(kinds):
        for kind in kinds[thing]:
            things_of[kind].append(thing)
    contents: dict[str, list[str]] = defaultdict(list)
    for thing, receptacle in sorted(facts["inreceptacle"]):
        contents[receptacle].append(thing)
    object_at: dict[str, set[str]] = defaultdict(set)
    for thing, location in facts["objectatlocation"]:
        object_at[thing].add(location)
    named = {argument for arguments in facts.values() for fact in arguments for argument in fact}
    digest = hashlib.sha256(
        "\0".join((data["pddl_domain"], data["grammar"], data["pddl_problem"])).encode()
    ).hexdigest()[:12]
    walkthrough = data.get("walkthrough")
    return Game(
        name=name,
        grammar=grammar,
        actions=actions,
        clean_at=clean_at,
        digest=digest,
        walkthrough=tuple(walkthrough) if walkthrough else None,
        types=types,
        names=name_entities(named),
        static={p: tuple(sorted(facts[p])) for p in _STATIC_FACTS},
        agent=agent,
        start=start,
        receptacles=receptacles,
        location_of=location_of,
        receptacles_at={location: tuple(here) for location, here in receptacles_at.items()},
        openable=frozenset(r for (r,) in facts["openable"]),
        kinds={thing: frozenset(of) for thing, of in kinds.items()},
        things_of={kind: tuple(things) for kind, things in things_of.items()},
        flags={p: frozenset(o for (o,) in facts[p]) for p in OBJECT_PROPERTIES},
        initial_opened=frozenset(r for (r,) in facts["opened"]),
        initial_contents={r: tuple(contents[r]) for r in contents},
        initial_flags={p: frozenset(o for (o,) in facts[p]) for p in OBJECT_STATES},
        initial_object_at={thing: frozenset(places) for thing, places in object_at.items()},
        goal=parse_goal(goal, types),
        holdable=_shared_table(frozenset((r, o) for r, o in facts["cancontain"])),
    )


_TABLES: dict[frozenset[tuple[str, str]], frozenset[tuple[str, str]]] = {}


def _shared_table(table: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """Return one shared object for equal containment tables: thousands of games have only a few different ones."""
    if len(_TABLES) > 256:
        _TABLES.clear()
    return _TABLES.setdefault(table, table)


def name_entities(ids: set[str]) -> dict[str, str]:
    """Give each entity the name that the benchmark's engine shows.

    An id such as `apple_bar__minus_00_dot_47_bar_…` becomes its first part and a number; `basin` is added where the id
    contains that word. Numbers are handed out from the highest: the first id in sorted order gets the number of
    entities that share its name. An id without `_bar_` keeps its text, followed by a blank.
    """
    ordered = sorted(ids)
    counts: Counter[str] = Counter()
    for entity in ordered:
        if "_bar_" in entity:
            counts[_base_name(entity)] += 1
    names: dict[str, str] = {}
    for entity in ordered:
        if "_bar_" not in entity:
            text = entity
            for code, sign in (("_minus_", "-"), ("_plus_", "+"), ("_dot_", "."), ("_comma_", ",")):
                text = text.replace(code, sign)
            names[entity] = f"{text} "
        else:
            base = _base_name(entity)
            names[entity] = sys.intern(f"{base} {counts[base]}")
            counts[base] -= 1
    return names


def _base_name(entity: str) -> str:
    base = entity.split("_bar_", 1)[0]
    return f"{base}basin" if "basin" in entity else base
