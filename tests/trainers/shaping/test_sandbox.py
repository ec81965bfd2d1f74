"""The sandbox under attack: the check of the source, and behind it the process alone."""

import json
import os
import socket
import subprocess
import sys
from typing import Any

import pytest

from trainers.shaping.sandbox import Limits, SandboxError, UnsafeCodeError, check_code, run_function, run_unchecked

if os.name != "posix":
    pytest.skip("the sandbox is for POSIX systems", allow_module_level=True)

PATIENT = Limits(seconds=60.0)
"""For a busy machine."""

HONEST = '''
"""Two factors."""
import math
import re

WORDS = ("take", "open")

def _hit(text, word):
    return 1.0 if word in text else 0.0

def factors(action: str, reply: str = "", step: int = 0) -> list[float]:
    found = re.search(r"shelf (\\d+)", action)
    try:
        number = int(found.group(1))
    except AttributeError:
        number = -1
    total = 0
    for n, word in enumerate(sorted(WORDS)):
        total += (n + 1) * _hit(action.lower(), word)
    return [total, math.sqrt(len(action.split())), number, *[float(c.isdigit()) for c in f"{step:02d}"]]
'''


def test_honest_code_runs():
    calls: list[dict[str, Any]] = [{"action": "take mug from shelf 12"}, {"action": "Open door now!", "step": 10}]
    # sorted: open 1, take 2; √5 words and √3; the shelf's number; two digits.
    assert run_function(HONEST, "factors", calls, PATIENT) == [
        [2.0, pytest.approx(5**0.5), 12.0, 1.0, 1.0],
        [1.0, pytest.approx(3**0.5), -1.0, 1.0, 1.0],
    ]
    assert run_function(HONEST, "factors", [], PATIENT) == []


def test_what_a_call_raises_is_its_result():
    code = "def f(x):\n    return [1 / x] if x != 2 else ['no'] if x else 3"
    assert run_function(code, "f", [{"x": 0}, {"x": 2}, {"y": 1}, {"x": 4}], PATIENT) == [
        "ZeroDivisionError: division by zero",
        "ValueError: could not convert string to float: 'no'",
        "TypeError: f() got an unexpected keyword argument 'y'",
        [0.25],
    ]
    assert run_function("def f():\n    return 3", "f", [{}], PATIENT) == ["expected a list of numbers, got int"]
    assert run_function("def f():\n    return [math.inf]", "f", [{}], PATIENT) == [
        "expected finite numbers, got NaN or infinity"
    ]
    assert run_function("def f():\n    return f()", "f", [{}], PATIENT)[0][:14] == "RecursionError"
    assert run_function("A = [][0]\ndef f():\n    return A", "f", [{}], PATIENT) == [
        "IndexError: list index out of range"
    ]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os\ndef f(): return [0]", "Import is not allowed"),
        ("import math as m\ndef f(): return [0]", "Import is not allowed"),
        ("from os import system\ndef f(): return [0]", "ImportFrom is not allowed"),
        ("def f():\n    import math\n    return [0]", "line 2: Import is not allowed"),
        ("def f(): return [().__class__.__bases__[0].__subclasses__()]", "attribute '__"),
        ("def f(): return [__import__('os').system('id')]", "name '__import__' is not allowed|attribute"),
        ("def f(): return __builtins__", "name '__builtins__' is not allowed"),
        ("def f(x): return [(i for i in x).gi_frame.f_back]", "attribute '.*' is not allowed"),
        ("def f(): return ['{0.__class__}'.format(1)]", "attribute 'format' is not allowed"),
        ("def f(): return ['{x.__class__}'.format_map({})]", "attribute 'format_map' is not allowed"),
        ("def f(): return [math.sqrt.__self__]", "attribute '__self__' is not allowed"),
        ("def f(): return [re.copyreg]", "attribute 'copyreg' is not allowed"),
        ("def f(e): return [e.tb_frame]", "attribute 'tb_frame' is not allowed"),
        ("class A: pass\ndef f(): return [0]", "ClassDef is not allowed"),
        ("def f(x):\n    match x:\n        case str(__class__=c): return [c]", "Match is not allowed"),
        ("def f():\n    with x: pass", "With is not allowed"),
        ("def f():\n    global x\n    return [0]", "Global is not allowed"),
        ("def f():\n    yield 1", "Yield is not allowed"),
        ("async def f(): return [0]", "AsyncFunctionDef is not allowed"),
        ("@open\ndef f(): return [0]", "decorators are not allowed"),
        ("def f():\n    math.sqrt = 1\n    return [0]", "attribute 'sqrt' must not be set"),
        ("def f(__x): return [0]", "name '__x' is not allowed"),
        ("def f(): return [g(__x=1)]", "name '__x' is not allowed"),
        ("def f():\n    try: pass\n    except Exception as __e: pass", "name '__e' is not allowed"),
        ("while True: pass\ndef f(): return [0]", "functions and constants outside of functions"),
        ("f = 1", "function named 'f'"),
        ("def f(:", "expected Python: SyntaxError"),
        ("def f(): return [0]\0", "expected Python"),
        ("x = " + "-" * 19_000 + "1", "expected Python|function named"),
        ("#" * 20_001, "at most 20000 characters"),
    ],
)
def test_the_check_refuses(code, reason):
    with pytest.raises(UnsafeCodeError, match=reason):
        check_code(code, "f")


