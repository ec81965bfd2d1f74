"""Sampled tokens per second in conversations: a cache kept from turn to turn, one per turn, and none.

    python benchmarks/bench_policy.py                    # 64 conversations, a 128x2 model, half a minute

All three give the same answers to the same messages (greedy, same length), which is checked. Times are processor
seconds of one thread, so that other work on the machine does not count.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import tyro

from trainers.policies.base import Request, Sampling
from trainers.policies.hf import HfPolicy
from trainers.policies.tiny import TinySettings, random_model, train_tokenizer

Ids = list[int]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured."""

    hidden_size: int = 128
    layers: int = 2
    batch: int = 64
    """Conversations side by side."""
    turns: int = 3
    start: int = 100
    """Tokens of the first message, give or take a quarter."""
    message: int = 30
    """Tokens of later messages, give or take a quarter."""
    answer: int = 16
    """Tokens of every answer."""


def main(settings: Settings) -> None:
    """Measure and print the table."""
    torch.set_num_threads(1)
    policy = make_policy(settings)
    rng = np.random.default_rng(0)
    messages = [
        [draw_ids(rng, settings.start if turn == 0 else settings.message) for _ in range(settings.batch)]
        for turn in range(settings.turns)
    ]
    ways: dict[str, Callable[[], list[Ids]]] = {
        "kept from turn to turn": lambda: kept_cache(policy, messages, settings.answer),
        "new at every turn": lambda: new_cache(policy, messages, settings.answer),
        "none": lambda: no_cache(policy, messages, settings.answer),
    }
    sampled = settings.batch * settings.turns * settings.answer
    kept_cache(policy, messages[:1], 2)  # warm up
    seconds, answers = {}, {}
    for name, way in ways.items():
        begin = time.process_time()
        answers[name] = way()
        seconds[name] = time.process_time() - begin
    best, *others = answers.values()
    alike = [np.mean([a == b for a, b in zip(best, other, strict=True)]) for other in others]
    print(f"{policy.model.num_parameters():,} parameters, {settings.batch} conversations of {settings.turns} turns")
    print(f"{'cache':<24}{'seconds':>9}{'sampled tokens/s':>18}{'ratio':>8}")
    for name, spent in seconds.items():
        ratio = seconds["none"] / spent
        print(f"{name:<24}{spent:>9.2f}{sampled / spent:>18,.0f}{ratio:>8.1f}")
    print(f"conversations with the very same tokens as the first way: {', '.join(f'{share:.0%}' for share in alike)}")


def make_policy(settings: Settings) -> HfPolicy:
    """Make a random model over 1,000 tokens whose answers never end by themselves."""
    sizes = TinySettings(hidden_size=settings.hidden_size, layers=settings.layers, vocabulary=1000, context=4096)
    letters = np.random.default_rng(0).integers(97, 123, (800, 6), dtype=np.uint8)
    words = " ".join(bytes(row).decode() for row in letters)
    tokenizer = train_tokenizer([words] * 3, sizes)
    policy = HfPolicy(random_model(tokenizer, sizes), tokenizer)
    policy.codec.end_ids = frozenset()
    return policy


def draw_ids(rng: np.random.Generator, about: int) -> Ids:
    """Draw a message of random tokens."""
    ids: Ids = rng.integers(3, 1000, int(rng.integers(about * 3 // 4, about * 5 // 4 + 1))).tolist()
    return ids


def kept_cache(policy: HfPolicy, messages: list[list[Ids]], answer: int) -> list[Ids]:
    """Ours: a session per conversation."""
    texts: list[Ids] = [[] for _ in messages[0]]
    sampling = Sampling(temperature=0, max_new_tokens=answer)
    for news in messages:
        requests = [
            Request(prompt_ids=tuple(ids), sampling=sampling, seed=0, session=session)
            for session, ids in enumerate(news)
        ]
        for text, request, completion in zip(texts, requests, policy.complete(requests), strict=True):
            text += [*request.prompt_ids, *completion.token_ids]
    policy.release(range(len(texts)))
    return texts


def new_cache(policy: HfPolicy, messages: list[list[Ids]], answer: int) -> list[Ids]:
    """`generate` of transformers, which reads the whole history at every turn, padded on the left."""
    texts: list[Ids] = [[] for _ in messages[0]]
    for news in messages:
        texts = [text + ids for text, ids in zip(texts, news, strict=True)]
        ids, mask = padded(texts)
        made = policy.model.generate(
            ids, attention_mask=mask, do_sample=False, max_new_tokens=answer, eos_token_id=None, pad_token_id=0
        )
        texts = [text + new for text, new in zip(texts, made[:, ids.shape[1] :].tolist(), strict=True)]
    return texts


@torch.inference_mode()
def no_cache(policy: HfPolicy, messages: list[list[Ids]], answer: int) -> list[Ids]:
    """The whole text again for every token."""
    texts: list[Ids] = [[] for _ in messages[0]]
    for news in messages:
        texts = [text + ids for text, ids in zip(texts, news, strict=True)]
        for _ in range(answer):
            ids, mask = padded(texts)
            logits = policy.model(ids, attention_mask=mask, use_cache=False, logits_to_keep=1).logits[:, -1]
            texts = [[*text, token] for text, token in zip(texts, logits.argmax(-1).tolist(), strict=True)]
    return texts


def padded(texts: list[Ids]) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad on the left; ids and mask, shape (conversations, tokens) each."""
    most = max(map(len, texts))
    ids = torch.tensor([[0] * (most - len(text)) + text for text in texts])
    mask = torch.tensor([[0] * (most - len(text)) + [1] * len(text) for text in texts])
    return ids, mask


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
