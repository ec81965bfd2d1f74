"""Run a function that a model wrote: checked, in a process of its own, with limits, without files and network.

    check_code(code, "factors")                                     refuses by what stands in the source
    run_function(code, "factors", [{"action": "look"}])             [[0.0, 1.0]], or a line on what went wrong

The check lets through a small language: functions of numbers, strings and collections, loops and comprehensions, and
the methods in `METHODS`. There is no import (`import math` and `import re` are taken out: both are there, in part), no
class, no attribute that is not such a method, and no name that begins with two underscores.

A check of the source alone has been got round before, so what passes runs where it could do little if it were wrong: in
a process with an empty environment in an empty directory, which cannot open a file or a socket, has little memory and
time, and is ended by the interpreter's audit hook at the first step outside (see `sandbox_worker`). It is still Python,
not a virtual machine: a flaw in the interpreter itself is a way out. POSIX systems only; macOS has no memory limit.
"""

import ast
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_gym.errors import AgentGymError
from trainers.shaping import sandbox_worker

PATIENCE = 12
"""Seconds on the clock for each of the processor that code may take."""
LONGEST = 20_000
"""Characters of source that are looked at at all."""
_OF_TEXT = (
    "capitalize casefold count endswith find index isalnum isalpha isdigit isnumeric isspace join lower lstrip "
    "partition removeprefix removesuffix replace rfind rpartition rsplit rstrip split splitlines startswith strip "
    "title upper group groups start end span"
)
_OF_COLLECTIONS = (
    "add append copy difference extend get insert intersection isdisjoint issubset issuperset items keys pop "
    "setdefault sort symmetric_difference union update values"
)
METHODS = frozenset(" ".join((_OF_TEXT, _OF_COLLECTIONS, sandbox_worker.MATHEMATICS, sandbox_worker.PATTERNS)).split())
"""Attributes that code may name. Not among them: `format`, which reads any attribute out of a string."""

_NODES = (
    *(ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Lambda, ast.Expr, ast.Pass),
    *(ast.Assign, ast.AugAssign, ast.AnnAssign, ast.NamedExpr, ast.For, ast.While, ast.If, ast.Break, ast.Continue),
    *(ast.Try, ast.ExceptHandler, ast.Raise, ast.Assert),
    *(ast.Name, ast.Constant, ast.JoinedStr, ast.FormattedValue, ast.Attribute, ast.Subscript, ast.Slice, ast.Starred),
    *(ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Call, ast.keyword, ast.IfExp),
    *(ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Compare, ast.boolop, ast.operator, ast.unaryop, ast.cmpop),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.comprehension, ast.expr_context),
)


class UnsafeCodeError(AgentGymError, ValueError):
    """Source that is not of the language that is allowed; the message names the line."""


class SandboxError(AgentGymError, RuntimeError):
    """The process that ran the code took too long, took too much, or did what it must not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What the code may take, for all calls together."""

    seconds: float = 5.0
    """Of the processor, in whole ones upwards. Time on the clock depends on what else the machine does, and then so
    would what is learnt; it is bounded too, by `PATIENCE` times as much."""
    memory_mb: int = 256
    """Of address space, the interpreter included."""
    output_mb: int = 16
    """Of results, written out as JSON."""

    def __post_init__(self) -> None:
        """Refuse limits within which nothing could run, with a ValueError."""
        if not (self.seconds > 0 and self.memory_mb >= 32 and self.output_mb >= 1):
            raise ValueError(f"expected seconds above 0, 32 MB of memory and 1 MB of output or more, got {self}")


def check_code(code: str, function: str) -> str:
    """Return the source as it may run, without the imports of what is there anyway.

    Args:
        code: Python source: function definitions and constants.
        function: Name of a function that it must define at the top.

    Raises:
        UnsafeCodeError: If anything in it is not allowed, or it does not parse.
    """
    if len(code) > LONGEST:
        raise UnsafeCodeError(f"expected at most {LONGEST} characters of code, got {len(code)}")
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UnsafeCodeError(f"expected Python: {type(error).__name__}: {error}") from error
    tree.body = [node for node in tree.body if not _is_known_import(node)]
    for node in ast.walk(tree):
        reason = _objection(node)
        if reason:
            raise UnsafeCodeError(f"line {getattr(node, 'lineno', 0)}: {reason}")
    for node in tree.body:
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not (is_text or isinstance(node, ast.FunctionDef | ast.Assign | ast.AnnAssign)):
            raise UnsafeCodeError(f"line {node.lineno}: expected functions and constants outside of functions")
    if not any(isinstance(node, ast.FunctionDef) and node.name == function for node in tree.body):
        raise UnsafeCodeError(f"expected a function named {function!r} in the code, found none")
    return ast.unparse(tree)


