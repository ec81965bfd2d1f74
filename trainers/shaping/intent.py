"""ChatR1's intent reward: a search query is good if it says what the person meant (Lupart et al. 2025; 2510.13312).

In a conversation the question leaves things out ("and the second one?"), so that a query can be well formed and miss
the point, and the answer's reward comes long after. Where a person's rewrite of the question is known, the best query
of an episode is paid for its words in common with it:

    R = R_answer + α · max_k F1(q_k, q_rewrite)        α = 0.2

F1 of tokens, after lower case and without punctuation and articles. No query, or no rewrite, pays nothing.

It fails where a good query does not look like the question (a keyword, a name found on the way), and it can be pleased
by copying the conversation. No code was published: the normalisation is the usual one of question answering.
"""

import re
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from agent_gym.search.overlap import token_f1
from trainers.credit.numerics import check_choice
from trainers.shaping.base import reshape
from trainers.types import Episode, Group, Turn

Floats = NDArray[np.float64]
Where = Literal["end", "query"]


@dataclass(frozen=True, kw_only=True, slots=True)
class IntentReward:
    """Adds the best query's overlap with the rewritten question."""

    weight: float = 0.2
    """α, in units of the reward as it is here; the paper's value where a right answer pays 1."""
    pattern: str = r"<search>(.*?)</search>"
    """Regular expression whose group is the query in an answer; the last match of an answer counts."""
    entry: str = "rewrite"
    """Entry of `info` with the rewritten question, as a string."""
    where: Where = "end"
    """end: at the last turn, as in the paper. query: at the turn that issued the best query; the same total."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        if not np.isfinite(self.weight):
            raise ValueError(f"expected a finite weight, got {self.weight}")
        try:
            groups = re.compile(self.pattern).groups
        except re.error as error:
            raise ValueError(f"expected a regular expression, got {self.pattern!r}: {error}") from error
        if groups != 1:
            raise ValueError(f"expected a pattern with one group, got {self.pattern!r} with {groups}")
        check_choice("where", self.where, get_args(Where))

    def __call__(self, group: Group, /) -> Group:
        """Return the group with the intent reward added."""
        return reshape(group, self._rewarded)

    def _rewarded(self, episode: Episode) -> Floats:
        rewards = episode.rewards
        overlaps = [self._overlap(turn) for turn in episode.turns]
        if overlaps and max(overlaps) > 0:
            place = len(overlaps) - 1 if self.where == "end" else int(np.argmax(overlaps))
            rewards[place] += self.weight * max(overlaps)
        return rewards

    def _overlap(self, turn: Turn) -> float:
        queries = re.findall(self.pattern, turn.answer, re.DOTALL)
        rewrite = turn.info.get(self.entry)
        return token_f1(queries[-1], str(rewrite)) if queries and rewrite else 0.0
