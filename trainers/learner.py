"""The learner: from samples to a step of the weights.

One update is `epochs` passes over the samples in `minibatches` optimiser steps each. A step's mini-batch is cut into
micro-batches that fit into memory, whose gradients add up to that of the whole:

    samples -> mini-batches (a shuffle, one optimiser step each) -> micro-batches (by prompt and length, little padding)

Every term is divided by counts over the whole mini-batch, on all ranks, before anything is summed. So neither the size
of a micro-batch nor the number of ranks changes the result, but for rounding.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agent_gym.errors import BadOptionError
from trainers.checkpoint import State
from trainers.kernels import fuse
from trainers.logprobs import (
    Batch,
    action_logprobs,
    choose_precision,
    is_halved,
    least_saved,
    make_batch,
    token_logprobs,
)
from trainers.losses.aggregate import token_weights
from trainers.losses.base import LossSettings, Tokens
from trainers.losses.importance import importance_weights
from trainers.losses.kl import kl_estimate
from trainers.losses.ppo import PpoLoss
from trainers.minibatches import cut_minibatches
from trainers.optimiser import Optimiser
from trainers.parallel import Ranks
from trainers.reference import Reference
from trainers.samples import Sample, split_by_prompt
from trainers.settings import LearnerSettings
from trainers.sharding import copy_weights, settle, shard
from trainers.totals import Measured, Totals

__all__ = ["Batch", "Learner", "make_batch", "token_logprobs"]

Key = tuple[int, int, int]
MicroLoss = Callable[[Sequence[Sample], Batch, float], tuple[Tensor, Measured]]
"""Loss of a micro-batch, given the count over the whole batch that it is divided by."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is computed once per update, before the weights move: log-probabilities by sample."""

    old: dict[Key, Tensor]
    reference: dict[Key, Tensor]


