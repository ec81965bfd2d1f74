"""Ids of environments as people type them: short forms, and the one that may be meant; checked before anything is made.

`rooms`, `Rooms-v0` and `agentgym/rooms` are `AgentGym/Rooms-v0`, `kuhn_poker` is `kuhn_poker_v0`, and behind
`my_module:` the same goes for what that module registers.
"""

import difflib
import importlib
import os
import re
import sys
from collections.abc import Sequence

from rich.console import Console

_PARTS = re.compile(r"(?:(?P<namespace>[^/]*)/)?(?P<name>.*?)(?:[-_](?P<version>v\d+))?", re.DOTALL)
"""The parts of an id, in lower case: Gymnasium's, with a version after `-v`, or a game's, with one after `_v`."""


def full_id(asked: str, *, say: bool = True) -> str:
    """Return the id that is meant by one without its namespace or version, in any case, and say on stderr which it is.

    What is an id already, a pattern, or fits none or several ids is returned as it is, for `check_id` to judge; so is
    what stands behind a module that can't be imported.
    """
    import gymnasium as gym  # not needed for --help, which answers at once

    from agent_gym.errors import BadOptionError

    module, colon, name = asked.rpartition(":")
    if module:
        try:
            _import(module, asked)
        except BadOptionError:
            return asked
    known = _known(module)
    if not name or name in gym.registry or name in known:
        return asked
    found = [one for one in known if _fits(name, one)]
    if len(found) != 1:
        return asked
    meant = f"{module}{colon}{found[0]}"
    told = Console(stderr=True, markup=False, emoji=False, quiet=not say)
    told.print(f"{asked} is {meant}.", style="dim", highlight=False, soft_wrap=True)
    return meant


def check_id(env_id: str) -> None:
    """Refuse an id that is not registered, with the one that may be meant; Gymnasium itself misses `alfwrld`."""
    import gymnasium as gym

    from agent_gym.errors import BadOptionError
    from agent_gym.multi_agent.games import is_game

    module, _, name = env_id.rpartition(":")
    if module:
        _import(module, env_id)
    if name in gym.registry:
        return
    if is_game(env_id):
        raise BadOptionError(f"{env_id} is a game for several agents, which train and eval play, and no other verb.")
    known = _known(module)
    by_name = {_bare(one): one for one in known}
    asked = _bare(name)
    near = [one for bare, one in by_name.items() if asked and asked in bare]
    close = difflib.get_close_matches(asked, by_name, n=1, cutoff=0.6)
    meant = near[:1] or [by_name[bare] for bare in close]
    hint = f" Did you mean {module}{':' * bool(module)}{meant[0]}?" if meant else ""
    own = ""
    if module:
        own = f" {module} registers {', '.join(known) or 'none'}."
    elif not meant or ("/" in name and not name.lower().startswith("agentgym/")):
        own = f" One that a module of yours registers is named together with it: my_module:{name}."
    raise BadOptionError(f"there is no environment {env_id!r}.{hint} `agent-gym list` shows all of them.{own}")


def settings_for_env(words: Sequence[str]) -> str | None:
    """Return what `--env` was given where it is NAME=VALUE: settings, which belong to `--env.settings`."""
    for word, following in zip(words, [*words, ""][1:], strict=True):
        value = following if word == "--env" else word.removeprefix("--env=") if word.startswith("--env=") else ""
        if "=" in value:
            return value
    return None


def _known(module: str) -> list[str]:
    """Ids of this package, games too; of a module, those that are registered for its package."""
    import gymnasium as gym

    from agent_gym.multi_agent.games import game_names
    from agent_gym.registration import IDS

    if not module:
        return [*IDS, *game_names()]
    package = module.partition(".")[0]
    points = ((name, spec.entry_point) for name, spec in gym.registry.items())
    return [name for name, point in points if re.split(r"[.:]", _module_of(point), maxsplit=1)[0] == package]


def _module_of(entry_point: object) -> str:
    return entry_point if isinstance(entry_point, str) else str(getattr(entry_point, "__module__", ""))


def _fits(asked: str, known: str) -> bool:
    """Whether an id is another one, or a part of it."""
    wanted, there = _PARTS.fullmatch(asked.lower()), _PARTS.fullmatch(known.lower())
    assert wanted is not None
    assert there is not None  # any string has these parts
    return all(wanted[part] in (None, there[part]) for part in ("namespace", "name", "version"))


def _bare(env_id: str) -> str:
    """The name in an id, without the namespace and the version, which many ids share."""
    found = _PARTS.fullmatch(env_id.lower())
    return found["name"] if found is not None else env_id.lower()


def _import(module: str, env_id: str) -> None:
    """Import the module before the colon of an id, which registers it; one in the working directory is found too.

    The directory comes last on the path: what lies there by chance must not hide a package. Processes that are started
    to play inherit the path.
    """
    from agent_gym.errors import BadOptionError

    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)
    try:
        importlib.import_module(module)
    except (ImportError, TypeError) as error:  # TypeError: a name that begins with a dot
        raise BadOptionError(
            f"the module before ':' in {env_id!r} must be importable, from the working directory too: {error}."
        ) from error
