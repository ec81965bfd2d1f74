"""Nested frozen dataclasses as tables: read with every key and value checked, and written as TOML.

A part of a configuration may be *one of several kinds* (`Kinds`): the key `method` of its table names the kind, or the
import path of a class of one's own. A part may be *optional* (`Settings | None`): a table makes it, `"none"` takes it
away. TOML has no null: `"none"` stands for it.
"""

import dataclasses
import json
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from agent_gym.errors import BadOptionError, did_you_mean
from trainers.own import find_own, make_own, path_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Kinds:
    """What a part of a configuration may be."""

    known: Mapping[str, type[Any]]
    """Classes by name."""
    needs: tuple[str, ...]
    """Methods of which a class of one's own must have one."""

    def name_of(self, part: object) -> str:
        """The name, or the import path, of a part's kind."""
        return next((name for name, kind in self.known.items() if type(part) is kind), path_of(type(part)))

    def choose(self, current: object, method: str, where: str) -> Any:
        """Return `current` if it is of the kind that is named, else one with that kind's defaults.

        Raises:
            BadOptionError: If there is no such kind.
        """
        if ":" in method:
            kind = find_own(method, where, self.needs)
            return current if type(current) is kind else make_own(kind, where)
        if method not in self.known:
            names = [*self.known, "my_package.my_module:MyClass"]
            raise BadOptionError(f"{where} must be one of {names}, got {method!r}.{did_you_mean(method, self.known)}")
        return current if type(current) is self.known[method] else self.known[method]()


Slots = Mapping[str, Kinds]
"""Parts of a configuration that are one of several kinds, by their dotted names."""


def optional_kind(hint: Any) -> type[Any] | None:
    """The dataclass in `Settings | None`; none for any other type."""
    if get_origin(hint) not in (typing.Union, types.UnionType) or type(None) not in get_args(hint):
        return None
    return next((one for one in get_args(hint) if isinstance(one, type) and is_dataclass(one)), None)


def optional_parts(kind: type[Any]) -> dict[str, type[Any]]:
    """The fields of a dataclass that a table makes, with what it makes of them."""
    hints = get_type_hints(kind)
    found = {one.name: optional_kind(hints[one.name]) for one in fields(kind)}
    return {name: part for name, part in found.items() if part is not None}


# Reading --------------------------------------------------------------------------------------------------------------


def merge(base: Any, table: Any, slots: Slots, where: str = "") -> Any:
    """Return the dataclass object `base` with the fields that `table` names replaced.

    Raises:
        BadOptionError: If the table holds an unknown key or a value of the wrong kind; the message has its dotted name.
    """
    if not isinstance(table, Mapping):
        raise BadOptionError(f"{where.rstrip('.')} must be a table, got {table!r}.")
    table = dict(table)
    kinds = slots.get(where.rstrip("."))
    if kinds is not None and "method" in table:
        base = kinds.choose(base, str(table.pop("method")), f"{where}method")
    if base is None:
        raise BadOptionError(f'{where}method must name a class, such as "my_package.my_module:MyClass".')
    known = {one.name for one in fields(base)}
    hints = get_type_hints(type(base), include_extras=False)
    changes: dict[str, Any] = {}
    for name, value in table.items():
        if name not in known:
            raise BadOptionError(
                f"unknown key {where + name!r}: expected one of {sorted(known)}.{did_you_mean(name, known)}"
            )
        current, optional, slot = getattr(base, name), optional_kind(hints[name]), slots.get(where + name)
        if (optional or (slot is not None and not slot.known)) and value == "none":
            changes[name] = None
        elif optional and current is None:
            changes[name] = merge(make_own(optional, where + name), value, slots, f"{where}{name}.")
        elif is_dataclass(current) or slot is not None:
            changes[name] = merge(current, value, slots, f"{where}{name}.")
        else:
            changes[name] = _value(value, hints[name], where + name)
    try:
        return dataclasses.replace(base, **changes)
    except BadOptionError:
        raise
    except ValueError as error:
        raise BadOptionError(f"{where.rstrip('.')}: {error}") from error


def _value(value: Any, hint: Any, where: str) -> Any:
    """Check a value against a field's type, and bring it into the form that the field has."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value == "none" or value is None:
            return None
        return _value(value, next(one for one in arguments if one is not type(None)), where)
    if origin is Literal:
        if value not in arguments:
            raise BadOptionError(
                f"{where} must be one of {list(arguments)}, got {value!r}.{did_you_mean(str(value), arguments)}"
            )
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise BadOptionError(f"{where} must be a list, got {value!r}.")
        inner = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(inner) != len(value):
            raise BadOptionError(f"{where} must have {len(inner)} entries, got {value!r}.")
        return tuple(_value(one, kind, where) for one, kind in zip(value, inner, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise BadOptionError(f"{where} must be a table, got {value!r}.")
        return {name: _value(one, arguments[1], f"{where}.{name}") for name, one in value.items()}
    if hint is Any:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise BadOptionError(f"{where} must be of type {hint.__name__}, got {value!r}.")
    return value


# Writing --------------------------------------------------------------------------------------------------------------


def lines(value: Any, slots: Slots, path: tuple[str, ...] = ()) -> Iterable[str]:
    """Yield the lines of TOML that `merge` reads back. Optional parts that are not there are left out."""
    head = [f"\n[{'.'.join(path)}]"] if path else []
    if kinds := slots.get(".".join(path)):
        head.append(f"method = {json.dumps(kinds.name_of(value))}")
    optional = optional_parts(type(value))
    tables, entries = {}, []
    for one in fields(value):
        entry, name = getattr(value, one.name), ".".join((*path, one.name))
        if entry is None and (one.name in optional or name in slots):
            continue
        if is_dataclass(entry):
            tables[one.name] = entry
        else:
            entries.append(f"{one.name} = {_toml(entry)}")
    if entries or len(head) > 1 or not optional:
        yield from head
    yield from entries
    for name, entry in tables.items():
        yield from lines(entry, slots, (*path, name))


def _toml(value: Any) -> str:
    if value is None:
        return '"none"'
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(name)} = {_toml(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)
