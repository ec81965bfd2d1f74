"""What the rows of a micro-batch begin with is computed once, and nothing else changes."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from tests.trainers.small_model import VOCABULARY, random_samples, small_model
from trainers.learner import Learner
from trainers.logprobs import action_logprobs, least_saved, make_batch
from trainers.losses.ppo import PpoLoss
from trainers.samples import Sample, saved_by_sharing, split_by_prompt
from trainers.settings import LearnerSettings


def answers(prompt: list[int], lengths: list[int], group: int = 0) -> list[Sample]:
    """Samples that answer one prompt, with answers of these lengths."""
    rng = np.random.default_rng(group)
    samples = []
    for episode, length in enumerate(lengths):
        mask = np.arange(len(prompt) + length) >= len(prompt)
        samples.append(
            Sample(
                ids=np.array([*prompt, *rng.integers(0, VOCABULARY, length)]),
                action_mask=mask,
                old_logprobs=np.where(mask, -np.log(VOCABULARY), 0).astype(np.float32),
                advantages=np.where(mask, rng.normal(), 0).astype(np.float32),
                group=group,
                episode=episode,
                turn=0,
            )
        )
    return samples


def begun_with(beginning, sample: Sample) -> Sample:
    """The sample with tokens before its first."""

    def padded(values):
        return np.concatenate([np.zeros(len(beginning), values.dtype), values])

    return dataclasses.replace(
        sample,
        ids=np.concatenate([beginning, sample.ids]),
        action_mask=padded(sample.action_mask),
        old_logprobs=padded(sample.old_logprobs),
        advantages=padded(sample.advantages),
    )


def gradient(model) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def test_the_token_before_the_first_action_is_never_shared():
    # The logits of an action stand at the token before it: of five tokens that are the same, four are shared.
    samples = answers([1, 2, 3, 4, 5], [2, 3])
    # (2 rows - 1) * 4 tokens are saved, less 2 * 4 * 4 / 1024 for rests of 4 tokens under a mask.
    assert make_batch(samples, least_saved=3.9).shared == 4
    assert make_batch(samples, least_saved=4).shared == 0
    assert make_batch(samples).shared == 0
    assert make_batch(samples[:1], least_saved=0).shared == 0  # alone there is nothing to save
    # Prompts that part at position 2.
    assert make_batch([*samples, *answers([1, 2, 9, 4, 5], [2])], least_saved=0).shared == 2
    # The second sample acts from position 2 on; what it says may look like the other's prompt.
    early = answers([1, 2], [3])[0]
    early.ids[2:] = 3, 4, 5
    assert make_batch([samples[0], early], least_saved=0).shared == 1


@pytest.mark.parametrize("context", ["step", "conversation"])
def test_logprobs_and_gradients_are_those_of_whole_rows(context):
    rng = np.random.default_rng(0)
    beginning = rng.integers(0, VOCABULARY, 30)
    samples = [begun_with(beginning, sample) for sample in random_samples(context)]
    found, gradients = [], []
    for saved in (1, math.inf):
        model, batch = small_model(), make_batch(samples, least_saved=saved)
        assert (batch.shared >= 30) == (saved == 1)
        logprobs, entropy = action_logprobs(model, batch, 0.7, entropy_gradient=True)
        ((logprobs * batch.advantages_n).mean() + 0.1 * entropy.mean()).backward()
        found.append((logprobs.detach(), entropy.detach()))
        gradients.append(gradient(model))
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=0)
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-6, rtol=1e-4)


def test_a_group_that_answers_one_prompt_costs_one_prompt():
    rng = np.random.default_rng(0)
    prompts = [rng.integers(0, VOCABULARY, 200).tolist() for _ in range(2)]
    samples = [*answers(prompts[0], [5, 6, 7, 8], 0), *answers(prompts[1], [5, 6, 7, 8], 1)]
    loss = PpoLoss(kl_weight=0.0)
    gradients, tokens = [], []
    for recomputing in (False, True):  # layers that recompute keep nothing that could be shared
        model = small_model()
        seen: list[int] = []
        model.model.embed_tokens.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0].numel()))
        settings = LearnerSettings(max_grad_norm=math.inf, gradient_checkpointing=recomputing)
        metrics = Learner(model, settings, loss).update(samples)
        assert metrics["tokens"] == sum(map(len, samples))
        gradients.append(gradient(model))
        tokens.append(sum(seen))
    # Each group: 199 tokens once, then the last of the prompt and an answer padded to 8, for 4 members. Without: 4 rows
    # of 208 tokens each. (3 * 200 tokens are saved, more than the 512 that a pass costs.)
    assert tokens == [2 * (199 + 4 * 9), 2 * 4 * 208]
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-7, rtol=1e-4)


def test_prompts_are_kept_together_where_it_pays():
    one, two = answers([1] * 10, [2, 4, 3], 0), answers([2] * 10, [3, 2], 1)
    samples = [sample for pair in zip(one[:2], two, strict=True) for sample in pair] + one[2:]
    # Nearly 2 * 10 tokens are saved of the first prompt, 1 * 10 of the second; parts are sorted, the longest first.
    keys = [[sample.key[:2] for sample in part] for part in split_by_prompt(samples, 1000, 19)]
    assert keys == [[(0, 1), (0, 2), (0, 0)], [(1, 0), (1, 1)]]
    keys = [[sample.key[:2] for sample in part] for part in split_by_prompt(samples, 1000, math.inf)]
    assert keys == [[(0, 1), (0, 2), (1, 0), (0, 0), (1, 1)]]


def test_long_rests_share_no_short_beginning():
    # 8 rows save 7 * 100 tokens, and 200 tokens each under a mask cost 8 * 200 * 200 / 1024 = 312.5.
    assert saved_by_sharing(8, 100, 300) == 387.5
    assert saved_by_sharing(8, 100, 900) < 0


def test_a_model_that_does_not_attend_to_all_shares_nothing():
    config = MistralConfig(
        vocab_size=8,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        sliding_window=16,
    )
    assert least_saved(MistralForCausalLM(config)) == math.inf
    config.sliding_window = None
    assert least_saved(MistralForCausalLM(config)) < math.inf
    assert least_saved(small_model()) < math.inf
