"""Every estimator and every loss trains, by naming it."""

import json

import gymnasium as gym
import pytest

from tests.trainers.corridor import corridor, small_config, tiny_model
from trainers.config import CHOICES
from trainers.policies.hf import HfPolicy
from trainers.policies.load import load_model
from trainers.train import Trainer


class PayByLength(gym.Wrapper):  # type: ignore[type-arg]
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
