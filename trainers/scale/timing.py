"""How long an iteration takes: tokens, the arithmetic and the memory traffic they cost, and a machine's speed."""

from dataclasses import dataclass

from trainers.config import TrainConfig
from trainers.scale.machine import GIB, Machine, Work
from trainers.scale.memory import (
    context_tokens,
    engines,
    episodes_at_once,
    has_reference,
    is_sharded,
    trained_weights,
    weight_bytes,
)
from trainers.scale.shapes import Shape


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """Of an iteration, on all GPUs."""

    read: float
    """Of prompts, that go through the model to generate; what is in a cache is not read again."""
    sampled: float
    learnt: float
    """In samples, prompts included."""
    length: float
    """Of a sample."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Times:
    """Seconds of an iteration."""

    reading: float
    writing: float
    computing: float
    """Of learning: passes forward and backward."""
    exchanging: float
    """Of learning: weights and gradients between GPUs; it goes on beside the passes."""
    syncing: float

    @property
    def rollout(self) -> float:
        """Of generation."""
        return self.reading + self.writing

    @property
    def learning(self) -> float:
        """Of learning."""
        return max(self.computing, self.exchanging)

    @property
    def total(self) -> float:
        """Of the iteration, one after the other."""
        return self.rollout + self.learning + self.syncing


def tokens_of(config: TrainConfig, work: Work) -> Tokens:
    """Count an iteration's tokens. In a conversation a prompt is read once, in step context at every turn."""
    turns = config.rollout.groups * config.rollout.group_size * work.turns
    read = work.read_tokens(config.env.context)
    turn = read + work.answer_tokens
    return Tokens(
        read=turns * read,
        sampled=turns * work.answer_tokens,
        learnt=turns * turn,
        length=turn * (work.turns if config.env.context == "conversation" else 1),
    )


def learning_flops(shape: Shape, config: TrainConfig, work: Work) -> float:
    """Operations of an update on all samples: passes before it, forward, backward, and what is recomputed.

    A backward pass costs twice a forward pass, of which half is for the weights: an adapter's base goes without.
    """
    tokens = tokens_of(config, work)
    layers = shape.layer_flops(round(tokens.learnt), tokens.length / 2)
    head = shape.head_flops(round(tokens.sampled))
    before = (not config.learner.takes_one_step) + has_reference(config)
    update = 2 if config.model.lora_rank else 3
    again = config.learner.gradient_checkpointing * layers + (config.learner.logit_chunk is not None) * head
    return before * (layers + head) + config.learner.epochs * (update * (layers + head) + again)


def times_of(shape: Shape, config: TrainConfig, machine: Machine, work: Work) -> Times:
    """Predict an iteration's times."""
    tokens, gpu = tokens_of(config, work), machine.kind
    reading_flops = shape.layer_flops(round(tokens.read), context_tokens(config, work) / 2)
    reading = reading_flops / (machine.samplers * gpu.flops * machine.reading_share)
    computing = learning_flops(shape, config, work) / (machine.learners * gpu.flops * machine.learning_share)
    return Times(
        reading=reading,
        writing=_writing(shape, config, machine, work),
        computing=computing,
        exchanging=_exchanged_bytes(shape, config, machine, work) / machine.link,
        syncing=_synced_bytes(shape, config) / machine.copy,
    )


def _writing(shape: Shape, config: TrainConfig, machine: Machine, work: Work) -> float:
    """Seconds to sample the answers: as many steps as the longest episode has tokens, or as the batch needs for all.

    Each step takes the weights through memory once for the whole batch, and each answer's keys and values.
    """
    at_once = episodes_at_once(shape, config, machine, work)
    mine = tokens_of(config, work).sampled / engines(config, machine)
    steps = max(mine / at_once, work.longest * work.answer_tokens)
    is_vllm = config.sampler.engine == "vllm"
    each = 2 if is_vllm else weight_bytes(config)
    gpus = config.sampler.tensor_parallel if is_vllm else 1
    held = 2 if is_vllm else each
    traffic = steps * each * shape.weights + mine * context_tokens(config, work) / 2 * shape.kv_bytes(held)
    # Without CUDA graphs every layer's kernels are launched one by one, about a millisecond per layer.
    step_s = machine.step_s if is_vllm else max(machine.step_s, 0.001 * shape.layers)
    return traffic / (gpus * machine.kind.bandwidth * machine.writing_share) + steps * step_s


def _exchanged_bytes(shape: Shape, config: TrainConfig, machine: Machine, work: Work) -> float:
    """Bytes that a GPU sends and receives while learning."""
    gpus, trained = machine.learners, trained_weights(shape, config)
    tokens = tokens_of(config, work)
    steps = config.learner.steps_for(tokens.learnt / tokens.length)
    share = (gpus - 1) / gpus
    if not is_sharded(config, machine):
        return 2 * share * config.learner.epochs * steps * 4 * trained
    micro_batches = max(steps, tokens.learnt / gpus / config.learner.tokens_per_micro_batch)
    before = (not config.learner.takes_one_step) + has_reference(config)
    whole = weight_bytes(config) * shape.weights
    # Weights come together in each pass, gradients are summed in each backward pass; the sampler gets its weights.
    epochs = config.learner.epochs
    return share * (micro_batches * (epochs * (2 * whole + 4 * trained) + before * whole) + whole)


def _synced_bytes(shape: Shape, config: TrainConfig) -> float:
    if config.sampler.engine != "vllm":
        return 0.0
    return 4 * trained_weights(shape, config) if config.model.lora_rank else 2 * shape.weights


def host_gib(shape: Shape, config: TrainConfig, machine: Machine) -> float:
    """GiB of the host's memory that hold new weights on their way to all engines at the same time."""
    return engines(config, machine) * _synced_bytes(shape, config) / GIB
