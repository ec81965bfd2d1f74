"""What `train_gigpo.py` leaves behind: an interval, two transcripts, a learning curve and a JSON file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from trainers.statistics import wilson_interval
from trainers.types import Episode

Figures = dict[str, Any]
"""Numbers by name, as they go into the JSON file."""


def summarise(episodes: Sequence[Episode]) -> Figures:
    """Success with its 95 % Wilson interval, turns per episode and the share of commands not understood."""
    won = sum(episode.success for episode in episodes)
    low, high = wilson_interval(won, len(episodes))
    turns = [turn for episode in episodes for turn in episode.turns]
    return {
        "episodes": len(episodes),
        "won": won,
        "success": won / len(episodes),
        "low": low,
        "high": high,
        "turns_per_episode": len(turns) / len(episodes),
        "invalid_share": sum(not turn.action_valid for turn in turns) / len(turns),
    }


def in_words(episodes: Sequence[Episode]) -> str:
    """A summary as a line of text."""
    figures = summarise(episodes)
    success, low, high = (100 * figures[key] for key in ("success", "low", "high"))
    return (
        f"{success:.1f} % of {len(episodes)} held-out tasks solved (95 % interval {low:.1f} to {high:.1f}), "
        f"{figures['turns_per_episode']:.1f} turns an episode"
    )


def write_report(
    directory: Path, figures: Figures, before: Sequence[Episode], after: Sequence[Episode], curve: Sequence[Figures]
) -> None:
    """Write figures.json, learning_curve.png and two transcripts of one task, and say where they are."""
    figures = {**figures, "before": summarise(before), "after": summarise(after), "curve": list(curve)}
    partial = directory / "figures.partial"
    partial.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    partial.replace(directory / "figures.json")  # whole, or not at all
    plot_curve(directory / "learning_curve.png", figures)
    gained = (i for i in range(len(after)) if after[i].success and not before[i].success)
    shown = next(gained, 0)  # a task that was learnt, where there is one
    for name, episodes in (("before", before), ("after", after)):
        (directory / f"transcript_{name}.txt").write_text(as_text(episodes[shown]), encoding="utf-8")
    names = ("learning_curve.png", "transcript_before.txt", "transcript_after.txt", "figures.json")
    print("\n".join(["written:", *(f"  {directory / name}" for name in names)]))


def as_text(episode: Episode) -> str:
    """What was seen and said, one command per line with its fate."""
    lines = []
    for turn in episode.turns:
        lines += [turn.observation, f"> {turn.answer}"]
    return "\n".join([*lines, "SOLVED" if episode.success else "NOT SOLVED"]) + "\n"


def plot_curve(path: Path, figures: Figures) -> None:
    """Draw success against minutes of processor time, with the held-out results at both ends."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    curve = figures["curve"]
    for key, style, label in (
        ("success", "-", "training tasks, sampled"),
        ("valid_success", "o-", "generated_valid, greedy"),
    ):
        points = [(point["minutes"], 100 * point[key]) for point in curve if key in point]
        if points:
            axes.plot(*zip(*points, strict=True), style, label=label)
    for name, minutes in (("before", 0.0), ("after", curve[-1]["minutes"] if curve else 0.0)):
        success, low, high = (100 * figures[name][key] for key in ("success", "low", "high"))
        text = "400 tasks of generated_test, greedy, 95 % interval" if name == "before" else None
        axes.errorbar(minutes, success, [[success - low], [high - success]], fmt="ks", capsize=4, label=text)
    axes.set(xlabel="minutes of processor time after the warm start", ylabel="success (%)", ylim=(0, 100))
    axes.set_title(f"{figures['method']}, seed {figures['seed']}, difficulty {figures['difficulty']}")
    axes.legend(loc="lower right")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
