"""Policies without a model: chance, the environment's expert, and answers written down before."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from agent_gym import keys
from agent_gym.errors import BadOptionError
from agent_gym.vector import Frame
from trainers.policies.base import EXPERT_ACTION, Codec, Messages, Request, random_stream
from trainers.types import Completion

COMMAND_IN_TAGS: Final = "<action>{command}</action>"
"""How an answer holds its command in the wrappers' default form."""
ANSWER_FORMS: Final = {
    "tags": COMMAND_IN_TAGS,
    "boxed": "\\boxed{{{command}}}",
    "json": '{{"name": "act", "arguments": {{"command": "{command}"}}}}',
    "bare": "{command}",
}
"""The same by the environment's setting `action_format`."""


class ByteCodec:
    """UTF-8 bytes as token ids, for policies that need no tokenizer."""

    END: Final = 256
    end_ids = frozenset({END})

    def start(self, messages: Messages) -> tuple[int, ...]:
        """Return the bytes of the messages, each after its role and closed by the end id."""
        return tuple(
            token for message in messages for token in (*f"{message['role']}: {message['content']}".encode(), self.END)
        )

    def extend(self, messages: Messages, ended: bool) -> tuple[int, ...]:
        """Return the bytes of the new messages, after an end id if the answer before lacks its own."""
        return (*(() if ended else (self.END,)), *self.start(messages))

    def ended(self, token_ids: Sequence[int]) -> bool:
        """Whether the ids close with the end id."""
        return bool(token_ids) and token_ids[-1] == self.END

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of an answer; bytes that are no text become `�`."""
        return bytes(token for token in token_ids if token < self.END).decode(errors="replace")

    def messages(self, token_ids: Sequence[int]) -> list[dict[str, str]]:
        """Return the messages that ids of `start` or `extend` stand for."""
        ends = [at for at, token in enumerate(token_ids) if token == self.END]
        parts = [self.decode(token_ids[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
        pairs = [part.partition(": ") for part in parts if part]  # an empty part ends an answer that was cut off
        return [{"role": role, "content": content} for role, _, content in pairs]

    def encode_answer(self, text: str) -> tuple[int, ...]:
        """Return the bytes of an answer and the end id."""
        return (*text.encode(), self.END)

    def check_prefix(self) -> None:
        """Do nothing: a message's bytes are the same wherever it stands."""


class ScriptedPolicy(ABC):
    """Answers with text; limits on tokens do not apply to it, and every log-probability is 0.

    Attributes:
        codec: Makes the ids. With a model's codec the completions are demonstrations for that model.
    """

    needs_expert = False
    context_limit = 1 << 31
    tokens_processed = 0

    def __init__(self, codec: Codec | None = None) -> None:
        """Use a model's codec, or bytes."""
        self.codec: Codec = codec or ByteCodec()

    @abstractmethod
    def answer(self, request: Request) -> str:
        """Return the text of the answer."""

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer every request."""
        completions = []
        for request in requests:
            ids = self.codec.encode_answer(self.answer(request))
            completions.append(
                Completion(prompt_ids=request.prompt_ids, token_ids=ids, logprobs=(0.0,) * len(ids), finish="stop")
            )
        return completions

    def release(self, sessions: Iterable[int]) -> None:
        """Do nothing: most scripts remember nothing."""
        return


class RandomPolicy(ScriptedPolicy):
    """Draws one of the admissible commands, each as likely as any other."""

    def __init__(self, codec: Codec | None = None, *, form: str = COMMAND_IN_TAGS) -> None:
        """Say in `form` how an answer holds its `{command}`."""
        super().__init__(codec)
        self._form = form

    def answer(self, request: Request) -> str:
        """Draw a command with the request's seed.

        Raises:
            BadOptionError: If the environment does not tell the admissible commands.
        """
        commands = _frame(request).info.get(keys.ADMISSIBLE_ACTIONS)
        if not commands:
            raise BadOptionError(
                f"the random policy draws from info[{keys.ADMISSIBLE_ACTIONS!r}], which this environment does not tell."
            )
        [uniform] = random_stream(request.seed, 1)
        return self._form.format(command=commands[int(uniform * len(commands))])


class ExpertPolicy(ScriptedPolicy):
    """Does what the environment's expert would do in the state at hand."""

    needs_expert = True

    def __init__(self, codec: Codec | None = None, *, form: str = COMMAND_IN_TAGS) -> None:
        """Say in `form` how an answer holds its `{command}`."""
        super().__init__(codec)
        self._form = form

    def answer(self, request: Request) -> str:
        """Take the command from `info["expert_action"]`.

        Raises:
            BadOptionError: If it is not there.
        """
        info = _frame(request).info
        if EXPERT_ACTION not in info:
            raise BadOptionError(f"the expert's command is expected in info[{EXPERT_ACTION!r}], got {sorted(info)}.")
        return self._form.format(command=info[EXPERT_ACTION])


class ReplayPolicy(ScriptedPolicy):
    """Gives whole answers that were recorded, task by task; an answer beyond the record is empty.

    In a conversation every session starts its task's record anew. Without sessions nothing tells episodes of one task
    apart, so each task can be played once.
    """

    def __init__(self, answers: Mapping[str, Sequence[str]], codec: Codec | None = None) -> None:
        """Take the answers of each task id, in order."""
        super().__init__(codec)
        self._answers = answers
        self._given: Counter[tuple[int | None, str]] = Counter()

    def answer(self, request: Request) -> str:
        """Give the next answer.

        Raises:
            BadOptionError: If nothing was recorded of the task.
        """
        task = str(_frame(request).info.get(keys.TASK))
        if task not in self._answers:
            raise BadOptionError(f"expected a task whose answers were recorded, got {task}.")
        at = self._given[request.session, task]
        self._given[request.session, task] += 1
        record = self._answers[task]
        return record[at] if at < len(record) else ""

    def release(self, sessions: Iterable[int]) -> None:
        """Start these sessions anew should they come again."""
        gone = set(sessions)
        for key in [key for key in self._given if key[0] in gone]:
            del self._given[key]


def _frame(request: Request) -> Frame:
    if request.frame is None:
        raise BadOptionError("a scripted policy looks at the environment: expected a request with its frame, got None.")
    return request.frame
