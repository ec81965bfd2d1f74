"""A shop's products and search index as files that any number of environments and processes read in place.

Nothing is loaded when a catalogue is opened: its files are memory-mapped, so that their pages are in memory once per
machine and only those that are read. A product is decoded when it is asked for; those asked for last are kept.
"""

from __future__ import annotations

import json
import mmap
from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import repeat
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from agent_gym.envs.webshop.product import RESULTS, Product
from agent_gym.errors import CatalogueError
from agent_gym.search import analysis, bm25
from agent_gym.search.bm25 import Index, IndexBuilder, Progress

FORMAT = 1
"""Version of the files' layout."""
RULES = f"{FORMAT}.{analysis.RULES}.{bm25.RULES}"
"""Changes whenever a catalogue of the same products would hold other bytes."""
KEPT = 4096
"""Products that a process keeps decoded; some 5 kB each."""

_SUMMARY = "catalogue.json"
_FILES = ("records.json", "offsets.npy", "asins.npy", "order.npy", "ranks.npy", "groups.npy", "members.npy")
_GROUPS = {"<a>": "attribute", "<c>": "category", "<q>": "query"}
_RANDOM = "<r>"

Record: TypeAlias = "list[Any]"


def indexed_text(product: Product) -> str:
    """Return what search looks for words in, exactly as in the benchmark's index.

    Title, description, the first bullet point only, and the options in the form "size: s, m, and color: red, blue", in
    lower case.
    """
    options = ", and ".join(f"{name}: {', '.join(values)}" for name, values in product.options.items())
    first_bullet = product.bullets[0] if product.bullets else ""
    return f"{product.title} {product.description} {first_bullet} {options}".lower()


def build(
    directory: Path,
    products: Iterable[Product],
    count: int | None = None,
    source: str = "published",
    progress: Progress | None = None,
) -> None:
    """Write a catalogue, reading the products once and holding none of them.

    Args:
        directory: An empty directory. The catalogue is complete only when this function has returned.
        products: In the order of the catalogue.
        count: How many there are, if known; only for `progress`.
        source: "published" or "generated".
        progress: Called every 1,000 products and while the index is written.

    Raises:
        ValueError: If there is no product, or two have the same asin.
        MissingExtraError: Without PyStemmer.
    """
    asins: list[bytes] = []
    offsets, hashes, members = array("Q", [0]), array("Q"), array("i")
    index, content = IndexBuilder(directory), blake2b(RULES.encode(), digest_size=16)
    group_hash = lru_cache(maxsize=1 << 16)(bm25.term_hash)
    with (directory / "records.json").open("wb") as records:
        for position, product in enumerate(products):
            line = _encode(product)
            content.update(line)
            records.write(line)
            offsets.append(offsets[-1] + len(line))
            asins.append(product.asin.encode())
            groups = {f"<c> {product.category}", f"<q> {product.query}", *(f"<a> {a}" for a in product.attributes)}
            hashes.extend(map(group_hash, groups))
            members.extend(repeat(position, len(groups)))
            index.add(analysis.terms(indexed_text(product)))
            if progress is not None and position % 1000 == 0:
                progress("reading products", position, count)
    if not asins:
        raise ValueError("a catalogue needs at least one product, and there is none")
    np.save(directory / "offsets.npy", np.asarray(offsets))
    _write_asins(directory, asins)
    by_group = np.argsort(np.asarray(hashes), kind="stable")
    np.save(directory / "groups.npy", np.asarray(hashes)[by_group])
    np.save(directory / "members.npy", np.asarray(members)[by_group])
    index.finish(progress)
    summary = {
        "rules": RULES,
        "products": len(asins),
        "source": source,
        "fingerprint": content.hexdigest(),
        "sizes": {name: (directory / name).stat().st_size for name in (*_FILES, *bm25.FILES)},
    }
    (directory / _SUMMARY).write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


