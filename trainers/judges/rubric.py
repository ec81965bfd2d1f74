"""What a model is asked about a step, and what its answer says."""

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from trainers.judges.base import Step
from trainers.types import Turn

SCORE: Final = "score"
_FLAT_OBJECT = re.compile(r"\{[^{}]*\}")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.]*\d)")
_LONGEST = 10_000
"""Characters at the end of an answer that are searched; bounds the work on a runaway answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rubric:
    """Questions about steps. Both kinds ask for an object in JSON at the end, so that a model may think first."""

    role: str = "You watch an agent at work and judge single steps. Be strict: only what the texts show has happened."
    """System message."""
    principles: str = "Does the step bring the task nearer to its end? Is it new? Does it fit what was just observed?"
    """What a good step is; for scores."""
    goals: tuple[str, ...] = ()
    """Subgoals to be recognised; if empty, the model names subgoals of its own."""
    best: float = 10.0
    """Highest score; what the model gives is divided by it."""
    history: int = 2
    """Turns before the step that are shown."""

    def __post_init__(self) -> None:
        """Refuse a rubric that can't be scored by, with a ValueError."""
        if not 0 < self.best < float("inf") or self.history < 0:
            raise ValueError(f"expected best above 0 and a history of 0 or more, got {self.best} and {self.history}")

    def ask_score(self, step: Step) -> list[dict[str, str]]:
        """Chat messages that ask for a score."""
        question = (
            f"{self.principles}\n\nGive the step under judgement a score from 0 (useless or harmful) to {self.best:g} "
            f'(as good as can be). You may think first. End with one line: {{"{SCORE}": number}}'
        )
        return self._messages(step, question)

    def ask_goals(self, step: Step) -> list[dict[str, str]]:
        """Chat messages that ask which subgoals were achieved."""
        if self.goals:
            listed = "\n".join(f"- {goal}" for goal in self.goals)
            question = f"Which of these subgoals did the step under judgement achieve?\n{listed}"
        else:
            question = "Which subgoals are there on the way to the task's end, and which did this step achieve?"
        form = '{"subgoal": true or false, ...}'
        return self._messages(step, f"{question}\n\nYou may think first. End with one line: {form}")

    def _messages(self, step: Step, question: str) -> list[dict[str, str]]:
        first = (*step.before, step.turn)[0]
        parts = [f"The agent was told:\n{first.observation}"]
        shown = step.before[len(step.before) - self.history :] if self.history else ()
        parts += [f"Before:\n{_as_text(turn)}" for turn in shown]
        parts.append(f"The step under judgement:\n{_as_text(step.turn)}")
        return [
            {"role": "system", "content": self.role},
            {"role": "user", "content": "\n\n".join([*parts, question])},
        ]

    def read_score(self, answer: str) -> float | None:
        """Score from 0 to 1 in an answer: of its last object, or its last number if no object was begun.

        None if there is none, it is out of range, or the object can't be read: half a number may be any number.
        """
        found = last_object(answer)
        value: Any = found.get(SCORE) if found is not None else None
        if "{" not in answer[-_LONGEST:]:
            numbers = _NUMBER.findall(answer[-_LONGEST:])
            value = float(numbers[-1]) if numbers else None
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        return value / self.best if 0 <= value <= self.best else None

    def read_goals(self, answer: str) -> frozenset[str] | None:
        """Subgoals that the last object in an answer calls achieved; none if there is no object, or not of truths."""
        found = last_object(answer)
        if found is None or not all(isinstance(value, bool) for value in found.values()):
            return None
        return frozenset(name for name, value in found.items() if value and (not self.goals or name in self.goals))


def _as_text(turn: Turn) -> str:
    return f"Observation: {turn.observation}\nAction: {turn.action}\nReply: {turn.reply}"


def last_object(text: str) -> Mapping[str, Any] | None:
    """The last object in braces without others inside, as JSON or as Python writes it; none if it can't be read."""
    found = _FLAT_OBJECT.findall(text[-_LONGEST:])
    if not found:
        return None
    try:
        value = json.loads(found[-1])
    except (ValueError, RecursionError):
        try:
            value = ast.literal_eval(found[-1])
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            return None
    return value if isinstance(value, dict) and all(isinstance(name, str) for name in value) else None
