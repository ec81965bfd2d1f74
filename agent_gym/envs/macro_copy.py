"""`AgentGym/MacroCopy-v0`: copy a long text; the only reward comes at the end.

What to do is said in plain sight, so nothing has to be explored or remembered: what is hard is that one number at the
end of the episode has to say which of many symbols were wrong. With `mode="whole"` the copy is one answer, so that the
same question is asked of the tokens of an answer instead of the turns of an episode.
"""

from __future__ import annotations

import functools
from typing import Any

import gymnasium as gym

from agent_gym import keys
from agent_gym.core import with_known_settings
from agent_gym.envs.diagnostic import SPLITS, DiagnosticEnv, check_count, check_name, digest, limited
from agent_gym.registration import MACRO_COPY
from agent_gym.vector import TextVectorEnv

MODES = ("symbols", "whole")
SYMBOLS = "abcd"


class MacroCopyEnv(DiagnosticEnv):
    """Copy a text of `length` symbols out of a, b, c and d, symbol by symbol or in one command.

    The reward of the last step is the share of positions that are right; all others are 0. So the largest return is 1,
    and copying by chance gets 1/4 on average. An episode is a success if everything is right.

    Example:
        >>> import gymnasium as gym, agent_gym
        >>> env = gym.make("AgentGym/MacroCopy-v0", length=3)
        >>> print(env.reset(options={"task": "train/symbols-3-000"})[0])
        Your task is to copy: a b b
        Written: 0 of 3. The next symbol is a.
    """

    def __init__(
        self,
        *,
        split: str = "train",
        length: int = 64,
        mode: str = "symbols",
        texts: int = 16,
        render_mode: str | None = None,
    ) -> None:
        """Set up the tasks; see `make_macro_copy` for the settings."""
        self.length = check_count("length", length, 1, 10_000)
        self.mode = check_name("mode", mode, MODES)
        texts = check_count("texts", texts, 1, 1000)
        names = {name: [f"{name}/{mode}-{length}-{number:03d}" for number in range(texts)] for name in SPLITS}
        super().__init__(tasks=names, split=split, render_mode=render_mode)
        self._playing = self._text = ""
        self._written = self._right = 0

    @property
    def instructions(self) -> str:
        """The rules and commands."""
        how = (
            "Commands: a, b, c, d, each of which writes one symbol."
            if self.mode == "symbols"
            else "Give the whole copy as one command, with or without spaces between the symbols."
        )
        return f"Copy a text of {self.length} symbols. What is written can't be changed.\n{how}"

    def optimal_steps(self, task: str) -> int:
        """One per symbol, or one for all."""
        self._check_task(task)
        return self.length if self.mode == "symbols" else 1

    def make_expert(self) -> Copyist:
        """Return a player who copies what it reads."""
        return Copyist(self.mode)

    def _start(self, task: str) -> tuple[str, dict[str, Any]]:
        self._check_task(task)
        split, _, number = task.partition("/")
        # The same text in both modes, so that they can be compared.
        self._text = text_of(split, number.rpartition("-")[2], self.length)
        self._playing, self._written, self._right = task, 0, 0
        first = f"Your task is to copy: {' '.join(self._text)}"
        return first if self.mode == "whole" else f"{first}\n{self._look()}", self._info()

    def _act(self, command: str) -> tuple[str, float, bool, dict[str, Any]]:
        written = command.replace(" ", "")
        if not written or not set(written) <= set(SYMBOLS) or (self.mode == "symbols" and len(written) > 1):
            said = "That can't be written."
            if self.mode == "symbols":
                said += f" {self._look()}"
            return said, 0.0, False, self._info() | {keys.ACTION_VALID: False}
        if self.mode == "whole":
            # What is missing is wrong, and what is too much makes the copy no better.
            self._right = sum(one == other for one, other in zip(written, self._text, strict=False))
            self._right -= min(self._right, max(0, len(written) - self.length))
            self._written = self.length
        else:
            self._right += written == self._text[self._written]
            self._written += 1
        ended = self._written == self.length
        said = f"Right: {self._right} of {self.length}." if ended else self._look()
        return said, self._right / self.length if ended else 0.0, ended, self._info()

    def _look(self) -> str:
        return f"Written: {self._written} of {self.length}. The next symbol is {self._text[self._written]}."

    def _info(self) -> dict[str, Any]:
        ended = self._written == self.length
        commands: tuple[str, ...] = ()
        if not ended:  # of whole copies there are too many to list
            commands = tuple(SYMBOLS) if self.mode == "symbols" else tuple(sorted({*SYMBOLS, self._text}))
        return self._frame_info(
            self._playing,
            f"{self._written}:{self._right}",
            commands,
            success=ended and self._right == self.length,
            score=self._right / self.length,
        )

    def _get_state(self) -> tuple[int, int]:
        return self._written, self._right

    def _set_state(self, state: tuple[int, int]) -> None:
        self._written, self._right = state


class Copyist:
    """Writes what it reads."""

    def __init__(self, mode: str) -> None:
        """Copy symbol by symbol, or all at once."""
        self._mode = mode
        self._next = ""

    def observe(self, command: str | None, observation: str) -> None:
        """Read the text, or the next symbol."""
        if self._mode == "whole":
            self._next = (
                observation.removeprefix("Your task is to copy: ").replace(" ", "") if command is None else self._next
            )
        else:
            self._next = observation.rstrip(".")[-1:]

    def act(self) -> str:
        """Return the next command."""
        return self._next


@functools.cache
def text_of(split: str, number: str, length: int) -> str:
    """Return the text of a task; a longer one begins as the shorter one does."""
    return "".join(SYMBOLS[digest(split, number, place) % len(SYMBOLS)] for place in range(length))


@with_known_settings
def make_macro_copy(
    *,
    split: str = "train",
    length: int = 64,
    mode: str = "symbols",
    texts: int = 16,
    render_mode: str | None = None,
) -> gym.Env[str, str]:
    """Make the environment, with a limit of twice the steps that it takes; the entry point of `AgentGym/MacroCopy-v0`.

    Args:
        split: Where `reset` draws tasks from: `train`, `valid` or `test`.
        length: Symbols to copy.
        mode: `symbols`: one command per symbol. `whole`: one command for the whole copy.
        texts: Tasks per split.
        render_mode: `"ansi"` or `None`.

    Raises:
        BadOptionError: If a setting is not known or out of range.
    """
    env = MacroCopyEnv(split=split, length=length, mode=mode, texts=texts, render_mode=render_mode)
    return limited(env, 2 * (length if mode == "symbols" else 1))


def macro_copy_vector_env(num_envs: int, **kwargs: Any) -> TextVectorEnv:
    """Create `num_envs` environments in this process; the vector entry point of `AgentGym/MacroCopy-v0`."""
    return TextVectorEnv.of(MACRO_COPY, num_envs, **kwargs)
