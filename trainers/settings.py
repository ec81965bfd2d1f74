"""Settings of the loss and the learner, apart from their code so that a command line can read them without torch."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from trainers.credit.numerics import check_choice

Aggregation = Literal["token-mean", "sequence-mean"]
"""Every action token of the batch counts the same, or every sample does and its tokens share its weight."""

KlEstimator = Literal["k1", "k2", "k3"]
Schedule = Literal["constant", "linear", "cosine"]
Precision = Literal["auto", "float32", "bfloat16"]


def _check_range(name: str, value: float, low: float, high: float = math.inf) -> None:
    if not low <= value <= high:
        limits = f"of {low:g} or more" if high == math.inf else f"between {low:g} and {high:g}"
        raise ValueError(f"expected {name} {limits}, got {value}")


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """PPO's clipped loss with a pull towards a reference model. The defaults are those of GiGPO's paper."""

    clip_low: float = 0.2
    """The probability ratio is clipped below at 1 − clip_low."""
    clip_high: float = 0.2
    """The probability ratio is clipped above at 1 + clip_high."""
    dual_clip: float | None = 3.0
    """Bound c of the loss −c·A for negative advantages, above 1; none leaves it unbounded."""
    aggregation: Aggregation = "token-mean"
    """What is averaged over: all action tokens of the batch, or samples (turns or, in a conversation, episodes)."""
    kl_weight: float = 0.01
    """β, weight of the KL divergence to the reference model; with 0 no reference model is held."""
    kl_estimator: KlEstimator = "k3"
    """Estimator of that divergence from one sampled token; see `trainers.losses.kl` for what each is good for."""
    entropy_weight: float = 0.0
    """Weight of the entropy bonus, subtracted from the loss."""
    importance_cap: float | None = 2.0
    """Largest weight for a token on which learner and sampler disagree; none trusts the sampler's log-probabilities."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        _check_range("clip_low", self.clip_low, 0, 1)
        _check_range("clip_high", self.clip_high, 0)
        _check_range("kl_weight", self.kl_weight, 0)
        if self.dual_clip is not None and not self.dual_clip > 1:
            raise ValueError(f"expected a dual_clip above 1, got {self.dual_clip}: 3 is usual, none turns it off")
        if self.importance_cap is not None and not self.importance_cap >= 1:
            raise ValueError(f"expected an importance_cap of 1 or more, got {self.importance_cap}: none turns it off")
        if not math.isfinite(self.entropy_weight):
            raise ValueError(f"expected a finite entropy_weight, got {self.entropy_weight}")
        check_choice("aggregation", self.aggregation, get_args(Aggregation))
        check_choice("kl_estimator", self.kl_estimator, get_args(KlEstimator))


@dataclass(frozen=True, kw_only=True)
class LearnerSettings:
    """How the weights are moved: AdamW on the whole batch, computed in micro-batches that fit into memory."""

    learning_rate: float = 1e-6
    """Peak learning rate; 1e-6 is for models of billions of weights, 1e-4 to 1e-3 for small ones or adapters."""
    schedule: Schedule = "constant"
    """How the rate falls after the warm-up, to zero at the end of the run."""
    warmup_steps: int = 0
    """Optimiser steps over which the rate rises linearly from zero."""
    weight_decay: float = 0.0
    """Decoupled weight decay of AdamW."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of AdamW's two running averages."""
    max_grad_norm: float = 1.0
    """Gradients of a larger norm are scaled down to it."""
    minibatches: int = 1
    """Optimiser steps per pass over the samples."""
    epochs: int = 1
    """Passes over the samples per update."""
    tokens_per_micro_batch: int = 8192
    """Tokens, padding included, in one forward pass: bounds memory, changes nothing else."""
    precision: Precision = "auto"
    """Arithmetic of the passes over float32 weights; auto is bfloat16 on a GPU that has it and float32 otherwise."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"expected a learning_rate above 0, got {self.learning_rate}")
        _check_range("warmup_steps", self.warmup_steps, 0)
        _check_range("weight_decay", self.weight_decay, 0)
        if not self.max_grad_norm > 0:
            raise ValueError(f"expected a max_grad_norm above 0, got {self.max_grad_norm}: inf never clips")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"expected betas from 0 up to but not 1, got {self.betas}")
        for name in ("minibatches", "epochs", "tokens_per_micro_batch"):
            _check_range(name, getattr(self, name), 1)
        check_choice("schedule", self.schedule, get_args(Schedule))
        check_choice("precision", self.precision, get_args(Precision))

    def rate_at(self, step: int, total_steps: int) -> float:
        """Learning rate of optimiser step `step`, counted from 0, of a run of `total_steps`.

        With s the fraction of the way from the end of the warm-up to the end of the run: 1, 1 − s or (1 + cos πs)/2
        of the peak. Past the end of the run a falling rate stays at zero.
        """
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        if self.schedule == "constant":
            return self.learning_rate
        s = min(1.0, (step - self.warmup_steps) / max(1, total_steps - self.warmup_steps))
        return self.learning_rate * (1 - s if self.schedule == "linear" else (1 + math.cos(math.pi * s)) / 2)
