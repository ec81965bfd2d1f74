"""What is made once per machine: by one process, while the others wait, and there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from agent_gym.errors import AgentGymError, MissingExtraError

VARIABLE = "AGENT_GYM_CACHE"
"""Environment variable that names another directory."""


def cache_directory(missing: str) -> Path:
    """Return where things are kept: `AGENT_GYM_CACHE`, else the user's cache directory of this system.

    Args:
        missing: What to say if platformdirs is not installed, with the command that installs it.

    Raises:
        MissingExtraError: Without platformdirs, if the variable does not say.
    """
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser()
    try:
        import platformdirs
    except ImportError as error:
        raise MissingExtraError(missing) from error
    return Path(platformdirs.user_cache_dir("agent-gym", appauthor=False))


def built(
    folder: str,
    name: str,
    check: Callable[[Path], object],
    build: Callable[[Path], None],
    *,
    kind: type[AgentGymError],
    missing: str,
    waiting: Callable[[], object] = lambda: None,
) -> Path:
    """Return the directory `name` in a folder of the cache, built if it is not there or not sound.

    A build happens under a lock that other processes wait for, in a directory of another name that is renamed when it
    is complete: an interrupted build leaves nothing that is ever used, and the next build removes what it left.

    Args:
        folder: Part of the cache.
        name: Has all that the content depends on in it, so that content of other inputs is never found.
        check: Raises an error of `kind` if a directory is not complete and sound.
        build: Fills an empty directory.
        kind: Error that is also raised if nothing can be written.
        missing: What to say if an extra is missing.
        waiting: Called if another process is building and this one is about to wait for it.

    Raises:
        MissingExtraError: Without filelock or platformdirs.
    """
    try:
        from filelock import FileLock, Timeout
    except ImportError as error:
        raise MissingExtraError(missing) from error
    root = cache_directory(missing) / folder
    directory, unfinished = root / name, root / f"{name}.unfinished"
    if _sound(directory, check, kind):
        return directory
    lock = FileLock(root / f"{name}.lock")
    try:
        root.mkdir(parents=True, exist_ok=True)
        held = lock.acquire(timeout=0)
    except Timeout:
        waiting()
        held = lock.acquire()
    except OSError as error:
        raise kind(
            f"what is made is kept in {root}, where nothing can be written ({error}); "
            f"name another directory with the environment variable {VARIABLE}"
        ) from error
    with held:
        if _sound(directory, check, kind):  # another process has built it meanwhile
            return directory
        for remains in (directory, unfinished):
            if remains.exists():
                shutil.rmtree(remains)
        unfinished.mkdir()
        build(unfinished)
        check(unfinished)
        unfinished.rename(directory)
    return directory


def _sound(directory: Path, check: Callable[[Path], object], kind: type[AgentGymError]) -> bool:
    if not directory.is_dir():
        return False
    try:
        check(directory)
    except kind:
        return False
    return True
