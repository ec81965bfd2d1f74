"""The dynamical linear bandit and its two agents, on the synthetic problem of the paper (arXiv 2211.08997)."""

import re
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import agent_gym  # noqa: F401  registers the ids
from agent_gym import keys
from agent_gym.envs.dynamical_bandit import Play, paper_dynamics
from agent_gym.errors import BadOptionError, EpisodeError
from trainers.bandits import Bounds, DynLinUCB, LinUCB, regret_of, settling_rounds

ID = "AgentGym/DynamicalLinearBandit-v0"
BEST, MYOPIC = 0, 3
"""Arms (1, 0.5, 0) and (0, 1, 0.5)."""


def box(**settings):
    return gym.make(ID, form="box", disable_env_checker=True, **settings)


def true_bounds(rho=0.2):
    """‖θ‖ = √(.25 + .01), ‖ω‖ = √1.01, ‖B‖ = .45, ‖u‖ = √1.25 for every arm."""
    return Bounds(theta=0.26**0.5, omega=1.01**0.5, b=0.45, rho=rho, u=1.25**0.5, sigma=0.01)


def test_long_run_pay():
    """h = θ + Bᵀ(I − A)⁻ᵀω: .45/(1 − .2) = .5625, .5, and .1 + .1·.1/(1 − .1) = .1111."""
    dynamics = paper_dynamics()
    assert dynamics.long_run() == pytest.approx([0.5625, 0.5, 1 / 9])
    # (1, .5, 0): .5625 + .25; (.5, 1, 0): .28125 + .5; (1, 0, .5): .5625 + .05556; (0, 1, .5): .5 + .05556; …
    expected = [0.8125, 0.78125, 0.618056, 0.555556, 0.392361, 0.361111]
    assert dynamics.arms @ dynamics.long_run() == pytest.approx(expected, abs=1e-6)
    at_once = dynamics.arms @ dynamics.theta
    assert at_once[MYOPIC] == pytest.approx(0.55)
    assert at_once[BEST] == pytest.approx(0.25)
    assert at_once.argmax() == MYOPIC


def test_rewards_build_up_under_a_held_action():
    """u = (1, .5, 0): y = .25 + x₁ with x₁ = 0, .45, .45·1.2 = .54, .558, .5616, .56232."""
    env = box(sigma=0.0)
    env.reset(seed=0)
    rewards = [env.step(np.array([1.0, 0.5, 0.0]))[1] for _ in range(6)]
    assert rewards == pytest.approx([0.25, 0.7, 0.79, 0.808, 0.8116, 0.81232])


def test_regret_compares_with_the_best_held_action_and_is_free_of_noise():
    """.8125·2 − (.25 + .7) = .675, whatever the noise."""
    env = box(sigma=0.5)
    env.reset(seed=3)
    for _ in range(2):
        _, reward, _, _, info = env.step(np.array([1.0, 0.5, 0.0]))
    assert info[keys.REGRET] == pytest.approx(0.675)
    assert reward != pytest.approx(0.7, abs=0.01)


def test_an_action_beyond_the_budget_is_scaled_down():
    env = box(sigma=0.0)
    env.reset(seed=0)
    _, reward, _, _, _ = env.step(np.array([1.0, 1.0, 1.0]))
    assert reward == pytest.approx(0.5 * 0.5 + 0.1 * 0.5)  # each of three channels gets half a unit


def test_the_form_with_vectors_is_a_gymnasium_environment():
    check_env(box().unwrapped, skip_render_check=True)
    env = box(horizon=2)
    env.reset(seed=0)
    assert [env.step(env.action_space.sample())[2] for _ in range(2)] == [False, True]
    with pytest.raises(EpisodeError):
        env.unwrapped.step(np.zeros(3))
    with pytest.raises(BadOptionError, match="takes nothing"):
        env.reset(options={"task": "train/000"})


def test_both_forms_play_the_same_bandit():
    text = gym.make(ID, sigma=0.0, disable_env_checker=True)
    text.reset(options={"task": "train/003"})
    order = text.unwrapped._arms
    vectors = box(sigma=0.0)
    vectors.reset(seed=0)
    for command in (1, 4, 4, 2, 6, 3):
        _, reward, _, _, info = text.step(f"arm {command}")
        _, same, _, _, other = vectors.step(paper_dynamics().arms[order[command - 1]])
        assert reward == pytest.approx(same, abs=1e-6)
        assert info[keys.REGRET] == pytest.approx(other[keys.REGRET])


