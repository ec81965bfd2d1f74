"""Slots of environments, each guarded from the others: an error in one ends its own episode and no other."""

from collections.abc import Callable, Sequence
from typing import Any

from agent_gym import Frame, LocalSlots, SlotEnv, TextEnv
from agent_gym.errors import (
    BadOptionError,
    DataNotFoundError,
    MissingExtraError,
    UnknownSplitError,
    UnknownTaskError,
)
from agent_gym.workers import WorkerSlots

MISTAKES = (BadOptionError, DataNotFoundError, MissingExtraError, UnknownSplitError, UnknownTaskError)
"""Errors that every episode would meet: the request is wrong, not the episode."""


def each(env: SlotEnv, what: str, slots: Sequence[int], *columns: Sequence[Any]) -> list[Frame | str]:
    """Start or step slots, all at once where environments can (`agent_gym.workers`), and guard each from the others."""
    together: Callable[..., list[Frame | Exception]] | None = getattr(env, f"{what}_each", None)
    if together is None:
        one: Callable[..., list[Frame]] = getattr(env, what)
        return [guarded(one, *([value] for value in row)) for row in zip(slots, *columns, strict=True)]
    outcomes = together(slots, *columns)
    for outcome in outcomes:
        if isinstance(outcome, MISTAKES):
            raise outcome
    return [_told(outcome) if isinstance(outcome, Exception) else outcome for outcome in outcomes]


def guarded(call: Callable[..., list[Frame]], *request: Any) -> Frame | str:
    """Return the frame of a request for one slot, or in one line the error that the environment raised."""
    try:
        return call(*request)[0]
    except MISTAKES:
        raise
    except Exception as error:  # noqa: BLE001  whatever an environment raises ends its own episode and no other
        return _told(error)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def expert_action(env: SlotEnv, slot: int) -> str:
    """Return what the environment's expert would do in a slot.

    Raises:
        BadOptionError: If the environment has no expert.
    """
    if isinstance(env, WorkerSlots):
        return env.expert_action(slot)
    base = env.envs[slot].unwrapped if isinstance(env, LocalSlots) else env
    if not isinstance(base, TextEnv):
        raise BadOptionError(
            f"expected environments with an expert (TextEnv), in this process or in workers, got {type(base).__name__}."
        )
    return base.expert_action()
