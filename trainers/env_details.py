"""What `agent-gym list ID` tells of one environment or game: its splits, its settings, and the names of its tasks."""

import contextlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, get_type_hints

import docstring_parser
import gymnasium as gym
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from agent_gym import TextEnv
from agent_gym.errors import BadOptionError, UnknownSplitError, did_you_mean
from agent_gym.multi_agent.games import is_game, load_game
from agent_gym.suite import ENVIRONMENTS, GAMES, about, creator_of, settings_of
from trainers.env_table import (
    PLAYERS,
    UNKNOWN,
    extra_in_words,
    speed_in_words,
    splits_of,
    success_in_words,
)

MOST_TASKS = 1_000
"""Names of tasks that are printed at most."""


def show_env(console: Console, name: str) -> None:
    """Print what there is to know of an environment or a game, within the width of a terminal."""
    splits = splits_of(name)
    console.print(Text(name, "bold"))
    facts = dict(_facts(name))
    facts["splits"] = ", ".join(f"{split} {count:,}" for split, count in splits.counts.items()) or UNKNOWN
    for what, reason in splits.reasons.items():
        lacking = ", ".join(split for split, its in splits.lacking.items() if its == what)
        facts[f"needs {what}"] = f"{lacking}: {reason}"
    if name in ENVIRONMENTS and about(name).more_splits:
        facts["splits"] += f"; {about(name).more_splits}"
    for fact, told in facts.items():
        _say(console, f"{fact}: {told}", 2)
    settings, meanings = _settings(name), meanings_of(_creator(name))
    console.print(Text("Settings, as --env.settings NAME=VALUE" if settings else "It has no settings.", "bold"))
    for setting, default in settings.items():
        shown = "" if default is inspect.Parameter.empty else f"={default!r}"
        _say(console, f"{setting}{shown}", 2)
        if setting in meanings:
            _say(console, meanings[setting], 6)


def show_tasks(console: Console, errors: Console, name: str, split: str) -> None:
    """Print the names of a split's tasks, one per line; if there are very many, the first, and that on `errors`.

    Raises:
        UnknownSplitError: If there is no such split.
        BadOptionError: If the environment does not name its tasks.
    """
    with contextlib.closing(_made(name)) as made:
        tasks: Sequence[str] = _tasks(name, made, split)
        for task in islice(tasks, MOST_TASKS):
            console.print(Text(task), soft_wrap=True)
        if len(tasks) > MOST_TASKS:
            told = f"These are the first {MOST_TASKS:,} of the {len(tasks):,} tasks of {split}."
            errors.print(Text(told, "dim"), soft_wrap=True)


def meanings_of(creator: Any) -> Mapping[str, str]:
    """Return what the settings mean: words from the docstring of what makes an environment or of what it makes."""
    made: Any = creator if isinstance(creator, type) else get_type_hints(creator).get("return", creator)
    words: dict[str, str] = {}
    for documented in (made.__init__, creator):
        parsed = docstring_parser.parse(inspect.getdoc(documented) or "", docstring_parser.DocstringStyle.GOOGLE)
        words |= {one.arg_name: " ".join((one.description or "").split()) for one in parsed.params}
    return words


def _facts(name: str) -> Iterator[tuple[str, str]]:
    if name not in (*ENVIRONMENTS, *GAMES):
        yield "does", (inspect.getdoc(_creator(name)) or UNKNOWN).partition("\n")[0]
        return
    one = about(name)
    yield "does", one.does
    if one.extra:
        state = extra_in_words(name, wide=True)
        yield "extra", f"{state}, pip install 'agent-gym[{one.extra}]'" if state.endswith("missing") else state
    yield "reward", one.reward
    yield "ends after", one.horizon
    yield "state key", one.state_key
    yield "steps/s", speed_in_words(name)
    for player in PLAYERS:
        rate = success_in_words(name, player)
        yield player, rate if rate == UNKNOWN else f"{rate} % solved"
    yield "page", f"docs/{one.page}"


def _creator(name: str) -> Any:
    return creator_of(name.rpartition(":")[2])


def _settings(name: str) -> Mapping[str, Any]:
    return {one: default for one, default in settings_of(name.rpartition(":")[2]).items() if one != "self"}


def _made(name: str) -> Any:
    return load_game(name).raw_env() if is_game(name) else gym.make(name, disable_env_checker=True).unwrapped


def _tasks(name: str, made: Any, split: str) -> Sequence[str]:
    if not is_game(name):
        if not isinstance(made, TextEnv):
            raise BadOptionError(f"{name} does not name its tasks: it is no agent_gym.TextEnv.")
        return made.tasks(split)
    splits = about(name).splits if name in GAMES else (split,)
    if split not in splits:
        raise UnknownSplitError(f"split must be one of {list(splits)}, got {split!r}.{did_you_mean(split, splits)}")
    tasks: Sequence[str] = made.tasks(split)
    return tasks


def _say(console: Console, text: str, indent: int) -> None:
    """Print a paragraph: folded in a terminal, one line elsewhere."""
    if console.is_terminal:
        console.print(Padding(Text(text), (0, 0, 0, indent)))
    else:
        console.print(Text(" " * indent + text), soft_wrap=True)