def test_noise_has_the_spread_it_says():
    """y of the first round has σ only; from the second on the state's noise comes through ω: σ·√(1 + ‖ω‖²) and a
    little more from what is remembered, √(1 + 1/(1 − .04) + .01/(1 − .01)) ≈ 1.433 in the long run."""
    draws = np.random.default_rng(0).standard_normal((4000, 4))
    first, later = [], []
    for start in range(0, 4000, 10):
        play = Play(paper_dynamics(sigma=0.1))
        values = [play.pull([0.0, 0.0, 0.0], draws[start + t].tolist())[0] for t in range(10)]
        first.append(values[0])
        later.append(values[-1])
    assert np.std(first) == pytest.approx(0.1, rel=0.15)
    assert np.std(later) == pytest.approx(0.1433, rel=0.15)


@pytest.mark.parametrize(
    ("rho", "ends"),
    [(0.0, [1, 2, 3, 4, 5]), (0.2, [1, 2, 3, 4, 6, 8, 10, 12]), (0.9, [1, 8, 19, 33, 49, 67, 86])],
)
def test_epochs_grow_with_the_memory_of_the_state(rho, ends):
    """ρ̄ = .2: ln m / ln 5 reaches 1 at m = 5, so the fifth epoch is the first of two rounds. ρ̄ = .9: ln 2 / ln(1/.9)
    = 6.6, so the second holds 7 rounds; ln 3 gives 10.4, 11 rounds; …"""
    lengths = [1 + settling_rounds(epoch, rho) for epoch in range(1, len(ends) + 1)]
    assert np.cumsum(lengths).tolist() == ends

    agent = DynLinUCB(paper_dynamics().arms, true_bounds(rho), 1000, np.random.default_rng(0))
    seen = []
    for t in range(1, ends[-1] + 1):
        epoch = agent.epoch
        agent.act()
        agent.observe(0.5)
        if agent.epoch > epoch:
            seen.append(t)
    assert seen == ends


def test_dynlin_ucb_learns_from_the_last_reward_of_an_epoch_only():
    agent = DynLinUCB(paper_dynamics().arms, true_bounds(0.9), 1000, np.random.default_rng(0))
    for reward in (1.0, *[9.0] * 6, 2.0):  # rounds 1 and 8 end epochs
        u = agent.act()
        agent.observe(reward)
        if agent.epoch == 2 and agent.t == 1:
            first = u
    assert agent.weighted == pytest.approx(1.0 * first + 2.0 * u)
    # Sherman-Morrison keeps the inverse of V = λI + Σ u uᵀ.
    v = np.log(1000) * np.eye(3) + np.outer(first, first) + np.outer(u, u)
    assert agent.inverse == pytest.approx(np.linalg.inv(v))


def test_the_example_of_the_page_runs(root):
    page = (root / "docs" / "diagnostic-environments.md").read_text(encoding="utf-8")
    [example] = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    made: dict[str, Any] = {}
    exec(compile(example, "diagnostic-environments.md", "exec"), made)
    assert made["regret"].shape == (2000,)
    assert 0 < made["regret"][-1] < 0.2569 * 2000  # less than the myopic arm costs


def test_a_state_that_never_forgets_is_refused():
    with pytest.raises(ValueError, match="rho of 0 or more and below 1"):
        Bounds(theta=1, omega=1, b=1, rho=1.0)


def test_holding_an_action_beats_judging_it_by_the_next_reward():
    """T = 20,000. Holding the myopic arm costs .8125 − .5556 = .2569 a round, 5,139 in all."""
    rounds, dynamics = 20_000, paper_dynamics()
    env = box(horizon=rounds)
    linear, locked = [], []
    for seed in range(3):
        regret, actions = regret_of(LinUCB(dynamics.arms, true_bounds(), rounds), env, rounds, seed)
        linear.append(regret[-1])
        locked.append(np.mean((actions == dynamics.arms[MYOPIC]).all(axis=1)))
    agent = DynLinUCB(dynamics.arms, true_bounds(), rounds, np.random.default_rng(0))
    held, actions = regret_of(agent, env, rounds, 0)
    assert np.median(linear) > 4000
    assert np.median(locked) > 0.9
    assert held[-1] < 1200
    # Regret still falls: the second half costs less than half of the first.
    assert held[-1] - held[rounds // 2] < 0.6 * held[rounds // 2]
