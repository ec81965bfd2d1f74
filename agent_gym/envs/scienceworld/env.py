"""`AgentGym/ScienceWorld-v0`: experiments of elementary science in a house, from the benchmark of 2203.07540.

The simulation, its texts, tasks, points and solutions are the package scienceworld's; tasks' names, state keys, saved
states and the order in which everything happens are ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import gymnasium as gym

from agent_gym import keys
from agent_gym.core import TextEnv, with_known_settings
from agent_gym.envs.diagnostic import check_count, limited
from agent_gym.envs.scienceworld.engine import Frame, Setup, gold_path
from agent_gym.envs.scienceworld.expert import GoldPath
from agent_gym.envs.scienceworld.kinds import check_simplifications, kinds_of, variations
from agent_gym.envs.scienceworld.session import Position, Session
from agent_gym.errors import StateError, UnknownTaskError
from agent_gym.registration import SCIENCEWORLD
from agent_gym.vector import TextVectorEnv

KIND = "find-living-thing"
_TASK = re.compile(r"(train|valid|test)/([a-z0-9-]+)-(\d{4})")

_INSTRUCTIONS = """\
You are in a house with a kitchen, a workshop, a greenhouse and other rooms, and have a task of elementary science. \
What it is, and what to focus on, is told at the start. Focus only on what the task names: a wrong focus fails it.

Commands, with THING, PLACE and ROOM by their names:
  look around, look at THING, look in THING, read THING
  inventory, pick up THING, put down THING, move THING to PLACE
  open THING, close THING, open door to ROOM, go to ROOM{teleport}
  activate THING, deactivate THING, use THING on THING
  pour THING into PLACE, dunk THING into PLACE, mix THING
  eat THING, flush THING{connect}
  focus on THING, wait, wait1, task
A command that could mean several things is asked back about; answer with the number. Looking around, the inventory \
and the task take no time in the house, every other command does."""


class ScienceWorldEnv(TextEnv):
    """Tasks of ScienceWorld. The reward of a step is by how much the score rises.

    The score is ScienceWorld's, 0 to 1. A wrong focus fails the task: the episode ends, the score is 0, and the reward
    takes back what was gained.

    Example:
        >>> import gymnasium as gym, agent_gym
        >>> env = gym.make("AgentGym/ScienceWorld-v0", kind="boil+melt")
        >>> env.unwrapped.tasks("valid")[6:8]
        ('valid/boil-0020', 'valid/melt-0014')
    """

    splits = ("test", "train", "valid")

    def __init__(
        self,
        *,
        split: str = "train",
        kind: str = KIND,
        simplifications: str = "easy",
        render_mode: str | None = None,
    ) -> None:
        """Set up the tasks; see `make_scienceworld` for the settings. No Java is started yet."""
        self._kinds = kinds_of(kind)
        self._simplifications = check_simplifications(simplifications, self._kinds)
        self._tasks = {
            name: tuple(f"{name}/{one}-{number:04d}" for one in self._kinds for number in variations(one, name))
            for name in self.splits
        }
        super().__init__(split=split, render_mode=render_mode)
        self._session = Session()
        self._playing = ""

    @property
    def instructions(self) -> str:
        """The rules and commands."""
        names = self._simplifications.split(",")
        teleports = self._teleports and ", teleport to ROOM"
        connects = "" if {"easy", "noElectricalAction"} & set(names) else ", connect THING to THING, disconnect THING"
        return _INSTRUCTIONS.format(teleport=teleports or "", connect=connects)

    @cached_property
    def _teleports(self) -> bool:
        return bool({"easy", "teleportAction"} & set(self._simplifications.split(",")))

    def tasks(self, split: str) -> Sequence[str]:
        """Return the task ids of a split; they are known without the package.

        Raises:
            UnknownSplitError: If there is no such split.
        """
        self._check_split(split)
        return self._tasks[split]

    def make_expert(self) -> GoldPath:
        """Return a player who follows scienceworld's own solution; working that out takes as long as playing it."""
        return GoldPath(gold_path(self._setup(self._playing)), teleports=self._teleports)

    def close(self) -> None:
        """Let go of the game; the Java machine stays for others."""
        self._session.close()

    def _start(self, task: str) -> tuple[str, dict[str, Any]]:
        self._session.begin(self._setup(task))
        self._playing = task
        return self._session.position.frame.text, self._info(valid=True)

    def _act(self, command: str) -> tuple[str, float, bool, dict[str, Any]]:
        before = _earned(self._session.position.frame)
        frame = self._session.play(command)
        return frame.text, (_earned(frame) - before) / 100, frame.over, self._info(valid=frame.understood)

    def _info(self, *, valid: bool) -> dict[str, Any]:
        position = self._session.position
        points = _earned(position.frame)
        return {
            keys.STATE_KEY: f"{self._playing}:{position.key}",
            keys.ADMISSIBLE_ACTIONS: position.frame.commands,
            keys.ALIASES[keys.ADMISSIBLE_ACTIONS]: position.frame.commands,
            keys.ACTION_VALID: valid,
            keys.SUCCESS: points == 100,
            keys.ALIASES[keys.SUCCESS]: points == 100,
            keys.SCORE: points / 100,
            keys.SPLIT: self._playing.partition("/")[0],
            keys.SOURCE: "published",
        }

    def _get_state(self) -> Position:
        return self._session.position

    def _set_state(self, state: Position) -> None:
        if not isinstance(state, Position) or state.setup.simplifications != self._simplifications:
            raise StateError(
                f"Expected a state with simplifications {self._simplifications!r}, got {state!r:.200}; make the "
                "environment with the settings it was saved with."
            )
        self._session.position = state

    def _setup(self, task: str) -> Setup:
        named = _TASK.fullmatch(task)
        if named is None or task not in self._tasks[named[1]]:
            raise UnknownTaskError(
                f"expected a task id such as 'train/{self._kinds[0]}-0000', got {task!r}; tasks(split) lists those of "
                "these settings."
            )
        return Setup(named[2], int(named[3]), self._simplifications)


def _earned(frame: Frame) -> int:
    """Return the points; what has failed has none."""
    return max(frame.points, 0)


@with_known_settings
def make_scienceworld(
    *,
    split: str = "train",
    kind: str = KIND,
    simplifications: str = "easy",
    steps: int = 100,
    render_mode: str | None = None,
) -> gym.Env[str, str]:
    """Make the environment with its limit on steps; the entry point of `AgentGym/ScienceWorld-v0`.

    Args:
        split: Where `reset` draws tasks from: `train`, `valid` or `test`; these are the package's own sets of
            variations.
        kind: Kind of task by the package's name, `boil`, `find-animal` …, several joined with `+`, or `all` 30.
        simplifications: `easy`, as the package has it; several of its names joined with `+`; or `""` for none.
        steps: Limit on steps.
        render_mode: `"ansi"` or `None`.

    Raises:
        BadOptionError: If a setting is not known or out of range.
    """
    env = ScienceWorldEnv(split=split, kind=kind, simplifications=simplifications, render_mode=render_mode)
    return limited(env, check_count("steps", steps, 1, 100_000))


def scienceworld_vector_env(num_envs: int, **kwargs: Any) -> TextVectorEnv:
    """Create `num_envs` environments in this process; the vector entry point of `AgentGym/ScienceWorld-v0`."""
    return TextVectorEnv.of(SCIENCEWORLD, num_envs, **kwargs)
