"""What a step looks like in numbers: factors written by hand, or by a model and run in the sandbox."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from agent_gym.errors import AgentGymError
from trainers.judges.base import Step
from trainers.shaping.sandbox import Limits, SandboxError, check_code, run_function

Floats = NDArray[np.float64]
FUNCTION: Final = "factors"
"""Name of the function in a model's code."""
_WORD = re.compile(r"\w+")


class FactorError(AgentGymError, ValueError):
    """Code whose factors can't be used; the message says what a model would have to mend."""


class Factors(Protocol):
    """Describes steps by numbers."""

    def __call__(self, steps: Sequence[Step], /) -> Floats | None:
        """Return one row per step, shape (steps, factors); none if they could not be computed this time."""


def plain_factors(steps: Sequence[Step], /) -> Floats:
    """Describe steps of any text environment by six numbers from 0 to 1.

    In this order: the answer carried a command; the environment accepted it; the reply was not heard before in the
    episode; the same action was given before; the share of the action's words that the first observation knows; whether
    this is the first step.
    """
    rows = []
    for step in steps:
        turn = step.turn
        first = (*step.before, turn)[0].observation
        words = _WORD.findall(turn.action.lower())
        known = set(_WORD.findall(first.lower()))
        rows.append(
            [
                float(turn.format_valid),
                float(turn.format_valid and turn.action_valid),
                float(turn.reply not in {first, *(earlier.reply for earlier in step.before)}),
                float(any(earlier.answer == turn.action for earlier in step.before)),
                sum(word in known for word in words) / len(words) if words else 0.0,
                float(not step.before),
            ]
        )
    return np.array(rows, dtype=np.float64).reshape(len(rows), 6)


def arguments(step: Step) -> Mapping[str, Any]:
    """What a model's function is given of a step, by name."""
    return {
        "instruction": (*step.before, step.turn)[0].observation,
        "observation": step.turn.observation,
        "action": step.turn.action,
        "reply": step.turn.reply,
        "accepted": step.turn.action_valid and step.turn.format_valid,
        "earlier_actions": [turn.action for turn in step.before],
        "earlier_replies": [turn.reply for turn in step.before],
    }


class CodeFactors:
    """Factors by a function that a model wrote, `factors(**arguments)`.

    A step on which the function raises, or returns another number of factors than on most steps, has factors of 0. A
    batch that the sandbox stops (too slow on a busy machine) has none. Both are counted.

    Args:
        code: Source of the function.
        limits: On each batch.

    Raises:
        UnsafeCodeError: If the code is not of the language that is allowed.
    """

    def __init__(self, code: str, limits: Limits | None = None) -> None:
        check_code(code, FUNCTION)
        self.code = code
        self.limits = limits or Limits()
        self.width: int | None = None
        self.steps_failed = 0
        self.batches_failed = 0
        self._known: dict[str, list[float] | str] = {}

    def __call__(self, steps: Sequence[Step], /) -> Floats | None:
        """Return one row per step; none if the sandbox stopped the code."""
        calls = [arguments(step) for step in steps]
        names = [json.dumps(call) for call in calls]
        new = {name: call for name, call in zip(names, calls, strict=True) if name not in self._known}
        if new:
            try:
                results = run_function(self.code, FUNCTION, list(new.values()), self.limits)
            except SandboxError:
                self.batches_failed += 1
                return None
            self._known |= dict(zip(new, results, strict=True))
        rows = [self._known[name] for name in names]
        if self.width is None:
            widths = [len(row) for row in rows if isinstance(row, list)]
            if not widths:
                self.batches_failed += 1
                return None
            self.width = max(set(widths), key=widths.count)
        good = [row if isinstance(row, list) and len(row) == self.width else None for row in rows]
        self.steps_failed += good.count(None)
        return np.array([row or [0.0] * self.width for row in good], dtype=np.float64)

    def forget(self) -> None:
        """Drop the remembered results of steps, which grow with every new one."""
        self._known.clear()


def verify_factors(code: str, steps: Sequence[Step], limits: Limits | None = None) -> int:
    """Try code on steps, and return how many factors it gives.

    Raises:
        FactorError: If any call fails, or the number of factors differs from step to step or is 0.
        UnsafeCodeError: If the code is not of the language that is allowed.
        SandboxError: If the sandbox stopped it.
    """
    results = run_function(code, FUNCTION, [arguments(step) for step in steps], limits)
    for number, result in enumerate(results):
        if isinstance(result, str):
            raise FactorError(f"expected a list of numbers for every step, got for step {number}: {result}")
    widths = sorted({len(result) for result in results})
    if len(widths) != 1 or widths[0] == 0:
        raise FactorError(f"expected the same number of factors for every step, 1 or more, got {widths}")
    return widths[0]
