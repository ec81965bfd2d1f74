"""EXPRD: rewards that are designed, for a task whose model is known (Devidze, Radanovic, Kamalaruban, Singla 2021).

A teacher that knows the transitions can give rewards that are sparse, bounded, and tell a learner *soon* that an action
is a bad one, without making any other policy the best. With R(s, a) as the unknown this is a convex problem:

    maximise  − mean_{h ∈ H, s} max_{a not optimal} [δ_s − ((I_π − I) Σ_{k ≤ h} γᵏ P_πᵏ R)(s, a)]₊ − c·‖R‖₁
    so that   ((I_π − I)(I − γ P_π)⁻¹ R)(s, a) ≥ δ_s        all (s, a) that are not optimal, all optimal policies π
              |R(s, a)| ≤ R_max,   R(s, ·) = 0 outside of the active states

I_π takes (s, a) to (s, π(s)), and δ_s is the smallest gap of the original rewards in s. The constraint keeps what was
optimal optimal, by the same margin; the objective wants the margin to be seen within h steps already. Which states may
have a reward is chosen one by one, by what each adds, up to a budget.

It fails where the model is not known, or large: each choice tries every state, and each try is a linear programme over
all states and actions. `Exprd` then gives the designed rewards to episodes of that task. The potential-based rival is
`PotentialShaping` with a table of optimal values. Needs cvxpy: the extra `design`.
"""

import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from agent_gym.errors import BadOptionError, MissingExtraError
from trainers.credit.numerics import check_choice
from trainers.shaping.base import reshape
from trainers.types import Episode, Group

Floats = NDArray[np.float64]
Mode = Literal["replace", "add"]
MOST_POLICIES = 64
"""Optimal policies beyond which the constraints are too many."""
_EQUAL = 1e-9


@dataclass(frozen=True, kw_only=True)
class Mdp:
    """A task with S states and A actions whose model is known. A state that ends it leads to itself with reward 0."""

    transitions: Floats
    """Probability of the next state, shape (S, A, S)."""
    rewards: Floats
    """Shape (S, A)."""
    gamma: float

    def __post_init__(self) -> None:
        """Refuse what is no model, with a ValueError."""
        shape = self.transitions.shape
        if len(shape) != 3 or shape[0] != shape[2] or self.rewards.shape != shape[:2]:
            raise ValueError(f"expected shapes (S, A, S) and (S, A), got {shape} and {self.rewards.shape}")
        if not np.allclose(self.transitions.sum(2), 1.0) or self.transitions.min() < 0:
            raise ValueError("expected probabilities that add up to 1 over the next states")
        if not 0.0 <= self.gamma < 1.0:
            raise ValueError(f"expected a gamma of 0 or more and below 1, got {self.gamma}")


@dataclass(frozen=True, kw_only=True)
class Design:
    """Rewards that were designed."""

    rewards: Floats
    """R, shape (S, A)."""
    active: tuple[int, ...]
    """States with rewards, in the order in which they were chosen."""
    informativeness: float
    """The first part of the objective, 0 at best."""


def action_values(mdp: Mdp, rewards: Floats | None = None) -> Floats:
    """Q* by value iteration, shape (S, A); with other rewards of that shape if given."""
    rewards = mdp.rewards if rewards is None else rewards
    values = np.zeros(len(rewards))
    while True:
        q = rewards + mdp.gamma * mdp.transitions @ values
        new = q.max(1)
        if np.abs(new - values).max() <= 1e-13 * max(1.0, float(np.abs(new).max())):
            return np.asarray(q)
        values = new


def optimal_actions(q: Floats) -> NDArray[np.bool_]:
    """Which actions are optimal, shape (S, A); values this close to the best count as equal."""
    best = q.max(1, keepdims=True)
    return np.asarray(best - q <= _EQUAL * np.maximum(1.0, np.abs(best)))


def keeps_what_is_optimal(mdp: Mdp, rewards: Floats) -> bool:
    """Whether all that is optimal with these rewards is so with the original ones."""
    return bool(np.all(optimal_actions(action_values(mdp)) | ~optimal_actions(action_values(mdp, rewards))))


