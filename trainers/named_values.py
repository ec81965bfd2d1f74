"""NAME=VALUE words of the command line as a table."""

import json
from typing import Annotated, Any

import tyro


def _read_setting(words: list[str]) -> dict[str, Any]:
    """Turn NAME=VALUE words into a table; a value that reads as JSON is taken as JSON, and so is Python's True."""
    table: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"expected NAME=VALUE, such as engine=textworld, got {word!r}")
        try:
            table[name] = json.loads({"True": "true", "False": "false", "None": "null"}.get(value, value))
        except ValueError:
            table[name] = value
    return table


_SETTINGS = tyro.constructors.PrimitiveConstructorSpec(
    nargs="*",
    metavar="NAME=VALUE ...",
    instance_from_str=_read_setting,
    is_instance=lambda value: isinstance(value, dict),
    str_from_instance=lambda table: [f"{name}={json.dumps(value)}" for name, value in table.items()],
)

NamedValues = Annotated[dict[str, Any], _SETTINGS]
"""A field of settings that is written `--field a=1 b=text`."""
