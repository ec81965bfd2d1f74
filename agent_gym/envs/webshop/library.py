"""Which catalogue a shop plays with: the published products or generated ones, opened once per process."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import blake2b
from pathlib import Path

from agent_gym.envs.webshop.cache import built
from agent_gym.envs.webshop.product import Product
from agent_gym.envs.webshop.published import find_files, read_products
from agent_gym.envs.webshop.store import RULES, Store, build, check, open_catalogue
from agent_gym.errors import BadOptionError
from agent_gym.search.bm25 import Progress

_SHOWN = 20_000  # products from which on a build takes long enough for a bar
_HEAD = 1 << 20  # bytes of a published file that its fingerprint reads; with size and time of change
_lock = threading.Lock()
_opened: dict[str, Store] = {}


def open_catalogue_of(
    data: Path | str | None, products: int = 1000, seed: int = 0, progress: Progress | None = None
) -> Store:
    """Return the catalogue of published products, or of generated ones; built and cached if this machine has it not.

    All environments of a process get the same object, and all processes of a machine the same pages of memory. A
    catalogue of published files is found again by their names, sizes, times of change and first megabyte, and any
    catalogue by the rules and the code that made it, so that after a change of either another is built.

    Args:
        data: Directory with the published files; `None` for generated products.
        products: How many products to generate, or how many entries of the published list to read.
        seed: Of the generated products; the published ones have none.
        progress: Called during a build; by default a large one shows a bar on the terminal.

    Raises:
        BadOptionError: If `products` is not positive or `seed` is negative.
        DataNotFoundError: If published files are missing; names them.
        DataFileError: If a published file is malformed.
        MissingExtraError: Without the extra `webshop`.
    """
    if products < 1:
        raise BadOptionError(f"products must be at least 1, got {products}")
    if seed < 0:
        raise BadOptionError(f"the seed of the catalogue must not be negative, got {seed}")
    if data is None:
        source, name = "generated", f"generated-{products}-{seed}-{_digest(RULES, _code('generated'))}"
    else:
        source, name = "published", f"published-{products}-{_published_digest(Path(data), products)}"

    with _lock, _reporting(products, progress) as report:
        directory = built(
            name,
            check,
            lambda directory: build(directory, _read(data, products, seed), products, source, report),
            lambda: report("waiting for another process that builds it", 0, None),
        )
        if str(directory) not in _opened:
            _opened[str(directory)] = open_catalogue(directory)
        return _opened[str(directory)]


@contextmanager
def _reporting(products: int, progress: Progress | None) -> Iterator[Progress]:
    """Give what a build reports to; a bar on the terminal, unless another was asked for or the build takes seconds."""
    if progress is not None or products < _SHOWN:
        yield progress or (lambda stage, done, total: None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")
        yield lambda stage, done, total: bar.update(
            task, description=f"catalogue of {products:,} products: {stage}", completed=done, total=total
        )


def _read(data: Path | str | None, products: int, seed: int) -> Iterable[Product]:
    if data is None:
        from agent_gym.envs.webshop.generated import generate_products

        return generate_products(products, seed)
    files = find_files(data, products)
    return read_products(files.products, files.attributes, products)


def _published_digest(data: Path, products: int) -> str:
    files = find_files(data, products)
    parts = [RULES, _code("published"), str(data.resolve())]
    for path in (files.products, files.attributes):
        status = path.stat()
        with path.open("rb") as file:
            head = blake2b(file.read(_HEAD)).hexdigest()
        parts.append(f"{path.name} {status.st_size} {status.st_mtime_ns} {head}")
    return _digest(*parts)


@cache
def _code(stem: str) -> str:
    """Return a digest of the modules that make products, and of the words they are made of."""
    here = Path(__file__).parent
    paths = [here / "product.py", *sorted(here.glob(f"{stem}*.py"))]
    if stem == "generated":
        paths += sorted(path for path in (here / "data").glob("**/*") if path.is_file())
    return _digest(*(f"{path.name} {blake2b(path.read_bytes()).hexdigest()}" for path in paths))


def _digest(*parts: str) -> str:
    return blake2b("\n".join(parts).encode(), digest_size=6).hexdigest()
