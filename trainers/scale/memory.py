"""Memory of a GPU in a run: what lies there all the time, and what comes while it generates or learns.

The sums follow the code: `trainers.commands.load_policy` (types of weights), `trainers.learner` (what is held),
`trainers.optimiser` (masters, averages), `trainers.sharding` (what is in pieces), `trainers.logprobs` (logits),
`trainers.policies.vllm_engine` (what sleeps). tests/trainers/scale compares them with tensors.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from trainers.config import TrainConfig
from trainers.scale.machine import GIB, Machine, Work
from trainers.scale.shapes import Shape

When = Literal["always", "sampling", "learning"]


@dataclass(frozen=True, slots=True)
class Line:
    """Something that takes memory."""

    what: str
    bytes: float
    when: When


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """What a GPU has to hold; of GPUs that only learn, or only generate, the other time is empty."""

    lines: tuple[Line, ...]
    limit_gib: float

    def peak_gib(self, when: When) -> float:
        """GiB while it generates, or while it learns."""
        return sum(line.bytes for line in self.lines if line.when in ("always", when)) / GIB

    @property
    def missing_gib(self) -> float:
        """GiB that are missing at the worst time; 0 or less if it fits."""
        return max(self.peak_gib("sampling"), self.peak_gib("learning")) - self.limit_gib


def learner_memory(shape: Shape, config: TrainConfig, machine: Machine, work: Work) -> Memory:
    """Memory of a GPU that learns, and generates too unless others do."""
    lines = [*_weights(shape, config, machine), *_passes(shape, config, machine, work)]
    if not machine.sampling_gpus:
        lines += _sampler(shape, config, machine, work)
    return Memory(lines=tuple(line for line in lines if line.bytes), limit_gib=machine.memory_gib)


def sampler_memory(shape: Shape, config: TrainConfig, machine: Machine, work: Work) -> Memory:
    """Memory of a GPU that only generates: beside its engine a worker has the weights as the learner sends them."""
    lines = [*_sampler(shape, config, machine, work)]
    if config.sampler.engine == "vllm":
        adapters = trained_weights(shape, config) if config.model.lora_rank else 0
        lines.append(Line("weights from the learner", weight_bytes(config) * shape.weights + 4 * adapters, "always"))
    return Memory(lines=tuple(lines), limit_gib=machine.memory_gib)


def trained_weights(shape: Shape, config: TrainConfig) -> int:
    """Weights that are learnt."""
    return shape.adapter_weights(config.model.lora_rank) if config.model.lora_rank else shape.weights


def weight_bytes(config: TrainConfig) -> int:
    """Bytes of a weight of the learner's model on a GPU: an adapter's base is bfloat16."""
    return 2 if config.model.lora_rank else 4


def is_sharded(config: TrainConfig, machine: Machine) -> bool:
    """Whether each GPU has a piece of what is learnt."""
    return config.learner.sharding != "none" and machine.learners > 1


def has_reference(config: TrainConfig) -> bool:
    """Whether log-probabilities under the reference are asked for, by the loss or by the estimator."""
    return config.loss.kl_weight > 0 or getattr(config.credit, "needs_reference", False)


def _weights(shape: Shape, config: TrainConfig, machine: Machine) -> Iterator[Line]:
    """Weights, and what the optimiser and the loss keep of them."""
    pieces = machine.learners if is_sharded(config, machine) else 1
    each, all_weights, trained = weight_bytes(config), shape.weights, trained_weights(shape, config)
    adapters = trained if config.model.lora_rank else 0  # float32, beside the base
    own = each * all_weights + 4 * adapters
    if pieces > 1:
        yield Line("weights to sample from, whole", own, "always")
        yield Line(f"weights to learn, 1/{pieces}", own / pieces, "always")
        largest = max(2 * shape.layer_weights, shape.embedding_weights * (1 if shape.tied else 2))
        yield Line("layers while they are computed, whole", each * largest, "learning")
    else:
        yield Line("weights", own, "always")
    yield Line("gradients", 4 * trained / pieces, "learning")
    averages = {"adamw": 8, "muon": 8, "sgd": 0}[config.learner.optimiser]  # muon: an upper bound
    yield Line("the optimiser's averages", averages * trained / pieces, "always")
    if has_reference(config) and not adapters:
        yield Line("reference model", own / pieces, "always")
    if getattr(config.credit, "needs_values", False) and config.critic.trunk == "own":
        # It shares what is frozen, and is never in pieces.
        yield Line("the critic's own model", 4 * trained, "always")
        yield Line("the critic's gradients and averages", 12 * trained, "always")


def _passes(shape: Shape, config: TrainConfig, machine: Machine, work: Work) -> Iterator[Line]:
    """Activations and logits of a micro-batch."""
    tokens = micro_batch_tokens(config, work)
    halved = config.learner.precision != "float32"
    recomputed = config.learner.gradient_checkpointing
    kept = shape.saved_bytes(halved=halved, recomputed=recomputed)
    yield Line("activations", tokens * kept, "learning")
    if recomputed:
        one = shape.saved_bytes(halved=halved, recomputed=False) / shape.layers
        yield Line("what the layer in hand keeps", tokens * one, "learning")
    if halved and not config.model.lora_rank and not is_sharded(config, machine):
        # Autocast keeps them until a forward pass ends, whatever is recomputed; pieces are put together in bfloat16.
        copied = shape.layers * shape.layer_matrix_weights + shape.embedding_weights
        yield Line("bfloat16 copies of the matrices", 2 * copied, "learning")
    per_logit = 14 if halved else 16  # logits, their logarithms, and two more while entropy or gradient are made
    yield Line("logits of answers", logit_tokens(config, work) * shape.vocabulary * per_logit, "learning")


def context_tokens(config: TrainConfig, work: Work) -> float:
    """Tokens of the longest prompt and answer of an episode, which it holds in the engine's cache."""
    turn = work.read_tokens(config.env.context) + work.answer_tokens
    longest = turn * work.longest if config.env.context == "conversation" else turn
    return min(longest, config.sampler.context_limit or longest)