def _is_known_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import) and all(name.name in ("math", "re") and not name.asname for name in node.names)


def _objection(node: ast.AST) -> str:
    """Why a piece of code is not allowed; empty if it is."""
    if not isinstance(node, _NODES):
        return f"{type(node).__name__} is not allowed"
    if isinstance(node, ast.Attribute):
        if node.attr not in METHODS:
            return f"attribute {node.attr!r} is not allowed"
        if not isinstance(node.ctx, ast.Load):
            return f"attribute {node.attr!r} must not be set"
    if isinstance(node, ast.FunctionDef) and node.decorator_list:
        return "decorators are not allowed"
    names = (getattr(node, field, None) for field in ("id", "arg", "name"))
    for name in names:
        if isinstance(name, str) and name.startswith("__"):
            return f"name {name!r} is not allowed"
    return ""


def run_function(
    code: str, function: str, calls: Sequence[Mapping[str, Any]], limits: Limits | None = None
) -> list[list[float] | str]:
    """Check the code, and call a function of it once per entry of `calls`.

    Args:
        code: Python source.
        function: Name of the function; it returns a list of numbers.
        calls: Keyword arguments of each call, of types that JSON knows.
        limits: On all calls together.

    Returns:
        For each call its numbers, or one line that says what it raised or returned instead.

    Raises:
        UnsafeCodeError: If the code is not allowed.
        SandboxError: If the process was stopped: too slow, too much memory or output, or a step outside.
    """
    return run_unchecked(check_code(code, function), function, calls, limits or Limits())


def run_unchecked(
    code: str, function: str, calls: Sequence[Mapping[str, Any]], limits: Limits
) -> list[list[float] | str]:
    """Call the function as `run_function` does, trusting to the process alone. For tests of the process."""
    if os.name != "posix":
        raise SandboxError("code of a model runs on POSIX systems only: this one can't limit what a process takes")
    request = {
        "code": code,
        "function": function,
        "calls": [dict(one) for one in calls],
        "memory_bytes": limits.memory_mb << 20,
        "output_bytes": limits.output_mb << 20,
        "seconds": math.ceil(limits.seconds),
    }
    # Files, not pipes: neither side can wait for the other, and the kernel bounds what is written.
    with (
        tempfile.TemporaryFile() as question,
        tempfile.TemporaryFile() as answer,
        tempfile.TemporaryDirectory() as empty,
    ):
        question.write(json.dumps(request).encode())
        question.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(sandbox_worker.__file__).resolve())],
            stdin=question,
            stdout=answer,
            stderr=subprocess.DEVNULL,
            cwd=empty,
            env={},
            start_new_session=True,
        )
        try:
            status = process.wait(PATIENCE * math.ceil(limits.seconds))
        except subprocess.TimeoutExpired:
            status = -signal.SIGXCPU  # there was less of the processor for it than it was allowed
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if status != 0:
            raise SandboxError(_ending(status, limits))
        answer.seek(0)
        return _results(answer.read(), len(calls))


def _ending(status: int, limits: Limits) -> str:
    """What an exit status other than 0 says."""
    if status == -signal.SIGXCPU:
        return f"expected the code to be done within {math.ceil(limits.seconds)} s, and it was not"
    if status == sandbox_worker.DENIED:
        return "expected code that computes, got code that tried to reach out of its process"
    if status == sandbox_worker.TOO_MUCH:
        return "expected fewer results: what the code returned is more than may be written"
    if status < 0:
        return f"the process that ran the code was ended by {signal.Signals(-status).name}: it took too much"
    return f"the process that ran the code ended with status {status}"


def _results(answer: bytes, expected: int) -> list[list[float] | str]:
    """Read the answer of a process that is not to be trusted."""
    try:
        results = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise SandboxError(f"expected results from the process that ran the code, got {answer[:50]!r}") from error
    if not (isinstance(results, list) and len(results) == expected and all(map(_is_result, results))):
        raise SandboxError(f"expected {expected} results from the process that ran the code, got {answer[:50]!r}")
    return results


def _is_result(result: Any) -> bool:
    if isinstance(result, list):
        return all(isinstance(number, float) and math.isfinite(number) for number in result)
    return isinstance(result, str)
