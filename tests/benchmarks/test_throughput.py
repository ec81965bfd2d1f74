"""The naive ways that are timed do the same work: the same episodes, token for token, and the same gradient."""

import math

import pytest

from benchmarks.throughput_ours import Generate, LockStep, MeteredPolicy, Recompute, padded
from benchmarks.throughput_work import Clock
from tests.trainers.corridor import corridor, tiny_model
from tests.trainers.small_model import random_samples, small_model
from trainers.learner import Learner
from trainers.losses.ppo import PpoLoss
from trainers.policies.base import Request, Sampling
from trainers.policies.hf import load_policy
from trainers.rollout import play
from trainers.settings import LearnerSettings
from trainers.types import Completion


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"))


def episodes(model, around):
    """Answers of four episodes, and what was counted."""
    loaded = load_policy(model)
    policy = MeteredPolicy(loaded.model, loaded.tokenizer)
    policy.clock = Clock()
    env = corridor(max_episode_steps=3)
    groups, stats = play(
        around(policy, policy.clock),
        env,
        env.tasks("train")[:2],
        group_size=2,
        sampling=Sampling(max_new_tokens=4),
        context="conversation",
        seed=1,
    )
    tokens = [[turn.completion.token_ids for turn in episode.turns] for group in groups for episode in group.episodes]
    return tokens, policy.clock.counts, stats


def test_naive_ways_play_the_same_episodes(model):
    ours, counts, stats = episodes(model, lambda policy, _: policy)
    assert counts["wasted"] == 0
    # Every token that is read or sampled goes through once at most: all but each episode's last, and shared prompts.
    assert counts["generated"] <= stats.prompt_tokens + stats.generated_tokens
    ways = {
        "recompute": lambda policy, _: Recompute(policy),
        "lock-step": LockStep,
        "both": lambda policy, clock: LockStep(Recompute(policy), clock),
        "generate": lambda policy, clock: LockStep(Recompute(Generate(policy, clock)), clock),
    }
    for name, way in ways.items():
        theirs, spent, _ = episodes(model, way)
        assert theirs == ours, name
        assert spent["generated"] >= counts["generated"], name
        if name in ("recompute", "generate"):
            assert spent["generated"] > counts["generated"], name


def test_lock_step_asks_until_the_last_has_ended():
    class Counting:
        def __init__(self):
            self.asked, self.released, self.context_limit = [], [], 100

        def complete(self, requests):
            self.asked.append(len(requests))
            return [Completion(prompt_ids=one.prompt_ids, token_ids=(7, 7), logprobs=(-1.0, -1.0)) for one in requests]

        def release(self, sessions):
            self.released += sessions

    clock, inner = Clock(), Counting()
    policy = LockStep(inner, clock)
    requests = [Request(prompt_ids=(5,), sampling=Sampling(), seed=0, session=session) for session in range(3)]
    assert len(policy.complete(requests)) == 3
    policy.release([1, 2])
    assert len(policy.complete(requests[:1])) == 1
    assert (inner.asked, inner.released, clock.counts["wasted"]) == ([3, 3], [], 4)  # two answers of two tokens
    policy.release([0])
    assert inner.released == [0, 1, 2]


def test_padding_in_place_of_text_changes_no_gradient():
    results = []
    for samples in (random_samples(), padded(random_samples())):
        settings = LearnerSettings(max_grad_norm=math.inf, tokens_per_micro_batch=10**6)
        results.append(Learner(small_model(), settings, PpoLoss(kl_weight=0.0)).update(samples))
    assert results[1]["grad_norm"] == pytest.approx(results[0]["grad_norm"], rel=1e-5)
    assert results[1]["tokens"] > results[0]["tokens"]
    assert results[1]["action_tokens"] == results[0]["action_tokens"]
