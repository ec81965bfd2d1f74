"""Errors that say what was expected, what came, and what to do.

Every error of this package is an `AgentGymError` and also an instance of the standard error that a caller would catch
without knowing the package.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AgentGymError(Exception):
    """Root of all errors raised by this package."""


class BadOptionError(AgentGymError, ValueError):
    """A setting or a reset option has a name or a value that is not understood."""


class UnknownSplitError(AgentGymError, ValueError):
    """The split does not exist in this environment."""


class UnknownTaskError(AgentGymError, ValueError):
    """The task id does not name a task of this environment."""


class DataNotFoundError(AgentGymError, FileNotFoundError):
    """A directory or file with published data is not where it was said to be."""


class GameFileError(AgentGymError, ValueError):
    """A game file is truncated, not what its name says, or inconsistent."""


class DataFileError(AgentGymError, ValueError):
    """A file with published data is malformed; the message names the file and the line or the entry."""


class CatalogueError(AgentGymError, ValueError):
    """A shop's catalogue on disk is truncated, of another version, or inconsistent."""


class UnsupportedGameError(AgentGymError, ValueError):
    """A game file is sound, but an engine can't play it faithfully."""


class EpisodeError(AgentGymError, RuntimeError):
    """A method was called at a moment of the episode at which it has no meaning."""


class StateError(AgentGymError, ValueError):
    """A saved state does not fit the environment it is restored into."""


class WorkerError(AgentGymError, RuntimeError):
    """A worker process died or hung, and what it was doing could not be brought back."""


class NoExpertError(AgentGymError, NotImplementedError):
    """There is no expert for what is being played."""


class MissingExtraError(AgentGymError, ImportError):
    """An optional dependency is needed; the message holds the pip command that installs it."""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the choice nearest to `word`, or an empty string when none is near."""
    near = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""
