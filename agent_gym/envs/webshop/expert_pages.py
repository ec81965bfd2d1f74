"""What a page of the shop says, taken from its text in either form: how the expert reads."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent_gym.envs.webshop.pages import BUY, PREV, SEPARATOR

OPTION_NAMES = frozenset(
    {
        "color",
        "size",
        "style",
        "flavor",
        "flavor name",
        "scent",
        "scent name",
        "fit type",
        "pattern name",
        "item package quantity",
        "material type",
        "item shape",
        "number of items",
        "product packaging",
        "unit count",
        "configuration",
        "edition",
        "length",
    }
)
"""Names of options in such shops. The benchmark's form of a page does not tell them from values."""

_PRICES = re.compile(r"\$(\d[\d,]*\.?\d*)")
_NAME = re.compile(r"[A-Z0-9]{10}|Item \d+")
_READABLE_ROW = re.compile(r"\[([A-Z0-9]{10}|Item \d+)\] (\$\S+(?: to \$\S+)?): (.*)")
_READABLE_OPTION = re.compile(r"(.+?) \((?:none chosen|chosen: .*?)\): (\[.*\])")


@dataclass(frozen=True)
class Row:
    """A product among results."""

    name: str
    """As it is clicked: a product's code, or such as "item 3"."""
    title: str
    low: float
    """Lowest price in dollars that the page names."""
    high: float


@dataclass(frozen=True)
class Page:
    """A page, as far as somebody who shops cares."""

    kind: str
    """"search", "results", "item", "about" (description, features or reviews), or "done"."""
    instruction: str = ""
    rows: tuple[Row, ...] = ()
    """Of a page of results."""
    options: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Of an item page: names with their values."""
    text: str = ""
    """Of an item page its title with whatever stands around it, else what a page about a product says."""
    low: float = 0.0
    """Of an item page: lowest price in dollars."""
    high: float = 0.0


def read_page(observation: str) -> Page:
    """Read a page in either form."""
    if SEPARATOR in observation:
        return _read_pieces(observation.split(SEPARATOR))
    if observation.startswith("Instruction: "):
        return _read_lines(observation.splitlines())
    return Page("done")


def prices(text: str) -> tuple[float, float]:
    """Return the lowest and the highest price in a text such as "$9.99 to $12.50", in dollars; (0, 0) without any."""
    found = [float(number.replace(",", "")) for number in _PRICES.findall(text)]
    return (min(found), max(found)) if found else (0.0, 0.0)


def _read_pieces(pieces: list[str]) -> Page:
    if pieces[0] == "WebShop":
        return Page("search", pieces[2] if len(pieces) > 2 else "")
    if pieces[0] != "Instruction:":
        return Page("done")
    instruction, rest = pieces[1], pieces[2:]
    if any(piece.startswith("Page ") and "Total results" in piece for piece in rest[:3]):
        rows = [
            Row(name.lower(), title, *prices(price))
            for name, title, price in zip(rest, rest[1:], rest[2:], strict=False)
            if _NAME.fullmatch(name) and price.startswith("$")
        ]
        return Page("results", instruction, rows=tuple(rows))
    if rest and rest[-1] == BUY:
        at = next((number for number, piece in enumerate(rest) if piece.startswith("Price: ")), len(rest))
        between = rest[rest.index(PREV) + 1 : at] if PREV in rest else rest[:at]
        title = between[-1] if between else ""
        low, high = prices(rest[at]) if at < len(rest) else (0.0, 0.0)
        return Page("item", instruction, options=_options(between[:-1]), text=title, low=low, high=high)
    return Page("about", instruction, text="\n".join(rest[2:]))


def _options(pieces: list[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found: list[tuple[str, list[str]]] = []
    for piece in pieces:
        if piece in OPTION_NAMES or not found:
            found.append((piece, []))
        else:
            found[-1][1].append(piece)
    return tuple((name, tuple(values)) for name, values in found)


def _read_lines(lines: list[str]) -> Page:
    instruction, rest = lines[0].removeprefix("Instruction: "), lines[2:]
    if rest and rest[0].startswith("The search bar"):
        return Page("search", instruction)
    if any(line.endswith(f"[{BUY}]") for line in rest[-1:]):
        options = [match for line in rest if (match := _READABLE_OPTION.fullmatch(line))]
        low, high = prices(rest[2])
        return Page(
            "item",
            instruction,
            options=tuple((match[1], tuple(match[2][1:-1].split("] ["))) for match in options),
            text=rest[1],
            low=low,
            high=high,
        )
    if rest and rest[0].startswith(("Results ", "Nothing was found", "No more results")):
        rows = [match for line in rest if (match := _READABLE_ROW.fullmatch(line))]
        return Page("results", instruction, rows=tuple(Row(row[1].lower(), row[3], *prices(row[2])) for row in rows))
    return Page("about", instruction, text="\n".join(rest[2:]))
