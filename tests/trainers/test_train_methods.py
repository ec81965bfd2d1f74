"""Every estimator and every loss trains, by naming it."""

import json

import gymnasium as gym
import numpy as np
import pytest

from tests.trainers.corridor import corridor, small_config, tiny_model
from tests.trainers.small_model import random_samples, small_model
from trainers.config import CHOICES
from trainers.learner import Learner
from trainers.losses.ppo import PpoLoss
from trainers.policies.hf import HfPolicy
from trainers.policies.load import load_model
from trainers.settings import LearnerSettings
from trainers.train import Trainer


class PayByLength(gym.Wrapper):
    """Pays for long answers, so that an untrained model's episodes differ."""

    def step(self, action):
        observation, _, terminated, truncated, info = self.env.step(action)
        return observation, len(action) / 10, terminated, truncated, info


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"))


def metrics_of(directory, model, **changes):
    """The metrics of one iteration."""
    config = small_config(directory, iterations=1, evaluation={"split": ""}, **changes)
    env = corridor(4, inner=PayByLength, max_episode_steps=3)
    Trainer(config, env=env, policy=HfPolicy(*load_model(model))).train()
    return json.loads((directory / "metrics.jsonl").read_text().splitlines()[0])


@pytest.mark.parametrize("method", CHOICES["credit"])
def test_every_estimator_trains(method, model, tmp_path):
    metrics = metrics_of(tmp_path / "run", model, credit={"method": method})
    assert metrics["rollout/episodes"] == 6
    assert metrics["rollout/return"] > 0
    assert metrics["credit/advantage_abs"] > 0
    assert metrics["learner/grad_norm"] > 0


def test_greedy_episodes_are_played_beside_the_others(model, tmp_path):
    metrics = metrics_of(tmp_path / "run", model, credit={"method": "remax"})
    lines = [json.loads(line) for line in (tmp_path / "run" / "episodes.jsonl").read_text().splitlines()]
    # Two groups of three, each with a greedy episode that has no advantage.
    assert [line["member"] for line in lines] == [0, 1, 2, 3] * 2
    assert ["advantage" in line["turns"][0] for line in lines] == [True, True, True, False] * 2
    others = [line["return"] for line in lines if line["member"] < 3]
    assert metrics["rollout/return"] == pytest.approx(sum(others) / 6)


@pytest.mark.parametrize("method", CHOICES["loss"])
def test_every_loss_trains(method, model, tmp_path):
    metrics = metrics_of(tmp_path / "run", model, loss={"method": method})
    assert metrics["learner/grad_norm"] > 0
    assert metrics["learner/kl"] >= 0


def test_a_reference_serves_the_credit_where_the_loss_has_none(model, tmp_path):
    credit = {"method": "reinforce-plus-plus", "kl_weight": 1.0}
    metrics = metrics_of(tmp_path / "run", model, credit=credit, loss={"kl_weight": 0.0})
    assert metrics["learner/grad_norm"] > 0
    assert "learner/kl" not in metrics


def test_the_reference_stays_where_the_model_was():
    samples = random_samples()
    learner = Learner(small_model(), LearnerSettings(learning_rate=0.1), PpoLoss(kl_weight=0.0), keep_reference=True)
    before = learner.logprobs(samples)
    learner.update(samples)
    for first, now, reference in zip(
        before, learner.logprobs(samples), learner.reference_logprobs(samples), strict=True
    ):
        np.testing.assert_allclose(reference, first.numpy(), atol=1e-5)
        assert abs(now.numpy() - reference).max() > 1e-3


def test_a_constant_length_divides_the_sum(model, tmp_path):
    losses = [
        metrics_of(tmp_path / str(length), model, loss={"aggregation": "sequence-sum", "sequence_length": length})[
            "learner/policy_loss"
        ]
        for length in (10, 20)
    ]
    # Both optimiser steps start from nearly the same weights: half the loss at twice the length.
    assert losses[0] == pytest.approx(2 * losses[1], rel=0.2)
    assert losses[0] != 0
