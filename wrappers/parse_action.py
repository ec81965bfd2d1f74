"""Find the command in a language model's answer."""

import json
import re
from collections.abc import Callable
from typing import Any, Final, Literal, get_args

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs

from agent_gym import FreeText, keys
from agent_gym.errors import BadOptionError, did_you_mean

ActionFormat = Literal["tags", "boxed", "json", "bare"]

COMMAND: Final = keys.COMMAND
"""Entry of `info` written by `ParseAction`: the last answer's command, "" for none; absent after `reset`."""

_TAG = re.compile(r"<(/?)action>", re.IGNORECASE)
_THINK_OPEN = re.compile(r"<think>", re.IGNORECASE)
_THINK_CLOSE = re.compile(r"</think>", re.IGNORECASE)
_BRACE = re.compile(r"\\[{}\\]|(?P<boxed>\\boxed\s*)?\{|\}")
_TEXT_MACRO = re.compile(r"\\text(?:bf|it|rm|sf|tt)?\s*\{([^{}]*)\}")
_JSON_SEARCHED = 20_000
"""Characters at the end of an answer in which a JSON object is looked for; bounds the work on a runaway answer."""

_REQUESTS: dict[ActionFormat, str] = {
    "tags": "Give exactly one command, as <action>command</action>.",
    "boxed": "Give exactly one command, as \\boxed{command}.",
    "json": 'Give exactly one command, as a tool call: {"name": "act", "arguments": {"command": "the command"}}.',
    "bare": "Answer with exactly one command and nothing else.",
}


class ParseAction(gym.Wrapper[str, str, str, str], RecordConstructorArgs):
    r"""Takes a model's whole answer as the action and gives the environment the command in it.

    What counts as the command, by `action_format`:

    - `"tags"`: what stands in the last complete `<action>…</action>`. Of nested tags the inner one counts; an opening
      tag that is never closed does not.
    - `"boxed"`: what stands in the last complete `\boxed{…}`, with braces balanced; `\text{…}` inside is unwrapped.
    - `"json"`: the last JSON object that carries a command, in tool-call form (`"arguments"` or `"parameters"`, an
      object or a string holding one, with `"command"` or `"action"` in it) or flat (`{"action": "look"}`). Anything
      around it, such as `<tool_call>` or a code fence, is passed over.
    - `"bare"`: the whole answer, if it is one line.

    Thoughts are no commands: only what follows the last `</think>` is searched, and nothing from a `<think>` on that is
    never closed. White space around the command is stripped; otherwise the environment gets it as it stands.

    An answer that carries no command, or an empty one, steps the environment with "" and so costs a step. Afterwards
    `info["format_valid"]` says whether the answer was in form and `info["command"]` what the environment was given.
    This wrapper marks and never pays: what an answer out of form costs is the trainer's business.

    Example:
        >>> import gymnasium as gym
        >>> import agent_gym
        >>> from wrappers import ParseAction
        >>> env = ParseAction(gym.make("AgentGym/ALFWorld-v0"))
        >>> _ = env.reset(seed=0)
        >>> *_, info = env.step("<think>Where am I?</think><action> look </action>")
        >>> info["command"], info["format_valid"]
        ('look', True)
        >>> *_, info = env.step("I would look around.")
        >>> info["command"], info["format_valid"], info["action_valid"]
        ('', False, False)
    """

    def __init__(
        self, env: gym.Env[str, str], action_format: ActionFormat = "tags", *, require_think: bool = False
    ) -> None:
        """Wrap `env`.

        Args:
            env: The environment.
            action_format: Where the command stands in the answer; see the class.
            require_think: An answer is in form only if thoughts that are not blank come first, closed by `</think>`. (A
                chat template may have written the opening `<think>` into the prompt, so it may be missing.) The
                command of an answer that lacks them is carried out all the same, and marked.

        Raises:
            BadOptionError: If `action_format` is none of these.
        """
        if action_format not in get_args(ActionFormat):
            hint = did_you_mean(str(action_format), get_args(ActionFormat))
            raise BadOptionError(
                f"action_format must be one of {list(get_args(ActionFormat))}, got {action_format!r}.{hint}"
            )
        RecordConstructorArgs.__init__(self, action_format=action_format, require_think=require_think)
        gym.Wrapper.__init__(self, env)
        self.action_space = FreeText()
        self.action_format = action_format
        self.require_think = require_think

    @property
    def answer_request(self) -> str:
        """The sentence that tells a model in which form to answer."""
        think = "First think step by step inside <think></think>. " if self.require_think else ""
        return think + _REQUESTS[self.action_format]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start an episode; nothing has been out of form yet."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, info | {keys.FORMAT_VALID: True}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Step the environment with the command in the answer `action`, or with "" if there is none."""
        command, valid = parse_answer(action, self.action_format, require_think=self.require_think)
        observation, reward, terminated, truncated, info = self.env.step(command)
        return observation, float(reward), terminated, truncated, info | {keys.FORMAT_VALID: valid, COMMAND: command}

    def get_state(self) -> None:
        """Return `None`: this wrapper remembers nothing."""

    def set_state(self, state: None) -> None:
        """Do nothing; see `get_state`."""


