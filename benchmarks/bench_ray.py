"""What Ray's rollout workers are worth: one and two of them, in turn with learning and beside it, in the same run.

    .venv/bin/python -m benchmarks.bench_ray

A small fresh model trains for some iterations in each way, on a cluster that is started for it, and medians over the
iterations after the first are printed. Seconds are of two kinds. Those on the wall depend on what else the machine
does. Processor seconds hardly do: `playing` is that of the worker which took most, so what playing takes where every
worker has a core to itself.
"""

import json
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console

from trainers.cli import make_envs
from trainers.commands import Train
from trainers.config import TrainConfig, config_from_table
from trainers.policies.tiny import TinySettings, build_tiny
from trainers.ray_engine.cluster import cluster
from trainers.ray_engine.run import train_on_ray

COLUMNS = {
    "iteration, wall": "time/iteration_s",
    "playing, processor": "time/playing_cpu_s",
    "learning, wall": "time/learning_s",
    "waiting for episodes": "time/waiting_s",
    "weights: given": "time/sync_s",
    "weights: taken": "time/loading_s",
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured."""

    env: str = "AgentGym/KeyDoor-v0"
    iterations: int = 5
    groups: int = 8
    group_size: int = 8
    hidden_size: int = 256
    """Of the model: 256 makes 2 million weights."""


def main(settings: Settings) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        build_tiny(directory / "model", ["go north", "take key"] * 9, TinySettings(hidden_size=settings.hidden_size))
        ways: dict[str, dict[str, Any]] = {
            "1 worker, in turn": {"workers": 1},
            "2 workers, in turn": {"workers": 2},
            "2 workers, one step ahead": {"workers": 2, "staleness": 1},
        }
        configs = {name: _config(settings, directory, name, ray) for name, ray in ways.items()}
        with cluster(configs["2 workers, in turn"], 0):
            found = {name: _measure(config) for name, config in configs.items()}
    print(f"{'median seconds':28}" + "".join(f"{name:>{len(name) + 3}}" for name in COLUMNS))
    for name, figures in found.items():
        print(f"{name:28}" + "".join(f"{figures[key]:{len(title) + 3}.3f}" for title, key in COLUMNS.items()))
    one, two, ahead = found.values()
    wall, playing = "time/iteration_s", "time/playing_cpu_s"
    print(f"playing, 2 workers beside 1: {one[playing] / two[playing]:.2f} times (processor seconds of the slower one)")
    print(f"iteration, 2 workers beside 1: {one[wall] / two[wall]:.2f} times (wall)")
    print(f"iteration, one step ahead beside in turn: {two[wall] / ahead[wall]:.2f} times (wall)")
    lost = (two["time/sync_s"] + two["time/loading_s"]) / two[wall]
    print(f"weights, given and taken: {lost:.1%} of an iteration")


def _config(settings: Settings, directory: Path, name: str, ray: dict[str, Any]) -> TrainConfig:
    table = {
        "env": {"id": settings.env, "context": "step", "num_envs": settings.groups * settings.group_size},
        "model": {"path": str(directory / "model")},
        "rollout": {"groups": settings.groups, "group_size": settings.group_size, "max_new_tokens": 8, "max_turns": 8},
        "output": {"report_to": [], "save_steps": settings.iterations, "episodes": False},
        "ray": {"address": "auto"} | ray,
        "iterations": settings.iterations,
        "output_dir": str(directory / name.replace(" ", "_")),
    }
    return config_from_table(table)


def _measure(config: TrainConfig) -> dict[str, float]:
    assert train_on_ray(Train(config=config), make_envs, Console(quiet=True)) == 0
    lines = [json.loads(line) for line in (Path(config.output_dir) / "metrics.jsonl").read_text().splitlines()]
    return {key: statistics.median(line[key] for line in lines[1:]) for key in COLUMNS.values()}


if __name__ == "__main__":
    main(tyro.cli(Settings))
