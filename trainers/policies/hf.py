"""A transformers model as a policy: batched sampling with a cache that outlives the turn."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from trainers.policies.base import ModelError, Request, random_stream
from trainers.policies.cache import RowCache
from trainers.policies.chat import ChatCodec
from trainers.policies.draw import draw
from trainers.policies.load import LoraSettings, end_ids_of, load_model, usable_context
from trainers.policies.packing import common_beginning, pack, split
from trainers.types import Completion, Finish

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SHARED: Final = 16
"""Fewest tokens that prompts must begin with in common for that part to be worth a pass of its own."""


@dataclass(slots=True)
class _Session:
    """A conversation between two answers."""

    row: int
    pending: tuple[int, ...]
    """Its last sampled token, which no forward pass has seen yet."""


@dataclass(slots=True, eq=False)
class _Answer:
    """An answer in the making."""

    request: Request
    new: tuple[int, ...]
    """Tokens to process before the first one can be drawn."""
    room: int
    """Most tokens it may get."""
    uniforms: NDArray[np.float64]
    row: int = -1
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish: Finish | None = None

    def completion(self) -> Completion:
        return Completion(
            prompt_ids=self.request.prompt_ids,
            token_ids=tuple(self.tokens),
            logprobs=tuple(self.logprobs),
            finish=self.finish or "length",
        )


class HfPolicy:
    """Samples from a causal language model of transformers; see `trainers.policies.base.Policy`.

    Every token goes through the model once. A session's keys and values stay until it is released, so a turn costs its
    new messages and its answer. Prompts that begin alike (the instructions of a step prompt, the start of a group)
    share that part within a call. Only answers that still grow are in the batch; those that have ended give up their
    place at once.

    Draws depend on the request's seed. Logits do not depend on what else is in the batch, apart from rounding, which
    changes a token only where a uniform number falls within about 1e-7 of a boundary.

    The weights may change between calls: of sessions that go on all the same, the cache is then that of the old
    weights, so release them first. `release(())` with no session left frees the cache's memory.

    Attributes:
        model: The model, shared with whoever trains it. Dropout is off while it samples.
        tokenizer: Its tokenizer.
    """

    needs_expert = False

    def __init__(
        self,
        model: Any,
        tokenizer: PreTrainedTokenizerBase,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        context_limit: int | None = None,
        max_batch: int = 256,
        prefill_tokens: int | None = None,
    ) -> None:
        """Take a model over.

        Args:
            model: A `PreTrainedModel` with a language-model head, or a `PeftModel` around one.
            tokenizer: With a chat template.
            device: Where to move it; by default it stays where it is.
            dtype: What to convert it to; by default it stays as it is.
            context_limit: Fewer tokens than the model can take, to save memory.
            max_batch: Most answers that are sampled side by side; more are sampled one batch after the other.
            prefill_tokens: Most prompt tokens in one forward pass; by default 4,096 on a CPU, 32,768 elsewhere.

        Raises:
            ModelError: If the model is of a kind that this can't sample from exactly, or the tokenizer has no template.
        """
        if max_batch < 1 or (prefill_tokens is not None and prefill_tokens < 1):
            raise ValueError(f"max_batch and prefill_tokens must be 1 or more, got {max_batch} and {prefill_tokens}.")
        if device is not None or dtype is not None:
            model = model.to(device=device, dtype=dtype)
        self.model = model
        self.tokenizer = tokenizer
        self.context_limit = usable_context(model, context_limit)
        self.codec = ChatCodec(tokenizer, end_ids=end_ids_of(getattr(model, "generation_config", None)))
        self.tokens_processed = 0
        self._max_batch = max_batch
        self._prefill_tokens = prefill_tokens or (4096 if self.device.type == "cpu" else 32768)
        self._cache = RowCache(self._attention_dtype(), self.device)
        self._sessions: dict[int, _Session] = {}

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = next(self.model.parameters()).device
        return device

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer every request; see `Policy.complete`.

        Raises:
            ValueError: If two requests name the same session, or a prompt that starts a context is empty.
            ModelError: If the model gives no numbers (NaN), as after a training that diverged.
        """
        named = [request.session for request in requests if request.session is not None]
        if len(set(named)) < len(named):
            raise ValueError(
                "expected each session once per call, got one twice: its answers come one after the other."
            )
        answers = [self._admit(request) for request in requests]
        live = [answer for answer in answers if answer.finish is None]
        in_sessions = [answer for answer in live if answer.request.session is not None]
        alone = [answer for answer in live if answer.request.session is None]
        alone.sort(key=lambda answer: len(answer.new))  # batches of like lengths
        with self._sampling(in_sessions):
            self._seat(in_sessions)
            in_sessions.sort(key=lambda answer: answer.row)
            for block in split(in_sessions, self._max_batch):
                self._answer(block)
            first = 1 + max((session.row for session in self._sessions.values()), default=-1)
            for block in split(alone, self._max_batch):
                self._cache.make_room(first + len(block), max(len(answer.new) + answer.room for answer in block))
                for row, answer in enumerate(block, start=first):
                    answer.row, self._cache.lengths[row] = row, 0
                self._answer(block)
        for answer in in_sessions:
            session = answer.request.session
            assert session is not None
            self._sessions[session].pending = (answer.tokens[-1],)
        return [answer.completion() for answer in answers]

    def release(self, sessions: Iterable[int]) -> None:
        """Forget conversations; without any left, free the cache's memory."""
        for session in sessions:
            self._sessions.pop(session, None)
        if not self._sessions:
            self._cache = RowCache(self._attention_dtype(), self.device)

    def twin(self) -> HfPolicy:
        """Return a policy with the same tokenizer and weights of its own, which change with nobody's."""
        return HfPolicy(
            copy.deepcopy(self.model),
            self.tokenizer,
            context_limit=self.context_limit,
            max_batch=self._max_batch,
            prefill_tokens=self._prefill_tokens,
        )

    def rest(self) -> None:
        """Do nothing: without conversations there is no cache."""

    def sync(self) -> None:
        """Do nothing: the weights are the learner's own."""

    def _admit(self, request: Request) -> _Answer:
        """Work out what is new to the model and how long the answer may get."""
        held = None if request.session is None else self._sessions.get(request.session)
        length, pending = (self._cache.lengths[held.row], held.pending) if held else (0, ())
        new = (*pending, *request.prompt_ids)
        if not new:
            raise ValueError("expected a prompt of one token or more to start a context, got an empty one.")
        room = min(request.sampling.max_new_tokens, self.context_limit - length - len(new))
        if room < 1:
            return _Answer(request, new, 0, np.empty(0), finish="overflow")
        return _Answer(request, new, room, random_stream(request.seed, room))

    @contextmanager
    def _sampling(self, in_sessions: Sequence[_Answer]) -> Iterator[None]:
        """Without gradients and dropout. Should anything fail, the sessions concerned are forgotten, not half kept."""
        training = self.model.training
        self.model.eval()
        whole = False
        try:
            with torch.inference_mode():
                yield
            whole = True
        finally:
            self.model.train(training)
            if not whole:
                for answer in in_sessions:
                    if answer.request.session is not None:
                        del self._sessions[answer.request.session]

    def _seat(self, answers: Sequence[_Answer]) -> None:
        """Give the sessions that are asked the first rows, side by side, and the idle ones rows behind those."""
        if not answers:
            return
        asked = {answer.request.session: answer for answer in answers}
        row_of = {name: session.row for name, session in self._sessions.items()}
        n = len(answers)
        idle = {name: row for name, row in row_of.items() if name not in asked}
        kept = {row for name, row in row_of.items() if name in asked}
        columns = [
            (self._cache.lengths[row_of[name]] if name in row_of else 0) + len(answer.new) + answer.room
            for name, answer in asked.items()
        ]
        self._cache.make_room(n + len(idle), max(columns))
        holes = iter([row for row in range(n) if row not in kept])
        behind = iter([row for row in range(n, n + len(idle)) if row not in idle.values()])
        moves = []
        fresh = []
        for waiting, idle_row in idle.items():
            if idle_row < n:
                self._sessions[waiting].row = next(behind)
                moves.append((self._sessions[waiting].row, idle_row))
        for name, answer in asked.items():
            assert name is not None
            if name not in row_of:
                answer.row = next(holes)
                self._sessions[name] = _Session(answer.row, ())
                fresh.append(answer.row)
            elif row_of[name] < n:
                answer.row = row_of[name]
            else:
                answer.row = self._sessions[name].row = next(holes)
                moves.append((answer.row, row_of[name]))
        self._cache.permute(moves)
        for row in fresh:
            self._cache.lengths[row] = 0

    def _answer(self, block: list[_Answer]) -> None:
        """Sample answers whose rows lie side by side, in the order given, until all have ended."""
        first = block[0].row
        self._begin(block)
        while block := self._close_ranks(first, block):
            logits = self._forward([answer.row for answer in block], [answer.tokens[-1:] for answer in block])
            self._draw(block, logits)

    def _begin(self, block: Sequence[_Answer]) -> None:
        """Process the prompts and draw each answer's first token."""
        lengths = self._cache.lengths
        fresh = [answer for answer in block if lengths[answer.row] == 0]
        shared = self._share_beginning(fresh)
        fresh_rows = {answer.row for answer in fresh}
        # Of prompts that are the same, one is processed, and the others copy it.
        alike: dict[object, list[_Answer]] = {}
        for answer in block:
            alike.setdefault(answer.new if answer.row in fresh_rows else answer.row, []).append(answer)
        todo = [
            (answers[0].new[shared:] if answers[0].row in fresh_rows else answers[0].new, answers)
            for answers in alike.values()
        ]
        todo.sort(key=lambda item: len(item[0]))
        for chunk in pack([len(new) for new, _ in todo], self._prefill_tokens):
            picked = todo[chunk]
            logits = self._forward([answers[0].row for _, answers in picked], [new for new, _ in picked])
            self._cache.permute([(copy.row, answers[0].row) for _, answers in picked for copy in answers[1:]])
            counts = torch.tensor([len(answers) for _, answers in picked], device=logits.device)
            self._draw([answer for _, answers in picked for answer in answers], logits.repeat_interleave(counts, 0))

    def _share_beginning(self, fresh: Sequence[_Answer]) -> int:
        """Process what all new prompts begin with once; return its length, which is less than any prompt's."""
        if len(fresh) < 2:
            return 0
        shared = common_beginning([answer.new[:-1] for answer in fresh])
        if shared < _SHARED:
            return 0
        source = fresh[0].row
        for start in range(0, shared, self._prefill_tokens):
            self._forward([source], [fresh[0].new[start : min(start + self._prefill_tokens, shared)]])
        self._cache.permute([(answer.row, source) for answer in fresh[1:]])
        return shared

    def _close_ranks(self, first: int, block: list[_Answer]) -> list[_Answer]:
        """Return the answers that still grow, after moving them to the block's first rows."""
        live = [answer for answer in block if answer.finish is None]
        if len(live) == len(block):
            return live
        end = first + len(live)
        gaps = [answer for answer in block if answer.finish is not None and answer.row < end]
        moves = []
        for done, answer in zip(gaps, [answer for answer in live if answer.row >= end], strict=True):
            moves.append((done.row, answer.row))
            if done.request.session is not None:
                moves.append((answer.row, done.row))
            done.row, answer.row = answer.row, done.row
            for moved in (done, answer):
                if moved.request.session is not None:
                    self._sessions[moved.request.session].row = moved.row
        self._cache.permute(moves)
        live.sort(key=lambda answer: answer.row)
        return live

    def _forward(self, rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        """Append tokens to rows and return the logits after each row's last one, shape (rows, vocabulary)."""
        ids, mask, positions = self._cache.plan(rows, tokens)
        self.tokens_processed += sum(map(len, tokens))
        output = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def _draw(self, answers: Sequence[_Answer], logits: torch.Tensor) -> None:
        """Draw one token for each answer and see whether that ends it."""
        uniforms = np.array([answer.uniforms[len(answer.tokens)] for answer in answers])
        temperatures = [answer.request.sampling.temperature for answer in answers]
        ids, logprobs = draw(logits, torch.from_numpy(uniforms).to(logits.device), temperatures)
        # One transfer for both; ids are exact in float64.
        drawn = torch.stack((ids.double(), logprobs)).tolist()
        for answer, token, logprob in zip(answers, *drawn, strict=True):
            if logprob != logprob:
                raise ModelError("the model's output is not a number (NaN): its weights have diverged or are damaged.")
            answer.tokens.append(int(token))
            answer.logprobs.append(logprob)
            if answer.tokens[-1] in self.codec.end_ids or self._at_stop(answer):
                answer.finish = "stop"
            elif len(answer.tokens) == answer.room:
                answer.finish = "length"

    def _at_stop(self, answer: _Answer) -> bool:
        stops = answer.request.sampling.stop
        if not stops:
            return False
        # A token adds a byte or more, so a stop string that has just been completed stands in the last tokens.
        tail = answer.tokens[-(max(len(stop.encode()) for stop in stops) + 4) :]
        text = self.codec.decode(tail)
        return any(stop in text for stop in stops)

    def _attention_dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.model.dtype
        return dtype


def load_policy(
    path_or_id: str | os.PathLike[str],
    *,
    lora: LoraSettings | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    trust_remote_code: bool = False,
    context_limit: int | None = None,
    max_batch: int = 256,
) -> HfPolicy:
    """Load a model and make a policy of it: `load_model`, then `HfPolicy`, whose settings these are.

    Raises:
        ModelError: If it can't be loaded or sampled from.
    """
    model, tokenizer = load_model(
        path_or_id, lora=lora, device=device, dtype=dtype, trust_remote_code=trust_remote_code
    )
    return HfPolicy(model, tokenizer, context_limit=context_limit, max_batch=max_batch)
