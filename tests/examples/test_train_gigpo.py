"""The parts of examples/train_gigpo.py that have to be exact; that the whole runs is test_examples.py's business."""

import gymnasium as gym
import numpy as np
import pytest
import torch

import agent_gym  # noqa: F401  registers the environments
from examples._tiny_lm import ASK, END, Policy, Sampler, Words
from examples.train_gigpo import Sample, demo_sample, demonstrate, gigpo_loss, logprobs_of, micro_batches

TEXTS = ["You arrive at loc 3. On the desk 1, you see a mug 2, and a pen 1.", "take mug 2 from desk 1", "put it in/on"]


@pytest.fixture
def words():
    return Words(TEXTS)


@pytest.fixture
def policy(words):
    torch.manual_seed(0)
    policy = Policy(words, width=32, heads=2, head=16)
    for weight in policy.parameters():  # layers start as the identity: make attention matter
        torch.nn.init.normal_(weight, std=0.3)
    return policy


def test_words_join_a_thing_and_its_number(words):
    ids = words.encode("Take a mug 2 from desk 1")
    assert [words.words[i] for i in ids] == ["take", "mug 2", "from", "desk 1"]
    assert words.decode([*ids, END]) == "take mug 2 from desk 1"
    # mug 1 was not in the texts, but mug 2 was; a spoon was not.
    assert words.decode(words.encode("mug 1")) == "mug 1"
    assert words.decode(words.encode("spoon 1")) == ""


def test_sampler_with_its_cache_agrees_with_the_learner_without(words, policy):
    # Three conversations, of which the second ends after the first answer and the first after the second.
    sampler = Sampler(policy, 3, torch.Generator().manual_seed(1))
    sampler.begin(3)
    samples = [Sample([], [], [], []) for _ in range(3)]
    live = [0, 1, 2]
    for kept, staying in (([0, 1, 2], [0, 1, 2]), ([0, 2], [0, 2]), ([1], [2]), ([0], [2])):
        live = staying
        prompts = [[*words.encode(TEXTS[(i + len(samples[i].ids)) % 3]), ASK] for i in live]
        for i, answer in zip(live, sampler.answer(kept, prompts), strict=True):
            start = len(samples[i].ids) + len(answer.prompt_ids)
            samples[i].places.extend(range(start, start + len(answer.token_ids)))
            samples[i].ids.extend(answer.prompt_ids + answer.token_ids)
            samples[i].logprobs.extend(answer.logprobs)
    with torch.no_grad():
        together = logprobs_of(policy, samples)
    assert len(together) > 12
    np.testing.assert_allclose(together, [x for sample in samples for x in sample.logprobs], atol=1e-4)


def test_greedy_play_is_the_same_every_time(words, policy):
    prompts = [[*words.encode(text), ASK] for text in TEXTS]
    answers = []
    for _ in range(2):
        sampler = Sampler(policy, 3)
        sampler.begin(3)
        answers.append(sampler.answer([0, 1, 2], prompts))
    assert answers[0] == answers[1]


def test_micro_batches_hold_every_sample_once_within_the_budget():
    samples = [Sample([0] * n, [], [], []) for n in (5, 30, 7, 6, 12, 40)]
    batches = list(micro_batches(samples, tokens=24))
    # Sorted 5 6 7 12 30 40: three of at most 7 make 21; 12 and 30 together would be 60; long ones stand alone.
    assert [[len(sample.ids) for sample in batch] for batch in batches] == [[5, 6, 7], [12], [30], [40]]


def test_loss_starts_at_minus_the_advantage(words, policy):
    ids = [*words.encode(TEXTS[0]), ASK, *words.encode(TEXTS[1]), END]
    places = list(range(len(ids) - 5, len(ids)))
    bare = Sample(ids, places, [], [])
    with torch.no_grad():
        old = logprobs_of(policy, [bare]).tolist()
    # Policy, imitator and sampler are one: ratio 1 and k3 0, so the loss is −ΣA = −(1 + 1 + 1 − 2 − 2) = 1 ...
    loss, k3 = gigpo_loss(policy, policy, [bare._replace(logprobs=old, advantages=[1.0, 1.0, 1.0, -2.0, -2.0])])
    assert loss.item() == pytest.approx(1.0, abs=1e-5)
    assert k3 == pytest.approx(0.0, abs=1e-6)
    # ... and if the policy had already moved by ln 2 on one token with A = 1: its ratio 2 counts as 1.2 only.
    moved = [old[0] - np.log(2), *old[1:]]
    loss, _ = gigpo_loss(policy, policy, [bare._replace(logprobs=moved, advantages=[1.0, 0.0, 0.0, 0.0, 0.0])])
    assert loss.item() == pytest.approx(-1.2, abs=1e-5)


def test_slips_are_shown_but_not_imitated():
    env = gym.make("AgentGym/ALFWorld-v0")
    tasks = list(env.unwrapped.tasks("generated_train")[:4])
    demos = demonstrate(env, tasks, np.random.default_rng(0))
    lines = [line for demo in demos for line in demo[:-1]]
    slips = [line for line in lines if not line[2]]
    assert 0 < len(slips) < len(lines) / 2
    words = Words(text for demo in demos for line in demo for text in line[:2])
    for demo in demos:
        sample = demo_sample(demo, words)
        said = [command for _, command, imitate in demo if imitate]
        assert words.decode([sample.ids[place] for place in sample.places]) == " ".join(said)
