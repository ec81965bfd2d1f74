"""What the tests of `trainers.processes` have processes do; imported by each of them."""

from rich.console import Console

from agent_gym.errors import BadOptionError
from trainers.parallel import Ranks


def add_up(console: Console) -> int:
    """Say on one of them what all know together, and return it."""
    ranks = Ranks.from_environment()
    total = ranks.sums({"rank": ranks.rank + 1.0})["rank"]
    console.print(f"{ranks.size} processes, {total:g} together")
    return int(total)


def refuse(console: Console) -> int:
    """The second one finds a mistake, while the first waits for it."""
    ranks = Ranks.from_environment()
    if not ranks.is_main:
        raise BadOptionError("the second process can't do this.")
    ranks.wait()
    return 0


def break_down(console: Console) -> int:
    """The second one has a defect."""
    ranks = Ranks.from_environment()
    if not ranks.is_main:
        raise KeyError("a defect")
    ranks.wait()
    return 0


def interrupted(console: Console) -> int:
    """Ctrl-C has come to all of them."""
    raise KeyboardInterrupt
