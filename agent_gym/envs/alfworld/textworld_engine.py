"""The original engine, from the packages `textworld` and `alfworld`: the reference for every test."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from agent_gym.envs.alfworld.games import DATA_VARIABLE
from agent_gym.errors import GameFileError, MissingExtraError

_BOOKKEEPING = ("checked", "examined", "wasinreceptacle", "new-axiom@", "ison", "not_")


def _packages() -> tuple[Any, Any, Any]:
    """Import the original engine without what importing it does to the process.

    The package `alfworld` makes a directory for its data and writes that into `ALFWORLD_DATA`, which would change what
    `data=None` means from then on.

    Raises:
        MissingExtraError: If a package is not installed.
    """
    before = os.environ.get(DATA_VARIABLE)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ[DATA_VARIABLE] = scratch
        try:
            import textworld
            from alfworld.agents.environment.alfred_tw_env import AlfredDemangler
            from textworld.envs.pddl import PddlEnv
        except ImportError as error:
            raise MissingExtraError(
                f"engine='textworld' needs the packages alfworld, textworld and fast-downward-textworld ({error}). "
                "Install them: pip install 'agent-gym[alfworld]'"
            ) from error
        finally:
            if before is None:
                del os.environ[DATA_VARIABLE]
            else:
                os.environ[DATA_VARIABLE] = before
    return textworld, AlfredDemangler, PddlEnv


class TextworldEngine:
    """One game played by TextWorld's PDDL engine, with names as ALFWorld shows them.

    A step takes tens of milliseconds, and loading a game about a second. The engine can't go back: `set_state` plays
    the commands so far again.
    """

    def __init__(self, data: dict[str, Any] | Path, name: str) -> None:
        """Load a game.

        Raises:
            MissingExtraError: If the packages are not installed.
            GameFileError: If the file can't be read.
        """
        textworld, demangler, pddl_env = _packages()
        if isinstance(data, Path):
            try:
                data = json.loads(data.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise GameFileError(
                    f"{name}: expected a readable JSON game file, got {type(error).__name__}: {error}."
                ) from error
        self._env = demangler(pddl_env(textworld.EnvInfos(won=True, admissible_commands=True)))
        self._env.load(data)
        self._state: Any = None
        self._commands: list[str] = []

    def reset(self) -> str:
        """Start over and return the first observation."""
        self._commands = []
        self._state = self._env.reset()
        return str(self._state.feedback)

    def step(self, command: str) -> tuple[str, bool]:
        """Carry out a command; return the observation and whether it was admissible."""
        valid = command.strip() in self._state.admissible_commands
        self._commands.append(command)
        self._state, _, _ = self._env.step(command)
        return str(self._state.feedback), valid

    def admissible(self) -> tuple[str, ...]:
        """Return all possible commands, sorted."""
        return tuple(self._state.admissible_commands)

    @property
    def won(self) -> bool:
        """Whether the goal is reached."""
        return bool(self._state.won)

    def state_key(self) -> str:
        """Return a digest of all true facts but bookkeeping: as exact as the native engine's key, but another text."""
        facts = sorted(str(fact) for fact in self._state["_facts"] if not fact.name.startswith(_BOOKKEEPING))
        taken = sorted(str(fact) for fact in self._state["_facts"] if fact.name == "not_inreceptacle")
        return hashlib.sha256("\n".join(facts + taken).encode()).hexdigest()[:32]

    def get_state(self) -> dict[str, Any]:
        """Return the commands so far: they are the state, because the engine is deterministic."""
        return {"commands": tuple(self._commands)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Start over and play the saved commands."""
        self.reset()
        for command in state["commands"]:
            self.step(command)
