"""Settings of the learner, apart from its code so that a command line can read them without torch."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import tyro

from trainers.credit.numerics import check_choice, check_range

Schedule = Literal["constant", "linear", "cosine"]
Precision = Literal["auto", "float32", "bfloat16"]
OptimiserName = Literal["adamw", "muon", "sgd"]
Sharding = Literal["none", "fsdp2"]
Kernels = Literal["torch", "liger"]


@dataclass(frozen=True, kw_only=True)
class LearnerSettings:
    """How the weights are moved: one optimiser on the whole batch, computed in micro-batches that fit into memory."""

    optimiser: OptimiserName = "adamw"
    """muon moves matrices inside the layers by orthogonal steps and the rest by AdamW: for training from scratch. sgd
    is plain gradient descent: a step is the rate times the gradient, however small that is."""
    learning_rate: float = 1e-6
    """Peak learning rate; 1e-6 is for models of billions of weights, 1e-4 to 1e-3 for small ones or adapters."""
    schedule: Schedule = "constant"
    """How the rate falls after the warm-up, to zero at the end of the run."""
    warmup_steps: int = 0
    """Optimiser steps over which the rate rises linearly from zero."""
    weight_decay: float = 0.0
    """Decoupled weight decay."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of AdamW's two running averages."""
    max_grad_norm: float = 1.0
    """Gradients of a larger norm are scaled down to it."""
    minibatches: int = 1
    """Optimiser steps per pass over the samples."""
    minibatch_size: int | None = None
    """Samples of an optimiser step, on all ranks together, in the place of `minibatches`: the more is played, the more
    steps are taken. The last bit is shared out. Needs a constant rate."""
    epochs: int = 1
    """Passes over the samples per update."""
    tokens_per_micro_batch: int = 8192
    """Tokens, padding included, in one forward pass: bounds memory, changes nothing else."""
    logit_chunk: int | None = None
    """Action tokens whose logits are computed at a time, and once more in the backward pass: bounds memory where the
    vocabulary is large, changes nothing else. By default all of a micro-batch."""
    renew_reference: int = 0
    """Updates after which the reference, to which `loss.kl_weight` pulls, becomes the weights in hand, again and again;
    with 0 it stays what the run started from."""
    precision: Precision = "auto"
    """Arithmetic of the passes over float32 weights; auto is bfloat16 on a GPU that has it and float32 otherwise. What
    the optimiser moves is float32 in any case."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""
    sharding: Sharding = "none"
    """fsdp2 cuts weights, gradients and averages into a piece per rank; only what samples stays whole. Needs AdamW."""
    kernels: Kernels = "torch"
    """liger computes parts of a layer with fused kernels: on a GPU, with the extra `liger`."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"expected a learning_rate above 0, got {self.learning_rate}")
        check_range("warmup_steps", self.warmup_steps, 0)
        check_range("weight_decay", self.weight_decay, 0)
        check_range("renew_reference", self.renew_reference, 0)
        if not self.max_grad_norm > 0:
            raise ValueError(f"expected a max_grad_norm above 0, got {self.max_grad_norm}: inf never clips")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"expected betas from 0 up to but not 1, got {self.betas}")
        for name in ("minibatches", "epochs", "tokens_per_micro_batch"):
            check_range(name, getattr(self, name), 1)
        if self.logit_chunk is not None:
            check_range("logit_chunk", self.logit_chunk, 1)
        if self.minibatch_size is not None:
            check_range("minibatch_size", self.minibatch_size, 1)
            if self.schedule != "constant" or self.minibatches != 1:
                raise ValueError(
                    "expected a constant schedule and no number of minibatches with minibatch_size, got schedule "
                    f"{self.schedule} and minibatches {self.minibatches}: how many steps there will be is not known"
                )
        check_choice("optimiser", self.optimiser, get_args(OptimiserName))
        check_choice("schedule", self.schedule, get_args(Schedule))
        check_choice("precision", self.precision, get_args(Precision))
        check_choice("sharding", self.sharding, get_args(Sharding))
        check_choice("kernels", self.kernels, get_args(Kernels))
        if self.sharding != "none" and self.optimiser != "adamw":
            raise ValueError(
                f"expected optimiser adamw with sharding {self.sharding}, got {self.optimiser}: its steps are of whole "
                "matrices"
            )

    @property
    def takes_one_step(self) -> bool:
        """Whether an update is one optimiser step, however many samples there are."""
        return self.minibatches * self.epochs == 1 and self.minibatch_size is None

    def steps_for(self, samples: float) -> int:
        """Optimiser steps per pass over so many samples."""
        if self.minibatch_size is None:
            return self.minibatches
        return max(1, round(samples / self.minibatch_size))

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


