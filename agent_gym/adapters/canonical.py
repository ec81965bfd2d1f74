"""A canonical text of any object's complete state, from which state keys of foreign environments are made."""

from __future__ import annotations

import enum
import functools
import hashlib
import random
from collections import deque
from collections.abc import Set
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_NAMED = (FunctionType, MethodType, BuiltinFunctionType, type)


def digest_of(value: Any, leave_out: frozenset[str] = frozenset(), extra: str = "") -> str:
    """Return a digest of an object's state, the same in every process.

    Args:
        value: Any object; its attributes and their contents are followed.
        leave_out: Names of attributes, and keys of dictionaries, that are not followed.
        extra: A text that is digested too.
    """
    text = canonical_text(value, leave_out)
    return hashlib.blake2b(f"{extra}\n{text}".encode(errors="surrogatepass"), digest_size=10).hexdigest()


def canonical_text(value: Any, leave_out: frozenset[str] = frozenset()) -> str:
    """Return a text that is equal for objects of equal state.

    The order of dictionaries counts, since a game may go through one while it draws; that of sets does not, since it
    differs between processes. Lists and tuples of the same contents are equal. Functions and classes count by name.
    What can't be looked into (a lock, an open file) counts by its type alone.

    Example:
        >>> canonical_text({"seen": {3, 1}, "at": (0, 2.5)})
        "{'seen': {1, 3}, 'at': [0, 2.5]}"
        >>> class Game:
        ...     def __init__(self):
        ...         self.board, self.log, self.parent = [1, 2], ["said"], self
        >>> canonical_text(Game(), leave_out=frozenset({"log"}))
        "Game({'board': [1, 2], 'parent': ^0})"
    """
    return _text(value, leave_out, {})


def _text(value: Any, leave_out: frozenset[str], above: dict[int, int]) -> str:
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, _NAMED):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, ModuleType):
        return value.__name__
    if id(value) in above:  # it contains itself
        return f"^{above[id(value)]}"
    above[id(value)] = len(above)
    try:
        return _compound(value, leave_out, above)
    finally:
        del above[id(value)]


def _compound(value: Any, leave_out: frozenset[str], above: dict[int, int]) -> str:
    def inside(part: Any) -> str:
        return _text(part, leave_out, above)

    if isinstance(value, list | tuple | deque):
        return f"[{', '.join([inside(part) for part in value])}]"
    if isinstance(value, dict):
        pairs = [f"{inside(key)}: {inside(part)}" for key, part in value.items() if key not in leave_out]
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, Set):
        return f"{{{', '.join(sorted(inside(part) for part in value))}}}"
    if isinstance(value, np.ndarray):
        contents = inside(value.tolist()) if value.dtype == object else value.tobytes().hex()
        return f"array({value.dtype}, {value.shape}, {contents})"
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, random.Random):
        return f"Random({inside(value.getstate())})"
    kind: Any = type(value)
    if _is_ordinary(kind):
        return f"{kind.__qualname__}({inside(vars(value))})"
    return f"{kind.__qualname__}({inside(_reduced(value))})"


@functools.lru_cache(maxsize=1024)
def _is_ordinary(kind: Any) -> bool:
    """Whether all that an object of this class holds is in its `__dict__`."""
    untouched = kind.__reduce_ex__ is object.__reduce_ex__ and kind.__reduce__ is object.__reduce__
    written_in_python = any("__dict__" in vars(base) for base in kind.__mro__)
    return untouched and written_in_python and not any(vars(base).get("__slots__") for base in kind.__mro__)


def _reduced(value: Any) -> list[Any]:
    """Return what pickling would keep of an object, in lists; nothing if it can't be pickled."""
    try:
        reduced = value.__reduce_ex__(4)
    except (TypeError, RuntimeError):  # the second: a pool of processes
        return []
    if isinstance(reduced, str):
        return [reduced]
    return [list(part) if place in (3, 4) and part is not None else part for place, part in enumerate(reduced)]
