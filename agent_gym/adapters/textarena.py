"""`AgentGym/TextArena-v0`: any single-player game of TextArena as a `TextEnv`.

The library: https://github.com/LeonGuertler/TextArena; tested with textarena 0.7.4. What is promised and what is not:
docs/adapters.md.
"""

from __future__ import annotations

import pickle
import re
from enum import Enum
from typing import Any, Final

import gymnasium as gym

from agent_gym.adapters.foreign import (
    MISTAKES,
    Move,
    RuledEnv,
    cut,
    drop_attributes,
    graded,
    known_name,
    library,
    reason_of,
)
from agent_gym.adapters.numbers import Bisection
from agent_gym.adapters.textarena_moves import GUESSED, TRIED
from agent_gym.core import Expert, with_known_settings
from agent_gym.errors import UnsupportedGameError
from agent_gym.registration import TEXT_ARENA
from agent_gym.vector import TextVectorEnv

_NEVER: Final = 10**9


class TextArenaEnv(RuledEnv):
    """A single-player game of TextArena; see `make_text_arena` for the settings.

    The rules that the game tells its player are the instructions, which can differ from task to task; the first
    observation is what it says beside them. The reward comes at the end of the game, as TextArena gives it; a game is
    solved with a reward of 1.
    """

    how = "Give each move in square brackets, as the rules of the game say."
    # What was said, not what is.
    held = frozenset({"logs", "observations", "step_info", "made_invalid_move", "reason", "env_id", "entry_point"})
    turns = frozenset({"turn", "turn_count"})

    def make_expert(self) -> Expert:
        """Return a fresh expert: there is one for guessing numbers.

        Raises:
            NoExpertError: For any other game.
        """
        if not self.game.startswith("GuessTheNumber-v0"):
            return super().make_expert()
        game = self._base()
        return Bisection(game.min_number, game.max_number, "[{}]")

    def _base(self) -> Any:
        """Return TextArena's game without the wrappers around it, making it the first time."""
        if self._env is None:
            self._env = _make(self.game)
            self._remember(_unwrapped(self._env))
        return _unwrapped(self._env)

    def _open(self, seed: int) -> Move:
        game = self._base()
        drop_attributes(game, self._made)
        _reset(self._env, self.game, seed)
        if self.invalid == "refuse":
            game.state.error_allowance = _NEVER
        messages = _messages(game)
        self._rules = "\n".join(text for text, kind in messages if kind == "PROMPT").strip()
        begins = "\n".join(text for text, kind in messages if kind != "PROMPT").strip()
        return Move(begins or "The game begins.")

    def _play(self, command: str) -> Move:
        return _step(self._env, command, refuse=self.invalid == "refuse")

    def _content(self) -> tuple[Any, frozenset[str]]:
        return self._base(), self._leave_out

    def _suggest(self) -> tuple[str, ...]:
        game = self._base()
        kind = type(game).__name__
        if kind in GUESSED:
            return tuple(GUESSED[kind](game)) or ("[…]",)
        if kind not in TRIED:
            return tuple(re.findall(r"\[[^][\n]+\]", self._rules)[:8]) or ("[…]",)
        copied = pickle.dumps(game)
        with self._trial:
            return tuple(command for command in TRIED[kind](game) if _possible(copied, command)) or ("[…]",)

    def _forms(self) -> tuple[str, ...]:
        return () if type(self._base()).__name__ in TRIED else ("[<your move>]",)


def _possible(copied: bytes, command: str) -> bool:
    """Try a command on a copy of the game."""
    try:
        return _step(pickle.loads(copied), command, refuse=True).valid
    except MISTAKES:
        return False


