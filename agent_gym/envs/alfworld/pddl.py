"""Reading PDDL: nested lists, and a canonical form by which two action definitions are recognised as the same.

A game file carries its own domain. The native engine implements one set of rules; it may play a game only if the game's
domain means those very rules. So every action is brought into a canonical form that keeps its meaning and forgets its
spelling (comments, order of conjuncts, costs), and the forms are compared by digest.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Any, TypeAlias

from agent_gym.errors import GameFileError, UnsupportedGameError

SExpr: TypeAlias = "str | list[SExpr]"

_TOKEN = re.compile(r"[()]|[^\s()]+")
_COMMENT = re.compile(r";[^\n]*")

_DEEPEST = 100
"""Published files nest about ten deep; what reads the lists is recursive."""

TYPES = frozenset({"agent", "location", "receptacle", "object", "rtype", "otype"})
"""Types of objects in the household domain; none is a subtype of another."""

KNOWN_ACTIONS: dict[str, str] = {
    "look": "e2e75420b3001911",
    "inventory": "a86982a064dea80d",
    "examinereceptacle": "585b88340af6eb4d",
    "examineobject": "b60d144e734555dc",
    "gotolocation": "8f4f2e29cba00975",
    "openobject": "248acacf8b067ad4",
    "closeobject": "2651d7334fa2baa9",
    "pickupobject": "0ba2857bb6844cd4",
    "putobject": "49c094360e8e1148",
    "heatobject": "f696a81f3100c957",
    "coolobject": "f070209b5e927502",
    "toggleobject": "c9db12a676afd124",
    "sliceobject": "45513eba4c625b89",
    "help": "a86982a064dea80d",
}
"""Digest of the canonical form of every action that the native engine implements, but for `cleanobject`
(`action_digests` of a published domain prints them)."""

CLEAN_AT: dict[str, frozenset[str]] = {
    "edec25752c8686dd": frozenset({"sinkbasintype"}),
    "f91fcbc13ece3feb": frozenset({"sinkbasintype", "sinktype"}),
}
"""Types of receptacles at which things are cleaned, by the digest of `cleanobject`: published games also allow the sink
around the basin."""

OPTIONAL_ACTIONS = frozenset({"help"})
"""Actions that only newer versions of the benchmark have."""


def parse_sexpr(text: str, what: str) -> list[Any]:
    """Parse one parenthesised expression into nested lists of lower-case words.

    Args:
        text: PDDL text; comments from `;` to the end of the line are ignored.
        what: Name of the text for messages.

    Raises:
        GameFileError: If parentheses do not match, or there is nothing or too much.
    """
    stack: list[list[Any]] = [[]]
    for token in _TOKEN.findall(_COMMENT.sub("", text).lower()):
        if token == "(":
            stack.append([])
            if len(stack) > _DEEPEST:
                raise GameFileError(
                    f"{what}: parentheses are nested more than {_DEEPEST} deep; the file may be damaged."
                )
        elif token == ")":
            if len(stack) == 1:
                raise GameFileError(
                    f"{what}: expected matching parentheses, got a ')' too many; the file may be damaged."
                )
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(token)
    if len(stack) > 1:
        raise GameFileError(
            f"{what}: expected matching parentheses, got {len(stack) - 1} unclosed '('; the file may be truncated."
        )
    if len(stack[0]) != 1 or not isinstance(stack[0][0], list):
        raise GameFileError(f"{what}: expected one expression in parentheses, got {len(stack[0])} expressions.")
    expression: list[Any] = stack[0][0]
    return expression


def parse_typed_list(words: list[Any], what: str) -> list[tuple[str, str]]:
    """Turn `a b - t c - u` into `[(a, t), (b, t), (c, u)]`; words without a type get the type `object`.

    Raises:
        GameFileError: If a type is missing after `-`, or a word is a list.
    """
    pairs: list[tuple[str, str]] = []
    waiting: list[str] = []
    position = 0
    while position < len(words):
        word = words[position]
        if not isinstance(word, str):
            raise GameFileError(f"{what}: expected names and types, got {word!r}.")
        if word == "-":
            if position + 1 >= len(words) or not isinstance(words[position + 1], str):
                raise GameFileError(f"{what}: expected a type after '-'.")
            pairs += [(name, words[position + 1]) for name in waiting]
            waiting = []
            position += 1
        else:
            waiting.append(word)
        position += 1
    return pairs + [(name, "object") for name in waiting]


@lru_cache(maxsize=16)
def action_digests(domain: str) -> dict[str, str]:
    """Return a digest of the canonical form of each action of a domain.

    Raises:
        GameFileError: If the text is not a PDDL domain.
        UnsupportedGameError: If it has parts that the household domain does not have.
    """
    expression = parse_sexpr(domain, "the domain")
    if expression[:1] != ["define"]:
        raise GameFileError("the domain: expected '(define (domain …) …)'.")
    digests: dict[str, str] = {}
    for section in expression[1:]:
        head = section[0] if isinstance(section, list) and section else section
        if head in ("domain", ":requirements", ":predicates", ":functions"):
            continue
        if head == ":types":
            declared = {name for name, kind in parse_typed_list(section[1:], "the domain's types") if kind == "object"}
            if declared != TYPES:
                raise cannot_play(f"the domain declares the types {sorted(declared)}, expected {sorted(TYPES)}")
        elif head == ":action":
            name, form = _canonical_action(section)
            if name in digests:
                raise cannot_play(f"the domain has the action {name!r} twice")
            digests[name] = hashlib.sha256(repr(form).encode()).hexdigest()[:16]
        else:
            raise cannot_play(f"the domain has a section {head!r} that is not known")
    return digests


def check_domain(domain: str) -> tuple[frozenset[str], frozenset[str]]:
    """Make sure that a domain means the rules that the native engine implements.

    Returns:
        The names of its actions, and the types of the receptacles at which things are cleaned.

    Raises:
        GameFileError: If the text is not a PDDL domain.
        UnsupportedGameError: If any rule differs.
    """
    digests = action_digests(domain)
    missing = {*KNOWN_ACTIONS, "cleanobject"} - OPTIONAL_ACTIONS - set(digests)
    if missing:
        raise cannot_play(f"the domain lacks the actions {sorted(missing)}")
    for name, digest in digests.items():
        known = CLEAN_AT if name == "cleanobject" else {KNOWN_ACTIONS.get(name)}
        if known == {None}:
            raise cannot_play(f"the domain has an action {name!r} that is not known")
        if digest not in known:
            raise cannot_play(f"the domain's action {name!r} differs from the one that is known")
    return frozenset(digests), CLEAN_AT[digests["cleanobject"]]


def cannot_play(reason: str) -> UnsupportedGameError:
    """Return the error for a game that the native engine would play otherwise than the original, or not at all."""
    return UnsupportedGameError(
        f"The native engine can't play this game faithfully: {reason}. "
        "Use engine='textworld', which interprets any domain and grammar."
    )


def _canonical_action(section: list[Any]) -> tuple[str, tuple[Any, ...]]:
    name = section[1] if len(section) > 1 and isinstance(section[1], str) else "?"
    fields = (
        dict(zip(section[2::2], section[3::2], strict=False))
        if all(isinstance(key, str) for key in section[2::2])
        else {}
    )
    if set(fields) != {":parameters", ":precondition", ":effect"}:
        raise cannot_play(f"the action {name!r} does not consist of parameters, precondition and effect")
    parameters = tuple(sorted(parse_typed_list(fields[":parameters"], f"parameters of {name}")))
    return name, (parameters, _canonical(fields[":precondition"]), _canonical(fields[":effect"]))


def _canonical(formula: Any) -> tuple[Any, ...]:
    """Return a formula with `and`/`or` flattened and sorted, without costs and without `exists` over an empty type."""
    if formula == []:
        return ("and",)
    head, rest = formula[0], formula[1:]
    if head in ("and", "or"):
        parts: list[tuple[Any, ...]] = []
        for part in map(_canonical, rest):
            parts.extend(part[1:] if part[0] == head else [part])
        neutral, absorbing = (("and",), ("or",)) if head == "and" else (("or",), ("and",))
        kept = sorted({part for part in parts if part != neutral}, key=repr)
        if absorbing in kept:
            return absorbing
        return kept[0] if len(kept) == 1 else (head, *kept)
    if head == "increase":
        return ("and",)
    if head in ("exists", "forall"):
        variables = parse_typed_list(rest[0], head)
        if any(
            kind not in TYPES for _, kind in variables
        ):  # such a type has no objects (the published domain contains one, by a stray comma)
            return ("or",) if head == "exists" else ("and",)
        return (head, tuple(sorted(variables)), _canonical(rest[1]))
    if head in ("not", "when"):
        return (head, *map(_canonical, rest))
    return tuple(formula)
