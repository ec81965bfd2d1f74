"""The table of environments that `agent-gym list` prints; docs/environments.md has its figures in the same words."""

import contextlib
import importlib.util
import sys
from collections.abc import Iterator

import gymnasium as gym
from rich.table import Table
from rich.text import Text

from agent_gym import TextEnv
from agent_gym.errors import DataNotFoundError, MissingExtraError
from agent_gym.multi_agent.games import game_names, load_game
from agent_gym.registration import IDS
from agent_gym.suite import about, creator_of, settings_of
from agent_gym.suite_figures import COMMAND, figures_of
from trainers.statistics import wilson_interval

UNKNOWN = "—"
"""Stands for a figure that was not measured."""
PLAYERS = ("random", "expert")
_EXTRAS = {"textworld": ("alfworld", "textworld")}
"""For an engine that the base installation lacks: the extra that brings it, and a module to know it by."""


def env_table() -> Table:
    """Return a row per id, game and split: number of tasks, or what is missing to have them, and what was measured."""
    result = Table(title="Environments", title_justify="left", title_style="bold", caption_justify="left")
    for heading in ("environment", "extra", "split"):
        result.add_column(heading, no_wrap=True)
    for heading in ("tasks", "steps/s", *PLAYERS):
        result.add_column(heading, justify="right", no_wrap=True)
    settings, missing = [], []
    for name in (*IDS, *game_names()):
        lacking: dict[str, dict[str, str]] = {}
        label, extra = name, about(name).extra
        measured = [speed_in_words(name), *(success_in_words(name, player) for player in PLAYERS)]
        for split, count in _counts(name, lacking):
            result.add_row(label, extra, split, count, *measured)
            label, extra, measured = "", "", [""] * len(measured)  # said once
        for what, reasons in lacking.items():  # the reason is the same for all of them, but for the split's name
            missing.append(f"{name} needs {what} for {', '.join(reasons)}. {next(iter(reasons.values()))}")
        words = ", ".join(_setting(name, setting) for setting in settings_of(name))
        settings.append(f"Settings of {name}: {words or 'none'}.")
    told = (
        f"steps/s of one core by random play, and success in percent with its 95 % interval, on up to 100 tasks of the "
        f"split to test on (in games of each role): {COMMAND}"
    )
    result.caption = Text("\n".join((told, *settings, *missing)))
    return result


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


def _counts(name: str, lacking: dict[str, dict[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield each split with its number of tasks; where that is not to be had, what is lacking says why."""
    if name not in IDS:
        game = load_game(name).raw_env()
        yield from ((split, f"{len(game.tasks(split)):,}") for split in about(name).splits)
        return
    splits = (*about(name).published, *about(name).splits)
    try:
        env = gym.make(name, disable_env_checker=True).unwrapped
    except MissingExtraError as error:
        lacking["an extra"] = dict.fromkeys(splits, str(error))
        yield from ((split, "needs an extra") for split in splits)
        return
    assert isinstance(env, TextEnv)  # all ids of this package are
    with contextlib.closing(env):
        for split in splits:
            try:
                count = f"{len(env.tasks(split)):,}"
            except (DataNotFoundError, MissingExtraError) as error:
                what = "data" if isinstance(error, DataNotFoundError) else "an extra"
                count = f"needs {what}"
                lacking.setdefault(what, {})[split] = str(error)
            yield split, count


def _setting(name: str, setting: str) -> str:
    """Return a setting's name, and which engines there are."""
    engines = getattr(sys.modules[creator_of(name).__module__], "ENGINES", ()) if setting == "engine" else ()
    return f"{setting} ({' or '.join(map(_with_extra, engines))})" if engines else setting


def _with_extra(engine: str) -> str:
    extra, module = _EXTRAS.get(engine, ("", ""))
    missing = bool(module) and importlib.util.find_spec(module) is None
    return f"{engine}, which needs agent-gym[{extra}]" if missing else engine
