from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from trainers.assign import CreditError, assign_batch, assign_credit
from trainers.credit import Gigpo, Grpo, ReinforcePlusPlus, Remax, Tempo, TokenAdvantages
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


@dataclass(frozen=True)
class Own:
    """An estimator of somebody's own, and what it returns for `THREE`."""

    returned: Sequence[Any]

    def __call__(self, group):
        return [np.asarray(one) for one in self.returned]


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ([[0.0] * 3, [0.0] * 2, [0.0] * 5], r"for each of 4 turns of episode 2, got an array of shape \(5,\)\."),
        ([[0.0] * 3, 0.0, [0.0] * 4], r"for each of 2 turns of episode 1, got an array of shape \(\)\."),
        ([[0.0, np.nan, 0.0], [0.0] * 2, [0.0] * 4], r"for each of 3 turns of episode 0, got nan at \(1,\)\."),
        ([[0.0] * 3, [0.0] * 2], r"an array for each of 3 episodes, got 2\."),
    ],
)
def test_an_estimator_that_returns_something_else_is_told_so(returned, said):
    with pytest.raises(CreditError, match="tests.trainers.test_assign:Own must return .*" + said):
        assign_batch(Own(returned), [THREE])


@dataclass(frozen=True)
class OwnTokens:
    """The same of the other kind."""

    advantages_n: Any

    def assign(self, batch):
        return TokenAdvantages(advantages_n=self.advantages_n)


def test_one_that_sees_tokens_is_told_so_too():
    # Nine turns of two tokens.
    with pytest.raises(CreditError, match=r"OwnTokens must return .* each of 18 tokens, got an array of shape \(9,\)"):
        assign_batch(OwnTokens(np.zeros(9)), [THREE])
    with pytest.raises(CreditError, match=r"each of 18 tokens, got inf at \(17,\)"):
        assign_batch(OwnTokens(np.array([0.0] * 17 + [np.inf])), [THREE])


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


def test_a_greedy_episode_serves_for_comparison_only():
    greedy = replace(episode("AC", 0.25), baseline=True)
    [credited] = assign_batch(Remax(), [Group(task="t", episodes=(*THREE.episodes[:2], greedy))])
    assert credited.members == (0, 1)
    assert credited.group.episodes == THREE.episodes[:2]
    assert [a.tolist() for a in credited.advantages] == [[0.75] * 3, [-0.25] * 2]
    assert credited.anchors.tolist() == [0, 1, 2, 0, 1]
    lines = episode_lines(0, [credited])
    assert "advantage" in lines[1]["turns"][0]
    assert "advantage" not in lines[2]["turns"][0]


def test_without_its_greedy_episode_a_group_teaches_nothing():
    broken = replace(episode("", 0.0, status="failed"), baseline=True)
    [credited] = assign_batch(Remax(), [Group(task="t", episodes=(*THREE.episodes, broken))])
    assert credited.members == ()
    assert credited.silent


def test_a_batch_is_whitened_as_one():
    # Two groups of totals 1, 0, 1 and 0, 0, 0 with 3, 2, 4 turns each of two tokens, one episode of them failed.
    failed = Group(task="u", episodes=(episode("AB", 0.0), episode("A", 5.0, status="failed")))
    double = ScaleRewards(factor=2)
    first, second = assign_batch(ReinforcePlusPlus(), [THREE, failed], [double])
    # Tokens: 14 with a return of 2 and 4 + 4 with 0: mean 28/22, variance (14·(2 − 28/22)² + 8·(28/22)²)/21 = 0.969697
    np.testing.assert_allclose(first.advantages[0], [(2 - 28 / 22) / 0.969697**0.5] * 3, atol=1e-5)
    np.testing.assert_allclose(second.advantages[0], [(-28 / 22) / 0.969697**0.5] * 2, atol=1e-5)
    assert (first.members, second.members) == ((0, 1, 2), (0,))
    assert first.token_advantages is not None
    assert [one.shape for one in first.token_advantages[2]] == [(2,)] * 4
    assert first.learnt is first.token_advantages
    assert not second.silent


def test_the_log_has_the_mean_over_the_tokens_of_a_turn():
    def attempt(tokens, reward):
        completion = Completion(prompt_ids=(1,), token_ids=tokens, logprobs=(0.0,) * len(tokens))
        return Episode(turns=(Turn(completion=completion, state_key="s", reward=reward),))

    # V = 0.5, and after the second token 1 or 0: advantages 0.5, 1 and −0.5, −1.
    [credited] = assign_batch(
        Tempo(normalise=False), [Group(task="t", episodes=(attempt((2, 3), 1), attempt((2, 4), 0)))]
    )
    assert credited.token_advantages is not None
    assert [turn.tolist() for [turn] in credited.token_advantages] == [[0.5, 1.0], [-0.5, -1.0]]
    assert [a.tolist() for a in credited.advantages] == [[0.75], [-0.75]]


def test_a_reference_is_asked_for_the_tokens_of_the_batch():
    asked: list[tuple[int, int, int]] = []

    def reference(samples):
        asked.extend(sample.key for sample in samples)
        return [np.full(int(sample.action_mask.sum()), -1.0) for sample in samples]

    groups = [THREE, Group(task="u", episodes=(episode("AB", 0.0),))]
    [first, _] = assign_batch(ReinforcePlusPlus(kl_weight=0.1), groups, reference_logprobs=reference)
    assert len(asked) == 9 + 2
    # k1 = 0 − (−1) costs 0.1 a token: the first token of an episode pays for all that follow.
    assert first.token_advantages is not None
    tokens = np.concatenate(first.token_advantages[1])
    assert (np.diff(tokens) > 0).all()
    assert not assign_batch(Grpo(), groups, reference_logprobs=reference)[1].token_advantages
    assert len(asked) == 11