def design_rewards(
    mdp: Mdp,
    *,
    budget: int,
    largest: float | None = None,
    horizons: Sequence[int] = (1, 4, 8, 16, 32),
    sparsity: float = 0.0,
) -> Design:
    """Design rewards for a task.

    Args:
        mdp: Its model and original rewards.
        budget: Most states that may have rewards. Those that have some originally always may, so that there is a
            solution: the original rewards.
        largest: R_max; none takes the largest original one.
        horizons: H, within how many steps the margin should be seen.
        sparsity: c, weight of ‖R‖₁.

    Raises:
        MissingExtraError: Without cvxpy.
        BadOptionError: If there are too many optimal policies, or no solution within `largest`.
    """
    problem = _Problem(mdp, largest, horizons, sparsity)
    active = [int(state) for state in np.flatnonzero(np.abs(mdp.rewards).max(1) > 0)]
    objective, rewards = problem.solve(active)
    while len(active) < budget:
        rest = [state for state in range(len(mdp.rewards)) if state not in active]
        tried = [(*problem.solve([*active, state]), state) for state in rest]
        best = max(tried, key=lambda one: one[0], default=None)
        if best is None or best[0] <= objective + 1e-7:
            break
        objective, rewards = best[:2]
        active.append(best[2])
    return Design(rewards=rewards, active=tuple(active), informativeness=problem.informativeness(rewards))


class _Problem:
    """The convex problem but for the active states."""

    def __init__(self, mdp: Mdp, largest: float | None, horizons: Sequence[int], sparsity: float) -> None:
        if not horizons or min(horizons) < 0 or sparsity < 0:
            raise ValueError(f"expected horizons and a sparsity of 0 or more, got {list(horizons)} and {sparsity}")
        self.shape = mdp.rewards.shape
        self.largest = float(np.abs(mdp.rewards).max()) if largest is None else largest
        self.sparsity = sparsity
        q = action_values(mdp)
        optimal = optimal_actions(q)
        count = int(np.prod(optimal.sum(1), dtype=np.float64).clip(max=1e9))
        if count > MOST_POLICIES:
            raise BadOptionError(f"expected at most {MOST_POLICIES} optimal policies, got a task with {count}.")
        gap = np.where(optimal, np.inf, q.max(1, keepdims=True) - q).min(1)
        state, action = np.nonzero(~optimal)
        self.margin, self.states = gap[state], state
        chosen = state * self.shape[1] + action
        self.whole: list[Floats] = []
        self.soon: list[Floats] = []
        for policy in product(*(np.flatnonzero(one) for one in optimal)):
            pick = _pick(self.shape, np.array(policy))
            step = mdp.transitions.reshape(-1, self.shape[0]) @ _of_policy(self.shape, np.array(policy))
            size = len(step)
            self.whole.append(((pick - np.eye(size)) @ np.linalg.inv(np.eye(size) - mdp.gamma * step))[chosen])
            total, power = np.eye(size), np.eye(size)
            for h in range(1, max(horizons) + 1):
                if h - 1 in horizons:
                    self.soon.append(((pick - np.eye(size)) @ total)[chosen])
                power = mdp.gamma * power @ step
                total = total + power
            self.soon.append(((pick - np.eye(size)) @ total)[chosen])

    def solve(self, active: Sequence[int]) -> tuple[float, Floats]:
        """Return objective and rewards, shape (S, A), if these states may have some."""
        try:
            cp: Any = importlib.import_module("cvxpy")
        except ImportError as error:
            raise MissingExtraError("designing rewards needs cvxpy: pip install 'agent-gym[design]'.") from error
        rewards: Any = cp.Variable(self.shape[0] * self.shape[1])
        inactive = np.repeat(~np.isin(np.arange(self.shape[0]), active), self.shape[1])
        constraints = [rewards[np.flatnonzero(inactive)] == 0, cp.abs(rewards) <= self.largest]
        constraints += [whole @ rewards >= self.margin for whole in self.whole]
        missing = []
        for soon in self.soon:
            short = cp.pos(self.margin - soon @ rewards)
            missing += [cp.max(short[np.flatnonzero(self.states == state)]) for state in np.unique(self.states)]
        mean = cp.sum(cp.hstack(missing)) / (len(self.soon) * self.shape[0]) if missing else 0.0
        problem = cp.Problem(cp.Maximize(-mean - self.sparsity * cp.norm1(rewards)), constraints)
        problem.solve(solver=cp.CLARABEL)
        if problem.status not in ("optimal", "optimal_inaccurate"):
            raise BadOptionError(
                f"expected rewards up to {self.largest:g} to keep the margins of the original ones, got a problem that "
                f"is {problem.status}: allow larger ones."
            )
        values = np.asarray(rewards.value, dtype=np.float64)
        values[np.abs(values) < 1e-7] = 0.0  # the solver's rounding
        return float(problem.value), values.reshape(self.shape)

    def informativeness(self, rewards: Floats) -> float:
        """How well the margins are seen within the horizons, 0 at best."""
        total = 0.0
        for soon in self.soon:
            short = np.maximum(self.margin - soon @ rewards.ravel(), 0.0)
            total += sum(float(short[self.states == state].max()) for state in np.unique(self.states))
        return -total / float(len(self.soon) * self.shape[0])


