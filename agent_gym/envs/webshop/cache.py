"""Where catalogues are kept: each is built once per machine, by one process, and appears whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent_gym import disk_cache
from agent_gym.errors import CatalogueError

VARIABLE = disk_cache.VARIABLE
_MISSING = "the shop needs filelock and platformdirs: pip install 'agent-gym[webshop]'"


def cache_directory() -> Path:
    """Return where catalogues are kept: `AGENT_GYM_CACHE`, else the user's cache directory of this system."""
    return disk_cache.cache_directory(_MISSING)


def built(
    name: str,
    check: Callable[[Path], object],
    build: Callable[[Path], None],
    waiting: Callable[[], object] = lambda: None,
) -> Path:
    """Return the directory `name` of the cache, built if it is not there or not sound (see `disk_cache.built`).

    Args:
        name: Has all that the content depends on in it, so that content of other inputs is never found.
        check: Raises `CatalogueError` if a directory is not complete and sound.
        build: Fills an empty directory.
        waiting: Called if another process is building and this one is about to wait for it.

    Raises:
        CatalogueError: If the cache can't be written, or what was built is not sound.
        MissingExtraError: Without filelock or platformdirs.
    """
    return disk_cache.built("webshop", name, check, build, kind=CatalogueError, missing=_MISSING, waiting=waiting)
