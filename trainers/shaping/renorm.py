"""PPR's ReNorm (Xu et al. 2025; arXiv 2509.25598): process scores that can't buy a wrong outcome a good reward.

A judge's score of each step is dense and easily pleased. Added to the outcome as it is, it pays a policy for pleasing
the judge: the longer an episode that fails, the more it collects. ReNorm moves both by μ:

    r̂_t = r_p,t + r_o − μ        r_p ∈ [0, 1] the score of the step,  r_o ∈ {0, 1} the outcome, at every step

With μ = 1 no step of a failure has a reward above 0 and no step of a success one below 0: the process score grades
within an outcome and never turns it round.

The shift is r_o − 1 per step, so it is not neutral where episodes differ in length: every step of a failure costs up to
1, and a long failure is worse than a short one. It fails where failing early is easy and succeeding is rare, as giving
up is then what is learned first. No code was published; whether the last step has the outcome alone is not known, so it
is a setting.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from trainers.credit.numerics import check_choice
from trainers.judges.base import Judge, check_score, steps_of_episode
from trainers.judges.rules import InfoJudge
from trainers.shaping.base import Shaper, reshape
from trainers.types import Episode, Group

Floats = NDArray[np.float64]
Last = Literal["both", "outcome"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Renorm:
    """Replaces the rewards of an episode by process score plus outcome minus a shift."""

    shift: float = 1.0
    """μ. The paper takes about 1; exactly 1 is what keeps the sign."""
    weight: float = 1.0
    """Factor on what comes out, in units of the reward as it is here; it replaces that reward altogether."""
    last: Last = "both"
    """both: the last step is like any other. outcome: its process score is taken to be the outcome."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        if not (np.isfinite(self.shift) and np.isfinite(self.weight)):
            raise ValueError(f"expected a finite shift and weight, got {self.shift} and {self.weight}")
        check_choice("last", self.last, get_args(Last))

    def __call__(self, group: Group, /) -> Group:
        """Return the group with new rewards, by the environment's own scores, `info["process_score"]`."""
        return self.shaped(group, InfoJudge())

    def judged_by(self, judge: Judge) -> Shaper:
        """Return the same with another judge; what it can't score counts 0."""
        return partial(self.shaped, judge=judge)

    def shaped(self, group: Group, /, judge: Judge) -> Group:
        """Return the group with new rewards; all its steps go to the judge at once."""
        steps = [step for episode in group.episodes for step in steps_of_episode(group.task, episode)]
        scores = iter([check_score(score, judge) for score in judge.scores(steps)])

        def rewards(episode: Episode) -> Floats:
            process = np.array([next(scores) for _ in episode.turns], dtype=np.float64)
            outcome = float(episode.success)
            if self.last == "outcome" and len(process):
                process[-1] = outcome
            return self.weight * renormed(process, outcome, self.shift)

        return reshape(group, rewards)


def renormed(process: Floats, outcome: float, shift: float = 1.0) -> Floats:
    """r_p + r_o − μ, shape (turns,)."""
    return process + (outcome - shift)
