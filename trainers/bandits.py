"""Two agents for linear bandits: LinUCB, and DynLin-UCB for those with a hidden linear state. NumPy only.

Both act without episodes or gradients; they are here for what they show. In a dynamical bandit an action's effect comes
over several rounds, and whoever credits each reward to the action just played (LinUCB) learns the wrong thing, with
confidence. DynLin-UCB (Mussi, Metelli and Restelli, ICML 2023; arXiv 2211.08997) holds an action until the state has
settled, and learns from the last reward only: hold, burn in, then credit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from agent_gym import keys

Vector = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """What an agent is told of a bandit: limits, not the numbers themselves. Norms are Euclidean, or spectral."""

    theta: float
    """Θ ≥ ‖θ‖, direct effect of an action."""
    omega: float
    """Ω ≥ ‖ω‖, effect of the state."""
    b: float
    """B ≥ ‖B‖, effect of an action on the state."""
    rho: float
    """ρ̄ ≥ the spectral radius of A, below 1: how long the state remembers."""
    phi: float = 1.0
    """Φ ≥ ‖Aⁱ‖ / ρ̄ⁱ for all i; 1 if A is normal."""
    u: float = 1.0
    """U ≥ ‖u‖ of every action."""
    sigma: float = 0.01
    """Standard deviation of the noise."""

    def __post_init__(self) -> None:
        """Refuse a state that never forgets."""
        if not 0 <= self.rho < 1:
            raise ValueError(f"expected rho of 0 or more and below 1, got {self.rho}")


class Agent(Protocol):
    """Plays one bandit."""

    def act(self) -> Vector:
        """Return the next action."""

    def observe(self, reward: float) -> None:
        """Take in the reward of the action that was returned last."""


class LinUCB:
    """Optimism over a linear model of the immediate reward (Abbasi-Yadkori, Pál and Szepesvári, 2011).

        u_t = argmax ⟨θ̂, u⟩ + β ‖u‖_{V⁻¹}      V = λI + Σ u uᵀ,  θ̂ = V⁻¹ Σ u y,  λ = ln T
        β   = Θ √λ + σ √(2 ln T + d ln((dλ + T U²) / (dλ)))

    Right where rewards depend on the action just played. In a dynamical bandit it takes the pay of the arms before for
    that of the arm at hand, and settles on an arm that it has not compared; which one, the noise decides.

    Args:
        arms: Actions to choose from, shape (arms, d).
        bounds: Of the bandit; it uses Θ, U and σ.
        horizon: T, rounds that will be played.
    """

    def __init__(self, arms: Vector, bounds: Bounds, horizon: int) -> None:
        self.arms, self.bounds, self.horizon = arms, bounds, horizon
        self.dimension = arms.shape[1]
        self.regulariser = math.log(horizon)
        self.inverse = np.eye(self.dimension) / self.regulariser
        self.weighted = np.zeros(self.dimension)
        self.t = 0
        self._u: Vector = arms[0]

    def width(self) -> float:
        """Return β, the same in every round."""
        growth = self.dimension * self.regulariser
        spread = 2 * math.log(self.horizon)
        spread += self.dimension * math.log((growth + self.horizon * self.bounds.u**2) / growth)
        return self.bounds.theta * math.sqrt(self.regulariser) + self.bounds.sigma * math.sqrt(spread)

    def act(self) -> Vector:
        """Return the action of the largest upper bound; of equal ones the first."""
        self._u = self.arms[_optimistic(self.arms, self.inverse, self.weighted, self.width())]
        return self._u

    def observe(self, reward: float) -> None:
        """Learn from every reward."""
        self.inverse = _with_row(self.inverse, self._u)
        self.weighted = self.weighted + reward * self._u
        self.t += 1


class DynLinUCB:
    """Optimism over the long-run pay of held actions: epoch m holds its action for H_m + 1 rounds.

        H_m = ⌊ln m / ln(1/ρ̄)⌋                                  rounds for the state to settle, more and more exactly
        u_m = argmax ⟨ĥ, u⟩ + β_t ‖u‖_{V⁻¹}                     V and ĥ from the last reward of each epoch only
        β_t = c₁ √λ + (c₂/√λ) ln(e(t + 1)) + √(2σ̄² (ln T + (d/2) ln(1 + t U² / (dλ))))
        c₁  = Θ + Ω B Φ / (1 − ρ̄)          c₂ = U Ω Φ (U B / (1 − ρ̄) + X)          X = U / (1 − ρ̄)
        σ̄²  = σ² (1 + Ω² Φ² / (1 − ρ̄²))    λ  = ln T

    The first action is drawn at random, as in the released code. There, epochs end at the rounds counted from 0, so
    that the first action is held a round longer; here rounds count from 1, as in the paper.

    It pays for its caution where the state forgets slowly (ρ̄ near 1): epochs are long and there are few of them.

    Args:
        arms: Actions to choose from, shape (arms, d).
        bounds: Of the bandit.
        horizon: T, rounds that will be played.
        rng: Draws the first action.
    """

    def __init__(self, arms: Vector, bounds: Bounds, horizon: int, rng: np.random.Generator) -> None:
        self.arms, self.bounds, self.horizon = arms, bounds, horizon
        self.dimension = arms.shape[1]
        self.regulariser = math.log(horizon)
        self.inverse = np.eye(self.dimension) / self.regulariser
        self.weighted = np.zeros(self.dimension)
        self.t = 0
        self.epoch = 1
        self._left = 1 + settling_rounds(1, bounds.rho)
        self._u: Vector = arms[int(rng.integers(len(arms)))]

    def width(self, t: int) -> float:
        """Return β_t after t rounds."""
        x, root, memory = self.bounds, math.sqrt(self.regulariser), 1 - self.bounds.rho
        c1 = x.theta + x.omega * x.b * x.phi / memory
        c2 = x.u * x.omega * x.phi * (x.u * x.b / memory + x.u / memory)
        variance = x.sigma**2 * (1 + x.omega**2 * x.phi**2 / (1 - x.rho**2))
        growth = self.dimension / 2 * math.log(1 + t * x.u**2 / (self.dimension * self.regulariser))
        noise = math.sqrt(2 * variance * (math.log(self.horizon) + growth))
        return c1 * root + c2 / root * math.log(math.e * (t + 1)) + noise

    def act(self) -> Vector:
        """Return the action of the epoch."""
        return self._u

    def observe(self, reward: float) -> None:
        """Wait until the epoch ends, learn from its last reward, and choose the next epoch's action."""
        self.t += 1
        self._left -= 1
        if self._left:
            return
        self.inverse = _with_row(self.inverse, self._u)
        self.weighted = self.weighted + reward * self._u
        self.epoch += 1
        self._left = 1 + settling_rounds(self.epoch, self.bounds.rho)
        self._u = self.arms[_optimistic(self.arms, self.inverse, self.weighted, self.width(self.t))]


