"""Progress through a task that is written down in temporal logic, as a potential.

Hierarchical LTL (Luo et al. 2024; arXiv 2408.08188) has a language model translate an instruction into formulas on
several levels, and a planner solve them. The formulas can also tell a learner how far it is: an automaton that has
three things to wait for pays a third for each.

    Φ = (d_0 − d) / d_0        d: what is still to be done (see `agent_gym.ltl.formula.distances`), d_0: at the start
    r̃_t = r_t + γ·Φ_{t+1} − Φ_t,   Φ = 0 at the end of the episode

A violated formula has Φ = −1. Only this form leaves the best policy as it is; +1 on acceptance and −1 on violation,
which are usual too, are a reward for the task itself (`outcome`).

The formulas are those of the configuration, the same for all tasks, or each task's own, where the environment tells
them (`household_v0` does). The propositions true after each turn are read from `info`; the state before the first turn
is not part of the trace.
What formulas on several levels mean says `agent_gym.ltl.task`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from agent_gym import keys
from agent_gym.errors import BadOptionError
from agent_gym.ltl.formula import Labels
from agent_gym.ltl.task import Task
from trainers.credit.numerics import check_choice
from trainers.shaping.base import reshape
from trainers.shaping.potential import Cut, potential_differences
from trainers.types import Episode, Group, Turn

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class LtlProgress:
    """Adds the differences of a potential that measures progress through a formula."""

    levels: tuple[Mapping[str, str], ...] = ()
    """Formulas by name, the top level first; names of a level are propositions of the one above. None: those of each
    task, which the environment tells in `info["specification"]`."""
    gamma: float = 0.95
    """γ, the discount that returns are computed with. 1 for returns of whole episodes, as GRPO's and a part of GiGPO's
    are: below 1 their sum would charge for every turn in which something is done already."""
    weight: float = 1.0
    """Factor on Φ, in units of the reward as it is here."""
    outcome: float = 0.0
    """Paid when the task becomes satisfied, and taken off when it becomes violated: a reward, not shaping."""
    entry: str = keys.SUBGOALS
    """Entry of `info` with the names of the propositions that are true in the state."""
    cut: Cut = "zero"
    """Φ at the end of an episode that a limit cut off: zero, or kept for an estimator that goes on from there."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        if not 0.0 <= self.gamma <= 1.0:
            raise ValueError(f"expected a gamma between 0 and 1, got {self.gamma}")
        if not (np.isfinite(self.weight) and np.isfinite(self.outcome)):
            raise ValueError(f"expected a finite weight and outcome, got {self.weight} and {self.outcome}")
        check_choice("cut", self.cut, get_args(Cut))
        if self.levels:
            Task(self.levels)

    def __call__(self, group: Group, /) -> Group:
        """Return the group with differences of progress, and outcomes, added.

        Raises:
            BadOptionError: If there are no formulas, neither here nor in `info`.
        """
        return reshape(group, self._shaped)

    def _shaped(self, episode: Episode) -> Floats:
        if not episode.turns:
            return episode.rewards
        task = Task(self.levels or self._told(episode.turns[0]))
        potentials, outcomes = [task.progress], []
        for turn in episode.turns:
            decided = task.verdict != "undecided"
            task.step(self._labels(turn))
            potentials.append(task.progress)
            outcomes.append(0 if decided else {"satisfied": 1, "violated": -1, "undecided": 0}[task.verdict])
        if self.cut == "zero" or episode.status != "cut":
            potentials[-1] = 0.0
        difference = potential_differences(np.array(potentials), self.gamma)
        return episode.rewards + self.weight * difference + self.outcome * np.array(outcomes, dtype=np.float64)

    def _told(self, turn: Turn) -> Sequence[Mapping[str, str]]:
        levels: Sequence[Mapping[str, str]] | None = turn.info.get(keys.SPECIFICATION)
        if levels is None:
            raise BadOptionError(
                "shaping.ltl.levels must name formulas of the task: this environment tells none in "
                f"info[{keys.SPECIFICATION!r}]."
            )
        return levels

    def _labels(self, turn: Turn) -> Labels:
        told = turn.info.get(self.entry, ())
        if isinstance(told, str) or not all(isinstance(name, str) for name in told):
            raise ValueError(f"expected info[{self.entry!r}] to hold names of propositions, got {told!r}")
        return frozenset(told)
