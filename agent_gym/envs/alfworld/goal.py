"""Goals: formulas over facts, turned into a join that is cheap to evaluate at every step.

A goal is a conjunction of facts under existential quantifiers. Its variables are found by enumerating one fact after
the other, rare facts first, so that an unfinished task is usually refuted by the first look-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent_gym.envs.alfworld.facts import LISTERS, PREDICATES, STATIC
from agent_gym.envs.alfworld.pddl import cannot_play, parse_typed_list
from agent_gym.errors import GameFileError

if TYPE_CHECKING:
    from agent_gym.envs.alfworld.engine import Simulator

_RARE = ("istoggled", "isclean", "ishot", "iscool", "issliced", "holds", "holdsany", "receptacletype", "inreceptacle")
"""Facts to enumerate first, the rarest first."""


@dataclass(frozen=True, slots=True)
class Atom:
    """A fact over terms (`?variable` or id), or, with the predicate `!=`, the demand that two terms differ."""

    predicate: str
    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Goal:
    """Parts that must all hold; each is a list of atoms that must hold together for some values of its variables.

    Attributes:
        parts: Conjunctions, ordered for evaluation.
        variables: Type of each variable.
        predicates: Names of the facts that the goal depends on and that actions change.
    """

    parts: tuple[tuple[Atom, ...], ...]
    variables: dict[str, str]
    predicates: frozenset[str]

    def reached(self, sim: Simulator) -> bool:
        """Return whether the goal holds in the simulator's present state."""
        return all(self._satisfiable(sim, part, 0, {}) for part in self.parts)

    def _satisfiable(self, sim: Simulator, atoms: tuple[Atom, ...], position: int, bound: dict[str, str]) -> bool:
        if position == len(atoms):
            return True
        atom = atoms[position]
        pattern = tuple(bound.get(term) if term[0] == "?" else term for term in atom.terms)
        if atom.predicate == "!=":
            return pattern[0] != pattern[1] and self._satisfiable(sim, atoms, position + 1, bound)
        for fact in LISTERS[atom.predicate](sim, pattern):
            wider = dict(bound)
            for term, value in zip(atom.terms, fact, strict=True):
                if term[0] == "?" and wider.setdefault(term, value) != value:
                    break
            else:
                if self._satisfiable(sim, atoms, position + 1, wider):
                    return True
        return False


def parse_goal(formula: Any, types: dict[str, str]) -> Goal:
    """Turn a goal formula of nested lists into a `Goal`.

    Raises:
        UnsupportedGameError: If it contains more than facts, `and`, `exists` and inequality.
        GameFileError: If it is malformed.
    """
    variables: dict[str, str] = {}
    parts: list[list[Atom]] = []
    _collect_parts(formula, variables, parts, {})
    known = {**types, **variables}
    for part in parts:
        for atom in part:
            _check_atom(atom, known)
        used = {term for atom in part if atom.predicate != "!=" for term in atom.terms}
        if loose := sorted(term for atom in part for term in atom.terms if term[0] == "?" and term not in used):
            raise cannot_play(f"the goal asks nothing of {loose[0].partition('#')[0]!r} but to be another")
    ordered = tuple(tuple(_in_cheap_order(part)) for part in parts)
    changing = frozenset(
        atom.predicate for part in ordered for atom in part if atom.predicate not in STATIC and atom.predicate != "!="
    )
    return Goal(ordered, variables, changing)


def _collect_parts(formula: Any, variables: dict[str, str], parts: list[list[Atom]], renamed: dict[str, str]) -> None:
    """Split the outermost conjunction: its members share no variables, so each is a join of its own."""
    if isinstance(formula, list) and formula and formula[0] == "and":
        for member in formula[1:]:
            _collect_parts(member, variables, parts, renamed)
    else:
        atoms: list[Atom] = []
        _collect_atoms(formula, variables, atoms, renamed)
        parts.append(atoms)


def _collect_atoms(formula: Any, variables: dict[str, str], atoms: list[Atom], renamed: dict[str, str]) -> None:
    if not isinstance(formula, list) or not formula or not isinstance(formula[0], str):
        raise GameFileError(f"the goal: expected a formula, got {formula!r}.")
    head = formula[0]
    if head == "and":
        for member in formula[1:]:
            _collect_atoms(member, variables, atoms, renamed)
    elif head == "exists" and len(formula) == 3 and isinstance(formula[1], list):
        inner = dict(renamed)
        for name, kind in parse_typed_list(formula[1], "the goal"):
            inner[name] = f"{name}#{len(variables)}"  # the same name may be quantified twice
            variables[inner[name]] = kind
        _collect_atoms(formula[2], variables, atoms, inner)
    elif head == "not" and len(formula) == 2 and isinstance(formula[1], list) and formula[1][:1] == ["="]:
        atoms.append(Atom("!=", _renamed(formula[1][1:], renamed)))
    elif head in LISTERS and not head.startswith("not_"):
        atoms.append(Atom(head, _renamed(formula[1:], renamed)))
    else:
        raise cannot_play(f"the goal contains {head!r}, which is none of facts, 'and', 'exists' and '(not (= …))'")


def _check_atom(atom: Atom, types: dict[str, str]) -> None:
    for term in atom.terms:
        if term not in types:
            raise GameFileError(f"the goal names {term!r}, which neither :objects nor a quantifier declares.")
    wanted = PREDICATES.get(atom.predicate)
    have = tuple(types[term] for term in atom.terms)
    if have != wanted and not (wanted is None and len(have) == 2):
        raise GameFileError(f"the goal: expected {atom.predicate} to take {wanted}, got {have}.")


def _renamed(terms: list[Any], renamed: dict[str, str]) -> tuple[str, ...]:
    if not all(isinstance(term, str) for term in terms):
        raise GameFileError(f"the goal: expected names of things, got {terms!r}.")
    return tuple(renamed.get(term, term) for term in terms)


def _in_cheap_order(atoms: list[Atom]) -> list[Atom]:
    waiting, ordered, bound = list(atoms), list[Atom](), set[str]()

    def cost(atom: Atom) -> tuple[int, int]:
        free = sum(term[0] == "?" and term not in bound for term in atom.terms)
        if atom.predicate == "!=":
            return (9 if free else -1, 0)
        rarity = _RARE.index(atom.predicate) if atom.predicate in _RARE else len(_RARE)
        return (0 if free == 0 else 1, rarity)

    while waiting:
        best = min(waiting, key=cost)
        waiting.remove(best)
        ordered.append(best)
        bound.update(best.terms)
    return ordered
