"""What the generated world is called, read from data/words.toml."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path


@functools.cache
def words(name: str) -> tuple[str, ...]:
    """Return a list of that file; the order of a list is part of what a seed means."""
    found: str | list[str] = _file()[name]
    return tuple(found.split() if isinstance(found, str) else found)


@functools.cache
def _file() -> dict[str, str | list[str]]:
    return tomllib.loads((Path(__file__).parent / "data" / "words.toml").read_text(encoding="utf-8"))
