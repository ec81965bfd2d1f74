"""Write docs/environments.md and the README's table of environments from `agent_gym.suite` and what was measured.

    python -m tools.write_environments

A test runs the same functions and compares, so neither page can fall behind. Nothing here needs an environment's extra.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import agent_gym  # noqa: F401  registers the ids
from agent_gym.suite import ENVIRONMENTS, GAMES, About, about, creator_of, settings_of
from agent_gym.suite_figures import COMMAND, Figures, figures_of
from trainers.env_details import meanings_of
from trainers.env_table import PLAYERS, UNKNOWN, speed_in_words, success_in_words

ROOT = Path(__file__).resolve().parents[1]
PAGE, README = ROOT / "docs" / "environments.md", ROOT / "README.md"
BEGIN, END = (
    "<!-- begin of the generated table of environments -->",
    "<!-- end of the generated table of environments -->",
)
_HEAD = f"""\
# Environments

What there is, from one source: `agent_gym/suite.py`, the docstrings of the environments, and what was measured of
them. `python -m tools.write_environments` writes this page, and a test sees to it that it is up to date;
`agent-gym list` shows the same in a terminal.

`{COMMAND}` measures the figures, with default settings. steps/s: of random play of one
environment as `gymnasium.make` gives it, per processor second of one core. random, expert: success of chance and of the
expert in percent with its 95 % interval, each task played once; of more than 100 tasks those that seed 0 draws. In
games all agents are of that kind, and each role has its own. {UNKNOWN} says that nothing was measured. What other
settings change is told on the pages.

## At a glance
"""


def page() -> str:
    """Return the whole page."""
    parts = [_HEAD + "\n" + _overview(ENVIRONMENTS), "### For several agents\n\n" + _overview(GAMES)]
    parts += ["## One by one"] + [_section(name) for name in ENVIRONMENTS]
    parts += ["## Games for several agents", *(_section(name) for name in GAMES)]
    return "\n\n".join(parts) + "\n"


def readme_table() -> str:
    """Return the README's table: a row per id."""
    rows = []
    for name, one in ENVIRONMENTS.items():
        install = f" (`pip install '.[{one.extra}]'`)" if one.extra else ""
        rows.append((f"`{name}`", one.does + install, _splits_in_words(one)))
    return _table(("id", "what one does there", "splits"), rows)


def updated(readme: str) -> str:
    """The README with the table between its two marks brought up to date."""
    head, _, rest = readme.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{readme_table()}\n\n{END}{tail}"


def _overview(names: Iterable[str]) -> str:
    rows = []
    for name in names:
        figures = figures_of(name)
        played = UNKNOWN if figures is None else f"{next(iter(figures.players.values())).tasks} of {figures.split}"
        measured = (speed_in_words(name), played, *(success_in_words(name, player) for player in PLAYERS))
        rows.append((f"[`{name}`](#{_anchor(name)})", about(name).does, *measured))
    return _table(("name", "what one does there", "steps/s", "tasks played", *PLAYERS), rows)


def _anchor(name: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return "".join(sign for sign in name.lower() if sign.isalnum() or sign in "-_")


def _section(name: str) -> str:
    one = about(name)
    figures = figures_of(name)
    tasks = _counts(one.splits, figures)
    if one.published:
        tasks += f"; with published data {', '.join(f'`{split}`' for split in one.published)}"
    facts = [
        ("does", f"{one.does[0].upper()}{one.does[1:]}."),
        ("tasks", tasks + (f"; {one.more_splits}" if one.more_splits else "")),
        ("reward", one.reward),
        ("ends after", one.horizon),
        ("state key", one.state_key),
    ]
    if one.extra:
        facts.insert(1, ("install", f"`pip install '.[{one.extra}]'`"))
    for player in PLAYERS:
        found = figures.players.get(player) if figures is not None else None
        if found is not None:
            said = "chance" if player == "random" else "the expert"
            rate = f"{success_in_words(name, player)} % of {found.tasks} tasks"
            facts.append((said, f"{rate}, in {found.steps:.1f} {'turns' if name in GAMES else 'steps'} on average"))
    lines = [f"### {name}", f"{one.title}: [{one.page.partition('#')[0]}]({one.page}).", _table(("", ""), facts)]
    settings = _settings(name)
    return "\n\n".join([*lines, *([settings] if settings else [])])


def _counts(splits: Iterable[str], figures: Figures | None) -> str:
    counts = {} if figures is None else figures.tasks
    return ", ".join(f"`{split}` {counts[split]:,}" if split in counts else f"`{split}` {UNKNOWN}" for split in splits)


def _settings(name: str) -> str:
    """Return a table of settings: defaults from the signature, words from its docstring or that of what it makes."""
    words = meanings_of(creator_of(name))
    rows = [(f"`{setting}`", f"`{value!r}`", words.get(setting, "")) for setting, value in settings_of(name).items()]
    return _table(("setting", "default", "meaning"), rows) if rows else ""


def _splits_in_words(one: About) -> str:
    words = ", ".join(f"`{split}`" for split in one.splits)
    if one.published:
        words += f"; with published data also {', '.join(f'`{split}`' for split in one.published)}"
    return words + (f"; {one.more_splits}" if one.more_splits else "")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in (heads, *rows)]
    return "\n".join([lines[0], "|---" * len(heads) + "|", *lines[1:]])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    README.write_text(updated(README.read_text(encoding="utf-8")), encoding="utf-8")
