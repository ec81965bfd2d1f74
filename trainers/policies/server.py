"""A model behind an OpenAI-compatible server as a policy, for evaluation: messages out, text back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, fields
from typing import Any, Final

from trainers.chat_client import ChatClient, Failure, Reply, ServerError, ServerSettings
from trainers.policies.base import Messages, Request, Sampling, complete_by_streaming
from trainers.policies.scripted import ByteCodec
from trainers.types import Completion

_SEEDS: Final = 2**31
"""Servers take seeds below this; some lose the lower digits of larger ones."""


@dataclass(slots=True)
class Usage:
    """What a server's answers cost, as it counts."""

    answers: int = 0
    prompt_tokens: int = 0
    """In a conversation every turn sends all that came before, and it is counted each time."""
    completion_tokens: int = 0
    uncounted: int = 0
    """Answers that came without such figures, which the sums lack."""

    def __sub__(self, before: Usage) -> Usage:
        """Return what has been spent since."""
        spent = {one.name: getattr(self, one.name) - getattr(before, one.name) for one in fields(Usage)}
        return Usage(**spent)

    def add(self, reply: Reply) -> None:
        """Add what one answer cost."""
        self.answers += 1
        self.prompt_tokens += reply.prompt_tokens or 0
        self.completion_tokens += reply.completion_tokens or 0
        self.uncounted += reply.prompt_tokens is None or reply.completion_tokens is None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that the server, or a thread that waits for its turn, works on."""

    request: Request
    messages: list[Mapping[str, str]]
    """The conversation that was sent."""
    outcome: Future[Reply | Failure]


class ServerPolicy:
    """Asks a server; see `trainers.policies.base.Policy`, and `ChatClient` for what happens when it misbehaves.

    Servers take messages and give text, and few of them token ids. So the ids here are the bytes of the messages and
    of the answers (`ByteCodec`), from which `complete` reads the messages back, and every log-probability is 0: what
    such a policy has played can be evaluated and exported, not learnt from. Of the limits the server keeps count
    itself; one that says that there is no room left in its context has the episode cut. A question that it does not
    answer, after all tries, is a completion that failed.

    Seeds are passed on; how far they, and temperature 0, make answers repeatable is up to the server. Servers leave the
    stop string itself out of their answers.

    Args:
        settings: Which server and model, and how patiently it is asked. Temperature and limit on tokens come with the
            requests instead.
        parameters: Further fields of what is sent, which win over ours; a value of None takes a field out.

    Attributes:
        usage: What the answers so far have cost.
    """

    needs_expert = False
    context_limit = 1 << 31

    def __init__(self, settings: ServerSettings, parameters: Mapping[str, Any] | None = None) -> None:
        self.codec = ByteCodec()
        self.client = ChatClient(settings)
        self.usage = Usage()
        self._parameters = dict(parameters or {})
        self._sessions: dict[int, list[Mapping[str, str]]] = {}
        self._asked: dict[str, _Asked] = {}
        self._number = 0
        self._pool = ThreadPoolExecutor(max_workers=settings.concurrency, thread_name_prefix="ask-server")

    @property
    def tokens_processed(self) -> int:
        """Tokens of prompts and answers, by the server's count."""
        return self.usage.prompt_tokens + self.usage.completion_tokens

    def require_answer(self, messages: Messages, sampling: Sampling) -> None:
        """Ask one question, so that a wrong address, model or key is met before anything is played.

        Raises:
            ServerError: If there is no answer.
        """
        outcome = self.client.send(self._body(messages, sampling, 0))
        if isinstance(outcome, Reply):
            self.usage.add(outcome)
        elif outcome.refused:
            raise ServerError(outcome.reason)
        else:
            tries = self.client.settings.retries + 1
            raise ServerError(
                f"expected an answer to the first prompt, got none in up to {tries} tries: {outcome.reason}"
            )

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer every request; see `Policy.complete`.

        Raises:
            ValueError: If two requests name the same session, or a prompt that starts a context is empty.
        """
        return complete_by_streaming(self, requests)

    def submit(self, requests: Sequence[Request]) -> list[str]:
        """Send these; see `StreamingPolicy.submit`.

        Raises:
            ValueError: If a session is named that has a request going, or a prompt that starts a context is empty.
        """
        sessions = [one.session for one in (*(asked.request for asked in self._asked.values()), *requests)]
        named = [session for session in sessions if session is not None]
        if len(set(named)) < len(named):
            raise ValueError("expected each session once at a time, got one twice.")
        return [self._send(request) for request in requests]

    def collect(self) -> dict[str, Completion]:
        """Wait until an answer or more are there, and return them by ticket."""
        wait([asked.outcome for asked in self._asked.values()], return_when=FIRST_COMPLETED)
        ready = [ticket for ticket, asked in self._asked.items() if asked.outcome.done()]
        return {ticket: self._completion(self._asked.pop(ticket)) for ticket in ready}

    def cancel(self) -> None:
        """Send no more of what was submitted, and wait for the tries that are under way: no further ones are made."""
        for asked in self._asked.values():
            asked.outcome.cancel()
        self.client.given_up.set()
        wait([asked.outcome for asked in self._asked.values()])
        self.client.given_up.clear()
        self._asked.clear()

    def release(self, sessions: Iterable[int]) -> None:
        """Forget conversations."""
        for session in sessions:
            self._sessions.pop(session, None)

    def _send(self, request: Request) -> str:
        messages = self._conversation(request)
        outcome = self._pool.submit(self.client.send, self._body(messages, request.sampling, request.seed))
        self._number += 1
        self._asked[str(self._number)] = _Asked(request, messages, outcome)
        return str(self._number)

    def _conversation(self, request: Request) -> list[Mapping[str, str]]:
        """All messages so far, the new ones included."""
        held = [] if request.session is None else self._sessions.get(request.session, [])
        messages = [*held, *self.codec.messages(request.prompt_ids)]
        if not messages:
            raise ValueError("expected a prompt of one message or more to start a context, got an empty one.")
        return messages

    def _body(self, messages: Messages, sampling: Sampling, seed: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.client.settings.model,
            "messages": list(messages),
            "temperature": sampling.temperature,
            "max_tokens": sampling.max_new_tokens,
            "seed": seed % _SEEDS,
        }
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        return {name: value for name, value in (body | self._parameters).items() if value is not None}

    def _completion(self, asked: _Asked) -> Completion:
        """Take an answer in, or what came in its place."""
        request, outcome = asked.request, asked.outcome.result()
        if isinstance(outcome, Failure):
            return Completion(
                prompt_ids=request.prompt_ids,
                token_ids=(),
                logprobs=(),
                finish="overflow" if outcome.too_long else "failed",
                error="" if outcome.too_long else outcome.reason,
            )
        self.usage.add(outcome)
        if request.session is not None:
            self._sessions[request.session] = [*asked.messages, {"role": "assistant", "content": outcome.text}]
        ids = self.codec.encode_answer(outcome.text)
        cut = outcome.finish == "length"
        if cut:
            ids = ids[:-1]
        return Completion(
            prompt_ids=request.prompt_ids,
            token_ids=ids,
            logprobs=(0.0,) * len(ids),
            finish="length" if cut else "stop",
        )
