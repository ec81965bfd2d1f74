"""The log-probabilities that are sampled with are those that are learned with, for the same weights."""

import numpy as np
import pytest
import torch

from trainers.logprobs import make_batch, token_logprobs
from trainers.policies.base import Request, Sampling
from trainers.policies.hf import HfPolicy
from trainers.policies.tiny import TinySettings, random_model, train_tokenizer
from trainers.samples import build_samples
from trainers.types import Episode, Group, Status, Turn

SETTINGS = TinySettings(hidden_size=64, vocabulary=400, context=220)
TOKENIZER = train_tokenizer(["You arrive at shelf 1. On it you see a mug 1.", "take mug 1 from shelf 1"] * 3, SETTINGS)
REPLIES = ["Nothing happens.", "You arrive at shelf 1. On it you see a mug 1, a pen 2 and a book 3.", "Ok."]
SAMPLING = Sampling(temperature=0.8, max_new_tokens=14)


@pytest.fixture(scope="module")
def model():
    model = random_model(TOKENIZER, SETTINGS)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "_proj" in name:
                weights.mul_(4)
        model.model.norm.weight.mul_(6)
    return model


def play_conversations(policy, episodes=12):
    """Episodes of 1 to 9 turns, all live ones in one batch per turn, until they end or their context is full."""
    rng = np.random.default_rng(0)
    ends = rng.integers(1, 10, episodes)
    turns: list[list[Turn]] = [[] for _ in range(episodes)]
    statuses: list[Status] = ["finished"] * episodes
    live = list(range(episodes))
    while live:
        requests = []
        for episode in live:
            news = [{"role": "user", "content": REPLIES[int(rng.integers(3))]}]
            if turns[episode]:
                ended = policy.codec.ended(turns[episode][-1].completion.token_ids)
                ids = policy.codec.extend(news, ended)
            else:
                ids = policy.codec.start([{"role": "system", "content": "Rules."}, *news])
            seed = int(rng.integers(1 << 40))
            requests.append(Request(prompt_ids=ids, sampling=SAMPLING, seed=seed, session=episode))
        for episode, completion in zip(list(live), policy.complete(requests), strict=True):
            turns[episode].append(Turn(completion=completion, state_key="", reward=0.0))
            if completion.finish == "overflow" or len(turns[episode]) == ends[episode]:
                statuses[episode] = "cut" if completion.finish == "overflow" else "finished"
                live.remove(episode)
                policy.release([episode])
    return Group(
        task="t", episodes=tuple(Episode(turns=tuple(t), status=s) for t, s in zip(turns, statuses, strict=True))
    )


def play_steps(policy, episodes=6, turns=4):
    rng = np.random.default_rng(1)
    groups = []
    for _ in range(episodes):
        messages = [
            [{"role": "system", "content": "Rules."}, {"role": "user", "content": " ".join(REPLIES[: 1 + int(n)])}]
            for n in rng.integers(0, 3, turns)
        ]
        requests = [
            Request(prompt_ids=policy.codec.start(m), sampling=SAMPLING, seed=int(rng.integers(1 << 40)))
            for m in messages
        ]
        played = [Turn(completion=c, state_key="", reward=0.0) for c in policy.complete(requests)]
        groups.append(Episode(turns=tuple(played)))
    return Group(task="t", episodes=tuple(groups))


def largest_difference(model, group, context):
    samples = build_samples([group], None, context)
    batch = make_batch(samples)
    with torch.no_grad():
        learned, _ = token_logprobs(model, batch, SAMPLING.temperature)
    learned = learned[batch.action_mask_bt]
    assert len(learned) > 100
    assert learned.std() > 0.5  # not all the same
    return (learned - batch.old_logprobs_n).abs().max().item()


def test_sampling_and_learning_agree_in_conversations(model):
    group = play_conversations(HfPolicy(model, TOKENIZER, max_batch=5))
    assert {episode.status for episode in group.episodes} == {"finished", "cut"}
    assert "length" in {turn.completion.finish for episode in group.episodes for turn in episode.turns}
    assert largest_difference(model, group, "conversation") < 1e-5


def test_sampling_and_learning_agree_in_step_context(model):
    assert largest_difference(model, play_steps(HfPolicy(model, TOKENIZER)), "step") < 1e-5


def test_sampling_and_learning_agree_with_an_adapter(model):
    pytest.importorskip("peft")
    from trainers.policies.load import LoraSettings, add_lora

    adapted = add_lora(random_model(TOKENIZER, SETTINGS), LoraSettings(rank=4))
    with torch.no_grad():
        for name, weights in adapted.named_parameters():
            if "lora_B" in name:
                weights.normal_(0, 0.05, generator=torch.Generator().manual_seed(0))
        adapted.get_base_model().model.norm.weight.mul_(6)
    group = play_conversations(HfPolicy(adapted, TOKENIZER), episodes=6)
    assert largest_difference(adapted, group, "conversation") < 1e-5
