"""Kinds of tasks of ScienceWorld, their variations, and the package's own split of these. No Java is needed for it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from agent_gym.envs.diagnostic import check_name
from agent_gym.errors import BadOptionError

VARIATIONS: Mapping[str, int] = MappingProxyType(
    {
        "boil": 30,
        "change-the-state-of-matter-of": 30,
        "chemistry-mix": 32,
        "chemistry-mix-paint-secondary-color": 36,
        "chemistry-mix-paint-tertiary-color": 36,
        "find-animal": 300,
        "find-living-thing": 300,
        "find-non-living-thing": 300,
        "find-plant": 300,
        "freeze": 30,
        "grow-fruit": 126,
        "grow-plant": 126,
        "identify-life-stages-1": 14,
        "identify-life-stages-2": 10,
        "inclined-plane-determine-angle": 168,
        "inclined-plane-friction-named-surfaces": 1386,
        "inclined-plane-friction-unnamed-surfaces": 162,
        "lifespan-longest-lived": 125,
        "lifespan-longest-lived-then-shortest-lived": 125,
        "lifespan-shortest-lived": 125,
        "measure-melting-point-known-substance": 436,
        "measure-melting-point-unknown-substance": 300,
        "melt": 30,
        "mendelian-genetics-known-plant": 120,
        "mendelian-genetics-unknown-plant": 480,
        "power-component": 20,
        "power-component-renewable-vs-nonrenewable-energy": 20,
        "test-conductivity": 900,
        "test-conductivity-of-unknown-substances": 600,
        "use-thermometer": 540,
    }
)
"""Kinds by the package's names, and how many variations of each it has: scienceworld 1.2.3."""

SIMPLIFICATIONS = ("noElectricalAction", "openContainers", "openDoors", "selfWateringFlowerPots", "teleportAction")
"""By the package's names; its `easy` stands for all but `openContainers`."""

ALL = "all"
_ELECTRICAL = ("power-component", "conductivity")


def variations(kind: str, split: str) -> range:
    """Return a kind's variations of a split as scienceworld divides them: a half, a quarter (its `dev`), and the rest.

    >>> variations("boil", "train"), variations("boil", "valid"), variations("boil", "test")
    (range(0, 14), range(14, 21), range(21, 30))
    """
    quarter = VARIATIONS[kind] // 4
    return {
        "train": range(2 * quarter),
        "valid": range(2 * quarter, 3 * quarter),
        "test": range(3 * quarter, VARIATIONS[kind]),
    }[split]


def kinds_of(setting: str) -> tuple[str, ...]:
    """Return the kinds that a setting names: one, several joined with `+`, or `all`.

    Raises:
        BadOptionError: If one of them is not known.
    """
    if setting == ALL:
        return tuple(VARIATIONS)
    if not isinstance(setting, str):
        raise BadOptionError(f"kind must be 'all', or kinds of tasks joined with '+', got {setting!r}.")
    return tuple(sorted({check_name("kind", one, list(VARIATIONS)) for one in setting.split("+")}))


def check_simplifications(setting: str, kinds: tuple[str, ...]) -> str:
    """Return a setting for simplifications as the engine takes it: `easy`, or names in order, with commas between.

    Raises:
        BadOptionError: If one is not known, or takes away the actions that a kind is about.
    """
    if setting in ("", "easy"):
        return setting
    if not isinstance(setting, str):
        raise BadOptionError(f"simplifications must be 'easy', '' or names joined with '+', got {setting!r}.")
    names = sorted({check_name("simplifications", one, [*SIMPLIFICATIONS, "easy"]) for one in setting.split("+")})
    if "easy" in names:
        raise BadOptionError(f"simplifications must be 'easy' alone, or others without it, got {setting!r}.")
    lost = [kind for kind in kinds if any(part in kind for part in _ELECTRICAL)]
    if "noElectricalAction" in names and lost:
        raise BadOptionError(f"noElectricalAction takes away what {lost} are about: leave it out, got {setting!r}.")
    return ",".join(names)
