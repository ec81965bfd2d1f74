"""What the words of a command line say before its options are read: a file to start from, an environment's id, methods.

An option parser reads words from left to right with a fixed list of options. Here the list itself depends on words
that may stand anywhere (the file, the recipe and the run to resume are what the others change), so these come first.
"""

import dataclasses
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from agent_gym.errors import BadOptionError, did_you_mean
from trainers.config import CHOICES, SLOTS, ShapingConfig, TrainConfig
from trainers.config_tables import optional_parts
from trainers.env_ids import full_id

_TAKE_A_PATH = ("--model", "--method", "--output-dir", "--output_dir", "--resume")
_ID = re.compile(r"([\w.]+:)?([\w.-]+/)?[\w.-]+[-_]v\d+")
"""Gymnasium's syntax of an id, with its version; or a game's name as PettingZoo has it, such as `kuhn_poker_v0`."""
_SHORT_ID = re.compile(r"([\w-]+/)?[\w-]+")
"""What may be short for an id of this package: one without version, or without namespace."""


class Named(NamedTuple):
    """Words without the one that stood alone, and what that one was."""

    words: list[str]
    file: str | None


def value_of(words: Sequence[str], flag: str) -> str | None:
    """Return the word after a flag, or behind its equals sign."""
    for place, word in enumerate(words):
        if word == flag and place + 1 < len(words):
            return words[place + 1]
        if word.startswith(flag + "="):
            return word.partition("=")[2]
    return None


def take_file(words: Sequence[str]) -> Named:
    """Split off the configuration file: a word that ends in .toml, wherever it stands, or a lone first word.

    A first word that is an environment's id becomes `--env`.

    Raises:
        BadOptionError: If there are two files.
    """
    words = name_env(words)
    alone = [
        place
        for place, word in enumerate(words)
        if not word.startswith("-")
        and not starts_a_choice(word)
        and (place == 0 or (word.endswith(".toml") and "=" not in word and words[place - 1] not in _TAKE_A_PATH))
    ]
    if len(alone) > 1:
        named = " and ".join(repr(words[place]) for place in alone)
        raise BadOptionError(f"expected one configuration file, got {named}: start from one, and override the rest.")
    if not alone:
        return Named(words, None)
    return Named([word for place, word in enumerate(words) if place not in alone], words[alone[0]])


def name_env(words: Sequence[str]) -> list[str]:
    """Put `--env` before a first word that is an environment's id, or short for one, and no file; write ids in full."""
    words = list(words)
    if words and not words[0].startswith("-") and not starts_a_choice(words[0]) and not Path(words[0]).is_file():
        asked = words[0]
        if _ID.fullmatch(asked) or (_SHORT_ID.fullmatch(asked) and full_id(asked, say=False) != asked):
            words = ["--env", *words]
    for place, word in enumerate(words):
        if word == "--env" and place + 1 < len(words):
            words[place + 1] = full_id(words[place + 1])
        elif word.startswith("--env="):
            words[place] = f"--env={full_id(word.partition('=')[2])}"
    return words


def refuse_stray(word: str | None, verb: str) -> None:
    """Refuse a word that no option takes.

    Raises:
        BadOptionError: If there is one.
    """
    if word is not None:
        raise BadOptionError(
            f"no option takes the word {word!r}: `agent-gym {verb} --help` shows them. An environment is named by "
            "--env, a model by --model."
        )


# Words that choose a kind, or add a part ------------------------------------------------------------------------------

ON, OFF = "on", "off"


def starts_a_choice(word: str) -> bool:
    """Whether a word is one that `take_choices` takes, or is meant to be."""
    name, colon, _ = word.partition(":")
    return bool(colon) and name.replace("-", "_") in {*CHOICES, "shaping", *optional_parts(TrainConfig)}


def take_choices(words: Iterable[str], base: TrainConfig) -> tuple[list[str], TrainConfig]:
    """Split words such as `credit:gigpo` off, and return the other words and `base` with those kinds in it.

    They may stand anywhere. A kind that `base` has already keeps its settings; another comes with its own defaults.
    `shaping:spa` adds a shaper, `shaping:my.module:MyShaper` one of your own; `replay:on` adds another optional part,
    and so does an option of one: `--shaping.spa.history 1`.

    Raises:
        BadOptionError: If there is no such kind.
    """
    rest: list[str] = []
    part: Any
    words = list(words)
    for word, following in zip(words, [*words, ""][1:], strict=True):
        _refuse_dashes(word, following)
        name, _, method = word.partition(":")
        name = name.replace("-", "_")
        if not starts_a_choice(word):
            rest.append(word)
            base = _with_part_of(word, base)
        elif name in CHOICES:
            part = SLOTS[name].choose(getattr(base, name), method, f"{name}:")
            base = dataclasses.replace(base, **{name: part})
        elif name == "shaping":
            base = dataclasses.replace(base, shaping=_with_shaper(method, base.shaping))
        elif method in (ON, OFF):
            part = (getattr(base, name) or optional_parts(TrainConfig)[name]()) if method == ON else None
            base = dataclasses.replace(base, **{name: part})
        else:
            raise BadOptionError(f"{word}: expected {name}:{ON} or {name}:{OFF}.")
    return rest, base


def _refuse_dashes(word: str, following: str) -> None:
    """Refuse `--credit gigpo`, which is the word `credit:gigpo`."""
    flag, equals, value = word.partition("=")
    name = flag.removeprefix("--")
    if flag.startswith("--") and name in {*CHOICES, "shaping"}:
        kind = value if equals else following
        example = kind if kind and not kind.startswith("-") else "NAME"
        raise BadOptionError(f"{name} is chosen by a word without dashes: write {name}:{example}.")


def _with_part_of(word: str, base: TrainConfig) -> TrainConfig:
    """`base` with the optional part in it that an option such as `--replay.per-task` is one of."""
    name, _, rest = word.partition("=")[0].replace("-", "_").removeprefix("__").partition(".")
    if not (word.startswith("--") and rest):
        return base
    shaper, dot, _ = rest.partition(".")
    if name == "shaping" and dot and shaper != "own":
        return dataclasses.replace(base, shaping=_with_shaper(shaper, base.shaping))
    parts = optional_parts(TrainConfig)
    if name in parts and getattr(base, name) is None:
        made: Any = parts[name]()
        return dataclasses.replace(base, **{name: made})
    return base


def _with_shaper(name: str, shaping: ShapingConfig) -> ShapingConfig:
    """`shaping` with the shaper of that name, or import path, in it."""
    if ":" in name:
        return dataclasses.replace(shaping, own=SLOTS["shaping.own"].choose(shaping.own, name, "shaping:"))
    known = optional_parts(ShapingConfig)
    if name not in known:
        names = [*known, "my_package.my_module:MyShaper"]
        raise BadOptionError(f"shaping: must be one of {names}, got {name!r}.{did_you_mean(name, known)}")
    return dataclasses.replace(shaping, **{name: getattr(shaping, name) or known[name]()})


def choices_help() -> str:
    """What `take_choices` takes, in one paragraph."""
    words = [f"{name}:{method}" for name, choices in CHOICES.items() for method in choices]
    words += [f"shaping:{name}" for name in optional_parts(ShapingConfig)]
    words += [f"{name.replace('_', '-')}:{ON}" for name in optional_parts(TrainConfig)]
    return (
        f"Words that choose a method or add a part, whose own settings then follow: {' '.join(words)}. Your own is "
        "named by its import path: credit:my_package.my_module:MyCredit."
    )
