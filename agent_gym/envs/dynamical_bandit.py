"""`AgentGym/DynamicalLinearBandit-v0`: actions pay now and later, through a state that nobody sees.

A linear bandit with a hidden linear state (Mussi, Metelli and Restelli, ICML 2023; arXiv 2211.08997):

    x_{t+1} = A x_t + B u_t + ε_t            x_0 = 0
    y_t     = ⟨ω, x_t⟩ + ⟨θ, u_t⟩ + η_t      reward of round t

Holding an action pays J(u) = ⟨h, u⟩ a round in the long run, with h = θ + Bᵀ(I − A)⁻ᵀ ω. Here the arm that pays most at
once is not the one that pays most in the end: whoever judges an action by the next reward settles on the wrong arm.
"""

from __future__ import annotations

import functools
import itertools
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from agent_gym import keys
from agent_gym.core import with_known_settings
from agent_gym.envs.diagnostic import DiagnosticEnv, check_count, check_name, digest, shuffled
from agent_gym.errors import BadOptionError, EpisodeError
from agent_gym.registration import DYNAMICAL_LINEAR_BANDIT
from agent_gym.vector import TextVectorEnv

Vector = NDArray[np.float64]
FORMS = ("box", "text")
SETTLED = 0.98
"""Share of the best long-run pay that the second half of an episode must reach to be a success."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dynamics:
    """The bandit's numbers. The default is the synthetic problem of the paper: three channels share a budget of 1.5."""

    a: Vector
    """Shape (n, n); the state forgets by it."""
    b: Vector
    """Shape (n, d)."""
    omega: Vector
    """Shape (n,)."""
    theta: Vector
    """Shape (d,)."""
    arms: Vector
    """Actions to choose from, shape (arms, d)."""
    sigma: float = 0.01
    """Standard deviation of ε (each entry) and of η."""

    def long_run(self) -> Vector:
        """Return h, shape (d,)."""
        n = len(self.a)
        h: Vector = self.theta + self.b.T @ np.linalg.solve((np.eye(n) - self.a).T, self.omega)
        return h

    def worth(self, rounds_left: int, gamma: float = 1.0) -> Vector:
        """Return what an action adds per unit to this round's and all later rewards, shape (d,).

            θ + Bᵀ Σ_{k<s} γ^{k+1} (Aᵀ)ᵏ ω          s rounds to come after this one

        Rewards are linear in the actions, so each round's best action is the one of largest worth, whatever the others.
        """
        power, total = self.omega, np.zeros(len(self.omega))
        for k in range(rounds_left):
            total, power = total + gamma ** (k + 1) * power, self.a.T @ power
        worth: Vector = self.theta + self.b.T @ total
        return worth

    def best_arms(self, horizon: int, gamma: float = 1.0) -> tuple[list[int], float]:
        """Return the best arm of each of `horizon` rounds from x_0 = 0, and their discounted expected return."""
        values = [self.arms @ self.worth(horizon - 1 - t, gamma) for t in range(horizon)]
        best = [int(np.argmax(value)) for value in values]
        return best, float(sum(gamma**t * value[arm] for t, (value, arm) in enumerate(zip(values, best, strict=True))))


def paper_dynamics(sigma: float = 0.01) -> Dynamics:
    """Return the synthetic problem of the paper's released code.

    h = (0.5625, 0.5, 0.1111). Held for ever, arm (1, 0.5, 0) pays 0.8125, the best; at once it pays 0.25, and
    (0, 1, 0.5) pays 0.55.
    """
    arms = [(1, 0.5, 0), (0.5, 1, 0), (1, 0, 0.5), (0, 1, 0.5), (0.5, 0, 1), (0, 0.5, 1)]
    return Dynamics(
        a=np.diag([0.2, 0.0, 0.1]),
        b=np.diag([0.45, 0.0, 0.1]),
        omega=np.array([1.0, 0.0, 0.1]),
        theta=np.array([0.0, 0.5, 0.1]),
        arms=np.array(arms, dtype=np.float64),
        sigma=sigma,
    )


