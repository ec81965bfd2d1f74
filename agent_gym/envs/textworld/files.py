"""Game files: what TextWorld writes, checked before the engine is given it."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import struct
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from agent_gym.disk_cache import built
from agent_gym.envs.textworld.maker import EXTRA, MAKER, GenerationError
from agent_gym.envs.textworld.tasks import Kind
from agent_gym.errors import GameFileError, MissingExtraError, UnsupportedGameError

SUFFIXES = (".json", ".ulx", ".z8")
_ATTEMPTS = 50
_SAFE = re.compile(r"[^A-Za-z0-9_.+-]")


@dataclass(frozen=True, slots=True)
class GamePath:
    """A game on disk: the story file, and beside it, with the suffix `.json`, the facts."""

    story: Path
    stamps: tuple[int, int]
    """When the two were last changed, so that nothing old is remembered of them."""

    @classmethod
    def of(cls, story: Path) -> GamePath:
        """Look at a story file and its facts."""
        return cls(story, (story.stat().st_mtime_ns, story.with_suffix(".json").stat().st_mtime_ns))


@functools.cache
def engine_version() -> str:
    """Return the version of the engine, which decides what a seed gives.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        return metadata.version("textworld")
    except metadata.PackageNotFoundError as error:
        raise MissingExtraError(EXTRA) from error


def generated_game(kind: Kind, split: str, number: int) -> GamePath:
    """Return a generated game, made if it is not in the cache.

    Raises:
        GameFileError: If it can't be made.
        MissingExtraError: If the engine is not installed.
    """

    def make(directory: Path) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                MAKER.make(kind.request(split, number, attempt), directory)
            except GenerationError as error:
                last = error
            else:
                return
        raise GameFileError(f"expected a game of {kind.label}, but there is none of {_ATTEMPTS} seeds: {last}")

    name = f"{engine_version()}-{split}-{kind.label}-{number:06d}"
    return _cached(name, make)


def game_of_files(stem: Path, suffixes: frozenset[str]) -> GamePath:
    """Return the game of the files `stem` with these suffixes, compiled in the cache where there is no story file.

    Raises:
        GameFileError: If a file is missing or is not what its name says.
        UnsupportedGameError: If there is a Glulx file alone.
        MissingExtraError: If the engine is not installed.
    """
    facts, story = _with(stem, ".json"), _with(stem, ".z8")
    if ".json" not in suffixes:
        alone = _with(stem, ".z8" if ".z8" in suffixes else ".ulx")
        if ".z8" in suffixes:
            raise GameFileError(
                f"{alone}: expected the facts of the game beside it in {facts.name}, as TextWorld writes them, got no "
                "such file; copy it there. Other Z-machine games can't be played."
            )
        raise UnsupportedGameError(
            f"{alone}: the engine plays no Glulx files since version 1.7; put {facts.name}, which TextWorld wrote with "
            "it, beside it, and the game is compiled anew from that."
        )
    read_facts(facts)
    if ".z8" in suffixes:
        check_story(story)
        return GamePath.of(story)
    digest = hashlib.sha256(facts.read_bytes()).hexdigest()[:20]

    def compile_it(directory: Path) -> None:
        try:
            MAKER.make({"file": str(facts.resolve())}, directory)
        except GameFileError as error:
            raise GameFileError(f"{facts}: expected a game of TextWorld that can be compiled: {error}") from error

    return _cached(f"{engine_version()}-file-{_SAFE.sub('_', stem.name)[:40]}-{digest}", compile_it)


def _with(stem: Path, suffix: str) -> Path:
    return stem.with_name(stem.name + suffix)


def _cached(name: str, make: Any) -> GamePath:
    directory = built("textworld", name, _check, make, kind=GameFileError, missing=EXTRA)
    return GamePath.of(directory / "game.z8")


def _check(directory: Path) -> None:
    check_story(directory / "game.z8")
    read_facts(directory / "game.json")


def check_story(path: Path) -> None:
    """Check a story file against its own header: version, length and checksum, as the Z-machine's standard has them.

    Raises:
        GameFileError: If one of them is wrong; the interpreter would end the process.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise GameFileError(f"{path}: expected a story file, got {error.strerror}.") from error
    if len(content) < 64 or content[0] != 8:
        raise GameFileError(
            f"{path}: expected a Z-machine file of version 8, got {len(content)} bytes of another kind."
        )
    (length,) = struct.unpack(">H", content[0x1A:0x1C])
    (checksum,) = struct.unpack(">H", content[0x1C:0x1E])
    if len(content) < length * 8:
        raise GameFileError(
            f"{path}: expected {length * 8} bytes, as its header says, got {len(content)}: it is cut off."
        )
    if sum(content[0x40 : length * 8]) % 65536 != checksum:
        raise GameFileError(
            f"{path}: its checksum is wrong: expected the file that TextWorld wrote, got a damaged one."
        )


def read_facts(path: Path) -> dict[str, Any]:
    """Read the file with a game's facts, as far as it can be told to be one.

    Raises:
        GameFileError: If it is no JSON, or not of a game.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise GameFileError(f"{path}: expected JSON, got {type(error).__name__}: {error}.") from error
    needed = {"world", "quests", "infos", "KB"}
    if not isinstance(table, dict) or not needed <= set(table):
        lacking = sorted(needed - set(table)) if isinstance(table, dict) else "no table"
        raise GameFileError(f"{path}: expected a game that TextWorld wrote, with {sorted(needed)}; missing: {lacking}.")
    return table
