r"""Reading the grammar of a game file: command templates and the rules by which observations are worded.

The format is TextWorld's. A file consists of blocks

    grammar :: \"\"\" {"rule name": [{"condition": "…", "rhs": "…"}, …], …} \"\"\";
    action Look { template :: "look"; feedback :: "#look.feedback#"; grammar :: \"\"\" {…} \"\"\"; }

and a right-hand side is text with `#rule#`, `{expression}`, `{expression | condition}` and `[{expression | condition}]`
(a list with separators). This module turns a file into symbols; `textgen` turns symbols into functions.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from agent_gym.envs.alfworld.pddl import cannot_play
from agent_gym.errors import GameFileError, UnsupportedGameError


@dataclass(frozen=True, slots=True)
class Literal:
    """Text as it stands."""

    text: str


@dataclass(frozen=True, slots=True)
class Reference:
    """`#rule#`: the first alternative of the rule whose condition holds."""

    rule: str


@dataclass(frozen=True, slots=True)
class Expression:
    """`{o.indefinite + ' ' + o.name}`: a Python expression of entities, their attributes, strings, `+` and `or`."""

    tree: ast.expr
    source: str


@dataclass(frozen=True, slots=True)
class ForEach:
    """`{what | condition}`: `what` once for each way in which the condition holds."""

    what: Reference | Expression
    condition: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """`[{what | condition}]`: the same, with separators between the items."""

    items: ForEach


Symbol: TypeAlias = "Literal | Reference | Expression | ForEach | Listing"


@dataclass(frozen=True, slots=True)
class Predicate:
    """A fact in a condition; parameters are pairs (placeholder, type)."""

    name: str
    parameters: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Alternative:
    """One right-hand side of a rule and the condition (all predicates together) under which it applies."""

    condition: tuple[Predicate, ...]
    symbols: tuple[Symbol, ...]


@dataclass(frozen=True, slots=True)
class ActionWords:
    """How an action is commanded and answered."""

    template: tuple[Symbol, ...]
    feedback: tuple[Symbol, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """All that a grammar says, apart from the task sentence. Compared by identity: equal texts give one object."""

    actions: Mapping[str, ActionWords]
    rules: Mapping[str, tuple[Alternative, ...]]


@dataclass(frozen=True, slots=True)
class Grammar:
    """The grammar of one game.

    Thousands of games differ only in the task sentence, so it stands apart, and `rules` is one shared object for all of
    them.
    """

    rules: Rules
    task: str
    task_symbols: tuple[Symbol, ...]


_TASK_RULE = re.compile(r'("task"\s*:\s*\[\s*\{\s*"rhs"\s*:\s*)("(?:[^"\\]|\\.)*")')
_TASK_PREFIX = "Your task is to: "


def load_grammar(text: str) -> Grammar:
    """Read a grammar.

    Raises:
        GameFileError: If it is malformed.
        UnsupportedGameError: If it uses the language in a way that is not known here.
    """
    found = _TASK_RULE.findall(text)
    if len(found) != 1:
        raise _unsupported(f"expected exactly one rule 'task' with a right-hand side, got {len(found)}")
    try:
        sentence: str = json.loads(found[0][1])
    except json.JSONDecodeError as error:
        raise GameFileError(f"grammar: the task sentence is not a JSON string ({error}).") from error
    rules = _load_rules(_TASK_RULE.sub(r'\1""', text))
    return Grammar(rules, sentence.removeprefix(_TASK_PREFIX).strip(), parse_symbols(sentence))


# The file -------------------------------------------------------------------------------------------------------------

_BLOCK = re.compile(r'"""((?:.|\n)*?)"""')
_FILE_TOKEN = re.compile(r'"""(?:.|\n)*?"""|"[^"]*"|::|[{};]|[\w/-]+|#[^\n]*|\s+|.')


@lru_cache(maxsize=64)
def _load_rules(text: str) -> Rules:
    tokens = [token for token in _FILE_TOKEN.findall(text) if not token.isspace() and not token.startswith("#")]
    actions: dict[str, ActionWords] = {}
    data: dict[str, object] = {}
    position = 0

    def take(expected: str | None = None) -> str:
        nonlocal position
        if position >= len(tokens):
            raise GameFileError(
                f"grammar: expected {expected or 'more'}, got the end of the text; the file may be truncated."
            )
        token: str = tokens[position]
        position += 1
        if expected is not None and token != expected:
            raise GameFileError(f"grammar: expected {expected!r}, got {token[:40]!r}.")
        return token

    while position < len(tokens):
        word = take()
        if word == "grammar":
            take("::")
            data.update(_json_block(take()))
            take(";")
        elif word == "action":
            name = take().lower()
            take("{")
            fields: dict[str, str] = {}
            while (key := take()) != "}":
                take("::")
                fields[key] = take()
                take(";")
            if not set(fields) <= {"template", "feedback", "grammar"} or not {"template", "feedback"} <= set(fields):
                raise _unsupported(f"the action {name!r} has the fields {sorted(fields)}")
            actions[name] = ActionWords(
                parse_symbols(fields["template"][1:-1]), parse_symbols(fields["feedback"][1:-1])
            )
            if "grammar" in fields:
                data.update(_json_block(fields["grammar"], comments=True))
        else:
            raise GameFileError(f"grammar: expected 'grammar' or 'action', got {word[:40]!r}.")
    return Rules(actions, {name: _alternatives(name, rules) for name, rules in data.items()})


def _json_block(token: str, *, comments: bool = False) -> dict[str, object]:
    match = _BLOCK.fullmatch(token)
    if match is None:
        raise GameFileError(f'grammar: expected a block in """…""", got {token[:40]!r}.')
    lines = textwrap.dedent(match[1]).split("\n")
    text = "\n".join(line for line in lines if not (comments and line.lstrip().startswith("#")))
    try:
        block = json.loads(text)
    except json.JSONDecodeError as error:
        raise GameFileError(f"grammar: expected JSON rules, got a syntax error ({error}).") from error
    if not isinstance(block, dict):
        raise GameFileError(f"grammar: expected a JSON object of rules, got {type(block).__name__}.")
    return block


def _alternatives(name: str, rules: object) -> tuple[Alternative, ...]:
    if not isinstance(rules, list) or not all(
        isinstance(rule, dict) and isinstance(rule.get("rhs"), str) for rule in rules
    ):
        raise GameFileError(f"grammar: expected a list of objects with 'rhs' for the rule {name!r}.")
    return tuple(Alternative(parse_condition(rule.get("condition", "")), parse_symbols(rule["rhs"])) for rule in rules)


# Right-hand sides and conditions --------------------------------------------------------------------------------------

_CONDITIONAL = re.compile(
    r"\{\t*(?:#\t*(?P<rule>[\w()/!<>\-\s,.]+)#|(?P<expression>[^|\[\]{}\n<>]+?))"
    r"(?:\s*\|\s*(?P<given>(?!\s)[^;|{}\n\[\]#]+))?\t*\}"
)
_REFERENCE = re.compile(r"#\t*([\w()/!<>\-\s,.]+)#")
_LITERAL = re.compile(r'"([^;|"<>\[\]#{}]*)"|([^;|"<>\[\]#{}]+)')
_LIST_START, _LIST_END = re.compile(r"\[\t*"), re.compile(r"\t*\]")
_PREDICATE = re.compile(r"\s*(!?[\w/]+)\s*\(([^()]*)\)\s*")


@lru_cache(maxsize=4096)
def parse_symbols(text: str) -> tuple[Symbol, ...]:
    """Split a right-hand side into symbols.

    Blanks at its beginning and tabs between symbols do not count, and what follows a character that can't start a
    symbol (a stray brace, say) is dropped: so does the benchmark's engine.

    Raises:
        UnsupportedGameError: If an expression is not of the allowed kind.
    """
    symbols: list[Symbol] = []
    position = len(text) - len(text.lstrip())
    if text.startswith("//", position):
        raise _unsupported("a right-hand side begins with a comment")
    while position < len(text):
        if text[position] == "\t":  # only inside a literal (which would have swallowed it) do tabs count
            position += 1
            continue
        if start := _LIST_START.match(text, position):
            match = _CONDITIONAL.match(text, start.end())
            end = match and _LIST_END.match(text, match.end())
            if match is None or end is None:
                break
            symbols.append(Listing(_for_each(match)))
            position = end.end()
        elif text[position] == "{":
            match = _CONDITIONAL.match(text, position)
            if match is None:
                break
            each = _for_each(match)
            symbols.append(each if match["given"] else each.what)
            position = match.end()
        elif text[position] == "#":
            match = _REFERENCE.match(text, position)
            if match is None:
                break
            symbols.append(Reference(match[1]))
            position = match.end()
        else:
            match = _LITERAL.match(text, position)
            if match is None:
                break
            symbols.append(Literal(match[1] if match[1] is not None else match[2]))
            position = match.end()
    return tuple(symbols)


def parse_condition(text: str) -> tuple[Predicate, ...]:
    """Parse `holds(a:agent, o:object) & …`; an empty text is the condition that always holds.

    Raises:
        GameFileError: If it is malformed.
    """
    if not text.strip():
        return ()
    predicates = []
    for part in text.split("&"):
        match = _PREDICATE.fullmatch(part)
        if match is None:
            raise GameFileError(f"grammar: expected a condition such as 'opened(r:receptacle)', got {text!r}.")
        parameters = []
        for parameter in filter(None, (piece.strip() for piece in match[2].split(","))):
            name, _, kind = parameter.partition(":")
            parameters.append((name.strip(), (kind or name).strip()))
        predicates.append(Predicate(match[1], tuple(parameters)))
    return tuple(predicates)


def _for_each(match: re.Match[str]) -> ForEach:
    what = Reference(match["rule"]) if match["rule"] is not None else _expression(match["expression"])
    return ForEach(what, parse_condition(match["given"] or ""))


def _expression(source: str) -> Expression:
    try:
        tree = ast.parse(source.strip(), mode="eval").body
    except SyntaxError as error:
        raise _unsupported(f"the expression {source!r} is not a Python expression") from error
    if not _allowed(tree):
        raise _unsupported(f"the expression {source!r} is more than names, attributes, strings, '+' and 'or'")
    return Expression(tree, source)


def _allowed(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=str()) | ast.Name():
            return True
        case ast.Attribute(value=ast.Name(), attr="name" | "id" | "definite" | "indefinite"):
            return True
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _allowed(left) and _allowed(right) and not any(map(_may_be_entity, (left, right)))
        case ast.BoolOp(op=ast.Or(), values=values):
            return all(map(_allowed, values))
    return False


def _may_be_entity(node: ast.expr) -> bool:
    """Return whether the value may be an entity, which can be shown but not be added to a text."""
    return isinstance(node, ast.Name) or (isinstance(node, ast.BoolOp) and any(map(_may_be_entity, node.values)))


def _unsupported(reason: str) -> UnsupportedGameError:
    return cannot_play(f"the grammar is not of a known kind ({reason})")
