"""ExploRS: a learner that shapes its own rewards and explores (Devidze, Kamalaruban, Singla, NeurIPS 2022).

Self-supervised shaping (SelfRS) adds a reward R_φ(s, a) that is learned so that a policy improved under it improves
under the *original* reward too; a bonus for rarely visited states finds the first successes that this needs:

    r̃_t = r_t + R_φ(s_t, a_t) + B(s_{t+1})
    B(s) = λ / √((λ/B_max)² + N(s))                    N visits before this one; 0 where the episode has ended
    φ   += η_φ Σ_t π(a_t|s_t) (Ḡ_t − V(s_t)) ∇_φ [R_φ(s_t, a_t) − Σ_b π(b|s_t) R_φ(s_t, b)]
    V(s) += η_V (Ḡ_t − V(s))

with Ḡ_t the return of the reward as it is here, without what this shaper adds. The table R_φ has one entry per state
and answer, so that the bracket's gradient in R(s_t, b) is 1[b = a_t] − π(b|s_t).

π(a|s) is the probability with which the answer was drawn, from its tokens' log-probabilities. Of other actions in the
same state the last known probability is taken; those that were never drawn have R_φ = 0 and stay there. (Where many
answers hold the same action, as with thoughts, that is the probability of one of them, and updates are small.)

It fails where states do not come again (free text without a state key), and where a bonus that never ends is larger
than what the task pays. Deviations: updates once per iteration over its episodes, the published ones every 5 over
the last 10 [both apply to a tabular learner]; within an iteration each episode counts visits on its own from those of
earlier iterations, so that the order of episodes does not matter.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent_gym import keys
from trainers.credit.numerics import returns_to_go
from trainers.shaping.base import ShaperState, played_episodes, reshape
from trainers.types import Episode, Group, Turn

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Explors:
    """Adds a self-supervised reward and a bonus for rare states."""

    learning_rate: float = 0.01
    """η_φ, of the table R_φ; 0 leaves the bonus alone (ExploB)."""
    value_rate: float = 0.01
    """η_V, of the baseline V."""
    gamma: float = 0.95
    """γ, discount of the returns Ḡ."""
    bonus: float = 1.0
    """λ, how slowly the bonus falls with visits; 0 for none (SelfRS)."""
    most_bonus: float = 1.0
    """B_max, the bonus of a state that was never visited, in units of the reward as it is here."""
    clip: float | None = None
    """Largest absolute value of R_φ; none: any. The published Q-learners take 0.01."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        rates = (self.learning_rate, self.value_rate, self.bonus)
        if not (all(map(math.isfinite, rates)) and min(rates) >= 0):
            raise ValueError(f"expected rates and a bonus of 0 or more, got {rates}")
        if not 0.0 <= self.gamma <= 1.0:
            raise ValueError(f"expected a gamma between 0 and 1, got {self.gamma}")
        if not self.most_bonus > 0 or (self.clip is not None and not self.clip > 0):
            raise ValueError(f"expected most_bonus and clip above 0, got {self.most_bonus} and {self.clip}")

    def start(self) -> "ExplorsShaper":
        """Return a shaper that has visited nothing yet."""
        return ExplorsShaper(self)


