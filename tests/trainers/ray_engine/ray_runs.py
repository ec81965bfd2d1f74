"""Runs in corridors where accidents may happen, on Ray and not, and how they are compared."""

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.trainers.corridor import SETTINGS, small_config
from tests.trainers.ray_engine import faulty_corridor
from trainers.config import TrainConfig
from trainers.metrics import is_timing

LEFT_OUT = {"learner/micro_batches", "learner/padding"}
"""How samples fall into micro-batches depends on which of them are together."""


def configure(model: Path, output_dir: Path, accidents: Path | str = "", **changes: Any) -> TrainConfig:
    """A run of four iterations, as `small_config` has it, in corridors where accidents may happen."""
    env = {"id": faulty_corridor.HERE, "settings": SETTINGS | {"accidents": str(accidents)}}
    return small_config(output_dir, env=env, model={"path": str(model), "device": "cpu"}, **changes)


def train(config: TrainConfig) -> int:
    """Train on the cluster that this process is connected to, as `agent-gym train` does."""
    from trainers.cli import make_envs
    from trainers.commands import Train
    from trainers.ray_engine.run import train_on_ray

    return train_on_ray(Train(config=config), make_envs, Console())


def lines_of(directory: Path, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (directory / name).read_text().splitlines()]
    return [{key: value for key, value in line.items() if not is_timing(key)} for line in lines]


def check_same(run: Path, plain: Path) -> None:
    """Every episode is the same, once and in order, and every number within 1e-5."""
    mine, theirs = lines_of(run), lines_of(plain)
    assert [line["iteration"] for line in mine] == [line["iteration"] for line in theirs]
    for a, b in zip(mine, theirs, strict=True):
        for name in b.keys() - LEFT_OUT:
            assert a[name] == pytest.approx(b[name], rel=1e-5, abs=1e-5), (a["iteration"], name)
    episodes, expected = lines_of(run, "episodes.jsonl"), lines_of(plain, "episodes.jsonl")
    assert [said(episode) for episode in episodes] == [said(episode) for episode in expected]


def said(episode: dict[str, Any]) -> tuple[Any, ...]:
    turns = [(turn["state_key"], turn["answer"], turn["reward"]) for turn in episode["turns"]]
    return episode["iteration"], episode["task"], turns


def processes(title: str, nodes: Collection[int] = ()) -> list[int]:
    """Ray's actors of a class, the oldest first: on nodes, named by their raylets, or on all that this test has."""
    found = []
    for place in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # it has just ended
            if place.name.isdecimal() and (place / "cmdline").read_bytes().startswith(f"ray::{title}".encode()):
                raylet = _parent(int(place.name))
                if raylet in nodes or (not nodes and _parent(raylet) == os.getpid()):
                    found.append(int(place.name))
    return sorted(found)


def _parent(pid: int) -> int:
    # Its name, in parentheses, may hold anything.
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


class Meanwhile(threading.Thread):
    """Does something while a run waits (`FaultyCorridor`), and lets it go on then."""

    def __init__(self, accidents: Path, act: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self.accidents, self.act = accidents, act
        self.done = False
        self.start()

    def run(self) -> None:
        while not (self.accidents / "wait.done").exists():
            time.sleep(0.01)
        try:
            self.act()
            self.done = True
        finally:
            (self.accidents / "go").touch()