def micro_batch_tokens(config: TrainConfig, work: Work) -> float:
    """Tokens of the largest micro-batch: as the setting says, but never less than the longest sample."""
    return max(config.learner.tokens_per_micro_batch, context_tokens(config, work))


def logit_tokens(config: TrainConfig, work: Work) -> float:
    """Positions of a micro-batch whose logits are there at the same time."""
    share = work.answer_tokens / (work.read_tokens(config.env.context) + work.answer_tokens)
    tokens = micro_batch_tokens(config, work) * share
    return min(tokens, config.learner.logit_chunk or tokens)


def engines(config: TrainConfig, machine: Machine) -> int:
    """Engines that generate side by side, each on its own GPUs."""
    return max(1, machine.samplers // _parallel(config))


def episodes_at_once(shape: Shape, config: TrainConfig, machine: Machine, work: Work) -> float:
    """Answers that one engine works on at the same time; vLLM lets those wait that its cache has no room for."""
    episodes = config.rollout.groups * config.rollout.group_size / engines(config, machine)
    most = max(1.0, min(episodes, config.env.num_envs, config.sampler.max_batch))
    if config.sampler.engine == "vllm":
        room = cache_room(shape, config, machine) / _cache_of_one(shape, config, work)
        most = max(1.0, min(most, room))
    return most


def wanted_cache(shape: Shape, config: TrainConfig, machine: Machine, work: Work) -> float:
    """Bytes of keys and values, on each GPU, of all episodes that could be played at the same time."""
    episodes = config.rollout.groups * config.rollout.group_size / engines(config, machine)
    at_once = max(1.0, min(episodes, config.env.num_envs, config.sampler.max_batch))
    return at_once * _cache_of_one(shape, config, work)


def cache_room(shape: Shape, config: TrainConfig, machine: Machine) -> float:
    """Bytes that vLLM has for keys and values on each GPU; below 0 if its weights alone are too much."""
    if config.sampler.cache_gib is not None:
        return config.sampler.cache_gib * GIB
    given = config.sampler.gpu_memory * (machine.gpu_gib or machine.kind.memory_gib) * GIB
    return given - 2 * shape.weights / _parallel(config)


def _cache_of_one(shape: Shape, config: TrainConfig, work: Work) -> float:
    each = 4 if config.sampler.engine == "transformers" and weight_bytes(config) == 4 else 2
    return context_tokens(config, work) * shape.kv_bytes(each) / _parallel(config)


def _parallel(config: TrainConfig) -> int:
    return config.sampler.tensor_parallel if config.sampler.engine == "vllm" else 1


def _sampler(shape: Shape, config: TrainConfig, machine: Machine, work: Work) -> Iterator[Line]:
    if config.sampler.engine == "transformers":
        if machine.sampling_gpus:
            yield Line("weights", weight_bytes(config) * shape.weights, "sampling")
        yield Line("keys and values", wanted_cache(shape, config, machine, work), "sampling")
        return
    # It sleeps while the learner works. What it is given and does not need for weights is its cache, and one episode
    # must find room in that.
    when: When = "sampling" if config.sampler.sleep else "always"
    room = max(cache_room(shape, config, machine), _cache_of_one(shape, config, work))
    yield Line("vLLM: weights", 2 * shape.weights / _parallel(config), when)
    yield Line("vLLM: room for keys and values", room, when)
