"""A run that goes on by itself when one of its processes is killed."""

from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from agent_gym.errors import AgentGymError


class LostProcessError(AgentGymError):
    """A process of a run was ended from outside. What was saved is whole."""


def keep_going(attempt: Callable[[bool], int], checkpoints: Path, max_restarts: int, console: Console) -> int:
    """Run it, and when a process is lost run it again from its last checkpoint.

    Args:
        attempt: Runs it, told whether to go on from the last checkpoint; returns the exit status.
        checkpoints: Where it saves.
        max_restarts: Times in a row that it is tried again without another checkpoint having come about.
        console: Told of every new start.

    Raises:
        LostProcessError: If that did not help.
    """
    restarts, resume = 0, False
    while True:
        before = _newest(checkpoints)
        try:
            return attempt(resume)
        except LostProcessError as error:
            restarts = 1 if _newest(checkpoints) != before else restarts + 1
            if restarts > max_restarts:
                raise LostProcessError(f"{error} What was saved is whole: go on with --resume.") from error
            told = f"{error} It goes on from the last checkpoint (start {restarts} of at most {max_restarts} in a row)."
            console.print(told, highlight=False, markup=False, soft_wrap=True)
            resume = True


def _newest(checkpoints: Path) -> str:
    return max((path.name for path in checkpoints.glob("step_*")), default="")