class ExplorsShaper:
    """The table R_φ, the baseline V, visits, and what is known of the policy; all by state key."""

    def __init__(self, settings: Explors) -> None:
        self.settings = settings
        self.rewards: dict[str, dict[str, float]] = {}
        self.values: dict[str, float] = {}
        self.visits: Counter[str] = Counter()
        self.policy: dict[str, dict[str, float]] = {}

    def __call__(self, group: Group, /) -> Group:
        """Return the group with R_φ and the bonus added."""
        return reshape(group, lambda episode: episode.rewards + self._added(episode))

    def _added(self, episode: Episode) -> Floats:
        added = np.zeros(len(episode.turns), dtype=np.float64)
        visits: Counter[str] = Counter()
        for t, turn in enumerate(episode.turns):
            added[t] = self.rewards.get(turn.state_key, {}).get(turn.action, 0.0)
            ends = t == len(episode.turns) - 1 and episode.status == "finished"
            state = _reached(episode, t)
            if not ends:
                added[t] += count_bonus(
                    self.visits[state] + visits[state], self.settings.bonus, self.settings.most_bonus
                )
            visits[state] += 1
        return added

    def fit(self, groups: Sequence[Group], /) -> Mapping[str, float]:
        """Learn from an iteration: the policy's probabilities first, then R_φ with V as it was, then V and visits."""
        episodes = played_episodes(groups)
        for episode in episodes:
            for turn in episode.turns:
                self._see(turn)
        returns = [returns_to_go(episode.rewards, self.settings.gamma) for episode in episodes]
        steps = [
            (turn, float(return_t))
            for episode, returns_t in zip(episodes, returns, strict=True)
            for turn, return_t in zip(episode.turns, returns_t, strict=True)
        ]
        advantages = [return_t - self.values.get(turn.state_key, 0.0) for turn, return_t in steps]
        for (turn, _), advantage in zip(steps, advantages, strict=True):
            self._improve(turn, advantage)
        for turn, return_t in steps:
            value = self.values.get(turn.state_key, 0.0)
            self.values[turn.state_key] = value + self.settings.value_rate * (return_t - value)
        for episode in episodes:
            self.visits.update(_reached(episode, t) for t in range(len(episode.turns)))
        largest = max((abs(one) for table in self.rewards.values() for one in table.values()), default=0.0)
        return {"states": float(len(self.visits)), "largest_reward": largest}

    def _see(self, turn: Turn) -> None:
        """Remember how likely an answer is; what is known of others gives way if that is more than 1 together."""
        known = self.policy.setdefault(turn.state_key, {})
        known[turn.action] = min(1.0, math.exp(sum(turn.completion.logprobs)))
        others = sum(probability for answer, probability in known.items() if answer != turn.action)
        left = 1.0 - known[turn.action]
        if others > left:
            for answer in known:
                if answer != turn.action:
                    known[answer] *= left / others

    def _improve(self, turn: Turn, advantage: float) -> None:
        policy = self.policy[turn.state_key]
        table = self.rewards.setdefault(turn.state_key, {})
        change = self_supervised_change(policy, turn.action, advantage, self.settings.learning_rate)
        for answer, one in change.items():
            table[answer] = table.get(answer, 0.0) + one
            if self.settings.clip is not None:
                table[answer] = min(self.settings.clip, max(-self.settings.clip, table[answer]))

    def state(self) -> ShaperState:
        """Return the tables."""
        values: dict[str, Any] = {
            "rewards": {state: dict(table) for state, table in self.rewards.items()},
            "values": dict(self.values),
            "visits": dict(self.visits),
            "policy": {state: dict(table) for state, table in self.policy.items()},
        }
        return ShaperState(values=values)

    def load_state(self, state: ShaperState, /) -> None:
        """Go on from a checkpoint."""
        self.rewards = {one: dict(table) for one, table in state.values["rewards"].items()}
        self.values = dict(state.values["values"])
        self.visits = Counter(state.values["visits"])
        self.policy = {one: dict(table) for one, table in state.values["policy"].items()}


def count_bonus(visits: int, bonus: float, most: float) -> float:
    """B = λ / √((λ/B_max)² + N); B_max for N = 0, and 1/√(1 + N) where λ = B_max = 1."""
    return bonus / math.sqrt((bonus / most) ** 2 + visits) if bonus else 0.0


def self_supervised_change(policy: Mapping[str, float], answer: str, advantage: float, rate: float) -> dict[str, float]:
    """Change of R_φ(s, ·): η·π(a|s)·(Ḡ − V)·(1[b = a] − π(b|s)) for each answer b that is known in the state."""
    scale = rate * policy[answer] * advantage
    return {one: scale * ((one == answer) - probability) for one, probability in policy.items()}


def _reached(episode: Episode, t: int) -> str:
    """Key of the state after turn t."""
    if t + 1 < len(episode.turns):
        return episode.turns[t + 1].state_key
    return str(episode.turns[t].info.get(keys.STATE_KEY, episode.turns[t].reply))
