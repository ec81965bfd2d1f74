"""GPUs as far as a plan knows them, and what is assumed of them."""

from dataclasses import dataclass
from typing import Literal

from agent_gym.errors import BadOptionError
from trainers.samples import Context

GIB = 2**30
GpuName = Literal["h200", "h100", "a100"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpu:
    """What one can do at best in practice: a large product of matrices in bfloat16, a large copy."""

    memory_gib: float
    """As its driver reports it."""
    flops: float
    """Per second."""
    bandwidth: float
    """Bytes per second."""


GPUS: dict[GpuName, Gpu] = {
    "h200": Gpu(memory_gib=139.8, flops=790e12, bandwidth=4.3e12),
    "h100": Gpu(memory_gib=79.6, flops=790e12, bandwidth=3.0e12),
    "a100": Gpu(memory_gib=79.3, flops=250e12, bandwidth=1.8e12),
}
"""h200: 790 TFLOP/s and 4.3 TB/s were measured, 80 % and 90 % of what its maker publishes. The others were not at hand:
the same shares of what is published for them (989 TFLOP/s and 3.35 TB/s; 312 TFLOP/s and 2.04 TB/s)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """How many GPUs, and which; and the shares of their ceilings that a run gets: assumed, not measured."""

    gpus: int = 1
    """All of them, those that only generate included."""
    gpu: GpuName = "h100"
    """Kind of GPU, whose memory, arithmetic and bandwidth are known."""
    gpu_gib: float | None = None
    """Memory of one, in GiB, where it differs from that kind's."""
    sampling_gpus: int = 0
    """GPUs that only generate, so that the others only learn; with 0 every GPU does both in turn."""
    learning_share: float = 0.4
    """Of the peak in arithmetic, while learning (model-FLOPs utilisation)."""
    reading_share: float = 0.5
    """Of the peak in arithmetic, while prompts are read."""
    writing_share: float = 0.6
    """Of the bandwidth, while answers are written: every token takes all weights and the cache once through memory."""
    step_s: float = 0.006
    """Seconds that a step of the engine takes beside that, however small its batch: scheduling and launches."""
    link: float = 200e9
    """Bytes per second that a GPU exchanges with the others."""
    copy: float = 3e9
    """Bytes per second of new weights on their way to the engine, through memory of the host."""
    spare_gib: float = 3.0
    """Memory of each GPU that nothing here may use: CUDA's own, libraries', and what is lost in between."""

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing, with a BadOptionError."""
        if self.gpus < 1 or not 0 <= self.sampling_gpus < self.gpus:
            raise BadOptionError(
                f"expected 1 GPU or more, and fewer of them that only generate, got {self.gpus} and "
                f"{self.sampling_gpus}"
            )
        for name in ("learning_share", "reading_share", "writing_share"):
            if not 0 < getattr(self, name) <= 1:
                raise BadOptionError(f"expected a {name} above 0 and up to 1, got {getattr(self, name)}")
        for name in ("link", "copy", "gpu_gib"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise BadOptionError(f"expected a {name} above 0, got {getattr(self, name)}")

    @property
    def kind(self) -> Gpu:
        """What one GPU can do."""
        return GPUS[self.gpu]

    @property
    def memory_gib(self) -> float:
        """Memory of one GPU that a run may use."""
        return (self.gpu_gib or self.kind.memory_gib) - self.spare_gib

    @property
    def learners(self) -> int:
        """GPUs that learn."""
        return self.gpus - self.sampling_gpus

    @property
    def samplers(self) -> int:
        """GPUs that generate."""
        return self.sampling_gpus or self.gpus


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What an episode is like on average. Assumptions too: measure them in the first iterations of a run."""

    turns: float = 20.0
    """Turns of an episode."""
    longest: float = 50.0
    """Turns of the longest episode of an iteration."""
    prompt_tokens: float = 800.0
    """Tokens of a prompt in step context."""
    observation_tokens: float = 100.0
    """Tokens that a turn adds to a conversation, beside its answer; instructions included, on average."""
    answer_tokens: float = 120.0
    """Tokens of an answer."""

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing, with a BadOptionError."""
        for name in ("turns", "longest", "prompt_tokens", "observation_tokens", "answer_tokens"):
            if not getattr(self, name) > 0:
                raise BadOptionError(f"expected {name} above 0, got {getattr(self, name)}")

    def read_tokens(self, context: Context) -> float:
        """Tokens that a turn reads: a whole prompt, or what is new in the conversation."""
        return self.observation_tokens if context == "conversation" else self.prompt_tokens
