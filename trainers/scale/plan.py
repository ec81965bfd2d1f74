"""A plan: what a run takes on a machine, whether it fits, and what would make it fit."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from trainers.config import TrainConfig
from trainers.scale.machine import GIB, Machine, Work
from trainers.scale.memory import (
    Memory,
    cache_room,
    episodes_at_once,
    learner_memory,
    sampler_memory,
    trained_weights,
    wanted_cache,
)
from trainers.scale.shapes import Shape
from trainers.scale.timing import Times, host_gib, times_of, tokens_of
from trainers.tables import figures_table, show_table

MORE_GPUS = (2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What was asked, and what it comes to."""

    shape: Shape
    config: TrainConfig
    machine: Machine
    work: Work

    @property
    def memories(self) -> dict[str, Memory]:
        """Memory of one GPU of each kind."""
        asked = (self.shape, self.config, self.machine, self.work)
        if not self.machine.sampling_gpus:
            return {"each GPU": learner_memory(*asked)}
        return {"a GPU that learns": learner_memory(*asked), "a GPU that generates": sampler_memory(*asked)}

    @property
    def missing_gib(self) -> float:
        """GiB that the fullest GPU lacks; 0 or less if all fits."""
        return max(memory.missing_gib for memory in self.memories.values())

    @property
    def times(self) -> Times:
        """Seconds of an iteration."""
        return times_of(self.shape, self.config, self.machine, self.work)


def remedies(plan: Plan) -> Iterator[tuple[str, float]]:
    """Changes that a plan which does not fit could make, each by itself and then together, with what is then missing.

    Yields:
        Words for the command line, and GiB that are missing with them; nothing that changes nothing.
    """
    config, machine = plan.config, plan.machine
    learner, sampler = config.learner, config.sampler
    changes: list[tuple[str, dict[str, Any]]] = [
        ("--learner.gradient-checkpointing", {"learner": {"gradient_checkpointing": True}}),
    ]
    if learner.optimiser == "adamw":  # others are refused with it
        changes.append(("--learner.sharding fsdp2", {"learner": {"sharding": "fsdp2"}}))
    if learner.logit_chunk is None:
        changes.append(("--learner.logit-chunk 512", {"learner": {"logit_chunk": 512}}))
    if learner.tokens_per_micro_batch > 4096:
        changes.append(("--learner.tokens-per-micro-batch 4096", {"learner": {"tokens_per_micro_batch": 4096}}))
    if sampler.engine == "vllm" and sampler.cache_gib is None and sampler.gpu_memory > 0.3:
        changes.append(("--sampler.gpu-memory 0.3", {"sampler": {"gpu_memory": 0.3}}))
    words: list[str] = []
    best = plan
    for word, change in changes:
        parts: dict[str, Any] = {name: replace(getattr(config, name), **what) for name, what in change.items()}
        alone = replace(plan, config=replace(config, **parts))
        if alone.missing_gib >= plan.missing_gib:
            continue
        yield word, alone.missing_gib
        words.append(word)
        together: dict[str, Any] = {name: replace(getattr(best.config, name), **what) for name, what in change.items()}
        best = replace(best, config=replace(best.config, **together))
    if len(words) > 1:
        yield " ".join(words), best.missing_gib
    if not config.model.lora_rank:
        adapter = replace(best, config=replace(best.config, model=replace(config.model, lora_rank=32)))
        yield " ".join([*words, "--model.lora-rank 32 --learner.learning-rate 1e-5"]), adapter.missing_gib
    for gpus in MORE_GPUS:
        if gpus > machine.gpus:
            more = replace(best, machine=replace(machine, gpus=gpus))
            if more.missing_gib <= 0:
                yield " ".join([*words, f"--gpus {gpus}"]), more.missing_gib
                return


# What is printed ------------------------------------------------------------------------------------------------------


