"""Logits of a few action tokens at a time: the same numbers, and never those of all together."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import Gemma2Config, Gemma2ForCausalLM

from tests.trainers.small_model import VOCABULARY, random_samples, small_model
from trainers.learner import Learner
from trainers.logprobs import action_logprobs, make_batch
from trainers.losses.ppo import PpoLoss
from trainers.policies.load import LoraSettings, add_lora
from trainers.settings import LearnerSettings


class LargestLogits(TorchDispatchMode):
    """Notes how many rows of a vocabulary's width any tensor has that is made."""

    rows = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else (made,):
            # A weight's gradient is as wide too, but transposed or as tall as the model is wide (32).
            if isinstance(one, torch.Tensor) and one.ndim >= 2 and one.shape[-1] == VOCABULARY and one.shape[-2] != 32:
                self.rows = max(self.rows, one.numel() // VOCABULARY)
        return made


def gradients(model: Any, chunk: int | None, entropy_weight: float) -> tuple[Any, list[Any], int]:
    model.zero_grad()
    batch = make_batch(random_samples())
    with LargestLogits() as largest:
        logprobs_n, entropy_n = action_logprobs(
            model, batch, 0.7, entropy_gradient=entropy_weight != 0, logit_chunk=chunk
        )
        (logprobs_n * batch.advantages_n + entropy_weight * entropy_n).sum().backward()
    grads = [weight.grad for weight in model.parameters() if weight.requires_grad]
    return (logprobs_n, entropy_n), grads, largest.rows


@pytest.mark.parametrize("entropy_weight", [0.0, 0.5])
@pytest.mark.parametrize("tied", [False, True])
def test_the_same_numbers_with_fewer_logits(tied, entropy_weight):
    model = small_model(tied=tied)
    plain, plain_grads, plain_rows = gradients(model, None, entropy_weight)
    tokens = len(plain[0])
    chunked, chunked_grads, chunked_rows = gradients(model, 7, entropy_weight)
    assert (plain_rows, chunked_rows) == (tokens, 7)
    assert tokens > 14  # or there would be nothing to cut
    for one, other in zip((*plain, *plain_grads), (*chunked, *chunked_grads), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=2e-6)


def test_an_adapter():
    model = add_lora(small_model(), LoraSettings(rank=4))
    plain, plain_grads, _ = gradients(model, None, 0.0)
    chunked, chunked_grads, rows = gradients(model, 5, 0.0)
    assert rows == 5
    for one, other in zip((*plain, *plain_grads), (*chunked, *chunked_grads), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=2e-6)


def test_updates_are_the_same():
    found = []
    for chunk in (None, 4):
        settings = LearnerSettings(
            learning_rate=1e-3, minibatches=2, logit_chunk=chunk, gradient_checkpointing=chunk is not None
        )
        learner = Learner(small_model(), settings, PpoLoss(kl_weight=0.01))
        metrics = learner.update(random_samples())
        found.append((metrics["policy_loss"], metrics["kl"], metrics["grad_norm"]))
    assert found[0] == pytest.approx(found[1], rel=1e-4, abs=1e-7)


def test_a_model_that_caps_its_logits_is_refused():
    config = Gemma2Config(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
    )
    with pytest.raises(ValueError, match="final_logit_softcapping"):
        action_logprobs(Gemma2ForCausalLM(config), make_batch(random_samples()), logit_chunk=4)
