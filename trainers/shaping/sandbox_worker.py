"""The process that code from a model runs in. Started by `trainers.shaping.sandbox`, never imported by it.

It takes one request from standard input, gives up what it could do harm with, and only then runs the code:

    limits   of the kernel: memory, processor time, no file or socket can be opened, no process started, output bounded
    names    the code sees the functions listed here and no others; there is no `import`
    audit    whatever the interpreter would report to an audit hook (opening, importing, connecting, executing, looking
             at frames ...) ends the process at once

Each of the three stands alone behind the check of the source in `sandbox`. Standard library only: it is run by path,
without site packages, so that it starts in milliseconds and there is nothing else to reach.
"""

import builtins
import json
import math
import os
import re
import sys
from types import SimpleNamespace
from typing import Any

FUNCTIONS = (
    "abs all any bool dict divmod enumerate filter float frozenset int isinstance len list map max min range reversed "
    "round set sorted str sum tuple zip ArithmeticError AttributeError AssertionError Exception IndexError KeyError "
    "LookupError MemoryError OverflowError RecursionError RuntimeError TypeError ValueError ZeroDivisionError"
)
MATHEMATICS = (
    "ceil copysign cos e exp fabs floor fsum hypot inf isfinite isnan log log1p log2 pi pow sin sqrt tanh trunc"
)
PATTERNS = "escape findall fullmatch match search split sub"
DENIED = 97
"""Exit status where the audit hook ended the process."""
TOO_MUCH = 98
"""Exit status where the results were too large to be written."""


def namespace() -> dict[str, Any]:
    """Return all that the code can name."""
    known = {name: getattr(builtins, name) for name in FUNCTIONS.split()}
    mathematics = SimpleNamespace(**{name: getattr(math, name) for name in MATHEMATICS.split()})
    patterns = SimpleNamespace(**{name: getattr(re, name) for name in PATTERNS.split()})
    return {"__builtins__": known, "math": mathematics, "re": patterns}


def give_up(memory_bytes: int, output_bytes: int, seconds: int) -> None:
    """Take on the kernel's limits, for good."""
    import resource  # of POSIX systems only, and this module must be importable everywhere

    for limit, value, last in (
        (resource.RLIMIT_AS, memory_bytes, memory_bytes),
        (resource.RLIMIT_CPU, seconds, seconds + 1),  # at the first the signal tells why, the second can't be outlived
        (resource.RLIMIT_NOFILE, 3, 3),  # 0, 1 and 2 are taken: no descriptor is left for a file or a socket
        (resource.RLIMIT_NPROC, 0, 0),
        (resource.RLIMIT_FSIZE, output_bytes, output_bytes),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        try:
            resource.setrlimit(limit, (value, last))
        except (ValueError, OSError):
            if limit != resource.RLIMIT_AS:  # macOS knows no limit on addresses
                raise


def watch() -> None:
    """End the process at the first event but one: that our own code is executed."""
    allowed = ["exec"]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if allowed and event == allowed[0]:
            allowed.clear()
            return
        os._exit(DENIED)

    sys.addaudithook(hook)


def called(function: Any, arguments: dict[str, Any]) -> list[float] | str:
    """Call the function; its numbers, or in a line what went wrong."""
    try:
        result = function(**arguments)
        if not isinstance(result, list | tuple):
            return f"expected a list of numbers, got {type(result).__name__}"
        numbers = [float(number) for number in result]
    except Exception as error:  # noqa: BLE001  whatever the code raises is the answer to this call
        return f"{type(error).__name__}: {str(error)[:200]}"
    return numbers if all(map(math.isfinite, numbers)) else "expected finite numbers, got NaN or infinity"


def main() -> None:
    """Answer the request on standard input."""
    request = json.loads(sys.stdin.read())
    code = compile(request["code"], "<model>", "exec")
    names = namespace()
    give_up(request["memory_bytes"], request["output_bytes"], request["seconds"])
    watch()
    try:
        exec(code, names)
        function = names[request["function"]]
    except Exception as error:  # noqa: BLE001  as above, for what stands outside of functions
        results: list[Any] = [f"{type(error).__name__}: {str(error)[:200]}"] * len(request["calls"])
    else:
        results = [called(function, arguments) for arguments in request["calls"]]
    try:
        sys.stdout.write(json.dumps(results))
        sys.stdout.flush()
    except (OSError, MemoryError):
        os._exit(TOO_MUCH)
    os._exit(0)


if __name__ == "__main__":
    main()