class Play:
    """One episode's hidden state, and beside it the same without noise, which regret is measured by.

    In plain floats: for three numbers that is faster than arrays, and it rounds alike on every machine.
    """

    def __init__(self, dynamics: Dynamics) -> None:
        """Start at x_0 = 0."""
        self._a, self._b = dynamics.a.tolist(), dynamics.b.tolist()
        self._omega, self._theta = dynamics.omega.tolist(), dynamics.theta.tolist()
        self._sigma = dynamics.sigma
        self.best = float(np.max(dynamics.arms @ dynamics.long_run()))
        self.x = self.mean_x = [0.0] * len(self._omega)
        self.t = 0
        self.regret = 0.0

    def pull(self, u: Sequence[float], noise: Sequence[float]) -> tuple[float, float]:
        """Play an action; return y and its expectation. The last of the standard normal `noise` is η, the others ε."""
        at_once = _dot(self._theta, u)
        y = _dot(self._omega, self.x) + at_once + self._sigma * noise[-1]
        expected = _dot(self._omega, self.mean_x) + at_once
        drift = [_dot(row, u) for row in self._b]
        self.x = [
            _dot(row, self.x) + moved + self._sigma * epsilon
            for row, moved, epsilon in zip(self._a, drift, noise[:-1], strict=True)
        ]
        self.mean_x = [_dot(row, self.mean_x) + moved for row, moved in zip(self._a, drift, strict=True)]
        self.t += 1
        self.regret += self.best - expected
        return y, expected

    def get_state(self) -> tuple[Any, ...]:
        """Return all that changes."""
        return self.x, self.mean_x, self.t, self.regret

    def set_state(self, state: tuple[Any, ...]) -> None:
        """Restore what `get_state` returned."""
        self.x, self.mean_x, self.t, self.regret = state


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