def _write_asins(directory: Path, asins: list[bytes]) -> None:
    """Write the asins in their order, where each stands in the catalogue, and the place of each product among them."""
    array_of_asins = np.array(asins)
    order = np.argsort(array_of_asins, kind="stable").astype(np.int32)
    in_order = array_of_asins[order]
    twice = in_order[1:][in_order[1:] == in_order[:-1]]
    if len(twice):
        raise ValueError(f"each product needs an asin of its own; {bytes(twice[0]).decode()!r} is there twice")
    ranks = np.empty(len(order), np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    for name, values in (("asins", in_order), ("order", order), ("ranks", ranks)):
        np.save(directory / f"{name}.npy", values)


def _encode(product: Product) -> bytes:
    fields = [getattr(product, name) for name in Product.__slots__]
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"


def _decode(line: bytes) -> Product:
    fields = dict(zip(Product.__slots__, json.loads(line), strict=True))
    for name, value in fields.items():
        if type(value) is list:
            fields[name] = tuple(value)
    fields["options"] = {name: tuple(values) for name, values in fields["options"].items()}
    return Product(**fields)


def check(directory: Path) -> dict[str, Any]:
    """Return the summary of a catalogue.

    Raises:
        CatalogueError: If it is not there, of other rules, or if a file has not the size with which it was written.
    """
    path = directory / _SUMMARY
    try:
        summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        rules, sizes = summary["rules"], summary["sizes"]
    except FileNotFoundError as error:
        raise CatalogueError(f"no finished catalogue in {directory}: {_SUMMARY} is missing; build it again") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CatalogueError(f"{path} is damaged ({error}); delete {directory} and build it again") from error
    if rules != RULES:
        raise CatalogueError(f"{directory} was built by rules {rules}, these are {RULES}; delete it and build it again")
    for name, size in sizes.items():
        file = directory / name
        found = file.stat().st_size if file.is_file() else None
        if found != size:
            is_now = "is missing" if found is None else f"has {found:,} bytes instead of {size:,}"
            raise CatalogueError(f"{file} {is_now}; delete {directory} and build it again")
    return summary


class Store:
    """A catalogue that was built; a `Catalogue`. Open one per process: environments share it.

    Attributes:
        directory: Where its files are.
    """

    def __init__(self, directory: Path) -> None:
        """Open a catalogue, reading next to nothing of it.

        Raises:
            CatalogueError: If it is not there, of other rules, or truncated.
            MissingExtraError: Without the extra `webshop`.
        """
        summary = check(directory)
        self.directory = directory
        self._source: str = summary["source"]
        self._fingerprint: str = summary["fingerprint"]
        self._offsets, self._asins, self._order, ranks, self._groups, self._members = (
            np.asarray(np.load(directory / name, mmap_mode="r")) for name in _FILES[1:]
        )
        with (directory / "records.json").open("rb") as file:
            self._records = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._index = Index(directory, ranks)
        self.product = lru_cache(maxsize=KEPT)(self._product)
        """Return the product at a position; raises `IndexError` if there is none."""

    def __reduce__(self) -> tuple[type[Store], tuple[Path]]:
        """Travel to another process as the name of a directory, whose pages it then shares."""
        return Store, (self.directory,)

    @property
    def fingerprint(self) -> str:
        """Hash of the products and of the rules by which they are indexed."""
        return self._fingerprint

    @property
    def source(self) -> str:
        """Where the products come from: "published" or "generated"."""
        return self._source

    def __len__(self) -> int:
        """Return the number of products."""
        return len(self._order)

    def _product(self, position: int) -> Product:
        if not 0 <= position < len(self):
            raise IndexError(f"expected a position from 0 to {len(self) - 1}, got {position}")
        start, end = self._offsets[position : position + 2].tolist()
        try:
            return _decode(self._records[start:end])
        except (ValueError, TypeError, AttributeError) as error:
            raise CatalogueError(
                f"{self.directory / 'records.json'} is damaged at byte {start:,} ({error}); "
                f"delete {self.directory} and build it again"
            ) from error

    def position(self, asin: str) -> int | None:
        """Return the position of a product, or `None` if there is no such product."""
        wanted = asin.encode("utf-8", "surrogatepass")
        if len(wanted) > self._asins.itemsize or b"\0" in wanted:
            return None  # to numpy the whole column would have to grow, and a NUL would be padding
        at = int(self._asins.searchsorted(np.bytes_(wanted)))
        return int(self._order[at]) if at < len(self._asins) and self._asins[at] == wanted else None

    def search(self, query: str) -> Sequence[int]:
        """Return the positions of the products that a query finds, the best first.

        A query finds at most `RESULTS` products by the words in it, except that the benchmark's prefixes for looking
        around are understood as there: `<c> category`, `<q> query` and `<a> attribute` find all such products in the
        order of the catalogue, `<r>` finds `RESULTS` of any kind. The benchmark draws those anew each time; here the
        words after `<r>` decide which, so that an episode can be repeated.
        """
        prefix, _, rest = query.partition(" ")
        if prefix == _RANDOM:
            return self._any(rest)
        if prefix in _GROUPS:
            return self._group(prefix, rest)
        return self._index.search(query, RESULTS)

    def _group(self, prefix: str, name: str) -> Sequence[int]:
        name = name.strip()
        if prefix == "<c>":
            name = name.split(" ")[0]  # the benchmark reads one word
        group = np.uint64(bm25.term_hash(f"{prefix} {name}"))
        start, end = (int(self._groups.searchsorted(group, side)) for side in ("left", "right"))
        return tuple(self._members[start:end].tolist())

    def _any(self, words: str) -> Sequence[int]:
        drawn: dict[int, None] = {}
        draw = 0
        while len(drawn) < min(RESULTS, len(self)):
            drawn[bm25.term_hash(f"{draw} {words}") % len(self)] = None
            draw += 1
        return tuple(drawn)


def open_catalogue(directory: Path) -> Store:
    """Open a catalogue that `build` wrote. Raises as `Store` does."""
    return Store(directory)