def parse_answer(answer: str, action_format: ActionFormat, *, require_think: bool = False) -> tuple[str, bool]:
    r"""Return the command in an answer ("" for none) and whether the answer was in form; see `ParseAction`.

    >>> parse_answer(r"So \boxed{\text{open fridge 1}} it is.", "boxed")
    ('open fridge 1', True)
    """
    if not isinstance(answer, str):
        return "", False
    thought, rest = _split_thought(answer)
    command = _FINDERS[action_format](rest).strip()
    return command, bool(command) and (bool(thought) or not require_think)


def _split_thought(answer: str) -> tuple[str, str]:
    """Return the thoughts that are closed (stripped), and what is searched for a command."""
    closings = list(_THINK_CLOSE.finditer(answer))
    end = closings[-1] if closings else None
    thought = _THINK_OPEN.sub("", _THINK_CLOSE.sub("", answer[: end.start()])).strip() if end else ""
    rest = answer[end.end() :] if end else answer
    unclosed = _THINK_OPEN.search(rest)
    return thought, rest[: unclosed.start()] if unclosed else rest


def _find_tagged(text: str) -> str:
    found = ""
    opened: int | None = None
    for tag in _TAG.finditer(text):
        if not tag[1]:
            opened = tag.end()
        elif opened is not None:
            found = text[opened : tag.start()]
            opened = None
    return found


def _find_boxed(text: str) -> str:
    # One pass with a stack of open braces, so that a runaway answer costs linear time.
    found, found_at = "", -1
    opened: list[tuple[int, bool]] = []
    for brace in _BRACE.finditer(text):
        if brace[0].endswith("{") and brace[0] != "\\{":
            opened.append((brace.end(), brace["boxed"] is not None))
        elif brace[0] == "}" and opened:
            start, boxed = opened.pop()
            if boxed and start > found_at:
                found, found_at = text[start : brace.start()], start
    return _TEXT_MACRO.sub(r"\1", found)


def _find_json(text: str) -> str:
    decoder = json.JSONDecoder()
    text = text[-_JSON_SEARCHED:]
    found = ""
    start = text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            end = start + 1
        else:
            found = _command_in(value) or found
        start = text.find("{", end)
    return found


def _command_in(call: Any) -> str:
    """Return the command that a decoded tool call carries, or ""."""
    if not isinstance(call, dict):
        return ""
    for name in ("arguments", "parameters"):
        if name in call:
            call = call[name]
            break
    if isinstance(call, str):  # OpenAI's interface gives the arguments as a string of JSON
        try:
            call = json.loads(call)
        except (ValueError, RecursionError):
            return ""
    if not isinstance(call, dict):
        return ""
    commands = [call[name] for name in ("command", "action") if isinstance(call.get(name), str)]
    return commands[0] if commands else ""


def _find_bare(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0] if len(lines) == 1 else ""


_FINDERS: dict[ActionFormat, Callable[[str], str]] = {
    "tags": _find_tagged,
    "boxed": _find_boxed,
    "json": _find_json,
    "bare": _find_bare,
}