def settling_rounds(epoch: int, rho: float) -> int:
    """Return H_m: after so many rounds of the same action the state is within 1/m of where it settles.

    A ρ̄ that is 0 forgets at once. The quotient is taken a hair larger, so that exact powers do not round down.
    """
    return 0 if rho < 1e-9 else math.floor(math.log(epoch) / math.log(1 / rho) + 1e-9)


def regret_of(agent: Agent, env: gym.Env[Any, Any], rounds: int, seed: int) -> tuple[Vector, Vector]:
    """Let an agent play a bandit in the form with vectors; return regret after each round, and the actions (T, d)."""
    env.reset(seed=seed)
    regret, actions = np.zeros(rounds), []
    for t in range(rounds):
        u = agent.act()
        _, reward, _, _, info = env.step(u)
        agent.observe(float(reward))
        regret[t] = info[keys.REGRET]
        actions.append(u)
    return regret, np.array(actions)


def _optimistic(arms: Vector, inverse: Vector, weighted: Vector, width: float) -> int:
    bonus = np.sqrt(np.einsum("ad,de,ae->a", arms, inverse, arms))
    return int(np.argmax(arms @ (inverse @ weighted) + width * bonus))


def _with_row(inverse: Vector, u: Vector) -> Vector:
    """Return (V + u uᵀ)⁻¹ for V⁻¹ (Sherman and Morrison)."""
    moved = inverse @ u
    updated: Vector = inverse - np.outer(moved, moved) / (1 + u @ moved)
    return updated
