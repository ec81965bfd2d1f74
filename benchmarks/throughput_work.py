"""What all ways of training have in common in `bench_throughput.py`, and a clock that tells their parts apart."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from agent_gym import Frame, SlotEnv, keys
from trainers.policies.base import Sampling
from trainers.policies.scripted import ByteCodec, ExpertPolicy
from trainers.policies.tiny import TinySettings, build_tiny
from trainers.rollout import play
from wrappers import make_llm_vec

Messages = list[dict[str, str]]
ENV = "AgentGym/ALFWorld-v0"
SPLIT = "generated_train"


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What all ways have in common."""

    groups: int
    group_size: int
    max_new_tokens: int
    max_turns: int
    kl_weight: float
    learning_rate: float
    iterations: int
    """Of one turn, the one that warms up included."""
    rows: int
    """Samples in TRL's micro-batch; ours is bounded by tokens."""


@dataclass
class Clock:
    """Processor seconds by part, and counts, of the iterations of one way."""

    spent: dict[str, float] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    iterations: list["Iteration"] = field(default_factory=list)
    _began: tuple[float, float] = (0.0, 0.0)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the processor time that is spent in here to a part."""
        began = time.process_time()
        yield
        self.spent[name] = self.spent.get(name, 0.0) + time.process_time() - began

    def begin(self) -> None:
        """Start an iteration."""
        self.spent.clear()
        self.counts.clear()
        self._began = time.process_time(), time.perf_counter()

    def end(self) -> None:
        """Finish an iteration; what was in no part counts as learning."""
        cpu_s = time.process_time() - self._began[0]
        generation_s, environment_s = self.spent.get("generation", 0.0), self.spent.get("environment", 0.0)
        self.iterations.append(
            Iteration(
                cpu_s=cpu_s,
                wall_s=time.perf_counter() - self._began[1],
                generation_s=generation_s,
                environment_s=environment_s,
                learning_s=cpu_s - generation_s - environment_s,
                counts=Counter(self.counts),
            )
        )


@dataclass(frozen=True, kw_only=True)
class Iteration:
    """What one iteration cost, in seconds of processor time unless the name says otherwise."""

    cpu_s: float
    wall_s: float
    generation_s: float
    environment_s: float
    learning_s: float
    counts: Counter[str]
    """`read` and `sampled` tokens of the episodes, each counted once; `wasted` tokens, which are in no turn; token
    positions that went through the model for `generated` answers; `learnt` tokens and those with `padding`."""

    @property
    def tokens(self) -> int:
        """Tokens of all episodes, each counted once."""
        return self.counts["read"] + self.counts["sampled"]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Medians over iterations."""

    tokens_per_s: float
    sampled_per_s: float
    cpu_s: float
    wall_s: float
    generation_s: float
    environment_s: float
    learning_s: float
    positions_per_token: float
    """Positions computed to generate, for every token of the episodes."""
    padding: float
    wasted: float
    """Of the tokens sampled, the share that is in no turn."""


def summarise(iterations: Sequence[Iteration]) -> Summary:
    """Return the medians."""

    def mid(values: Iterator[float]) -> float:
        return float(median(values))

    return Summary(
        tokens_per_s=mid(one.tokens / one.cpu_s for one in iterations),
        sampled_per_s=mid(one.counts["sampled"] / one.cpu_s for one in iterations),
        cpu_s=mid(one.cpu_s for one in iterations),
        wall_s=mid(one.wall_s for one in iterations),
        generation_s=mid(one.generation_s for one in iterations),
        environment_s=mid(one.environment_s for one in iterations),
        learning_s=mid(one.learning_s for one in iterations),
        positions_per_token=mid(one.counts["generated"] / one.tokens for one in iterations),
        padding=mid(1 - one.counts["learnt"] / one.counts["padding"] for one in iterations),
        wasted=mid(one.counts["wasted"] / (one.counts["wasted"] + one.counts["sampled"]) for one in iterations),
    )


class MeteredSlots:
    """Slots whose time is taken."""

    def __init__(self, slots: SlotEnv, clock: Clock) -> None:
        self.inner, self.clock = slots, clock
        self.num_slots = slots.num_slots

    def tasks(self, split: str) -> Sequence[str]:
        """Return the tasks."""
        return self.inner.tasks(split)

    def start(self, slots: Sequence[int], tasks: Sequence[str | None], seeds: Sequence[int | None]) -> list[Frame]:
        """Start episodes."""
        with self.clock.part("environment"):
            return self.inner.start(slots, tasks, seeds)

    def step(self, slots: Sequence[int], texts: Sequence[str]) -> list[Frame]:
        """Step environments."""
        with self.clock.part("environment"):
            return self.inner.step(slots, texts)

    def close(self) -> None:
        """Close nothing: the environments are shared."""


class Questions:
    """Recorded prompts as an environment of one turn; every answer is scored by its text."""

    num_slots = 256

    def __init__(self, prompts: Sequence[Messages]) -> None:
        self.prompts = prompts

    def tasks(self, split: str) -> Sequence[str]:
        """Return the numbers of the prompts."""
        return [f"{number:04}" for number in range(len(self.prompts))]

    def start(self, slots: Sequence[int], tasks: Sequence[str | None], seeds: Sequence[int | None]) -> list[Frame]:
        """Ask."""
        return [Frame("", 0.0, False, False, {keys.MESSAGES: self.prompts[int(task or 0)]}) for task in tasks]

    def step(self, slots: Sequence[int], texts: Sequence[str]) -> list[Frame]:
        """Score."""
        return [Frame("", score(text), True, False, {}) for text in texts]

    def close(self) -> None:
        """Do nothing."""


def score(answer: str) -> float:
    """Return a number from 0 to 1 that differs between answers; its cost is next to nothing."""
    return sum(answer.encode()) % 101 / 100


def record(directory: Path, count: int) -> list[Messages]:
    """Take prompts from expert episodes as step context shows them, and make a random model whose vocabulary fits."""
    env = make_llm_vec(ENV, 16, context="step", split=SPLIT)
    expert = ExpertPolicy(ByteCodec(), form="<action>{command}</action>")
    tasks = env.slots.tasks(SPLIT)[:40]
    groups, _ = play(expert, env.slots, tasks, group_size=1, sampling=Sampling(), context="step", seed=0)
    env.close()
    turns = [turn for group in groups for turn in group.episodes[0].turns]
    texts = [text for turn in turns for text in (*(m["content"] for m in turn.messages), turn.answer)]
    build_tiny(directory, texts, TinySettings())
    picked = np.random.default_rng(0).permutation(len(turns))[:count]
    return [[dict(message) for message in turns[place].messages] for place in picked]
