"""The native ALFWorld engine beside the original one, step by step, on published games.

    python benchmarks/differential.py                 # every game in ALFWORLD_DATA, both wordings: most of an hour on
    two cores python benchmarks/differential.py --games 20      # a sample

Both engines get the same commands: a random walk that prefers what changes something, mixed with commands that are not
admissible, and then a plan that wins. After every command the observation, the admissible commands and the won flag are
compared, byte for byte; each game also checks that the state key and the original's facts agree on which states are
equal. One line per game goes to the output file; a second call goes on where the first one stopped. The newer wording
is the same problem with the domain and grammar of the installed alfworld package, goal sentence kept.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.resources
import json
import multiprocessing
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from agent_gym.envs.alfworld.engine import Simulator
from agent_gym.envs.alfworld.oracle import plan
from agent_gym.envs.alfworld.problem import parse_game
from agent_gym.envs.alfworld.textworld_engine import TextworldEngine
from agent_gym.errors import EpisodeError

_TASK = re.compile(r'"(Your task is to: [^"]*)"')
_NONSENSE = (
    "",
    "dance",
    "help",
    "LOOK",
    "look\u00a0",
    "  inventory\t",
    "examine",
    "go to",
    "go to loc 5",
    "go to fridge 99",
    "take all",
    "open  drawer 1",
    "put apple 1 in/on fridge 1",
    "take {o} from {r}",
)
_CHANGING = ("take", "put", "move", "open", "clean", "heat", "cool", "slice", "use")


def find_games(data: Path) -> list[Path]:
    """Return all game files, in an order that mixes task types and splits and never changes."""
    games = sorted(data.glob("**/game.tw-pddl"))
    return sorted(games, key=lambda game: hashlib.sha256(game.relative_to(data).as_posix().encode()).hexdigest())


def in_newer_wording(data: dict[str, Any]) -> dict[str, Any]:
    """Return the same problem with the domain and grammar of the installed alfworld package."""
    package = importlib.resources.files("alfworld") / "data"
    found = _TASK.search(data["grammar"])
    if found is None:
        raise ValueError("expected a task sentence in the grammar, got none")
    grammar = (package / "alfred.twl2").read_text(encoding="utf-8").replace("Your task is to: UNKNOWN GOAL.", found[1])
    return {**data, "pddl_domain": (package / "alfred.pddl").read_text(encoding="utf-8"), "grammar": grammar}


def choose(commands: tuple[str, ...], rng: np.random.Generator) -> str:
    """Draw a command: mostly one that changes something, sometimes one that is not admissible."""
    if rng.random() < 0.08:
        return str(rng.choice(_NONSENSE))
    changing = [command for command in commands if command.startswith(_CHANGING)]
    pool = changing if changing and rng.random() < 0.6 else commands
    return str(pool[int(rng.integers(len(pool)))])


def compare(data: dict[str, Any], name: str, steps: int, seed: int) -> dict[str, Any]:
    """Play one game in both engines: `steps` random commands, then a plan that wins.

    Returns:
        Numbers of steps and mismatches (0 or 1: comparison ends at the first, which is described), whether the game was
        won, and seconds.
    """
    rng = np.random.default_rng(seed)
    native, original = Simulator(parse_game(data, name)), TextworldEngine(data, name)
    seconds = {"native": 0.0, "original": 0.0}
    answers: dict[str, str] = {}
    for key, engine in (("native", native), ("original", original)):
        start = time.perf_counter()
        answers[key] = engine.reset()
        seconds[key] += time.perf_counter() - start
    keys: dict[str, str] = {}
    todo: list[str] = []
    done, command = 0, "reset"
    while True:
        wrong = _differences(answers, native, original, keys)
        if wrong:
            return {
                "steps": done,
                "mismatches": 1,
                "won": native.won,
                "seconds": seconds,
                "where": {"command": command, **wrong},
            }
        if done == steps:
            todo = _winning_plan(native)
        if done >= steps and not todo:
            return {"steps": done, "mismatches": 0, "won": native.won, "seconds": seconds}
        command = todo.pop(0) if todo else choose(native.admissible(), rng)
        start = time.perf_counter()
        answers["native"], _ = native.step(command)
        middle = time.perf_counter()
        answers["original"], _ = original.step(command)
        seconds["native"] += middle - start
        seconds["original"] += time.perf_counter() - middle
        done += 1


def _winning_plan(native: Simulator) -> list[str]:
    """Return a plan, or nothing from a dead end: some objects can be taken and put nowhere."""
    try:
        return plan(native)
    except EpisodeError:
        return []


def _differences(
    answers: dict[str, str], native: Simulator, original: TextworldEngine, keys: dict[str, str]
) -> dict[str, Any]:
    pairs = {
        "observation": (answers["native"], answers["original"]),
        "admissible": (native.admissible(), original.admissible()),
        "won": (native.won, original.won),
    }
    wrong = {name: {"native": ours, "original": theirs} for name, (ours, theirs) in pairs.items() if ours != theirs}
    facts = original.state_key()
    if keys.setdefault(facts, native.state_key()) != native.state_key():
        wrong["state_key"] = {"native": native.state_key(), "original": facts}
    return wrong


def _job(job: tuple[str, str, str, int]) -> dict[str, Any]:
    path, label, wording, steps = job
    data = json.loads(Path(path).read_text(encoding="utf-8"))
    if wording == "move":
        data = in_newer_wording(data)
    seed = int.from_bytes(hashlib.sha256(f"{label}{wording}".encode()).digest()[:4], "big")
    return {"game": label, "wording": wording, **compare(data, label, steps, seed)}


def main() -> int:
    """Compare, print a summary, return 0 if nothing differed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("ALFWORLD_DATA"),
        help="directory with json_2.1.1 (default: ALFWORLD_DATA)",
    )
    parser.add_argument("--games", type=int, default=None, help="how many games (default: all)")
    parser.add_argument("--steps", type=int, default=25, help="random steps before the winning plan")
    parser.add_argument("--wordings", nargs="+", choices=["put", "move"], default=["put", "move"])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("runs/differential.jsonl"))
    args = parser.parse_args()
    if args.data is None or not Path(args.data).is_dir():
        parser.error(
            "expected the published games: set ALFWORLD_DATA or pass --data with the directory that holds json_2.1.1"
        )
    args.output.parent.mkdir(parents=True, exist_ok=True)
    done: dict[tuple[str, str], dict[str, Any]] = {}
    if args.output.exists():
        for line in args.output.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            done[record["game"], record["wording"]] = record
    jobs = []
    for game in find_games(Path(args.data))[: args.games]:
        label = game.parent.relative_to(args.data).as_posix()
        jobs += [(str(game), label, wording, args.steps) for wording in args.wordings]
    waiting = [job for job in jobs if (job[1], job[2]) not in done]
    print(
        f"{len(jobs)} games (in {len(args.wordings)} wordings), {len(jobs) - len(waiting)} of them done before",
        flush=True,
    )
    with (
        multiprocessing.Pool(args.processes, maxtasksperchild=20) as pool,
        args.output.open("a", encoding="utf-8") as output,
    ):
        for number, record in enumerate(pool.imap_unordered(_job, waiting), start=1):
            output.write(json.dumps(record) + "\n")
            output.flush()
            done[record["game"], record["wording"]] = record
            if record["mismatches"] or number % 10 == 0:
                line = f"{record['game']} ({record['wording']}): {record['mismatches']} mismatches"
                print(f"{number}/{len(waiting)} {line}", flush=True)
    return summarise([done[job[1], job[2]] for job in jobs])


def summarise(records: list[dict[str, Any]]) -> int:
    """Print the counts; return 0 if nothing differed."""
    print("| wording | games | steps | won | mismatches | original ms/step | native µs/step |")
    print("|---|---|---|---|---|---|---|")
    for wording in sorted({record["wording"] for record in records}):
        part = [record for record in records if record["wording"] == wording]
        steps = sum(record["steps"] for record in part)
        original = 1e3 * sum(record["seconds"]["original"] for record in part) / steps
        native = 1e6 * sum(record["seconds"]["native"] for record in part) / steps
        won, wrong = sum(record["won"] for record in part), sum(record["mismatches"] for record in part)
        print(f"| {wording} | {len(part)} | {steps:,} | {won} | {wrong} | {original:.1f} | {native:.1f} |")
    for record in records:
        if record["mismatches"]:
            print(json.dumps(record, indent=1))
    return int(any(record["mismatches"] for record in records))


if __name__ == "__main__":
    sys.exit(main())