class Learner:
    """Moves a model's weights; owns the optimiser and the schedule, and the reference model if the loss needs one.

    The model may be shared with a policy that samples from it: weights change in place, and outside of a call it is in
    evaluation mode (there is no dropout in learning either: the ratio would compare two different models). Weights may
    be bfloat16, which is quicker to sample from: `Optimiser` keeps them in float32 as well. With `sharding` learning
    has a model of its own, in pieces, and the one that is given gets its weights at the end of each update.

    Args:
        model: A causal language model of transformers, or a peft model around one.
        settings: Of the optimiser.
        loss: What `update` minimises.
        temperature: Of the sampling that the samples come from.
        total_updates: Calls to `update` in the whole run; a falling schedule ends there.
        seed: Of the shuffle that cuts a batch into mini-batches; nothing else is random here.
        ranks: The processes among which the batch is shared. Each calls the same methods with its own samples.
        reference: What the KL divergence is taken to. By default the model as it is given here: a peft model with its
            adapter switched off, or a frozen copy. So build the learner before loading a checkpoint into the model.
        keep_reference: Hold it for `reference_logprobs` even if the loss has no use for it.
    """

    def __init__(
        self,
        model: nn.Module,
        settings: LearnerSettings | None = None,
        loss: LossSettings | None = None,
        *,
        temperature: float = 1.0,
        total_updates: int = 1,
        seed: int = 0,
        ranks: Ranks | None = None,
        reference: nn.Module | None = None,
        keep_reference: bool = False,
    ) -> None:
        if not temperature > 0:
            raise ValueError(f"expected a sampling temperature above 0 to learn from, got {temperature}")
        self.model = model.eval()
        self.settings = settings or LearnerSettings()
        self.loss = loss or PpoLoss()
        self.temperature = temperature
        self.seed = seed
        self.ranks = ranks or Ranks()
        self.step = 0  # optimiser steps taken
        self.updates = 0
        self._total_steps = total_updates * self.settings.epochs * self.settings.minibatches
        self.device = next(model.parameters()).device
        self.ranks.broadcast(model.state_dict().values())
        self._in_pieces = self.settings.sharding != "none" and self.ranks.size > 1
        halved = is_halved(model, self.settings.precision)
        self._learning = copy.deepcopy(model) if self._in_pieces else model
        if self.settings.kernels == "liger":
            fuse(self._learning)
        if self._in_pieces:
            shard(self._learning, halved=halved)
        trained = {name: p for name, p in self._learning.named_parameters() if p.requires_grad}
        self._optimiser = Optimiser(trained, self.settings, embeddings=_embeddings(model))
        self._reference: Reference | None = None
        if keep_reference or self.loss.kl_weight > 0:
            self._reference = Reference(model, self._learning, reference, pieces=self._in_pieces, halved=halved)
        if self.settings.renew_reference:
            self._renewable()
        self._autocast = choose_precision(model, self.settings.precision)
        self._recomputing = self._find_recomputing_layers() if self.settings.gradient_checkpointing else []
        # Layers that recompute keep no keys and values; and a prompt read by itself is one pass more than others make.
        self._least_saved = math.inf if self._recomputing or self._in_pieces else least_saved(model)

    # -- what is called ------------------------------------------------------------------------------------------------

    def update(self, samples: Sequence[Sample]) -> dict[str, float]:
        """Learn from what was played; returns metrics over all ranks, the means over action tokens.

        `kl` is to the reference model, `old_kl` and `ratio_max` compare with the policy before the update, and
        `sampler_difference` is |log-probability of the learner − of the sampler| for the same weights: rounding, or a
        mistake. Without a single action token on any rank nothing happens, and only counts are returned.

        Raises:
            FloatingPointError: If a gradient is not finite. The weights are then as before that step.
        """
        # With one step, the policy before the update is the one whose log-probabilities the step computes anyway.
        one_step = self.settings.takes_one_step
        old = {} if one_step else self._all_logprobs(self._learning, samples)
        known = _Known(old, self._reference_logprobs(samples) if self.loss.kl_weight else {})

        def micro_loss(part: Sequence[Sample], batch: Batch, total: float) -> tuple[Tensor, Measured]:
            return self._policy_loss(part, batch, total, known)

        count = _actions if self.loss.aggregation == "token-mean" else _one
        metrics = self._learn(samples, micro_loss, count)
        self.updates += 1
        if self.settings.renew_reference and self.updates % self.settings.renew_reference == 0:
            self.renew_reference()
        return metrics

    def supervised(self, samples: Sequence[Sample]) -> dict[str, float]:
        """Imitate: raise the likelihood of the action tokens, each by its weight, which stands where advantages do.

        The loss is the weighted mean −Σ w·log p / Σ w over the mini-batch, on all ranks. Weights are 0 or more: 1 in a
        demonstration, 0 for what is seen but not imitated; such a token changes nothing, the divisor included.

        Returns and raises like `update`, and counts as one. No temperature, no clipping, no reference: those belong to
        tokens that the model itself has drawn.
        """

        def micro_loss(_: Sequence[Sample], batch: Batch, total: float) -> tuple[Tensor, Measured]:
            logprobs_n, entropy_n = action_logprobs(self._learning, batch, logit_chunk=self.settings.logit_chunk)
            weights_n = token_weights(batch.row_n, batch.actions_per_row_b, "token-mean", total)
            loss = -(weights_n * batch.advantages_n * logprobs_n).sum()
            return loss, {"entropy": entropy_n}

        metrics = self._learn(samples, micro_loss, _weight)
        self.updates += 1
        return metrics

    def logprobs(self, samples: Sequence[Sample]) -> list[Tensor]:
        """Log-probabilities of each sample's action tokens at the sampling temperature, on the CPU, shape (N,) each."""
        found = self._all_logprobs(self._learning, samples)
        return [found[sample.key] for sample in samples]

    def reference_logprobs(self, samples: Sequence[Sample]) -> list[NDArray[np.float64]]:
        """The same under the reference, of samples that all ranks hold: each computes its share, and gets them all."""
        parts = self.ranks.gather(self._reference_logprobs(self.ranks.share(samples)))
        found = {key: logprobs for theirs in parts for key, logprobs in theirs.items()}
        return [found[sample.key].double().numpy() for sample in samples]

    def state(self) -> State:
        """What a checkpoint keeps besides the weights: the optimiser's tensors, and counts.

        Of weights in pieces each rank has its own, and all of them must save.
        """
        tensors = self._optimiser.state() | ({} if self._reference is None else self._reference.state())
        return State(tensors=tensors, values={"step": self.step, "updates": self.updates})

    def load_state(self, state: State) -> None:
        """Continue where `state` was taken. The weights are loaded before, see `trainers.checkpoint.load_weights`.

        It does not matter how many ranks there were, nor whether they had the weights in pieces. All must call it.

        Raises:
            ValueError: If the state belongs to another model.
        """
        if self._in_pieces:
            copy_weights(self.model, self._learning)
        self._optimiser.load_state(state.tensors, state.pieces)
        if self._reference is not None:
            self._reference.load(state.tensors, state.pieces)
        self.step = state.values["step"]
        self.updates = state.values["updates"]

    def forget_gradients(self) -> None:
        """Let go of the last step's gradients: what samples next can use the memory."""
        self._optimiser.clear()

    def renew_reference(self) -> None:
        """Take the divergence to the weights in hand from now on, as in magnetic mirror descent (arXiv 2206.05825).

        Raises:
            BadOptionError: If there is none, or it is what lies under an adapter.
        """
        self._renewable().renew(self.model)

    def _renewable(self) -> Reference:
        if self._reference is None or self._reference.is_base:
            raise BadOptionError(
                "expected a reference with weights of its own to renew (learner.renew_reference), got "
                + ("none: give a loss.kl_weight." if self._reference is None else "the base under an adapter.")
            )
        return self._reference

    # -- one optimiser step --------------------------------------------------------------------------------------------

    def _learn(
        self, samples: Sequence[Sample], micro_loss: MicroLoss, count: Callable[[Sample], float]
    ) -> dict[str, float]:
        """Take an update's optimiser steps; what a mini-batch's samples count together is what it is divided by."""
        started = time.perf_counter()
        totals = Totals()
        with self._recomputation():
            for minibatch in cut_minibatches(
                samples, self.ranks, self.settings.epochs, self.settings.steps_for, (self.seed, self.updates)
            ):
                mine = {"tokens": sum(map(_actions, minibatch)), "divisor": sum(map(count, minibatch))}
                everyones = self.ranks.sums(mine)
                if not (everyones["tokens"] and everyones["divisor"]):
                    continue
                self._optimiser.clear()
                for part, batch in self._micro_batches(minibatch):
                    with self._autocast():
                        if part:
                            loss, measured = micro_loss(part, batch, everyones["divisor"])
                            totals.add(batch, loss, measured)
                        else:
                            loss = 0.0 * action_logprobs(self._learning, batch)[0].sum()
                    loss.backward()  # type: ignore[no-untyped-call]  # torch and transformers leave it untyped
                    self._optimiser.collect()
                totals.rate = self.settings.rate_at(self.step, self._total_steps)
                totals.grad_norms.append(self._optimiser.step(totals.rate, self.ranks))
                self.step += 1
        if self._in_pieces:  # the sampler gets the new weights
            copy_weights(self._learning, self.model)
        return totals.summary(self.ranks, time.perf_counter() - started)

    def _policy_loss(
        self, samples: Sequence[Sample], batch: Batch, total: float, known: _Known
    ) -> tuple[Tensor, Measured]:
        """Surrogate + β·KL − weight·entropy of a micro-batch, every token weighed by the aggregation."""
        loss = self.loss
        logprobs_n, entropy_n = action_logprobs(
            self._learning,
            batch,
            self.temperature,
            entropy_gradient=loss.entropy_weight != 0,
            logit_chunk=self.settings.logit_chunk,
        )
        # The policy before this update as the learner computes it, and as the sampler did.
        learner_n = _gather(known.old, samples, self.device) if known.old else logprobs_n.detach()
        sampler_n = batch.old_logprobs_n
        old_n = sampler_n if loss.importance_cap is None else learner_n
        actions_b = batch.actions_per_row_b
        weights_n = token_weights(batch.row_n, actions_b, loss.aggregation, total, loss.sequence_length)
        surrogate = loss.per_token(Tokens(logprobs_n, old_n, batch.advantages_n, batch.row_n, actions_b))
        log_ratio_n = (logprobs_n - old_n).detach()
        difference_n = (learner_n - sampler_n).abs()
        measured = {
            "entropy": entropy_n,
            "clip_fraction": surrogate.clipped_n,
            "old_kl": torch.expm1(log_ratio_n) - log_ratio_n,
            "ratio_max": surrogate.ratio_n.max(),
            "sampler_difference": difference_n,
            "sampler_difference_max": difference_n.max(),
        }
        per_token_n = surrogate.loss_n
        if loss.importance_cap is not None:
            importance_n = importance_weights(learner_n, sampler_n, loss.importance_cap)
            per_token_n = per_token_n * importance_n
            measured |= {"importance_weight": importance_n, "importance_capped": importance_n >= loss.importance_cap}
        policy_loss = (weights_n * per_token_n).sum()
        result = policy_loss
        if loss.kl_weight:
            kl_n = kl_estimate(logprobs_n, _gather(known.reference, samples, self.device), loss.kl_estimator)
            result = result + loss.kl_weight * (weights_n * kl_n).sum()
            measured["kl"] = kl_n
        if loss.entropy_weight:
            result = result - loss.entropy_weight * (weights_n * entropy_n).sum()
        return result, measured | {"policy_loss": policy_loss}

    # -- forward passes without learning -------------------------------------------------------------------------------

    def _reference_logprobs(self, samples: Sequence[Sample]) -> dict[Key, Tensor]:
        if self._reference is None:
            return {}
        with self._reference.in_force() as model:
            return self._all_logprobs(model, samples)

    @torch.no_grad()
    def _all_logprobs(self, model: nn.Module, samples: Sequence[Sample]) -> dict[Key, Tensor]:
        """Log-probabilities of the action tokens by sample, on the CPU."""
        found: dict[Key, Tensor] = {}
        for part, batch in self._micro_batches(samples):
            with self._autocast():
                logprobs_n, _ = action_logprobs(model, batch, self.temperature, logit_chunk=self.settings.logit_chunk)
            if part:
                lengths = [int(sample.action_mask.sum()) for sample in part]
                for sample, mine_n in zip(part, torch.split(logprobs_n.cpu(), lengths), strict=True):
                    found[sample.key] = mine_n
        settle(model)
        return found

    # -- how passes are computed ---------------------------------------------------------------------------------------

    def _micro_batches(self, samples: Sequence[Sample]) -> Iterator[tuple[list[Sample], Batch]]:
        """Samples in micro-batches. A pass over weights in pieces needs all ranks: those with fewer get empty ones."""
        parts = split_by_prompt(samples, self.settings.tokens_per_micro_batch, self._least_saved)
        if self._in_pieces:
            most = int(self.ranks.maxima({"parts": len(parts)})["parts"])
            parts += [[] for _ in range(most - len(parts))]
        for part in parts:
            yield part, make_batch(part or [_FILLER], self.device, least_saved=self._least_saved)

    def _find_recomputing_layers(self) -> list[nn.Module]:
        # The newer of two names in transformers; the older one warns there.
        model: Any = self._learning
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable({"use_reentrant": False})
        return [module for module in model.modules() if getattr(module, "gradient_checkpointing", False)]

    @contextmanager
    def _recomputation(self) -> Iterator[None]:
        """Have layers recompute their activations in here, if that is asked for; in generation they would not cache."""
        # Layers do so in training mode only. The modules inside them stay as they are: without dropout.
        for layer in self._recomputing:
            layer.training = True
        try:
            yield
        finally:
            for layer in self._recomputing:
                layer.training = False


_FILLER = Sample(
    ids=np.zeros(2, dtype=np.int64),
    action_mask=np.array([False, True]),
    old_logprobs=np.zeros(2, dtype=np.float32),
    advantages=np.zeros(2, dtype=np.float32),
    group=-1,
    episode=-1,
    turn=-1,
)
"""What a rank without samples makes a pass over when others need it to."""


def _actions(sample: Sample) -> float:
    return float(sample.action_mask.sum())


def _one(_: Sample) -> float:
    return 1.0


def _weight(sample: Sample) -> float:
    return float(sample.advantages[sample.action_mask].sum(dtype=np.float64))


def _gather(found: dict[Key, Tensor], samples: Sequence[Sample], device: torch.device) -> Tensor:
    """Values of the samples' action tokens, end to end as in a batch of these samples."""
    return torch.cat([found[sample.key] for sample in samples]).to(device)


def _embeddings(model: nn.Module) -> list[str]:
    """Names of the weights that turn words into vectors or back."""
    tables = (getattr(model, get, lambda: None)() for get in ("get_input_embeddings", "get_output_embeddings"))
    found = {id(table.weight) for table in tables if table is not None and hasattr(table, "weight")}
    return [name for name, weight in model.named_parameters() if id(weight) in found]
