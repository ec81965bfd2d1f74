"""How work is cut into passes of a model: few of them, and with little padding."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def common_beginning(prompts: Sequence[tuple[int, ...]]) -> int:
    """Return with how many tokens all prompts begin alike."""
    # The first and the last in dictionary order differ no later than any two.
    first, last = min(prompts), max(prompts)
    return next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))


def split(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """Cut a sequence into lists of `size`; the last may be shorter."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def pack(lengths: Sequence[int], most: int) -> Iterator[slice]:
    """Cut ascending lengths into runs of at most `most` tokens, padding included, without much padding.

    A pass costs as much as a few hundred tokens whatever is in it, so small runs may be padded freely. What is longer
    than `most` has a run of its own.
    """
    start = total = 0
    for at, length in enumerate(lengths):
        padded = length * (at - start + 1)
        if at > start and (padded > most or (total >= 512 and padded > 1.15 * (total + length))):
            yield slice(start, at)
            start, total = at, 0
        total += length
    if start < len(lengths):
        yield slice(start, len(lengths))
