"""What the words of a command line say before its options are read: a file to start from, an environment's id.

An option parser reads words from left to right with a fixed list of options. Here the list itself depends on words
that may stand anywhere (the file, the recipe and the run to resume are what the others change), so these come first.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from agent_gym.errors import BadOptionError
from trainers.config import CHOICES

_TAKE_A_PATH = ("--model", "--output-dir", "--output_dir", "--resume")
_ID = re.compile(r"([\w.]+:)?([\w.-]+/)?[\w.-]+-v\d+")
"""Gymnasium's syntax of an id, with its version."""


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
        and word.partition(":")[0] not in CHOICES
        and (place == 0 or (word.endswith(".toml") and "=" not in word and words[place - 1] not in _TAKE_A_PATH))
    ]
    if len(alone) > 1:
        named = " and ".join(repr(words[place]) for place in alone)
        raise BadOptionError(f"expected one configuration file, got {named}: start from one, and override the rest.")
    if not alone:
        return Named(words, None)
    return Named([word for place, word in enumerate(words) if place not in alone], words[alone[0]])


def name_env(words: Sequence[str]) -> list[str]:
    """Put `--env` before a first word that is an environment's id and no file."""
    if words and _ID.fullmatch(words[0]) and not Path(words[0]).is_file():
        return ["--env", *words]
    return list(words)


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
