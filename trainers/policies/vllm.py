"""vLLM as a policy: tokens in, tokens out, many answers at once, and what prompts have in common read once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agent_gym.errors import BadOptionError
from trainers.policies.base import ModelError, Request, complete_by_streaming
from trainers.policies.chat import ChatCodec
from trainers.policies.load import (
    adapter_rank,
    base_of,
    check_directory,
    end_ids_of,
    load_generation_config,
    load_tokenizer,
    usable_context,
)
from trainers.policies.vllm_engine import VllmEngine
from trainers.settings import SamplerSettings
from trainers.types import Completion

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_COLDEST: Final = 0.01
"""vLLM samples with no temperature between this and 0."""
_LIVES: Final = 3
"""Engines in a row that may die without a single answer."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that the engine works on."""

    prompt: tuple[int, ...]
    """All of it, with what the session held before."""
    request: Request
    parameters: Any
    """vLLM's `SamplingParams`."""


class VllmPolicy:
    """Samples with vLLM; see `trainers.policies.base.Policy`, whose terms it keeps as `HfPolicy` does.

    The engine has weights of its own. `sync` gives it those of `model`: call it after each update, with no answer in
    the making. Log-probabilities are the engine's, of the distribution that it sampled from; the learner computes its
    own anew where it corrects for the difference.

    A conversation is sent whole with every turn, and what the engine still has of it in its cache is not computed
    again; nor is what different prompts begin with alike. Draws depend on the request's seed, and on what else is in
    the batch only through rounding, which with bfloat16 is far from nothing.

    `submit` and `collect` are `complete` in two steps, for a caller that has something to do whenever one answer is
    there. If the engine dies, as for lack of memory, it is started anew, and what it worked on is asked again.

    Args:
        engine: The engine.
        tokenizer: Of its model, with a chat template.
        model: The learner's model, whose weights `sync` takes; None if the engine's never change.
        end_ids: Ids that end an answer, beside those that the tokenizer tells of.

    Attributes:
        prompt_tokens: Tokens of all prompts so far.
        cached_tokens: Those of them that the engine had in its cache.
    """

    needs_expert = False

    def __init__(
        self, engine: VllmEngine, tokenizer: PreTrainedTokenizerBase, *, model: Any = None, end_ids: Iterable[int] = ()
    ) -> None:
        self.engine = engine
        self.tokenizer = tokenizer
        self.model = model
        self.codec = ChatCodec(tokenizer, end_ids=end_ids)
        self.prompt_tokens = self.cached_tokens = self._answer_tokens = 0
        self._sessions: dict[int, tuple[int, ...]] = {}
        self._asked: dict[str, _Asked] = {}
        self._full: dict[str, Completion] = {}
        self._number = self._deaths = 0

    @property
    def context_limit(self) -> int:
        """Most tokens of a prompt and its answer."""
        return self.engine.context_limit

    @property
    def tokens_processed(self) -> int:
        """Tokens that went through the model: prompts without what was cached, and answers."""
        return self.prompt_tokens - self.cached_tokens + self._answer_tokens

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer every request; see `Policy.complete`.

        Raises:
            ValueError: If two requests name the same session, or a prompt that starts a context is empty.
            ModelError: If the model gives no numbers (NaN), or the engine does not stay alive.
        """
        return complete_by_streaming(self, requests)

    def submit(self, requests: Sequence[Request]) -> list[str]:
        """Let the engine begin with these; returns a ticket for each, which `collect` names with the answer.

        Raises:
            ValueError: If a session is asked that is answering, or a prompt that starts a context is empty.
            BadOptionError: If the temperature is one that vLLM does not sample with.
        """
        if self.engine.asleep:
            self.sync()
        busy = [asked.request.session for asked in self._asked.values()]
        named = [session for session in [*busy, *(one.session for one in requests)] if session is not None]
        if len(set(named)) < len(named):
            raise ValueError("expected each session once at a time, got one twice: its answers come one after another.")
        return [self._begin(request) for request in requests]

    def collect(self) -> dict[str, Completion]:
        """Wait until an answer or more are there, and return them by ticket; nothing if nothing was submitted.

        Raises:
            ModelError: If the model gives no numbers (NaN).
        """
        done, self._full = self._full, {}
        while self._asked and not done:
            try:
                outputs = self.engine.core.step()
            except self.engine.died:
                self._revive()
                continue
            for output in outputs:
                if output.finished and output.request_id in self._asked:
                    done[output.request_id] = self._take(self._asked.pop(output.request_id), output)
                    self._deaths = 0
        return done

    def cancel(self) -> None:
        """Give up what was submitted and not collected; the sessions stay as they were before."""
        tickets = list(self._asked)
        self._asked.clear()
        self._full.clear()
        with suppress(self.engine.died):  # as it does on Ctrl-C, which reaches it too
            self.engine.core.abort_request(tickets)

    def release(self, sessions: Iterable[int]) -> None:
        """Forget conversations; the engine's cache drops what is not used as it needs the room."""
        for session in sessions:
            self._sessions.pop(session, None)

    def metrics(self) -> dict[str, float]:
        """Return what to log beside the rest: the share of all prompt tokens so far that came from the cache."""
        return {"rollout/cached_prompt_share": self.cached_tokens / max(1, self.prompt_tokens)}

    def rest(self) -> None:
        """Leave a GPU's memory to the learner, until the next `sync`."""
        with suppress(self.engine.died):  # it has left it for good, and `sync` starts another
            self.engine.sleep()

    def sync(self) -> None:
        """Give the engine the weights of `model`."""
        if self.model is not None:
            try:
                self.engine.wake()
                self.engine.load(self.model)
            except self.engine.died:
                self._revive()

    def _begin(self, request: Request) -> str:
        held = () if request.session is None else self._sessions.get(request.session, ())
        prompt = (*held, *request.prompt_ids)
        if not prompt:
            raise ValueError("expected a prompt of one token or more to start a context, got an empty one.")
        self._number += 1
        ticket = str(self._number)
        room = min(request.sampling.max_new_tokens, self.context_limit - len(prompt))
        if room < 1:
            self._full[ticket] = Completion(prompt_ids=request.prompt_ids, token_ids=(), logprobs=(), finish="overflow")
            return ticket
        self._asked[ticket] = _Asked(prompt, request, self._parameters(request, room))
        try:
            self._send(ticket)
        except self.engine.died:
            self._revive()
        return ticket

    def _send(self, ticket: str) -> None:
        asked = self._asked[ticket]
        prompt = {"prompt_token_ids": list(asked.prompt)}
        self.engine.core.add_request(ticket, prompt, asked.parameters, lora_request=self.engine.lora)

    def _revive(self) -> None:
        """Start an engine in the place of one that has died, and ask it what the other was working on.

        Raises:
            ModelError: If it has died too often.
        """
        adapter = self.engine.adapter
        while True:
            self._deaths += 1
            if self._deaths >= _LIVES:
                raise ModelError(
                    f"vLLM's engine has died {self._deaths} times without an answer in between: "
                    "VLLM_LOGGING_LEVEL=INFO shows its log. A smaller sampler.max_batch or sampler.cache_gib takes "
                    "less memory."
                )
            self.engine.close()
            try:
                self.engine.start()
                if self.model is not None:
                    self.engine.load(self.model)
                elif adapter is not None:
                    self.engine.load_adapter(adapter)
                for ticket in self._asked:
                    self._send(ticket)
            except self.engine.died:
                continue
            return

    def _parameters(self, request: Request, room: int) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        sampling = request.sampling
        if 0 < sampling.temperature < _COLDEST:
            raise BadOptionError(f"vLLM samples at temperature 0 or {_COLDEST} and above, got {sampling.temperature}.")
        return SamplingParams(
            temperature=sampling.temperature,
            max_tokens=room,
            seed=request.seed % 2**63,
            stop=list(sampling.stop) or None,
            stop_token_ids=sorted(self.codec.end_ids),
            include_stop_str_in_output=True,
            detokenize=bool(sampling.stop),
            logprobs=0,  # of the sampled token alone
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _take(self, asked: _Asked, output: Any) -> Completion:
        [answer] = output.outputs
        tokens = tuple(answer.token_ids)
        logprobs = tuple(place[token].logprob for token, place in zip(tokens, answer.logprobs, strict=True))
        if any(logprob != logprob for logprob in logprobs):
            raise ModelError("the model's output is not a number (NaN): its weights have diverged or are damaged.")
        self.prompt_tokens += len(asked.prompt)
        self.cached_tokens += output.num_cached_tokens or 0
        self._answer_tokens += len(tokens)
        if asked.request.session is not None:
            self._sessions[asked.request.session] = (*asked.prompt, *tokens)
        return Completion(
            prompt_ids=asked.request.prompt_ids,
            token_ids=tokens,
            logprobs=logprobs,
            finish="stop" if answer.finish_reason == "stop" else "length",
        )


def vllm_beside(
    model: Any, tokenizer: PreTrainedTokenizerBase, path: str, settings: SamplerSettings, *, trust_remote_code: bool
) -> VllmPolicy:
    """Return an engine beside a learner's model; the first `sync` makes them the same.

    Args:
        model: The learner's, with a fresh or a trained adapter or without.
        tokenizer: Its tokenizer.
        path: Where its weights, or its adapter, came from.
        settings: Of the engine.
        trust_remote_code: Run the Python code that comes with the model.

    Raises:
        MissingExtraError: If vLLM is not installed.
        ModelError: If the engine does not start.
    """
    adapter = getattr(model, "peft_config", {}).get("default")
    engine = VllmEngine(
        base_of(path),
        settings,
        context_limit=usable_context(model, settings.context_limit),
        lora_rank=adapter.r if adapter else 0,
        trust_remote_code=trust_remote_code,
    )
    return VllmPolicy(engine, tokenizer, model=model, end_ids=end_ids_of(getattr(model, "generation_config", None)))


def load_vllm_policy(path: str, settings: SamplerSettings, *, trust_remote_code: bool = False) -> VllmPolicy:
    """Load a model, or an adapter and its base, for an engine alone, as evaluation does.

    Raises:
        MissingExtraError: If vLLM is not installed.
        ModelError: If there is no such model, or the engine does not start.
    """
    check_directory(path)
    base = base_of(path)
    rank = adapter_rank(path) if base != path else 0
    engine = VllmEngine(
        base, settings, context_limit=settings.context_limit, lora_rank=rank, trust_remote_code=trust_remote_code
    )
    if rank:
        engine.load_adapter(path)
    return VllmPolicy(engine, load_tokenizer(path), end_ids=end_ids_of(load_generation_config(base)))
