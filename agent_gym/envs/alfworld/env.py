"""`AgentGym/ALFWorld-v0`: the household of ALFWorld as a Gymnasium environment."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol

from agent_gym import keys
from agent_gym.core import Expert, TextEnv
from agent_gym.envs.alfworld.engine import Simulator
from agent_gym.envs.alfworld.expert import AlfworldExpert
from agent_gym.envs.alfworld.games import SPLITS, GameLibrary
from agent_gym.envs.alfworld.generator import Difficulty
from agent_gym.errors import BadOptionError, StateError, did_you_mean
from agent_gym.registration import ALFWORLD
from agent_gym.vector import TextVectorEnv

ENGINES = ("native", "textworld")

_INSTRUCTIONS = """\
You are a robot in a house. The first observation lists the places you can go to and ends with your task. You see \
what is on or in a place only when you are there, and inside things only when they are open. You can hold one object \
at a time.

Commands, with names as you see them (for example "cabinet 3" or "apple 1"):
  go to PLACE
  open PLACE
  close PLACE
  take OBJECT from PLACE
  {put}
  clean OBJECT with SINKBASIN
  heat OBJECT with MICROWAVE
  cool OBJECT with FRIDGE
  slice OBJECT with KNIFE
  use LAMP
  examine PLACE or OBJECT
  inventory
  look
A command that is not possible is answered with "Nothing happens." and costs a step."""
_PUT_LINE = {"put": "put OBJECT in/on PLACE", "move": "move OBJECT to PLACE"}


class Engine(Protocol):
    """What plays one game."""

    def reset(self) -> str:
        """Start over and return the first observation."""

    def step(self, command: str) -> tuple[str, bool]:
        """Carry out a command; return the observation and whether it was admissible."""

    def admissible(self) -> tuple[str, ...]:
        """Return all possible commands, sorted."""

    @property
    def won(self) -> bool:
        """Whether the goal is reached."""

    def state_key(self) -> str:
        """Return the canonical text of the state."""

    def get_state(self) -> dict[str, Any]:
        """Return the state; it pickles."""

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to a state of the same game."""


class AlfworldEnv(TextEnv):
    """Household tasks in text, on published or generated games.

    The observation, the admissible commands, the end and the task sentence are those of the original engine, byte for
    byte. The reward is 1 in the step that solves the task, else 0. `info` also has `task_type`, and TextWorld's names
    `admissible_commands` and `won`.

    Example:
        >>> import gymnasium as gym, agent_gym
        >>> env = gym.make("AgentGym/ALFWorld-v0")
        >>> observation, info = env.reset(seed=7)
        >>> observation.splitlines()[0]
        '-= Welcome to TextWorld, ALFRED! =-'
        >>> info["source"], "look" in info["admissible_actions"]
        ('generated', True)
    """

    splits = SPLITS

    def __init__(
        self,
        *,
        split: str = "generated_train",
        engine: str = "native",
        data: str | os.PathLike[str] | None = None,
        wording: str = "put",
        difficulty: str | Difficulty = "standard",
        render_mode: str | None = None,
    ) -> None:
        """Set up the environment; games are read when they are first played.

        Args:
            split: Where `reset` draws tasks from: `train`, `valid_train`, `valid_seen`, `valid_unseen` (published
                games), `generated_train`,
                `generated_valid` or `generated_test`.
            engine: `"native"` (fast), or `"textworld"` (the original; needs the extra `alfworld`).
            data: Directory of the published games; `None` means the environment variable `ALFWORLD_DATA`.
            wording: Words of generated games: `"put"` as in the published games, `"move"` as in newer versions of the
                benchmark.
            difficulty: Preset or settings of generated games.
            render_mode: `"ansi"` or `None`.

        Raises:
            BadOptionError: If a setting is not known.
            UnknownSplitError: If there is no such split.
            DataNotFoundError: If `data` is given and missing.
        """
        super().__init__(split=split, render_mode=render_mode)
        if engine not in ENGINES:
            raise BadOptionError(
                f"engine must be one of {list(ENGINES)}, got {engine!r}.{did_you_mean(str(engine), ENGINES)}"
            )
        self.engine = engine
        self.library = GameLibrary(data, wording, difficulty)
        self._playing: Engine | None = None
        self._static_info: dict[str, Any] = {}

    @property
    def instructions(self) -> str:
        """The rules and commands, in the wording of the game being played."""
        commands = self._playing.admissible() if self._playing is not None else ()
        wording = "move" if "help" in commands else "put" if commands else self.library.wording
        return _INSTRUCTIONS.format(put=_PUT_LINE[wording])

    def tasks(self, split: str) -> Sequence[str]:
        """Return the sorted task ids of a split; those of `generated_train` are listed lazily."""
        return self.library.tasks(split)

    def make_expert(self) -> Expert:
        """Return an expert that searches and acts from observations only."""
        return AlfworldExpert()

    @property
    def simulator(self) -> Engine:
        """The engine that plays the current game, for planners that may look at the state.

        Raises:
            StateError: Before the first `reset`.
        """
        if self._playing is None:
            raise StateError("There is no game yet: call reset() first.")
        return self._playing

    def close(self) -> None:
        """Let go of the game."""
        self._playing = None

    def _start(self, task: str) -> tuple[str, dict[str, Any]]:
        if self.engine == "native":
            about, game = self.library.load(task)
            self._playing = Simulator(game)
        else:
            from agent_gym.envs.alfworld.textworld_engine import TextworldEngine  # the extra is needed only here

            about = self.library.find(task)
            self._playing = TextworldEngine(about.data, about.id)
        self._static_info = {keys.SPLIT: about.split, keys.SOURCE: about.source, "task_type": about.task_type}
        observation = self._playing.reset()
        return observation, self._info(self._playing, valid=True)

    def _act(self, command: str) -> tuple[str, float, bool, dict[str, Any]]:
        playing = self._playing
        assert playing is not None  # step() checks that an episode has started
        observation, valid = playing.step(command)
        won = playing.won
        return observation, float(won), won, self._info(playing, valid=valid)

    def _info(self, playing: Engine, *, valid: bool) -> dict[str, Any]:
        commands = playing.admissible()
        won = playing.won
        return {
            keys.STATE_KEY: playing.state_key(),
            keys.ADMISSIBLE_ACTIONS: commands,
            keys.ALIASES[keys.ADMISSIBLE_ACTIONS]: commands,
            keys.ACTION_VALID: valid,
            keys.SUCCESS: won,
            keys.ALIASES[keys.SUCCESS]: won,
            keys.SCORE: float(won),
            **self._static_info,
        }

    def _get_state(self) -> Any:
        return self.simulator.get_state()

    def _set_state(self, state: Any) -> None:
        self.simulator.set_state(state)


def alfworld_vector_env(num_envs: int, **kwargs: Any) -> TextVectorEnv:
    """Create `num_envs` environments in this process; the vector entry point of `AgentGym/ALFWorld-v0`."""
    return TextVectorEnv.of(ALFWORLD, num_envs, **kwargs)
