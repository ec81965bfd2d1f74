"""Write the configuration reference in docs/trainer.md from the dataclasses, their defaults and the lines below them.

    python -m tools.write_config_reference

A test runs the same function and compares, so the page can't fall behind the code.
"""

import ast
import inspect
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import Field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from trainers.config import CHOICES, TrainConfig
from trainers.config_tables import optional_parts
from trainers.sft import SftConfig

PAGE = Path(__file__).resolve().parents[1] / "docs" / "trainer.md"
BEGIN, END = "<!-- begin of the generated reference -->", "<!-- end of the generated reference -->"
WORDS = {str: "text", bool: "true or false", int: "whole number", float: "number", dict: "table"}


def reference() -> str:
    """Return the reference: a table for the top level and one for each nested dataclass."""
    parts = [*_tables(TrainConfig(), "")]
    own = [one for one in fields(SftConfig) if not is_dataclass(getattr(SftConfig(), one.name))]
    parts.append(_heading("sft", SftConfig, "`agent-gym sft`") + _table(SftConfig, own))
    return "\n\n".join(parts)


def _tables(config: Any, where: str) -> Iterator[str]:
    """The tables of a dataclass object and of those inside it, in their order."""
    kind = type(config)
    optional = optional_parts(kind)
    nested = [one for one in fields(config) if is_dataclass(getattr(config, one.name)) or one.name in optional]
    plain = [one for one in fields(config) if one not in nested]
    yield _heading(where, kind) + _table(kind, plain)
    for one in nested:
        if one.name in optional:
            word = f"{where}:{one.name}" if where else f"{one.name.replace('_', '-')}:on"
            title = f"`[{f'{where}.{one.name}'.strip('.')}]`, if it is there; on the command line `{word}`"
            part = optional[one.name]
            yield _heading(one.name, part, title) + _table(part, list(fields(part)))
        elif one.name in CHOICES:
            for method, member in CHOICES[one.name].items():
                title = f'`[{one.name}]` with `method = "{method}"`, on the command line `{one.name}:{method}`'
                yield _heading(one.name, member, title) + _table(member, list(fields(member)))
        else:
            yield from _tables(getattr(config, one.name), f"{where}.{one.name}".strip("."))


def _heading(where: str, kind: type, title: str | None = None) -> str:
    first = inspect.getdoc(kind).partition("\n\n")[0].replace("\n", " ")  # type: ignore[union-attr]  # all have one
    return f"### {title or (f'`[{where}]`' if where else 'Top level')}\n\n{first}\n\n"


def _table(kind: type, members: list[Field[Any]]) -> str:
    hints, texts = get_type_hints(kind), field_texts(kind)
    rows = ["| key | value | default | |", "|---|---|---|---|"]
    for one in members:
        default = getattr(kind(), one.name)
        cells = (f"`{one.name}`", describe(hints[one.name]), _toml(default), texts[one.name])
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def field_texts(kind: type) -> dict[str, str]:
    """What stands below each field of a dataclass or of one it is derived from: the string after its line."""
    texts = {}
    for one in reversed([one for one in kind.__mro__ if is_dataclass(one)]):
        [tree] = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        assert isinstance(tree, ast.ClassDef)
        for line, below in zip(tree.body, tree.body[1:], strict=False):
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and isinstance(below, ast.Expr):
                texts[line.target.id] = " ".join(ast.literal_eval(below.value).split())
    return texts


def describe(hint: Any) -> str:
    """A type in words: what may stand in a TOML file."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " · ".join(f'`"{choice}"`' for choice in arguments)
    if origin in (typing.Union, types.UnionType):
        some = [describe(one) for one in arguments if one is not type(None)]
        return " or ".join([*some, '`"none"`'] if type(None) in arguments else some)
    if hint is Any or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return WORDS[dict]
    if origin is tuple:
        return f"list of {describe(arguments[0])}" if arguments[-1] is Ellipsis else f"{len(arguments)} numbers"
    return WORDS[origin or hint]


def _toml(value: Any) -> str:
    """A default as TOML has it; an empty text or list says no more than that it is empty."""
    if value is None:
        return '`"none"`'
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f'`"{value}"`'
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{one}"' if isinstance(one, str) else str(one) for one in value) + "]`"
    return f"`{value}`"


def updated(page: str) -> str:
    """The page with the reference between its two marks brought up to date."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{reference()}\n\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