@pytest.mark.parametrize("name", ["open", "exec", "eval", "getattr", "type", "vars", "globals", "print", "compile"])
def test_dangerous_functions_are_not_there(name):
    assert run_function(f"def f(): return [{name}]", "f", [{}], PATIENT) == [f"NameError: name '{name}' is not defined"]


def test_a_loop_without_end_is_stopped():
    with pytest.raises(SandboxError, match="done within 1 s"):
        run_function("def f():\n    while True: pass", "f", [{}], Limits(seconds=0.5))


@pytest.mark.parametrize("expression", ["[0] * 10**10", "'x' * 10**11", "['%0999999999d' % 1]", "list(range(10**9))"])
def test_a_huge_allocation_fails_in_its_own_process(expression):
    [result] = run_function(f"def f(): return {expression}", "f", [{}], PATIENT)
    assert result[:11] == "MemoryError"


def test_results_without_end_are_refused():
    with pytest.raises(SandboxError, match="more than may be written"):
        run_function("def f(): return [0.123456789] * 300000", "f", [{}], Limits(seconds=60.0, output_mb=1))


# Through all classes to one whose method has the names of `os` around it.
OS = "[c for c in ().__class__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0].__init__.__globals__"


@pytest.mark.parametrize(
    "attack",
    [
        f"{OS}['system']('touch {{path}}')",
        f"{OS}['open']('{{path}}', 64 | 1)",
        f"{OS}['fork']()",
        f"{OS}['execv']('/bin/sh', ['sh', '-c', 'touch {{path}}'])",
        f"{OS}['listdir']('/')",
        f"{OS}['sys'].modules['builtins'].open('{{path}}', 'w')",
        f"{OS}['sys'].modules['builtins'].open('/etc/passwd').read()",
        f"{OS}['sys'].modules['builtins'].__import__('socket')",
        f"{OS}['sys'].modules['builtins'].eval('1')",
        f"{OS}['sys']._getframe()",
    ],
)
def test_the_process_alone_stops_what_the_check_would_let_through(attack, tmp_path):
    path = tmp_path / "touched"
    code = f"def f(): return [{attack.format(path=path)}]"
    with pytest.raises(UnsafeCodeError):
        check_code(code, "f")
    # The name of the way to `os` depends on the version, so that the attack must first be shown to get there.
    reached = run_unchecked(f"def f(): return [float('system' in {OS})]", "f", [{}], PATIENT)
    assert reached == [[1.0]]
    with pytest.raises(SandboxError, match="reach out of its process"):
        run_unchecked(code, "f", [{}], PATIENT)
    assert not path.exists()


def test_without_the_hook_the_kernel_still_gives_no_file_socket_or_process(tmp_path):
    # The limits alone, in a process of their own: what is tried is what the hook would have stopped.
    listener = socket.create_server(("127.0.0.1", 0))
    program = f"""
import json, os, socket, sys
sys.path.insert(0, {str(os.getcwd())!r})
from trainers.shaping.sandbox_worker import give_up
give_up(1 << 30, 1 << 20, 10)
results = []
for attempt in (lambda: open({str(tmp_path / "file")!r}, "w"), lambda: open("/etc/passwd"),
                lambda: socket.create_connection({listener.getsockname()!r}, 1), lambda: os.pipe()):
    try:
        attempt()
        results.append("went through")
    except OSError as error:
        results.append(error.strerror)
print(json.dumps(results))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    listener.close()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["Too many open files"] * 4


def test_the_process_sees_no_environment_and_no_files(monkeypatch):
    monkeypatch.setenv("A_SECRET", "hunter2")
    code = f"def f(): return [float(len({OS}['environ'].keys() - set(['LC_CTYPE'])))]"
    assert run_unchecked(code, "f", [{}], PATIENT) == [[0.0]]


def test_a_process_that_lies_is_not_believed():
    for lie in ('"x"', "[[1]]", "[1.0, 2.0]", "nonsense", "[[NaN]]", ""):
        code = f"def f(): {OS}['write'](1, {lie!r}.encode()); {OS}['_exit'](0)"
        with pytest.raises(SandboxError, match="results from the process that ran the code"):
            run_unchecked(code, "f", [{}], PATIENT)


def test_limits_that_nothing_runs_in_are_refused():
    with pytest.raises(ValueError, match="32 MB of memory"):
        Limits(memory_mb=8)
