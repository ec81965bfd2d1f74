"""Grammar symbols turned into functions of the simulator's state.

A rule is compiled once for each set of placeholders that can be bound when it is used. A compiled rule takes the
simulator and a tuple with the ids of the bound placeholders, and returns text. Nothing here belongs to one game, so all
games with the same grammar share the result.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from agent_gym.envs.alfworld.facts import LISTERS, PREDICATES, Lister
from agent_gym.envs.alfworld.grammar import Expression, ForEach, Listing, Literal, Predicate, Reference, Rules, Symbol
from agent_gym.envs.alfworld.pddl import cannot_play

if TYPE_CHECKING:
    from agent_gym.envs.alfworld.engine import Simulator

Scope: TypeAlias = "tuple[tuple[str, str], ...]"
"""Placeholders (name, type) that are bound, in the order of their ids."""
Ids: TypeAlias = "tuple[str, ...]"
Text: TypeAlias = "Callable[[Simulator, Ids], str]"
Matches: TypeAlias = "Callable[[Simulator, Ids], list[Ids]]"

_TASK = "task"
_IMPLIED = frozenset({Predicate("receptacleatlocation", (("r", "receptacle"), ("lend", "location")))})
"""The one condition in a command that is allowed: it is true whenever the action (going) is possible."""


class Words:
    """The compiled texts of one grammar."""

    def __init__(self, rules: Rules) -> None:
        """Prepare to compile; each text is compiled with all that it refers to when it is first asked for."""
        self._rules = rules
        self._compiled: dict[tuple[str, Scope], Text] = {}

    def command(self, action: str, scope: Scope) -> Text:
        """Return the function that words the command for an action.

        Raises:
            UnsupportedGameError: If the grammar has no such action.
        """
        return self._sequence(self._action(action)[0], scope)

    def feedback(self, action: str, scope: Scope) -> Text:
        """Return the function that words the answer to an action, to be called in the state after it."""
        return self._sequence(self._action(action)[1], scope)

    def rule(self, name: str) -> Text:
        """Return the function for a rule without bound placeholders."""
        return self._reference(Reference(name), ())

    def _action(self, action: str) -> tuple[tuple[Symbol, ...], tuple[Symbol, ...]]:
        words = self._rules.actions.get(action)
        if words is None:
            raise cannot_play(f"the grammar has no words for the action {action!r}")
        return words.template, words.feedback

    def shape(self, action: str) -> tuple[str, ...]:
        """Return the pieces of an action's command: texts as they stand, placeholders as `{name}`.

        Raises:
            UnsupportedGameError: If the command is more than that, so that its wording could change during a game.
        """
        pieces: list[str] = []
        for symbol in self._action(action)[0]:
            each = symbol.items if isinstance(symbol, Listing) else symbol
            what = each.what if isinstance(each, ForEach) else each
            if isinstance(what, Reference) or (isinstance(each, ForEach) and not _IMPLIED.issuperset(each.condition)):
                raise cannot_play(f"the command for {action!r} is more than words and names")
            if isinstance(what, Expression):
                pieces += sorted({f"{{{node.id}}}" for node in ast.walk(what.tree) if isinstance(node, ast.Name)})
            elif isinstance(what, Literal):
                pieces.append(what.text)
        return tuple(pieces)

    def conditions(self) -> list[tuple[Predicate, ...]]:
        """Return every condition in the grammar."""
        found: list[tuple[Predicate, ...]] = []
        for symbols in [words.template for words in self._rules.actions.values()] + [
            words.feedback for words in self._rules.actions.values()
        ]:
            found += _nested_conditions(symbols)
        for alternatives in self._rules.rules.values():
            for alternative in alternatives:
                found.append(alternative.condition)
                found += _nested_conditions(alternative.symbols)
        return [condition for condition in found if condition]

    # Compilation ------------------------------------------------------------------------------------------------------

    def _sequence(self, symbols: tuple[Symbol, ...], scope: Scope) -> Text:
        parts: list[Text | str] = []
        for symbol in symbols:
            part = self._symbol(symbol, scope)
            if isinstance(part, str) and parts and isinstance(parts[-1], str):
                parts[-1] += part
            else:
                parts.append(part)
        return _joined(parts)

    def _symbol(self, symbol: Symbol, scope: Scope) -> Text | str:
        if isinstance(symbol, Literal):
            return symbol.text
        if isinstance(symbol, Expression):
            return _expression(symbol.tree, scope)
        if isinstance(symbol, Reference):
            return self._reference(symbol, scope)
        if isinstance(symbol, ForEach):
            matches, item = self._items(symbol, scope)
            return lambda sim, ids: "".join([item(sim, found) for found in matches(sim, ids)])
        return self._listing(symbol, scope)

    def _items(self, symbol: ForEach, scope: Scope) -> tuple[Matches, Text]:
        matches, wider = compile_condition(symbol.condition, scope)
        part = self._symbol(symbol.what, wider)
        return matches, part if callable(part) else _joined([part])

    def _listing(self, symbol: Listing, scope: Scope) -> Text:
        matches, item = self._items(symbol.items, scope)
        empty, separator, last = (
            self._reference(Reference(name), scope) for name in ("list_empty", "list_separator", "list_last_separator")
        )

        def text(sim: Simulator, ids: Ids) -> str:
            items = [item(sim, found) for found in matches(sim, ids)]
            if len(items) > 1:
                return separator(sim, ids).join(items[:-1]) + last(sim, ids) + items[-1]
            return items[0] if items else empty(sim, ids)

        return text

    def _reference(self, symbol: Reference, scope: Scope) -> Text:
        """Compile a rule now, so that what is not understood is found before a game starts, not in its middle."""
        key = (symbol.rule, scope)
        if key not in self._compiled:
            self._compiled[key] = _never_compiled  # a rule that leads to itself finds this
            self._compiled[key] = self._rule(symbol.rule, scope)
        if self._compiled[key] is _never_compiled:
            raise cannot_play(f"the grammar's rule {symbol.rule!r} leads to itself")
        return self._compiled[key]

    def _rule(self, name: str, scope: Scope) -> Text:
        if name == _TASK:
            return lambda sim, ids: self._sequence(sim.game.grammar.task_symbols, scope)(sim, ids)
        alternatives = self._rules.rules.get(name)
        if not alternatives:
            raise cannot_play(f"the grammar refers to the rule {name!r}, which it does not have")
        conditional: list[tuple[Callable[[Simulator, Ids], object], Text]] = []
        otherwise: Text | None = None
        for alternative in alternatives:
            words = self._sequence(alternative.symbols, scope)
            if not alternative.condition:
                otherwise = words
                break  # what follows can't be reached
            conditional.append((compile_test(alternative.condition, scope), words))
        if otherwise is None:
            raise cannot_play(f"all alternatives of the grammar's rule {name!r} have conditions, so none may apply")
        if not conditional:
            return otherwise

        def text(sim: Simulator, ids: Ids) -> str:
            for condition, words in conditional:
                if condition(sim, ids):
                    return words(sim, ids)
            return otherwise(sim, ids)

        return text


def _never_compiled(_sim: Simulator, _ids: Ids) -> str:
    raise AssertionError("a rule is used before it is compiled")


def _nested_conditions(symbols: tuple[Symbol, ...]) -> list[tuple[Predicate, ...]]:
    each = (symbol.items if isinstance(symbol, Listing) else symbol for symbol in symbols)
    return [symbol.condition for symbol in each if isinstance(symbol, ForEach)]


@lru_cache(maxsize=64)
def compiled_words(rules: Rules) -> Words:
    """Return the compiled texts of a grammar, the same object for the same rules."""
    return Words(rules)


def _joined(parts: list[Text | str]) -> Text:
    if not parts:
        return lambda _sim, _ids: ""
    if len(parts) == 1:
        (only,) = parts
        if isinstance(only, str):
            constant = only
            return lambda _sim, _ids: constant
        return only
    functions = [part if callable(part) else _joined([part]) for part in parts]
    if len(functions) == 2:
        first, second = functions
        return lambda sim, ids: first(sim, ids) + second(sim, ids)
    return lambda sim, ids: "".join([function(sim, ids) for function in functions])


def _expression(node: ast.expr, scope: Scope) -> Text:
    if isinstance(node, ast.Constant):
        constant = str(node.value)
        return lambda _sim, _ids: constant
    if isinstance(node, ast.Name):
        return _entity(node.id, "name", scope)
    if isinstance(node, ast.Attribute):
        assert isinstance(node.value, ast.Name)
        return _entity(node.value.id, node.attr, scope)
    if isinstance(node, ast.BinOp):
        left, right = _expression(node.left, scope), _expression(node.right, scope)
        return lambda sim, ids: left(sim, ids) + right(sim, ids)
    assert isinstance(node, ast.BoolOp)  # the parser allows nothing else
    values = [_expression(value, scope) for value in node.values]
    return lambda sim, ids: next((text for value in values if (text := value(sim, ids))), "")


def _entity(variable: str, attribute: str, scope: Scope) -> Text:
    slots = [slot for slot, (name, _) in enumerate(scope) if name == variable]
    if not slots:
        raise cannot_play(f"the grammar uses {variable!r} where nothing is bound to it")
    slot = slots[-1]
    if attribute == "name":
        return lambda sim, ids: sim.game.names[ids[slot]]
    if attribute == "id":
        return lambda _sim, ids: ids[slot]
    article = {"definite": "the", "indefinite": "a"}[attribute]
    return lambda _sim, _ids: article


def compile_condition(condition: tuple[Predicate, ...], scope: Scope) -> tuple[Matches, Scope]:
    """Turn a condition into a function that lists all ways to satisfy it.

    Each way is the tuple of ids for the wider scope that is returned beside it. Ways come in the order of nested loops
    over sorted facts, and different placeholders never stand for the same entity, as in TextWorld's queries.

    Raises:
        UnsupportedGameError: If a predicate is not known, or is used with other types than it has.
    """
    steps: list[tuple[Lister, tuple[int | None, ...]]] = []
    wider = list(scope)
    for predicate in condition:
        _check_predicate(predicate)
        steps.append(
            (LISTERS[predicate.name], tuple(wider.index(p) if p in wider else None for p in predicate.parameters))
        )
        wider += [parameter for parameter in predicate.parameters if parameter not in wider]
    if len(steps) == 1 and steps[0][1].count(None) == 1:
        return _one_new(*steps[0]), tuple(wider)

    def matches(sim: Simulator, ids: Ids) -> list[Ids]:
        found = [ids]
        for lister, places in steps:
            longer: list[Ids] = []
            for known in found:
                for fact in lister(sim, tuple([None if place is None else known[place] for place in places])):
                    new = tuple([value for value, place in zip(fact, places, strict=True) if place is None])
                    if len(set(known + new)) == len(known) + len(new):
                        longer.append(known + new)
            found = longer
            if not found:
                break
        return found

    return matches, tuple(wider)


def _one_new(lister: Lister, places: tuple[int | None, ...]) -> Matches:
    """Return the common case of one predicate with one new placeholder, written for speed."""
    new = places.index(None)

    def matches(sim: Simulator, ids: Ids) -> list[Ids]:
        facts = lister(sim, tuple([None if place is None else ids[place] for place in places]))
        return [(*ids, fact[new]) for fact in facts if fact[new] not in ids]

    return matches


def compile_test(condition: tuple[Predicate, ...], scope: Scope) -> Callable[[Simulator, Ids], object]:
    """Turn a condition into a function whose truth says whether it can be satisfied."""
    if any(parameter not in scope for predicate in condition for parameter in predicate.parameters):
        return compile_condition(condition, scope)[0]
    tests: list[Callable[[Simulator, Ids], object]] = []
    for predicate in condition:
        _check_predicate(predicate)
        tests.append(
            _known_fact(LISTERS[predicate.name], tuple(scope.index(parameter) for parameter in predicate.parameters))
        )
    if len(tests) == 1:
        return tests[0]
    return lambda sim, ids: all(test(sim, ids) for test in tests)


def _known_fact(lister: Lister, places: tuple[int, ...]) -> Callable[[Simulator, Ids], object]:
    if len(places) == 1:
        (place,) = places
        return lambda sim, ids: lister(sim, (ids[place],))
    return lambda sim, ids: lister(sim, tuple([ids[place] for place in places]))


def _check_predicate(predicate: Predicate) -> None:
    kinds = PREDICATES.get(predicate.name.removeprefix("not_"))
    if predicate.name not in LISTERS or kinds is None:
        raise cannot_play(f"the grammar asks for {predicate.name!r}, which the native engine does not know")
    if tuple(kind for _, kind in predicate.parameters) != kinds or len(set(predicate.parameters)) != len(kinds):
        raise cannot_play(
            f"the grammar uses {predicate.name!r} with {predicate.parameters}, expected the types {kinds}"
        )
