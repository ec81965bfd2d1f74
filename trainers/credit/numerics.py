"""The arithmetic that credit estimators share: returns over time, and values relative to a pool of comparable ones.

All of it is in float64 and linear in the number of turns.

Two returns that are equal on paper may differ in their last bit (10·γ³ along two code paths), and a standard deviation
of 1e-16 under a division blows that bit up to an advantage of order one. So a pool whose values all lie within
1e-9·max(1, max|x|) of each other counts as constant, and its members get exactly zero.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainers.types import Episode, Group

EPSILON = 1e-6
"""Added to a standard deviation before dividing by it."""
EQUAL = 1e-9
"""Relative spread below which the values of a pool count as equal."""

Floats = NDArray[np.float64]
Statistics = Literal["episodes", "turns"]
Singletons = Literal["zero", "return"]


def returns_to_go(rewards: Floats, gamma: float) -> Floats:
    """Discounted return from each turn on: R_t = r_t + γ·R_{t+1}, with R = 0 after the last turn."""
    returns = []
    return_tp1 = 0.0
    for r_t in rewards[::-1].tolist():
        return_tp1 = r_t + gamma * return_tp1
        returns.append(return_tp1)
    return np.array(returns[::-1], dtype=np.float64)


def relative_to_pool(values: Floats, pools: NDArray[np.intp], *, normalise: bool, ddof: int = 1) -> Floats:
    """Each value minus the mean of its pool, divided by the pool's standard deviation if `normalise`.

        x̂_i = (x_i − mean_p) / (std_p + ε)      p = pools[i],  ε = 1e-6

    Args:
        values: Shape (n,).
        pools: Shape (n,); a number from 0 up for the pool that each value belongs to.
        normalise: Divide by the standard deviation; otherwise only the mean is taken off.
        ddof: 1 for the standard deviation of a sample, 0 for that of a population.

    Returns:
        Shape (n,). Zero in pools of one and in constant pools (see the module's text).
    """
    if not len(values):
        return np.zeros(0, dtype=np.float64)
    num_pools = int(pools.max()) + 1
    size = np.bincount(pools, minlength=num_pools)
    low = np.full(num_pools, np.inf)
    high = np.full(num_pools, -np.inf)
    np.minimum.at(low, pools, values)
    np.maximum.at(high, pools, values)
    constant = high - low <= EQUAL * np.maximum(1.0, np.maximum(np.abs(low), np.abs(high)))

    mean = np.bincount(pools, weights=values, minlength=num_pools) / np.maximum(size, 1)
    centred = np.where(constant[pools], 0.0, values - mean[pools])
    if not normalise:
        return centred
    variance = np.bincount(pools, weights=centred**2, minlength=num_pools) / np.maximum(size - ddof, 1)
    return np.asarray(centred / (np.sqrt(variance) + EPSILON)[pools], dtype=np.float64)


def episode_advantages(group: Group, *, normalise: bool, statistics: Statistics, singletons: Singletons) -> Floats:
    """One advantage per episode: its total reward relative to the group's (the formula of GRPO).

    Returns:
        Shape (episodes,).

    Raises:
        ValueError: If a reward is not a finite number.
    """
    totals = np.array([total_reward(episode) for episode in group.episodes], dtype=np.float64)
    turns = np.array([len(episode.turns) for episode in group.episodes], dtype=np.intp)
    # "turns" counts an episode's total once per turn, which weights the mean and the deviation by length; an episode
    # without turns then has no say. Taking each episode's first row undoes the repetition.
    copies = np.ones_like(turns) if statistics == "episodes" else turns
    rows = np.repeat(totals, copies)
    if len(rows) == 1 and singletons == "return":
        return totals
    advantages = relative_to_pool(rows, np.zeros(len(rows), dtype=np.intp), normalise=normalise)
    first = np.cumsum(copies) - copies
    result = np.zeros(len(totals), dtype=np.float64)
    result[copies > 0] = advantages[first[copies > 0]]
    return result


def total_reward(episode: Episode) -> float:
    """Sum of an episode's rewards.

    Raises:
        ValueError: If a reward is NaN or infinite: one such number would spoil the advantages of the whole group.
    """
    rewards = episode.rewards
    if not np.isfinite(rewards).all():
        raise ValueError(
            f"expected finite rewards, got {rewards.tolist()}: check the environment and the reward shapers"
        )
    return float(rewards.sum())


def spread_over_turns(advantages: Floats, group: Group) -> list[Floats]:
    """Give every turn its episode's advantage: shape (episodes,) to one array of shape (turns,) per episode."""
    return [np.full(len(episode.turns), a) for a, episode in zip(advantages, group.episodes, strict=True)]


def split_by_episode(values: Floats, group: Group) -> list[Floats]:
    """Cut values of all turns of a group, in order, into one array per episode."""
    ends = np.cumsum([len(episode.turns) for episode in group.episodes])
    return np.split(values, ends[:-1]) if len(ends) else []


def whiten(values: Floats, least: float = 0.0) -> Floats:
    """Bring values to mean 0 and variance 1: (x − mean) / sqrt(var + 1e-8), variance with ddof 1.

    A batch in which nothing happened has advantages that are nothing but a critic's noise, and whitening would blow
    them up to order one. So if the standard deviation is below `least` (or the values are constant), all become zero.
    """
    if len(values) < 2 or np.ptp(values) <= EQUAL * max(1.0, float(np.abs(values).max())):
        return np.zeros_like(values)
    variance = float(values.var(ddof=1))
    if variance < least**2:
        return np.zeros_like(values)
    return np.asarray((values - values.mean()) / np.sqrt(variance + 1e-8), dtype=np.float64)


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise a ValueError that lists the choices unless `value` is one of them."""
    if value not in choices:
        raise ValueError(f"expected {name} to be one of {', '.join(map(repr, choices))}, got {value!r}")


def check_range(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Raise a ValueError that names the limits unless `value` is within them, both included; NaN never is."""
    if not low <= value <= high:
        limits = f"of {low:g} or more" if high == math.inf else f"between {low:g} and {high:g}"
        raise ValueError(f"expected {name} {limits}, got {value}")
