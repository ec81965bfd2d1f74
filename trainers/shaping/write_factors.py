"""Let a model write the code of LaRe's factors, and do not believe that it runs until it has.

    candidates   several answers to the same question                        temperature 1
    summary      one more, which sees them and is asked for the best of all  temperature 0.3
    repair       as long as the code fails on steps that were played: the error goes back to the model

as in LaRe's released code (5 candidates, 5 repairs). Where its last word does not run either, the first candidate that
does is taken; the released code would stop there. All of it runs in the sandbox, the trials too.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from agent_gym.errors import AgentGymError
from trainers.judges.base import Step
from trainers.shaping.factors import FUNCTION, FactorError, arguments, verify_factors
from trainers.shaping.sandbox import Limits, SandboxError, UnsafeCodeError

Messages = list[dict[str, str]]
_FENCE = re.compile(r"```(?:python|py)?[^\S\n]*\n(.*?)```", re.DOTALL)
_SHOWN = 6
"""Steps that are shown to the model."""
_LONGEST = 400
"""Characters of each text in a step that is shown."""

_TASK: Final = f"""\
An agent acts in a world of text. It is rewarded at the end of an episode only, and you help to find out which steps
earned the reward. Write a Python function `{FUNCTION}` that describes one step by a few numbers, each of which should
have to do with how much the step contributes, for instance whether it does what the instruction names, whether it
changed anything, whether it repeats itself.

It is called with keyword arguments: `instruction` (the first observation), `observation`, `action` and `reply`, which
are strings, `accepted` (bool), `earlier_actions` and `earlier_replies` (lists of strings). Take what you need and end
the parameters with `**rest`. Return a list of floats, always equally many, none of them infinite.

Only plain functions: no imports (the modules math and re are there), no classes, no files, no `format`, no names that
begin with two underscores.
"""


class Ask(Protocol):
    """Asks a model, as `ChatClient.ask_all` does."""

    def __call__(self, questions: Sequence[Messages], /, *, temperature: float) -> Sequence[str | None]:
        """Return the answer to each question, none where there was none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """Code that ran on all steps it was tried on."""

    code: str
    factors: int
    """How many numbers it gives."""
    repairs: int
    """Times that it had to be mended."""
    from_candidates: bool
    """Whether it is one of the candidates, because what was made of them never ran."""


def write_factors(
    ask: Ask, steps: Sequence[Step], *, candidates: int = 5, repairs: int = 5, limits: Limits | None = None
) -> Written:
    """Have factors written for a task, and tried on steps of it.

    Args:
        ask: The model.
        steps: Steps that were played, 1 or more; the more different ones, the better the trial.
        candidates: Answers that are asked for first.
        repairs: Times that code that fails is sent back.
        limits: On each trial.

    Raises:
        FactorError: If nothing that the model wrote runs; the message holds the last error.
    """
    if not steps or candidates < 1 or repairs < 0:
        raise ValueError(
            f"expected steps to try the code on, 1 candidate or more and repairs of 0 or more, got {len(steps)} steps, "
            f"{candidates} and {repairs}"
        )
    question = _TASK + "\nSome steps of an episode:\n\n" + "\n\n".join(map(_shown, _spread(steps)))
    answers = ask([_asked(question)] * candidates, temperature=1.0)
    codes = [code_in(answer) for answer in answers if answer]
    numbered = "\n\n".join(f"Proposal {number}:\n```python\n{code}\n```" for number, code in enumerate(codes, 1))
    wish = (
        "Take what is good in these proposals, mend what is not, and write the function once more, in one code block."
    )
    chat = _asked(f"{question}\n\n{numbered}\n\n{wish}")
    error = "the model gave no answer"
    for repair in range(repairs + 1):
        [answer] = ask([chat], temperature=0.3)
        if answer:
            code = code_in(answer)
            try:
                return Written(
                    code=code, factors=verify_factors(code, steps, limits), repairs=repair, from_candidates=False
                )
            except (FactorError, UnsafeCodeError, SandboxError) as found:
                error = str(found)
            mend = f"That code does not do:\n{error}\n\nWrite the whole function once more, in one code block."
            chat = [*chat, {"role": "assistant", "content": answer}, {"role": "user", "content": mend}]
    for code in codes:
        try:
            factors = verify_factors(code, steps, limits)
        except AgentGymError:
            continue
        return Written(code=code, factors=factors, repairs=repairs, from_candidates=True)
    raise FactorError(f"expected a model that writes a function {FUNCTION!r} that runs, got at last: {error}")


def code_in(answer: str) -> str:
    """The code in an answer: the last fenced block, or `Functions` in an object of JSON, else all of it."""
    blocks = _FENCE.findall(answer)
    text = str(blocks[-1] if blocks else answer).strip()
    if text.startswith("{"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return text
        functions = found.get("Functions") if isinstance(found, Mapping) else None
        if isinstance(functions, list):
            functions = "\n\n".join(map(str, functions))
        if isinstance(functions, str):
            return functions
    return text


def _asked(question: str) -> Messages:
    return [{"role": "user", "content": question}]


def _spread(steps: Sequence[Step]) -> list[Step]:
    count = min(_SHOWN, len(steps))
    return [steps[number * len(steps) // count] for number in range(count)]


def _shown(step: Step) -> str:
    values = arguments(step)
    texts = {name: str(values[name])[:_LONGEST] for name in ("observation", "action", "reply")}
    return "\n".join(f"{name}: {text}" for name, text in texts.items()) + f"\naccepted: {values['accepted']}"
