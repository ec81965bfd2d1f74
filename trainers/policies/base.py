"""What the loop asks of a policy: token ids in, exactly sampled token ids and log-probabilities out.

    codec = policy.codec
    request = Request(prompt_ids=codec.start(messages), sampling=Sampling(), seed=7, session=0)
    [completion] = policy.complete([request])
    answer = codec.decode(completion.token_ids)
    ...                                             # the environment replies with new messages
    more = codec.extend(new_messages, codec.ended(completion.token_ids))
    request = Request(prompt_ids=more, sampling=Sampling(), seed=8, session=0)       # only what is new
    ...
    policy.release([0])                             # at the end of the episode

In step context there are no sessions, and every request carries its whole prompt. In both contexts the ids that were
sampled are the ids that are learned from; text is made from ids, never ids from an answer's text.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from agent_gym.errors import AgentGymError, BadOptionError
from agent_gym.vector import Frame
from trainers.types import Completion


class ModelError(AgentGymError, ValueError):
    """A model directory, a tokenizer or an adapter is not what a policy can be made of."""


EXPERT_ACTION: Final = "expert_action"
"""Entry of a frame's `info` that holds the expert's command for the state, where a policy needs it."""

Messages = Sequence[Mapping[str, str]]
"""Chat messages, each with `"role"` and `"content"`, as environments give them in `info["messages"]`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How tokens are drawn. There is no top-k or top-p: what is learned from must be the model's own distribution."""

    temperature: float = 1.0
    """Divides the logits. 0 takes the most likely token; log-probabilities are then those at temperature 1."""
    max_new_tokens: int = 64
    """Tokens of an answer, the end-of-answer token included."""
    stop: tuple[str, ...] = ()
    """Strings that end an answer. The tokens up to and including the one that completes such a string are kept."""

    def __post_init__(self) -> None:
        """Refuse settings that cannot be sampled with."""
        if not 0 <= self.temperature < float("inf"):
            raise BadOptionError(f"temperature must be 0 (greedy) or a positive number, got {self.temperature}.")
        if self.max_new_tokens < 1:
            raise BadOptionError(f"max_new_tokens must be 1 or more, got {self.max_new_tokens}.")
        if isinstance(self.stop, str) or "" in self.stop:
            raise BadOptionError(f"stop must be a tuple of strings that are not empty, got {self.stop!r}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One answer that is wanted."""

    prompt_ids: tuple[int, ...]
    """Without a session the whole prompt; with one, what is new since the session's last completion."""
    sampling: Sampling
    seed: int
    """Starts this answer's own random stream, so that a draw never depends on what else is in the batch. 0 or more."""
    session: int | None = None
    """Names a conversation whose tokens the policy remembers until `release`; the first request with it starts it."""
    frame: Frame | None = None
    """What the environment last gave back, for policies that look at it instead of at the prompt."""


def random_stream(seed: int, length: int) -> NDArray[np.float64]:
    """Return the uniform numbers, in [0, 1), that belong to one answer: the n-th decides its n-th token.

    From a counter-based generator (Philox) with the seed as its key: streams of neighbouring seeds are unrelated.

    Raises:
        ValueError: If the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"a request's seed must be 0 or more, got {seed}.")
    return np.random.Generator(np.random.Philox(key=seed % 2**128)).random(length)


class Codec(Protocol):
    """Translates between chat messages and token ids."""

    end_ids: frozenset[int]
    """Ids that end an answer."""

    def start(self, messages: Messages) -> tuple[int, ...]:
        """Return the ids of a whole prompt, up to where the answer begins."""

    def extend(self, messages: Messages, ended: bool) -> tuple[int, ...]:
        """Return the ids between a sampled answer and the next one: the new messages and what frames them.

        Args:
            messages: What is new since the answer; the answer itself is not among them.
            ended: Whether the answer's last id ended it (see `ended`). If it was cut off, the ids begin by ending it.
        """

    def ended(self, token_ids: Sequence[int]) -> bool:
        """Whether the ids of an answer close with one of `end_ids`."""

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of an answer, without special tokens."""

    def encode_answer(self, text: str) -> tuple[int, ...]:
        """Return the ids of an answer that was written down, the end included. For demonstrations only."""

    def check_prefix(self) -> None:
        """Refuse to be used for conversations if an answer looks different to the model once a later turn follows it.

        Raises:
            ModelError: If so.
        """


class Policy(Protocol):
    """Answers prompts."""

    @property
    def codec(self) -> Codec:
        """Translates between messages and this policy's token ids."""

    needs_expert: bool
    """Whether `request.frame.info["expert_action"]` must hold the expert's command for the state."""

    @property
    def context_limit(self) -> int:
        """Most tokens that a prompt and its answer (in a session: the conversation so far) may have together."""

    @property
    def tokens_processed(self) -> int:
        """Token positions that went through the model so far, prompts and answers; padding is not counted."""

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer every request; one completion per request, in the order given.

        A request that leaves no room for a single token within `context_limit` comes back with no tokens and
        `finish="overflow"`; its session stays as it was before. Where there is room for some, the answer is cut there.
        One that nobody answers comes back with `finish="failed"`, and its session too stays as it was.

        Raises:
            ValueError: If two requests name the same session, or a prompt that starts a context is empty.
        """

    def release(self, sessions: Iterable[int]) -> None:
        """Forget conversations. Sessions that are not known are passed over."""


class TrainablePolicy(Policy, Protocol):
    """A policy whose weights can be trained in place."""

    model: Any
    """A `torch.nn.Module`, which the learner moves."""
    tokenizer: Any

    def rest(self) -> None:
        """Leave the device to the learner, until the next `sync`."""

    def sync(self) -> None:
        """Answer with the weights that `model` has now."""


class StreamingPolicy(Policy, Protocol):
    """A policy that gives each answer when it is ready, and takes new requests while others are being answered."""

    def submit(self, requests: Sequence[Request]) -> list[str]:
        """Begin with these; returns a ticket for each, which names the answer when it comes.

        Raises:
            ValueError: If a session is named that has a request going, or a prompt that starts a context is empty.
        """

    def collect(self) -> dict[str, Completion]:
        """Wait until an answer or more are there, and return them by ticket; none if nothing is being answered."""

    def cancel(self) -> None:
        """Give up all that was submitted and not collected; the sessions stay as they were before."""


def complete_by_streaming(policy: StreamingPolicy, requests: Sequence[Request]) -> list[Completion]:
    """Do what `Policy.complete` does with `submit` and `collect`, of a policy that is asked nothing else meanwhile."""
    done: dict[str, Completion] = {}
    try:
        tickets = policy.submit(requests)
        while len(done) < len(tickets):
            done |= policy.collect()
    except BaseException:  # Ctrl-C, too: what was sent must not go on
        policy.cancel()
        raise
    return [done[ticket] for ticket in tickets]
