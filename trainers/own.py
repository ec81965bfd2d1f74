"""Classes that are named by where they are imported from: `my_package.my_module:MyCredit`."""

import importlib
import sys
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from agent_gym.errors import BadOptionError, did_you_mean


def find_own(path: str, where: str, needs: tuple[str, ...]) -> type[Any]:
    """Return the dataclass that `module:Class` names. Modules in the working directory are found, too.

    Args:
        path: Import path.
        where: What is being named, for messages: `credit.method`.
        needs: Methods of which it must have one.

    Raises:
        BadOptionError: If there is no such module or class, or it is not a dataclass with one of the methods.
    """
    module_name, _, name = path.partition(":")
    here = str(Path.cwd())
    if "" not in sys.path and here not in sys.path:  # as `python -m` has it; an installed command does not
        sys.path.append(here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise BadOptionError(f"{where}: {module_name} needs {error.name!r}, which is not installed.") from error
        raise BadOptionError(
            f"{where} names {path!r}, but there is no module {error.name!r}, neither installed nor in {here}."
        ) from error
    except (ImportError, SyntaxError, TypeError, ValueError) as error:  # of the module's own lines
        raise BadOptionError(f"{where} names {path!r}, which can't be imported: {error}.") from error
    found = getattr(module, name, None)
    if not isinstance(found, type):
        classes = [one for one, value in vars(module).items() if isinstance(value, type) and is_dataclass(value)]
        raise BadOptionError(
            f"{where} must name a class of {module_name}, one of {classes}, got {name!r}.{did_you_mean(name, classes)}"
        )
    if not is_dataclass(found):
        raise BadOptionError(
            f"{where} must name a dataclass, whose fields are its settings, got {path!r}: put "
            "@dataclass(frozen=True, kw_only=True) above it."
        )
    if not any(need in vars(kind) for need in needs for kind in found.__mro__):
        told = " or ".join(needs)
        raise BadOptionError(f"{where} must name a class with a method {told}, got {path!r}, which has none.")
    return found


def make_own(kind: type[Any], where: str) -> Any:
    """Return one with its defaults.

    Raises:
        BadOptionError: If a field has none.
    """
    try:
        return kind()
    except TypeError as error:
        raise BadOptionError(f"{where}: every field of {path_of(kind)} must have a default value ({error}).") from error


def path_of(kind: type[Any]) -> str:
    """The import path of a class."""
    return f"{kind.__module__}:{kind.__qualname__}"