EngineName = Literal["transformers", "vllm"]
EngineDtype = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True, kw_only=True)
class SamplerSettings:
    """The engine that generates the answers. All but `context_limit` and `max_batch` matters only with vLLM."""

    engine: EngineName = "transformers"
    """transformers: the learner's own weights. vllm: an engine beside them, which is given the weights after each
    update (the extra `vllm`)."""
    dtype: EngineDtype = "auto"
    """Numbers that the engine computes with; auto is bfloat16 on a GPU and float32 on a CPU."""
    gpu_memory: float = 0.4
    """Share of a GPU's memory for the engine's weights and its cache; the learner needs the rest."""
    cache_gib: float | None = None
    """GiB for keys and values instead of what `gpu_memory` leaves for them; on a CPU 1 by default."""
    context_limit: int | None = None
    """Most tokens of a prompt and its answer, where that is to be less than the model can take."""
    max_batch: int = 256
    """Most answers that are sampled side by side."""
    eager: bool = False
    """Leave out compilation and CUDA graphs: a quicker start and slower sampling. Always so on a CPU."""
    sleep: bool = True
    """On a GPU, give the engine's memory to the learner while it learns."""
    tensor_parallel: int = 1
    """GPUs that share the engine's weights."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        check_choice("engine", self.engine, get_args(EngineName))
        check_choice("dtype", self.dtype, get_args(EngineDtype))
        if not 0 < self.gpu_memory <= 1:
            raise ValueError(f"expected a gpu_memory above 0 and up to 1, got {self.gpu_memory}")
        if self.cache_gib is not None and not self.cache_gib > 0:
            raise ValueError(f"expected a cache_gib above 0, got {self.cache_gib}")
        if self.context_limit is not None:
            check_range("context_limit", self.context_limit, 2)
        check_range("max_batch", self.max_batch, 1)
        check_range("tensor_parallel", self.tensor_parallel, 1)


Placement = Literal["pack", "spread", "strict_pack", "strict_spread"]


@dataclass(frozen=True, kw_only=True)
class RaySettings:
    """Where Ray runs the work, if it does (the extra `ray`), and how it is shared out."""

    address: Annotated[str, tyro.conf.arg(name="ray", prefix_name=False, metavar="auto|ADDRESS")] = ""
    """Of a Ray cluster, such as 10.0.0.1:6379; auto joins the one of this machine, or starts one. Empty: no Ray."""
    workers: int = 2
    """Rollout workers: processes with environments and a copy of the policy, which play."""
    worker_cpus: float = 1.0
    """Cores that each of them is given."""
    worker_gpus: float = 0.0
    """GPUs, or a part of one, that each of them is given."""
    learners: int = 1
    """Learner ranks: processes that share an update of the weights."""
    learner_cpus: float = 1.0
    """Cores that each of them is given."""
    learner_gpus: float = 0.0
    """GPUs that each of them is given."""
    placement: Placement = "pack"
    """pack: on few nodes. spread: on many. With strict_ it is all on one, or each on another, or the run does not
    begin."""
    staleness: int = 0
    """Updates by which the weights that play may lag behind. 0: play and learn take turns. 1: the next iteration is
    played while this one is learnt from; `loss.importance_cap` corrects for it."""
    play_timeout_s: float = 3600.0
    """Longest that a worker may take for its share of an iteration; after that it is taken for hung and replaced."""
    start_timeout_s: float = 600.0
    """Longest that a worker may take to find a place and to load its model."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        check_choice("placement", self.placement, get_args(Placement))
        for name in ("workers", "learners"):
            check_range(name, getattr(self, name), 1)
        for name in ("worker_cpus", "worker_gpus", "learner_cpus", "learner_gpus", "staleness"):
            check_range(name, getattr(self, name), 0)
        for name in ("play_timeout_s", "start_timeout_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"expected a {name} above 0, got {getattr(self, name)}")
