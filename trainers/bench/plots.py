"""Plots of a study."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from trainers.bench.statistics import interquartile_mean, performance_profile
from trainers.bench.study import Arena, Method, Results, Study, played

Floats = NDArray[np.float64]
FEW = 6
"""Methods that are told apart by shaded ranges and a legend within the plot; more would cover it."""


def plot_curves(study: Study, arena: Arena, methods: Sequence[Method], results: Results) -> Figure:
    """The metric and the length against episodes: interquartile mean over seeds, of few methods with their ranges.

    The length is left out where it is always the same.
    """
    runs = {method.name: list(study.chosen(arena, method, results).values()) for method in methods}
    columns = list(dict.fromkeys([arena.column, "rollout/length"]))
    lengths = {turns for of_method in runs.values() for run in of_method for turns in run["curve"]["rollout/length"]}
    if len(lengths) == 1 and len(columns) > 1:
        columns.pop()
    few = len(methods) <= FEW
    figure = Figure(figsize=(5.5 * len(columns) + (0 if few else 2), 4.2 if few else 5), layout="constrained")
    for place, column in enumerate(columns):
        axes = figure.add_subplot(1, len(columns), place + 1)
        for number, (name, of_method) in enumerate(runs.items()):
            episodes, table = _over_episodes(arena, column, of_method)
            if not len(table):
                continue
            middle = np.array([interquartile_mean(table[:, i]) for i in range(len(episodes))])
            style, colour = _look(number)
            axes.plot(episodes, middle, style, color=colour, label=f"{name} ({len(table)})")
            if few:
                axes.fill_between(episodes, table.min(axis=0), table.max(axis=0), color=colour, alpha=0.12, linewidth=0)
        axes.set_xlabel("episodes")
        axes.set_ylabel(arena.label if column == arena.column else column)
        axes.grid(alpha=0.3)
    if few:
        figure.axes[0].legend(fontsize="small")
    else:
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right center", fontsize="small")
    shaded = ", lowest to highest shaded" if few else ""
    then = ": " if len(columns) > 1 else "\n"  # over a single panel there is room for half of it
    figure.suptitle(f"{arena.name}{then}interquartile mean over seeds{shaded}")
    return figure


def plot_profiles(areas: Mapping[str, Floats]) -> Figure:
    """Share of runs above each normalised area, by method; see `report.normalised_areas`."""
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axes = figure.add_subplot()
    thresholds = np.linspace(0, 1, 101)
    for number, (name, table) in enumerate(areas.items()):
        style, colour = _look(number)
        axes.plot(thresholds, performance_profile(table, thresholds), style, color=colour, label=name)
    figure.suptitle("performance profiles over all arenas\nthe higher a line, the better")
    axes.set_xlabel("area under the curve, normalised within each arena")
    axes.set_ylabel("share of runs above")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    return figure


def _over_episodes(arena: Arena, column: str, runs: Sequence[Mapping[str, Any]]) -> tuple[Floats, Floats]:
    """Episodes, shape (N,), and the column at each of them, shape (runs, N); runs without it are left out."""
    having = [run for run in runs if run["curve"].get(column)]
    step = arena.config.rollout.groups * arena.config.rollout.group_size
    last = min([arena.episodes, *(played(run)[-1] for run in having)])
    episodes = np.arange(step, last + 1, step, dtype=np.float64)
    return episodes, np.array([np.interp(episodes, played(run), run["curve"][column]) for run in having])


def _look(number: int) -> tuple[str, str]:
    return ("-", "--", ":", "-.")[number // 10 % 4], f"C{number % 10}"