class DynamicalLinearBandit(gym.Env[Vector, Vector]):
    """The bandit with vectors: action u in [0, 1]³, observation (last y, rounds played).

    An action that asks for more than the budget of 1.5 is scaled down to it, so that the best constant action is the
    best arm. `info["regret"]` is t·J* − Σ E[y], exact and without noise; it can fall, when the state that better
    actions have built up still pays while a worse one is played. The episode ends after `horizon` rounds.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  as in every gym.Env
    budget = 1.5

    def __init__(self, *, horizon: int = 60, sigma: float = 0.01) -> None:
        """Set up the spaces."""
        self.dynamics = paper_dynamics(_check_sigma(sigma))
        self.horizon = check_count("horizon", horizon, 2, 10_000_000)
        self.action_space = gym.spaces.Box(0.0, 1.0, (3,), np.float64)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self._play: Play | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Vector, dict[str, Any]]:
        """Start over."""
        super().reset(seed=seed)
        if options:
            raise BadOptionError(f"reset(options=…) takes nothing in form 'box', got {sorted(options)}.")
        self._play = Play(self.dynamics)
        return np.array([0.0, 0.0]), {keys.REGRET: 0.0}

    def step(self, action: Vector) -> tuple[Vector, float, bool, bool, dict[str, Any]]:
        """Play one round.

        Raises:
            EpisodeError: Before the first `reset` and after the end.
        """
        if self._play is None or self._play.t >= self.horizon:
            raise EpisodeError("step() was called outside of an episode: call reset() first.")
        u = np.clip(np.asarray(action, dtype=np.float64), 0.0, 1.0)
        u = u * min(1.0, self.budget / max(u.sum(), 1e-12))
        y, expected = self._play.pull(u.tolist(), self.np_random.standard_normal(4).tolist())
        info = {keys.REGRET: self._play.regret, "expected_reward": expected}
        return np.array([y, float(self._play.t)]), y, self._play.t == self.horizon, False, info


class DynamicalBanditText(DiagnosticEnv):
    """The bandit in text: six arms with numbers, dealt anew in each task, and what they pay.

    The reward is y. An episode is a success if its second half pays, in expectation, at least 98 % of what the best arm
    pays in the long run; the score is how much of that has come in. The noise belongs to the task, so that members of a
    group meet the same; `info["regret"]` is as in the form with vectors.
    """

    def __init__(
        self,
        *,
        split: str = "train",
        horizon: int = 60,
        sigma: float = 0.01,
        layouts: int = 16,
        render_mode: str | None = None,
    ) -> None:
        """Set up the tasks; see `make_bandit` for the settings."""
        self.dynamics = paper_dynamics(_check_sigma(sigma))
        self.horizon = check_count("horizon", horizon, 2, 10_000)
        count = check_count("layouts", layouts, 1, 100)
        names = {name: [f"{name}/{number:03d}" for number in range(count)] for name in self.splits}
        super().__init__(tasks=names, split=split, render_mode=render_mode)
        self._playing = ""
        self._arms: list[int] = []
        self._play = Play(self.dynamics)
        self._earned = 0.0
        self._commands = tuple(f"arm {number + 1}" for number in range(len(self.dynamics.arms)))

    @property
    def instructions(self) -> str:
        """The rules and commands."""
        return (
            f"Pull one of six arms in each of {self.horizon} rounds and earn as much as you can. What a round pays "
            "depends on the arm and, for some time, on the arms before it. Which arm pays in which way is for you to "
            f"find out.\nCommands: {', '.join(self._commands)}."
        )

    def optimal_steps(self, task: str) -> int:
        """All rounds."""
        self._check_task(task)
        return self.horizon

    def optimal_value(self, task: str, gamma: float = 1.0) -> float:
        """Return the largest expected sum of rewards; near the end it pays to take what pays at once."""
        self._check_task(task)
        return self.dynamics.best_arms(self.horizon, gamma)[1]

    def make_expert(self) -> Player:
        """Return a player who was told the numbers of the bandit."""
        best, _ = self.dynamics.best_arms(self.horizon)
        return Player([self._commands[self._arms.index(arm)] for arm in best])

    def _start(self, task: str) -> tuple[str, dict[str, Any]]:
        self._check_task(task)
        self._playing, self._earned = task, 0.0
        split, _, number = task.partition("/")
        self._arms = list(_orders()[len(self.splits) * int(number) + self.splits.index(split)])
        self._play = Play(self.dynamics)
        return f"Your task is to earn as much as you can.\nRound 1 of {self.horizon}.", self._info()

    def _act(self, command: str) -> tuple[str, float, bool, dict[str, Any]]:
        t = self._play.t
        if command not in self._commands:
            said = f"There is no such arm. Round {t + 1} of {self.horizon}."
            return said, 0.0, False, self._info() | {keys.ACTION_VALID: False}
        u = self.dynamics.arms[self._arms[self._commands.index(command)]].tolist()
        y, expected = self._play.pull(u, [_normal(self._playing, t, entry) for entry in range(len(u) + 1)])
        if t >= self.horizon // 2:
            self._earned += expected
        ended = self._play.t == self.horizon
        said = f"{command.capitalize()} pays {y:.3f}." + ("" if ended else f" Round {t + 2} of {self.horizon}.")
        return said, round(y, 6), ended, self._info()  # a number that is the same on every machine

    def _info(self) -> dict[str, Any]:
        ended = self._play.t == self.horizon
        target = SETTLED * self._play.best * (self.horizon - self.horizon // 2)
        success = ended and self._earned >= target
        state = ",".join(f"{entry:.12g}" for entry in self._play.x)
        return self._frame_info(
            self._playing,
            f"{self._play.t}:{state}",
            () if ended else self._commands,
            success=success,
            score=1.0 if success else min(0.999, self._earned / target),
        ) | {keys.REGRET: self._play.regret}

    def _get_state(self) -> tuple[Any, ...]:
        return self._play.get_state(), self._earned

    def _set_state(self, state: tuple[Any, ...]) -> None:
        play, self._earned = state
        self._play.set_state(play)


class Player:
    """Pulls the arms of a plan, round by round."""

    def __init__(self, plan: Sequence[str]) -> None:
        """Take the best command of each round."""
        self._plan = plan
        self._round = 0

    def observe(self, command: str | None, observation: str) -> None:
        """Read the number of the round."""
        number = re.search(r"Round (\d+) of", observation)
        self._round = int(number[1]) - 1 if number else self._round

    def act(self) -> str:
        """Return the next command."""
        return self._plan[self._round]


@with_known_settings
def make_bandit(
    *,
    form: str = "text",
    split: str = "train",
    horizon: int = 60,
    sigma: float = 0.01,
    layouts: int = 16,
    render_mode: str | None = None,
) -> gym.Env[Any, Any]:
    """Make the bandit in one of its forms; the entry point of `AgentGym/DynamicalLinearBandit-v0`.

    Args:
        form: `text` (commands "arm 1" to "arm 6") or `box` (vectors; has no tasks, and takes `horizon` and `sigma`
            only).
        split: Where `reset` draws tasks from: `train`, `valid` or `test`; each deals the arms in other orders.
        horizon: Rounds of an episode.
        sigma: Standard deviation of the noise on the state and on the reward.
        layouts: Tasks per split.
        render_mode: `"ansi"` or `None`.

    Raises:
        BadOptionError: If a setting is not known or out of range.
    """
    if check_name("form", form, FORMS) == "box":
        return DynamicalLinearBandit(horizon=horizon, sigma=sigma)
    return DynamicalBanditText(split=split, horizon=horizon, sigma=sigma, layouts=layouts, render_mode=render_mode)


@functools.cache
def _orders() -> list[tuple[int, ...]]:
    """Return all orders of six arms, well mixed; tasks take theirs from here, each another."""
    return shuffled(list(itertools.permutations(range(6))), "dynamical linear bandit")


def _normal(task: str, t: int, entry: int) -> float:
    """Return the standard normal number that belongs to a place."""
    return statistics.NormalDist().inv_cdf((digest(task, t, entry) + 0.5) / 2**64)


def _check_sigma(sigma: object) -> float:
    if isinstance(sigma, bool) or not isinstance(sigma, int | float) or not 0 <= sigma < float("inf"):
        raise BadOptionError(f"sigma must be a number of 0 or more, got {sigma!r}.")
    return float(sigma)


def bandit_vector_env(num_envs: int, **kwargs: Any) -> TextVectorEnv:
    """Create `num_envs` text environments here; the vector entry point of `AgentGym/DynamicalLinearBandit-v0`."""
    return TextVectorEnv.of(DYNAMICAL_LINEAR_BANDIT, num_envs, **kwargs)
