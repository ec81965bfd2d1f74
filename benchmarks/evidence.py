"""Repeat `examples/train_gigpo.py`: three seeds of GiGPO, of GRPO, and of imitation alone for the same time.

    python benchmarks/evidence.py                    # what is missing; one run per core, about 80 minutes on two
    python benchmarks/evidence.py --seeds 0 1 2 3 4  # more of it

The three methods of a seed start from the same imitator, which is trained once. Each run leaves one JSON file in
docs/evidence/, and one that is there already is not repeated, so the program can be stopped and started again at any
time. At the end it writes the table and the plot in docs/ from all the files.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from trainers.statistics import wilson_interval

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "evidence"
SCRATCH = ROOT / "runs" / "evidence"
METHODS = {"gigpo": "GiGPO", "grpo": "GRPO", "clone": "imitation only"}


def run_all(seeds: Sequence[int], methods: Sequence[str], jobs: int, extra: Sequence[str]) -> None:
    """Run what is missing, `jobs` processes at a time; the other methods of a seed wait for its imitator.

    Raises:
        SystemExit: If a run fails; what it wrote stands in its log.
    """
    waiting = [(method, seed) for method in methods for seed in seeds if not result(method, seed).exists()]
    running: list[tuple[str, int, subprocess.Popen[bytes]]] = []
    try:
        while waiting or running:
            for entry in [entry for entry in running if entry[2].poll() is not None]:
                running.remove(entry)
                finish(*entry)
            busy = {seed for _, seed, _ in running}
            ready = [(m, s) for m, s in waiting if imitator(s).exists() or s not in busy]
            while ready and len(running) < jobs:
                method, seed = ready.pop(0)
                waiting.remove((method, seed))
                running.append((method, seed, start(method, seed, extra)))
                if not imitator(seed).exists():
                    ready = [(m, s) for m, s in ready if s != seed]
            time.sleep(1)
    finally:
        for *_, process in running:
            process.terminate()


def start(method: str, seed: int, extra: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start one run; it uses one thread."""
    directory = SCRATCH / f"{method}-{seed}"
    directory.mkdir(parents=True, exist_ok=True)
    print(f"{METHODS[method]}, seed {seed}: started", flush=True)
    command = [sys.executable, str(ROOT / "examples" / "train_gigpo.py"), "--method", method, "--seed", str(seed)]
    command += ["--warm-start", str(imitator(seed)), "--output-dir", str(directory), *extra]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with (directory / "log.txt").open("wb") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)


def finish(method: str, seed: int, process: subprocess.Popen[bytes]) -> None:
    """Keep the figures of a run that has ended."""
    directory = SCRATCH / f"{method}-{seed}"
    if process.returncode:
        raise SystemExit(f"{METHODS[method]}, seed {seed}, failed: see {directory / 'log.txt'}")
    figures = json.loads((directory / "figures.json").read_text(encoding="utf-8"))
    RESULTS.mkdir(parents=True, exist_ok=True)
    partial = directory / "kept.json"
    partial.write_text(json.dumps(rounded(figures)) + "\n", encoding="utf-8")
    partial.replace(result(method, seed))
    print(f"{METHODS[method]}, seed {seed}: {percent(figures['before'])} -> {percent(figures['after'])}", flush=True)


def imitator(seed: int) -> Path:
    """The file of the imitator that a seed's methods share."""
    return SCRATCH / f"imitator-{seed}.pt"


def result(method: str, seed: int) -> Path:
    """The file of figures that a finished run leaves."""
    return RESULTS / f"{method}-{seed}.json"


def rounded(value: Any) -> Any:
    """The same with four decimals: small files, and differences that can be read."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value


def percent(figures: dict[str, Any]) -> str:
    """Success with its interval, as it stands in the table."""
    return f"{100 * figures['success']:.1f} % ({100 * figures['low']:.1f} to {100 * figures['high']:.1f})"


def table(runs: dict[tuple[str, int], dict[str, Any]]) -> str:
    """One line per run, and one per method for all its seeds together."""
    lines = [
        "| method | seed | after the warm start | at the end | turns an episode | commands not understood |",
        "|---|---|---|---|---|---|",
    ]
    for method, name in METHODS.items():
        mine = [run for (run_method, _), run in sorted(runs.items()) if run_method == method]
        for run in mine:
            before, after = run["before"], run["after"]
            lines.append(
                f"| {name} | {run['seed']} | {percent(before)} | {percent(after)} | "
                f"{before['turns_per_episode']:.1f} → {after['turns_per_episode']:.1f} | "
                f"{100 * before['invalid_share']:.0f} → {100 * after['invalid_share']:.0f} % |"
            )
        if mine:
            both = " | ".join(percent(pooled([run[when] for run in mine])) for when in ("before", "after"))
            lines.append(f"| **{name}** | all | {both} | | |")
    return "\n".join(lines)


def pooled(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Success over several runs' episodes; the interval is that of the tasks, not of the choice of seeds."""
    won, n = sum(part["won"] for part in parts), sum(part["episodes"] for part in parts)
    low, high = wilson_interval(won, n)
    return {"success": won / n, "low": low, "high": high}


def plot(path: Path, runs: dict[tuple[str, int], dict[str, Any]]) -> None:
    """Success on generated_valid against processor time, a line per run; at the ends, generated_test."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for (method, name), colour in zip(METHODS.items(), ("tab:blue", "tab:orange", "tab:green"), strict=True):
        mine = [run for (run_method, _), run in sorted(runs.items()) if run_method == method]
        for number, run in enumerate(mine):
            checks = [(p["minutes"], 100 * p["valid_success"]) for p in run["curve"] if "valid_success" in p]
            if checks:
                axes.plot(*zip(*checks, strict=True), color=colour, alpha=0.5, label=name if number == 0 else "")
            for when, minutes in (("before", 0.0), ("after", run["minutes"])):
                axes.plot(minutes, 100 * run[when]["success"], "o", color=colour)
    axes.set(xlabel="minutes of processor time after the warm start", ylabel="success (%)", ylim=(0, 100))
    axes.set_title("lines: 128 tasks of generated_valid; dots: 400 tasks of generated_test; greedy")
    axes.legend(loc="lower right")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def write_docs() -> None:
    """Write the table and the plot from the files that are there."""
    files = sorted(RESULTS.glob("*-*.json"))
    loaded = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    runs = {(figures["method"], int(figures["seed"])): figures for figures in loaded}
    page = ROOT / "docs" / "evidence.md"
    text = page.read_text(encoding="utf-8")
    opening, closing = "<!-- table: benchmarks/evidence.py writes it -->\n", "<!-- end of table -->"
    head, _, rest = text.partition(opening)
    _, _, tail = rest.partition(closing)
    page.write_text(f"{head}{opening}\n{table(runs)}\n\n{closing}{tail}", encoding="utf-8")
    plot(RESULTS / "learning_curves.png", runs)
    print(table(runs))


def main() -> None:
    """Run what is missing and write the page."""
    parser = argparse.ArgumentParser(
        description="GiGPO, GRPO and imitation alone, over seeds; resumes where it stopped."
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="runs at a time, one core each")
    parser.add_argument("--only-docs", action="store_true", help="write table and plot from the files that are there")
    arguments, extra = parser.parse_known_args()
    if not arguments.only_docs:
        run_all(arguments.seeds, arguments.methods, max(1, arguments.jobs), extra)
    write_docs()


if __name__ == "__main__":
    main()
