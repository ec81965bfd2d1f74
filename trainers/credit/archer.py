"""ArCHer: an answer is worth what it adds to the value of the state it was given in (Zhou et al., 2024; 2402.19446).

    A_t = min(Q₁, Q₂)(s_t, a_t) − min(V₁, V₂)(s_t)              the same for every token of answer t

Two levels: a critic of whole answers learns Q and V off-policy from all that was played lately
(`trainers.critics.archer`), and the policy learns its tokens from the advantage of the answer that they are part of, on
policy. An episode of two hundred tokens has ten answers, so the critic looks ten steps ahead instead of two hundred,
and what was played is used many times over. It goes wrong where the critic does: nothing but what Q has learnt reaches
the policy, no return does, so let it warm up (`critic.warmup_iterations`, 20 in the paper).

The paper's loss is plain REINFORCE (`loss:reinforce`). This file only does the subtraction; its fields are the
settings of that critic.
"""

from dataclasses import dataclass

import numpy as np

from trainers.credit.numerics import check_range
from trainers.credit.tokens import TokenAdvantages, TokenBatch


@dataclass(frozen=True, kw_only=True, slots=True)
class Archer:
    """Advantages of answers from a double Q and V critic that learns from a buffer of turns."""

    gamma: float = 0.95
    """γ, discount per turn."""
    polyak: float = 0.1
    """τ: after each step of the critic its targets move this part of the way to it."""
    critic_steps: int = 50
    """Steps of the critic per iteration."""
    critic_batch: int = 256
    """Turns per step."""
    critic_rate: float = 1e-3
    """Learning rate of the critic's networks, by Adam; the paper has 2e-5 for a whole encoder. An entry of a table
    moves by a hundred times this of the way to its target."""
    hidden: int = 256
    """Units in each of the two hidden layers; the paper has 768."""
    capacity: int = 100_000
    """Turns in the buffer; it is in every checkpoint, with three vectors of the model's width per turn."""
    fresh_states: int = 256
    """States of the buffer that the policy answers anew in each iteration, for V to be that of the policy as it is."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        check_range("gamma", self.gamma, 0, 1)
        check_range("polyak", self.polyak, 0, 1)
        for name in ("critic_steps", "critic_batch", "hidden", "capacity"):
            check_range(name, getattr(self, name), 1)
        check_range("fresh_states", self.fresh_states, 0)
        if not 0 < self.critic_rate < np.inf or self.polyak == 0:
            raise ValueError(
                f"expected a critic_rate and a polyak above 0, got {self.critic_rate} and {self.polyak}: nothing would "
                "be learnt"
            )

    @property
    def needs_action_values(self) -> bool:
        """Whether a critic's values of answers are asked for."""
        return True

    def assign(self, batch: TokenBatch, /) -> TokenAdvantages:
        """Return each answer's advantage for all of its tokens.

        Raises:
            ValueError: If there is no critic.
        """
        if batch.action_values_t is None or batch.state_values_t is None:
            raise ValueError("expected a critic's values of every turn (Q and V): this estimator needs ArCHer's critic")
        advantages_t = batch.action_values_t - batch.state_values_t
        return TokenAdvantages(advantages_n=advantages_t[batch.turn_n])
