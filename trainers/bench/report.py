"""What a study found: tables in Markdown and plots."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.bench.plots import plot_curves, plot_profiles
from trainers.bench.statistics import (
    bootstrap_interval,
    interquartile_mean,
    interval_over_runs,
    probability_of_improvement,
)
from trainers.bench.study import Arena, Method, Results, Study, area, played

Floats = NDArray[np.float64]
SMOOTH = 5
"""Iterations that a threshold must be reached over on average, so that one lucky batch does not count."""

MOST_NAMES = 8
"""Methods in arenas that are listed one by one; beyond it their number says enough."""


def write_report(study: Study, results: Results, directory: Path) -> str:
    """Write tables and plots of whatever results there are into a directory; returns the Markdown."""
    directory.mkdir(parents=True, exist_ok=True)
    parts = []
    for arena in study.arenas.values():
        methods = [m for a, m in study.pairs() if a is arena and study.chosen(arena, m, results)]
        if not methods:
            continue
        parts += [f"### {arena.name}", *([f"{arena.note[0].upper()}{arena.note[1:]}."] if arena.note else [])]
        parts.append(arena_table(study, arena, methods, results))
        if arena.tests:
            parts.append(test_table(study, arena, methods, results))
        if len(methods) > 1:
            parts.append(comparison_table(study, arena, methods, results))
        plot_curves(study, arena, methods, results).savefig(directory / f"{arena.name}.png", dpi=110)
    if len(study.arenas) > 1:
        parts = ["### Means over all episodes", overview_table(study, results), *parts]
    overall = overall_table(study, results)
    if overall:
        parts += ["### All arenas", overall]
        plot_profiles(normalised_areas(study, results)).savefig(directory / "profiles.png", dpi=110)
    if any(method.arenas for method in study.methods.values()):
        parts += ["### Where each method was run", places_table(study)]
    minutes = sum(run["cpu_minutes"] for run in results.values())
    runs = f"{len(results):,} run{'s' * (len(results) != 1)}"
    parts.insert(0, f"{runs}, {minutes:,.0f} minute{'s' * (round(minutes) != 1)} of processor time.")
    if any(arrow in rate for arrow in "↑↓" for rate in _rates(study, results)):
        parts[0] += " ↑ at a rate: the largest that was tried; ↓: the smallest."
    if note := unfinished(study, results):
        parts.insert(0, note)
    text = "\n\n".join(parts) + "\n"
    (directory / "tables.md").write_text(text, encoding="utf-8")
    return text


def unfinished(study: Study, results: Results) -> str:
    """Say that runs are missing, and where a best rate may still change; nothing if the study is done."""
    missing = study.next_runs(results)
    if not missing:
        return ""
    open_sweeps = {
        f"{arena.name}/{method.name}"
        for arena, method in study.pairs()
        if any(run not in results for run in study.sweep(arena, method, results))
    }
    note = f"**Unfinished: at least {len(missing)} run{'s are' if len(missing) > 1 else ' is'} missing.**"
    if open_sweeps:
        pairs = len(list(study.pairs()))
        names = ", ".join(sorted(open_sweeps)) if len(open_sweeps) <= MOST_NAMES else f"{len(open_sweeps)} of {pairs}"
        note += f" Rates are provisional, since their sweep goes on, for {names}."
    return note


# Tables ---------------------------------------------------------------------------------------------------------------


def arena_table(study: Study, arena: Arena, methods: Sequence[Method], results: Results) -> str:
    """Area under the curve, end of the curve, length and steps to the threshold, as interquartile means over seeds."""
    rows = []
    for method in methods:
        runs = list(study.chosen(arena, method, results).values())
        steps = [episodes_to_threshold(arena, run) for run in runs]
        reached = [one for one in steps if one is not None]
        rows.append(
            [
                method.name,
                str(len(runs)),
                _rate(study, arena, method, results),
                _with_interval([arena.sign * area(arena, run) for run in runs]),
                _with_interval([last(run, arena.column) for run in runs]),
                _with_interval([last(run, "rollout/success") for run in runs]),
                _with_interval([last(run, "rollout/length") for run in runs]),
                f"{np.median(reached):,.0f} ({len(reached)} of {len(runs)})" if reached else f"none of {len(runs)}",
            ]
        )
    head = ["method", "seeds", "rate", f"mean {arena.label}", "at the end", "success at the end", "turns at the end"]
    if arena.threshold is None:
        rows = [row[:-1] for row in rows]
    else:
        head.append(f"episodes to {arena.threshold:g}")
    return markdown(head, rows)


def test_table(study: Study, arena: Arena, methods: Sequence[Method], results: Results) -> str:
    """Greedy play of tasks that decided nothing, by the weights at the start and at the end; means over seeds."""
    rows = []
    graded = False
    for name in arena.tests:
        for method in methods:
            runs = [
                run
                for run in study.chosen(arena, method, results).values()
                if "success" in run["after"].get(name, {}) and "success" in run["before"].get(name, {})
            ]
            if runs:
                before = [100 * run["before"][name]["success"] for run in runs]
                after = [100 * run["after"][name]["success"] for run in runs]
                lengths, scores = (
                    [np.mean([run[when][name].get(figure, np.nan) for run in runs]) for when in ("before", "after")]
                    for figure in ("length", "score")
                )
                graded |= any(run["after"][name].get("score", np.nan) > run["after"][name]["success"] for run in runs)
                rows.append(
                    [
                        name,
                        method.name,
                        str(len(runs)),
                        _with_interval(before, "{:.1f}"),
                        _with_interval(after, "{:.1f}"),
                        f"{min(after):.1f} to {max(after):.1f}",
                        f"{lengths[0]:.1f} → {lengths[1]:.1f}",
                        f"{100 * scores[0]:.1f} → {100 * scores[1]:.1f}",
                    ]
                )
    head = [
        "test",
        "method",
        "seeds",
        "success before, %",
        "success after, %",
        "lowest to highest",
        "turns",
        "score, %",
    ]
    columns = len(head) - (not graded)  # where a task is solved or not, the score says nothing more
    return markdown(head[:columns], [row[:columns] for row in rows])


def comparison_table(study: Study, arena: Arena, methods: Sequence[Method], results: Results) -> str:
    """Every method against the first: by seed the difference of area and tests, and the probability of improvement."""
    first, *others = methods
    theirs = study.chosen(arena, first, results)
    rows = []
    for method in others:
        ours = study.chosen(arena, method, results)
        seeds = sorted(set(ours) & set(theirs))
        if len(seeds) < 2:
            continue
        columns = [np.array([[area(arena, runs[seed])] for seed in seeds]) for runs in (ours, theirs)]
        gains = [area(arena, ours[seed]) - area(arena, theirs[seed]) for seed in seeds]
        row = [
            f"{method.name} − {first.name}",
            str(len(seeds)),
            _with_interval(gains, mean=True),
            f"{probability_of_improvement(*columns):.2f}",
        ]
        for name in arena.tests:
            pairs = [(ours[seed]["after"].get(name, {}), theirs[seed]["after"].get(name, {})) for seed in seeds]
            if all("success" in one for pair in pairs for one in pair):
                row.append(_with_interval([100 * (a["success"] - b["success"]) for a, b in pairs], "{:.1f}", mean=True))
            else:
                row.append("")
        rows.append(row)
    head = ["difference", "seeds", "area (more is better)", "probability of improvement"]
    return markdown([*head, *(f"{name}, points" for name in arena.tests)], rows) if rows else ""


def overall_table(study: Study, results: Results) -> str:
    """Methods that were run in every arena: interquartile mean of normalised areas."""
    scores = normalised_areas(study, results)
    if len(study.arenas) < 2 or not scores:
        return ""
    rows = []
    for name, table in sorted(scores.items(), key=lambda entry: -interquartile_mean(entry[1])):
        low, high = bootstrap_interval(lambda drawn: interquartile_mean(drawn[0]), [table])
        rows.append([name, f"{interquartile_mean(table):.3f} ({low:.3f} to {high:.3f})"])
    return markdown(["method", "interquartile mean of the area, 0 worst and 1 best run of an arena"], rows)


def overview_table(study: Study, results: Results) -> str:
    """Interquartile mean of the metric over all episodes, for every method in every arena; the best of each in bold."""
    found: dict[tuple[str, str], float] = {}
    for arena, method in study.pairs():
        if runs := study.chosen(arena, method, results):
            areas = np.array([area(arena, run) for run in runs.values()])
            found[arena.name, method.name] = interquartile_mean(areas)
    best = {name: max((x for (a, _), x in found.items() if a == name), default=0.0) for name in study.arenas}
    rows = []
    for method in study.methods.values():
        row = [method.name]
        for arena in study.arenas.values():
            value = found.get((arena.name, method.name))
            text = "" if value is None else f"{arena.sign * value:.3g}"
            row.append(f"**{text}**" if value is not None and value == best[arena.name] else text)
        rows.append(row)
    heads = [f"{arena.name}, {arena.label.removeprefix('rollout/')}" for arena in study.arenas.values()]
    return markdown(["method", *heads], rows)


def normalised_areas(study: Study, results: Results) -> dict[str, Floats]:
    """Areas of the methods that were run in every arena, shape (seeds, arenas), scaled to 0–1 within each arena."""
    everywhere = [m for m in study.methods.values() if all(study.chosen(a, m, results) for a in study.arenas.values())]
    tables = {m.name: np.full((study.seeds, len(study.arenas)), np.nan) for m in everywhere}
    for column, arena in enumerate(study.arenas.values()):
        values = {m.name: study.chosen(arena, m, results) for m in everywhere}
        areas = [area(arena, run) for runs in values.values() for run in runs.values()]
        low, high = (min(areas), max(areas)) if areas else (0.0, 1.0)
        for name, runs in values.items():
            for seed, run in runs.items():
                tables[name][seed, column] = (area(arena, run) - low) / (high - low or 1.0)
    return tables


def places_table(study: Study) -> str:
    """Which method was run in which arena, and what is to be said of it."""
    rows = [
        [
            method.name,
            *("•" if not method.arenas or name in method.arenas else "" for name in study.arenas),
            method.note,
        ]
        for method in study.methods.values()
    ]
    return markdown(["method", *study.arenas, "note"], rows)


def _rate(study: Study, arena: Arena, method: Method, results: Results) -> str:
    """The best rate, with an arrow where it is at the end of those that were tried."""
    rate, tried = study.best_rate(arena, method, results), study.rates_tried(arena, method, results)
    if rate is None:
        return ""
    end = "" if len(tried) < 2 else " ↑" if rate == max(tried) else " ↓" if rate == min(tried) else ""
    return f"{rate:g}{end}"


def _rates(study: Study, results: Results) -> Iterator[str]:
    return (_rate(study, a, m, results) for a, m in study.pairs() if study.chosen(a, m, results))


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


# Figures of one run ---------------------------------------------------------------------------------------------------


def last(run: dict[str, Any], column: str) -> float:
    """Mean of a column over the last tenth of the run, one iteration at least; NaN if it has none."""
    values = run["curve"].get(column)
    return float(np.mean(values[-max(1, len(values) // 10) :])) if values else float("nan")


def episodes_to_threshold(arena: Arena, run: dict[str, Any]) -> int | None:
    """Episodes until the mean of the metric over some iterations first reaches the threshold; None if it never does."""
    if arena.threshold is None:
        return None
    episodes, values = np.array(played(run)), arena.sign * np.asarray(run["curve"][arena.column])
    if "episodes" in run["curve"]:  # five iterations are to be as many episodes as another method's
        grid = np.arange(run["episodes_per_iteration"], arena.episodes + 1, run["episodes_per_iteration"])
        episodes, values = grid, np.interp(grid, episodes, values)
    width = min(SMOOTH, len(values))
    smooth = np.convolve(values, np.ones(width) / width, mode="valid")
    above = np.flatnonzero(smooth >= arena.sign * arena.threshold)
    return int(episodes[above[0] + width - 1]) if len(above) else None


def _with_interval(values: Sequence[float], form: str = "{:.3f}", *, mean: bool = False) -> str:
    """Interquartile mean (or mean) over seeds with its bootstrap interval; a single run, or equal ones, have none."""
    column = np.array([value for value in values if value == value], dtype=np.float64)
    if not len(column):
        return ""
    centre = form.format(float(np.mean(column)) if mean else interquartile_mean(column))
    if np.ptp(column) == 0:  # nor an interval: a bootstrap of equal values knows nothing of other seeds
        return centre
    low, high = interval_over_runs(column, mean=mean)
    return f"{centre} ({form.format(low)} to {form.format(high)})"