def _step(env: Any, command: str, *, refuse: bool) -> Move:
    state = _unwrapped(env).state
    errors = state.error_count
    ended, _ = env.step(command)
    text = "\n".join(text for text, _ in _messages(_unwrapped(env)))
    told = state.game_info[0]
    valid = state.error_count <= errors and not told["invalid_move"]
    if not ended:
        if not valid and refuse:
            state.error_count = errors
        return Move(text, valid=valid)
    reward = float((state.rewards or {}).get(0, 0.0))
    text = "\n".join(part for part in (text, str(told.get("reason") or "")) if part)
    return Move(text, reward, True, valid, reward >= 1.0, graded(reward, success=reward >= 1.0))


def _messages(game: Any) -> list[tuple[str, str]]:
    """Take what the game has said since the last call: (text, kind), without what the player said."""
    said, (_, observation) = "PLAYER_ACTION", game.get_observation()
    # Three games (Countdown, Cryptarithm, Slitherlink) put what the player said in the place of the kind.
    kinds = [(str(text).strip(), kind.name if isinstance(kind, Enum) else said) for _, text, kind in observation]
    return [(text, kind) for text, kind in kinds if kind != said and text]


def _unwrapped(env: Any) -> Any:
    while "env" in vars(env):
        env = env.env
    return env


def _make(game: str) -> Any:
    text_arena = library("textarena", "textarena", "textarena")
    registry = library("textarena.envs.registration", "textarena", "textarena").ENV_REGISTRY
    known_name("TextArena game", game, sorted(registry))
    try:
        return text_arena.make(game)
    except MISTAKES as error:
        raise UnsupportedGameError(f"TextArena can't make {game!r} here: {reason_of(error)}") from error


def _reset(env: Any, game: str, seed: int) -> None:
    """Start a game for one player.

    Raises:
        UnsupportedGameError: If the game is one for several, or fails to start.
    """
    try:
        env.reset(num_players=1, seed=seed)
    except MISTAKES as error:
        if "player" in str(error).lower():
            raise _several(game) from error
        raise UnsupportedGameError(f"TextArena can't start {game!r} here: {reason_of(error)}") from error
    if type(_unwrapped(env).state).__name__ != "SinglePlayerState":
        raise _several(game)


def _several(game: str) -> UnsupportedGameError:
    return UnsupportedGameError(
        f"{game!r} is a game for several players: expected a single-player game, such as 'GuessTheNumber-v0'. This "
        "package has games for several agents of its own: docs/multi-agent.md."
    )


@with_known_settings
def make_text_arena(
    *,
    game: str = "GuessTheNumber-v0",
    split: str = "train",
    tasks: int = 1000,
    steps: int = 200,
    invalid: str = "refuse",
    key_turns: bool = True,
    render_mode: str | None = None,
) -> gym.Env[str, str]:
    """Make the environment with its limit on steps; the entry point of `AgentGym/TextArena-v0`.

    Args:
        game: TextArena's id of a single-player game, such as `"Wordle-v0"`.
        split: `train`, `valid` or `test`; each task is a seed that no other split has.
        tasks: Tasks per split.
        steps: Limit on steps, refused commands included.
        invalid: `"refuse"`: an invalid move costs a step and changes nothing. `"library"`: TextArena's own rule, by
            which the second one in a row loses.
        key_turns: Whether the state key counts the turns. Without them states of different turns are one, which is
            what step-level credit wants; the promise of the key then holds up to the turns that are left.
        render_mode: `"ansi"` or `None`.

    Raises:
        BadOptionError: If a setting is not known or out of range. That there is no such game, or that it is one for
            several players, is said when the first episode starts.
    """
    env = TextArenaEnv(
        game=game, split=split, tasks=tasks, invalid=invalid, key_turns=key_turns, render_mode=render_mode
    )
    return cut(env, steps)


def text_arena_vector_env(num_envs: int, **kwargs: Any) -> TextVectorEnv:
    """Create `num_envs` environments in this process; the vector entry point of `AgentGym/TextArena-v0`."""
    return TextVectorEnv.of(TEXT_ARENA, num_envs, **kwargs)