def _of_policy(shape: tuple[int, ...], policy: NDArray[np.intp]) -> Floats:
    """From a state to the pair of it and its action, shape (S, S·A)."""
    result = np.zeros((shape[0], shape[0] * shape[1]))
    result[np.arange(shape[0]), np.arange(shape[0]) * shape[1] + policy] = 1.0
    return result


def _pick(shape: tuple[int, ...], policy: NDArray[np.intp]) -> Floats:
    """I_π: from each pair of a state to the pair of it and its action, shape (S·A, S·A)."""
    return np.repeat(_of_policy(shape, policy), shape[1], axis=0)


# Using a design -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Exprd:
    """Gives episodes the rewards that were designed for their states and actions."""

    table: str = ""
    """File that `save_table` wrote; empty changes nothing."""
    mode: Mode = "replace"
    """replace: designed rewards in the place of the original ones, as in the paper. add: on top of them."""
    weight: float = 1.0
    """Factor on the designed rewards."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing.

        Raises:
            ValueError: If so.
            BadOptionError: If the file can't be read.
        """
        check_choice("mode", self.mode, get_args(Mode))
        if not np.isfinite(self.weight):
            raise ValueError(f"expected a finite weight, got {self.weight}")
        load_table(self.table)

    def __call__(self, group: Group, /) -> Group:
        """Return the group with designed rewards; a state or an action that the table does not know has 0."""
        if not self.table:
            return group
        table = load_table(self.table)

        def rewards(episode: Episode) -> Floats:
            designed = [table.get(turn.state_key, {}).get(turn.action, 0.0) for turn in episode.turns]
            own = episode.rewards if self.mode == "add" else np.zeros(len(designed))
            return own + self.weight * np.array(designed, dtype=np.float64)

        return reshape(group, rewards)


def save_table(path: str | Path, rewards: Floats, states: Sequence[str], actions: Sequence[str]) -> None:
    """Write designed rewards as JSON, by state key and action; zeros are left out.

    Args:
        path: Where to.
        rewards: R, shape (S, A).
        states: State keys, in the order of S.
        actions: Actions as the environment is given them, in the order of A.
    """
    table = {
        state: {action: float(one) for action, one in zip(actions, row, strict=True) if one}
        for state, row in zip(states, rewards, strict=True)
    }
    Path(path).write_text(json.dumps({state: row for state, row in table.items() if row}, indent=1), encoding="utf-8")


def load_table(path: str | Path) -> dict[str, dict[str, float]]:
    """Read what `save_table` wrote; an empty path is an empty table.

    Raises:
        BadOptionError: If there is no such table.
    """
    if not path:
        return {}
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"))
        return {state: {action: float(one) for action, one in row.items()} for state, row in table.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise BadOptionError(f"expected a table of rewards as JSON, got {str(path)!r}: {error}") from error
