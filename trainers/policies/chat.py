"""Chat messages to token ids and back, through a tokenizer's own chat template."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from trainers.policies.base import Messages, ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_ANSWER: Final = "answer-to-be-cut-out"
_BEFORE: Final[list[Mapping[str, str]]] = [
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": _ANSWER},
]
_CACHED: Final = 1 << 14
"""Messages remembered with their ids: groups of episodes begin alike, and environments repeat themselves."""


class ChatCodec:
    """A tokenizer with a chat template, asked only for what is new.

    A conversation is never rendered as a whole after its start. What stands between two answers is found by rendering a
    short stand-in conversation with the new messages behind it and cutting off everything up to the stand-in's answer:

        <|im_start|>user hello<|im_end|> <|im_start|>assistant answer-to-be-cut-out
            [<|im_end|> <|im_start|>user You arrive at shelf 1.<|im_end|> <|im_start|>assistant ]      this is given

    That is the same text as in the whole conversation if the template renders a message alike wherever it stands, which
    `check_prefix` tests.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, end_ids: Iterable[int] = ()) -> None:
        """Find out how the template ends an answer.

        Args:
            tokenizer: With a chat template.
            end_ids: Further ids that end an answer, such as those in a model's generation config.

        Raises:
            ModelError: If there is no chat template, or nothing that ends an answer.
        """
        if not tokenizer.chat_template:
            raise ModelError(
                "expected a tokenizer with a chat template, got one without: use an instruction-tuned model, or put a "
                "chat_template.jinja into the model's directory."
            )
        self.tokenizer = tokenizer
        self._start = lru_cache(maxsize=_CACHED)(self._render_ids)
        self._extend = lru_cache(maxsize=_CACHED)(self._after_answer)
        added = tokenizer.added_tokens_decoder
        special = {*tokenizer.all_special_ids, *(token for token, what in added.items() if what.special)}
        closing = self._encode(self._cut(self._render(_BEFORE, prompt=False)))
        eos = tokenizer.eos_token_id
        close = next((token for token in closing[:3] if token in special), eos)
        if not isinstance(close, int):
            raise ModelError(
                "expected a special token that ends an answer, in the chat template or as eos_token, found neither: "
                "set the tokenizer's eos_token."
            )
        self._close_id = close
        self.end_ids = frozenset({close, *end_ids} | ({eos} if isinstance(eos, int) else set()))

    def start(self, messages: Messages) -> tuple[int, ...]:
        """Return the ids of a whole prompt, up to where the answer begins.

        Raises:
            ModelError: If the template does not take such messages.
        """
        return self._start(_freeze(messages))

    def extend(self, messages: Messages, ended: bool) -> tuple[int, ...]:
        """Return the ids between a sampled answer and the next one.

        Args:
            messages: What is new since the answer; the answer itself is not among them.
            ended: Whether the answer's last id ended it. If it was cut off, the ids begin by ending it.

        Raises:
            ModelError: If the template does not take such messages.
        """
        ids = self._extend(_freeze(messages))
        if ended and self._close_id in ids[:3]:
            return ids[ids.index(self._close_id) + 1 :]
        return ids

    def ended(self, token_ids: Sequence[int]) -> bool:
        """Whether the ids of an answer close with one of `end_ids`."""
        return bool(token_ids) and token_ids[-1] in self.end_ids

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of an answer, without special tokens; bytes that are no text become `�`."""
        if self.ended(token_ids):
            token_ids = token_ids[:-1]
        text = self.tokenizer.decode(list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        assert isinstance(text, str)
        return text

    def encode_answer(self, text: str) -> tuple[int, ...]:
        """Return the ids of an answer that was written down, the end included. For demonstrations only."""
        return (*self._encode(text), self._close_id)

    def check_prefix(self) -> None:
        """Refuse a template that renders an answer differently once a later turn follows it.

        Some templates take the thoughts out of earlier answers, or add something to the last message. In a conversation
        whose ids are kept as sampled, the model would then see other text than the template's authors meant.

        Raises:
            ModelError: With the place where the texts part.
        """
        messages = [{"role": "system", "content": "Rules."}, {"role": "user", "content": "You are in a room."}]
        text = self._render(messages, prompt=True)
        for answer in ("look", "<think>\nWhere?\n</think>\n\n<action>go</action>", "<think>a</think> b", "take mug 1"):
            news = {"role": "user", "content": f"You see what follows from {len(messages)}."}
            messages += [{"role": "assistant", "content": answer}, news]
            rendered = self._render(messages, prompt=True)
            kept = text + answer + self._cut(self._render([*_BEFORE, news], prompt=True))
            if rendered != kept:
                at = next(
                    (i for i, (a, b) in enumerate(zip(rendered, kept, strict=False)) if a != b),
                    min(len(rendered), len(kept)),
                )
                raise ModelError(
                    "this chat template can't be used in conversation context: it renders earlier turns differently "
                    f"once later ones follow (expected {kept[max(at - 20, 0) : at + 20]!r}, got "
                    f"{rendered[max(at - 20, 0) : at + 20]!r}). Use context 'step', or a template that leaves earlier "
                    "turns as they are."
                )
            text = rendered

    def _render_ids(self, messages: tuple[tuple[str, str], ...]) -> tuple[int, ...]:
        return self._encode(self._render(_thaw(messages), prompt=True))

    def _after_answer(self, messages: tuple[tuple[str, str], ...]) -> tuple[int, ...]:
        return self._encode(self._cut(self._render([*_BEFORE, *_thaw(messages)], prompt=True)))

    def _render(self, messages: Messages, *, prompt: bool) -> str:
        from jinja2 import TemplateError  # comes with transformers' chat templates, not with this package

        try:
            text = self.tokenizer.apply_chat_template(
                [dict(message) for message in messages], tokenize=False, add_generation_prompt=prompt
            )
        except TemplateError as error:
            roles = [message.get("role") for message in messages]
            raise ModelError(f"the chat template does not take messages with the roles {roles}: {error}") from error
        assert isinstance(text, str)
        return text

    def _cut(self, text: str) -> str:
        _, found, after = text.partition(_ANSWER)
        if not found:
            raise ModelError("the chat template leaves out what the assistant said: use another template.")
        return after

    def _encode(self, text: str) -> tuple[int, ...]:
        # The template has written the special tokens already.
        return tuple(self.tokenizer.encode(text, add_special_tokens=False))


def _freeze(messages: Messages) -> tuple[tuple[str, str], ...]:
    return tuple((message["role"], message["content"]) for message in messages)


def _thaw(messages: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in messages]
