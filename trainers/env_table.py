"""The table of environments that `agent-gym list` prints; docs/environments.md has its figures in the same words."""

import contextlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass, field

import gymnasium as gym
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from agent_gym import TextEnv
from agent_gym.errors import DataNotFoundError, MissingExtraError
from agent_gym.multi_agent.games import game_names, is_game, load_game
from agent_gym.registration import IDS
from agent_gym.suite import ENVIRONMENTS, about
from agent_gym.suite_figures import COMMAND, figures_of
from trainers.statistics import wilson_interval
from trainers.tables import show_table

UNKNOWN = "—"
"""Stands for a figure that was not measured."""
PLAYERS = ("random", "expert")
READY = "ready"
_MODULES = {
    "babyai": ("minigrid",),
    "gem": ("gem",),
    "minihack": ("minihack", "nle"),
    "reasoning-gym": ("reasoning_gym",),
    "scienceworld": ("scienceworld", "py4j"),
    "search": ("bm25s", "Stemmer"),
    "textarena": ("textarena",),
    "textworld": ("textworld", "filelock", "platformdirs"),
    "webshop": ("bm25s", "Stemmer", "filelock", "ijson", "platformdirs", "rapidfuzz"),
}
"""By the extra of an environment: modules to know by that it is installed."""


@dataclass(kw_only=True, slots=True)
class Splits:
    """The splits of an environment or a game, as they are on this machine."""

    counts: dict[str, int] = field(default_factory=dict)
    """Number of tasks of those that are here."""
    lacking: dict[str, str] = field(default_factory=dict)
    """Of the others: "data" or "an extra"."""
    reasons: dict[str, str] = field(default_factory=dict)
    """By what is lacking: where it was looked for, and what to do."""


def env_table(*, wide: bool) -> Table:
    """Return a row per id and game: whether its extra is here, its tasks, and what was measured.

    Args:
        wide: Whether there is room for intervals and for each split; otherwise a line has at most 80 characters.
    """
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("environment", "extra"):
        table.add_column(heading, no_wrap=True)
    for heading in ("tasks", "steps/s", *PLAYERS):
        table.add_column(heading, justify="right", no_wrap=True)
    if wide:
        table.add_column("splits", no_wrap=True)
    for name in (*IDS, *game_names()):
        splits = splits_of(name)
        total = sum(splits.counts.values())
        rates = [success_in_words(name, player) if wide else short_success(name, player) for player in PLAYERS]
        row = [name, extra_in_words(name, wide=wide), f"{total:,}" if wide else _short(total), speed_in_words(name)]
        table.add_row(*row, *rates, *([splits_in_words(splits)] if wide else []))
    return table


def show_envs(console: Console) -> None:
    """Print the table: in a pipe, and in a terminal with room for it, with everything; otherwise in 80 columns."""
    table = env_table(wide=True)
    needed = Measurement.get(console, console.options.update(width=10_000, max_width=10_000), table).maximum
    if console.is_terminal and needed > console.width:
        table = env_table(wide=False)
    told = (
        "extra: ready, or the one that is missing: pip install 'agent-gym[NAME]'",
        "tasks: of all splits that are here; steps/s: of one core, by random play",
        "random, expert: success in percent, in games of each role",
        f"measured by: {COMMAND}",
        "`agent-gym list ID` tells more of one: splits, settings; --split NAME its tasks",
    )
    table.caption = "\n".join(told)
    show_table(console, table)


def splits_of(name: str) -> Splits:
    """Return the splits of an environment or a game of this package, or of an environment of anybody's."""
    found = Splits()
    if is_game(name):
        game = load_game(name).raw_env()
        found.counts = {split: len(game.tasks(split)) for split in about(name).splits}
        return found
    try:
        env = gym.make(name, disable_env_checker=True).unwrapped
    except MissingExtraError as error:
        found.lacking = dict.fromkeys((*about(name).published, *about(name).splits), "an extra")
        found.reasons["an extra"] = str(error)
        return found
    with contextlib.closing(env):
        for split in _names(name, env):
            assert isinstance(env, TextEnv)  # others have no names
            try:
                found.counts[split] = len(env.tasks(split))
            except (DataNotFoundError, MissingExtraError) as error:
                what = "data" if isinstance(error, DataNotFoundError) else "an extra"
                found.lacking[split] = what
                found.reasons.setdefault(what, str(error))
    return found


def _names(name: str, env: object) -> Iterator[str]:
    if name in ENVIRONMENTS:
        yield from (*about(name).splits, *about(name).published)
    elif isinstance(env, TextEnv):
        yield from env.splits


def splits_in_words(splits: Splits) -> str:
    """Return the number of tasks of each split, or what it needs."""
    parts = [f"{split} {count:,}" for split, count in splits.counts.items()]
    for what in splits.reasons:
        parts.append(f"{' '.join(one for one, its in splits.lacking.items() if its == what)} needs {what}")
    return ", ".join(parts)


def extra_in_words(name: str, *, wide: bool) -> str:
    """Return "ready", or the extra that an environment lacks; with room for it, the extra in either case."""
    extra = about(name).extra
    here = all(importlib.util.find_spec(module) is not None for module in _MODULES.get(extra, ()))
    if wide and extra:
        return f"{extra} {READY}" if here else f"{extra} missing"
    return READY if here else extra


def speed_in_words(name: str) -> str:
    """Return steps per second of an environment or a game, as far as it was measured."""
    figures = figures_of(name)
    return UNKNOWN if figures is None else f"{figures.steps_per_s:,.0f}"


def success_in_words(name: str, player: str) -> str:
    """Return how often a player succeeds, in percent with its interval; in a game for each role."""
    figures = figures_of(name)
    found = figures.players.get(player) if figures is not None else None
    if found is None:
        return UNKNOWN
    rates = {}
    for outcome in found.outcomes:
        low, high = wilson_interval(outcome.successes, found.tasks)
        rates[outcome.role] = f"{100 * outcome.successes / found.tasks:.0f} ({100 * low:.0f} to {100 * high:.0f})"
    if len({*rates.values()}) == 1:  # one player, or a team
        return next(iter(rates.values()))
    return ", ".join(f"{role} {rate}" for role, rate in rates.items())


def short_success(name: str, player: str) -> str:
    """Return the same without intervals and names of roles, such as 58, or 83/17 in a game."""
    figures = figures_of(name)
    found = figures.players.get(player) if figures is not None else None
    if found is None:
        return UNKNOWN
    rates = [f"{100 * outcome.successes / found.tasks:.0f}" for outcome in found.outcomes]
    return rates[0] if len({*rates}) == 1 else "/".join(rates)


def _short(number: int) -> str:
    """A number in four characters, such as 192, 8.0k and 1.0M.

    >>> [_short(number) for number in (0, 999, 8000, 64_321, 1_000_800)]
    ['0', '999', '8.0k', '64k', '1.0M']
    """
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:.1f}{unit}" if number < 10 * size else f"{number / size:.0f}{unit}"
    return str(number)