def show_plan(plan: Plan, console: Console, hours: float | None = None) -> None:
    """Print what a run takes, and advice if it does not fit."""
    shape, config, machine = plan.shape, plan.config, plan.machine
    trained = trained_weights(shape, config)
    told = "all of them learnt" if trained == shape.weights else f"{trained:,} more learnt in adapters"
    gpus = f"{machine.gpus} {machine.gpu.upper()} GPU{'s' if machine.gpus > 1 else ''}"
    _say(console, f"{config.model.path}: {shape.weights:,} weights, {told}; {gpus} of {_total(machine):.0f} GiB.")
    for name, memory in plan.memories.items():
        _show_memory(name, memory, console)
    _show_time(plan, console, hours)
    missing = plan.missing_gib
    if missing <= 0:
        _say(console, f"It fits, with {-missing:.0f} GiB to spare.")
    else:
        _say(console, f"It does not fit: it needs {missing:.0f} GiB more per GPU. What would help:")
        for words, still in remedies(plan):
            verdict = f"fits, {-still:.0f} GiB to spare" if still <= 0 else f"still {still:.0f} GiB short"
            _say(console, f"  {words}: {verdict}")
    for note in _notes(plan):
        _say(console, note)


def _show_memory(name: str, memory: Memory, console: Console) -> None:
    table = figures_table(f"Memory of {name}, GiB", "", ["while generating", "while learning"])
    for line in memory.lines:
        size = f"{line.bytes / GIB:.1f}"
        table.add_row(line.what, *(size if line.when in ("always", when) else "" for when in ("sampling", "learning")))
    table.add_row("together", f"{memory.peak_gib('sampling'):.1f}", f"{memory.peak_gib('learning'):.1f}")
    table.add_row("that may be used", *[f"{memory.limit_gib:.1f}"] * 2)
    show_table(console, table)


def _show_time(plan: Plan, console: Console, hours: float | None) -> None:
    tokens, times = tokens_of(plan.config, plan.work), plan.times
    table = figures_table("An iteration", "", ["tokens", "s", "tokens/s"])
    everything = tokens.read + tokens.sampled
    for what, count, seconds in (
        ("prompts read", tokens.read, times.reading),
        ("answers sampled", tokens.sampled, times.writing),
        ("learnt from", tokens.learnt, times.learning),
        ("new weights to the engine", None, times.syncing),
        ("all of it", everything, times.total),
    ):
        counts = ("", "") if count is None else (f"{count:,.0f}", f"{count / seconds:,.0f}")
        table.add_row(what, counts[0], f"{seconds:.1f}", counts[1])
    show_table(console, table)
    iterations = plan.config.iterations
    _say(console, f"{iterations} iterations: {times.total * iterations / 3600:.1f} hours.")
    if hours is not None:
        each = hours * 3600 / iterations
        _say(
            console,
            f"For all of them in {hours:g} hours an iteration may take {each:.1f} s, which asks for "
            f"{tokens.sampled / each:,.0f} sampled and {tokens.learnt / each:,.0f} learnt tokens/s on the whole, "
            f"{times.total / each:.2f} times what is expected.",
        )


def _notes(plan: Plan) -> Iterator[str]:
    shape, config, machine, work = plan.shape, plan.config, plan.machine, plan.work
    yield (
        f"Assumed: {work.turns:g} turns of {work.read_tokens(config.env.context):g} + {work.answer_tokens:g} tokens an "
        f"episode, {work.longest:g} in the longest; "
        f"{machine.learning_share:.0%} of {machine.kind.flops / 1e12:.0f} TFLOP/s while learning, "
        f"{machine.reading_share:.0%} while reading, {machine.writing_share:.0%} of "
        f"{machine.kind.bandwidth / 1e12:.1f} TB/s while writing. docs/scale.md says why, and what is left out."
    )
    if config.sampler.engine == "vllm":
        at_once = episodes_at_once(shape, config, machine, work)
        room, wanted = cache_room(shape, config, machine), wanted_cache(shape, config, machine, work)
        if room < wanted:
            yield (
                f"All episodes of an engine at a time would take {wanted / GIB:.1f} GiB of keys and values; there is "
                f"room for {at_once:.0f} of them, and the others wait: --sampler.gpu-memory gives it more."
            )
        if machine.gpus > 1:
            yield (
                f"{host_gib(shape, config, machine):.0f} GiB of the host's memory (/dev/shm) hold the new weights on "
                "their way to all engines."
            )


def _total(machine: Machine) -> float:
    return machine.gpu_gib or machine.kind.memory_gib


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
