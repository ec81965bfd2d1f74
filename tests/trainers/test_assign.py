import numpy as np
import pytest

from trainers.assign import assign_credit
from trainers.credit import Gigpo, Grpo
from trainers.metrics import credit_metrics, episode_lines
from trainers.shaping import ScaleRewards
from trainers.types import Completion, Episode, Group, Turn


def episode(keys, reward, **more):
    completion = Completion(prompt_ids=(1,), token_ids=(2, 3), logprobs=(0.0, 0.0))
    turns = [Turn(completion=completion, state_key=key, reward=0.0, answer=f"from {key}") for key in keys]
    if turns:
        turns[-1] = Turn(completion=completion, state_key=keys[-1], reward=reward, answer="last")
    return Episode(turns=tuple(turns), success=reward > 0, **more)


THREE = Group(task="t", episodes=(episode("ABC", 1.0), episode("AB", 0.0), episode("AABC", 1.0)))
"""The worked example of GiGPO: γ = 0.9, means of returns 0.587 (A), 0.6 (B), 1 (C)."""


def test_the_parts_add_up():
    credited = assign_credit(Gigpo(gamma=0.9, normalise=False), THREE)
    assert credited.members == (0, 1, 2)
    np.testing.assert_allclose(credited.advantages[0], [0.5561, 0.6333, 0.3333], atol=1e-4)
    np.testing.assert_allclose(credited.episode_part[1], [-0.6667, -0.6667], atol=1e-4)
    np.testing.assert_allclose(credited.step_part[1], [-0.5873, -0.6], atol=1e-4)
    assert not credited.silent


def test_a_failed_episode_has_no_say():
    broken = Group(task="t", episodes=(THREE.episodes[0], episode("A", 0.0, status="failed"), *THREE.episodes[1:]))
    credited = assign_credit(Gigpo(gamma=0.9, normalise=False), broken)
    assert credited.members == (0, 2, 3)
    np.testing.assert_allclose(credited.advantages[0], [0.5561, 0.6333, 0.3333], atol=1e-4)
    [first, failed, *_] = episode_lines(7, [credited])
    assert first["turns"][0]["advantage"] == pytest.approx(0.5561, abs=1e-4)
    assert (failed["status"], failed["iteration"], failed["member"]) == ("failed", 7, 1)
    assert "advantage" not in failed["turns"][0]


def test_shapers_apply_in_order_and_leave_what_was_played():
    double, triple = ScaleRewards(factor=2), ScaleRewards(factor=3)
    credited = assign_credit(Grpo(normalise=False), THREE, [double, triple])
    # Totals 6, 0, 6 with mean 4.
    np.testing.assert_allclose([part[0] for part in credited.advantages], [2, -4, 2])
    assert not np.any(credited.step_part[0])
    assert episode_lines(0, [credited])[0]["return"] == 1.0


def test_credit_metrics():
    metrics = credit_metrics([assign_credit(Gigpo(gamma=0.9, normalise=False), THREE)])
    # Nine turns in the states A (4), B (3) and C (2), all of them shared.
    assert metrics["credit/anchor_size_mean"] == 3
    assert metrics["credit/anchor_size_max"] == 4
    assert metrics["credit/shared_turns"] == 1
    assert metrics["credit/silent_groups"] == 0
    # |A^E| is 1/3 in seven turns and 2/3 in two: 11/27.
    assert metrics["credit/advantage_episode_abs"] == pytest.approx(11 / 27)
    ratio = metrics["credit/advantage_step_abs"] / metrics["credit/advantage_episode_abs"]
    assert metrics["credit/step_to_episode"] == pytest.approx(ratio)


def test_a_group_without_difference_is_silent():
    same = Group(task="t", episodes=(episode("AB", 0.0), episode("AB", 0.0)))
    credited = assign_credit(Grpo(), same)
    assert credited.silent
    metrics = credit_metrics([credited])
    assert metrics["credit/silent_groups"] == 1
    assert "credit/step_to_episode" not in metrics
    assert credit_metrics([assign_credit(Grpo(), Group(task="t", episodes=()))]) == {}
