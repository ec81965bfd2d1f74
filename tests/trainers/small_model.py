"""A model of two layers, and groups of random episodes that look as if it had played them."""

import dataclasses
from typing import Any

import numpy as np
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from trainers.samples import Context, Sample, build_samples
from trainers.types import Completion, Episode, Group, Turn

VOCABULARY = 48


def small_model(seed: int = 0, *, tied: bool = False) -> Any:
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=tied,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Qwen2ForCausalLM(config).eval()


def random_group(task: str, rng: np.random.Generator, *, episodes: int = 4, longest_prompt: int = 20) -> Group:
    def completion() -> Completion:
        prompt = rng.integers(0, VOCABULARY, rng.integers(2, longest_prompt))
        answer = rng.integers(0, VOCABULARY, rng.integers(1, 6))
        return Completion(
            prompt_ids=tuple(prompt.tolist()),
            token_ids=tuple(answer.tolist()),
            logprobs=tuple((-np.log(VOCABULARY) + rng.normal(0, 0.05, len(answer))).tolist()),
        )

    return Group(
        task=task,
        episodes=tuple(
            Episode(
                turns=tuple(
                    Turn(completion=completion(), state_key="any", reward=0.0) for _ in range(rng.integers(1, 4))
                )
            )
            for _ in range(episodes)
        ),
    )


def random_samples(context: Context = "step", *, groups: int = 3, seed: int = 0) -> list[Sample]:
    rng = np.random.default_rng(seed)
    played = [random_group(f"task {number}", rng) for number in range(groups)]
    advantages = [[rng.normal(size=len(episode.turns)) for episode in group.episodes] for group in played]
    return build_samples(played, advantages, context)


def plain_logprobs(model, sample, temperature=1.0):
    """Log-probabilities of the action tokens, from all logits of a row on its own."""
    logits = model(torch.from_numpy(sample.ids)[None]).logits[0] / temperature
    logprobs = logits.log_softmax(-1)[:-1].gather(1, torch.from_numpy(sample.ids)[1:, None])[:, 0]
    return logprobs[torch.from_numpy(sample.action_mask)[1:]]


def with_sampler_logprobs(model, samples: list[Sample]) -> list[Sample]:
    """The samples as if this model had sampled them."""
    result = []
    for sample in samples:
        logprobs = sample.old_logprobs.copy()
        logprobs[sample.action_mask] = plain_logprobs(model, sample).detach().numpy()
        result.append(dataclasses.replace(sample, old_logprobs=logprobs))
    return result
