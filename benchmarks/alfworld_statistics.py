"""Statistics of generated games beside those of the published ones, and what generation rejects, as Markdown tables.

Run as ``python -m benchmarks.alfworld_statistics [--games 1000] [--difficulty standard] [--data DIRECTORY]``. The
published columns need the benchmark's games, in ``--data`` or ``ALFWORLD_DATA``. A walkthrough is the shortest plan
that `agent_gym.envs.alfworld.generator_plan` finds knowing where everything is, for both kinds of games.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent_gym.envs.alfworld.generator import DIFFICULTIES, GENERATED_SPLITS, Rejection, generate_game, rejection_counts
from agent_gym.envs.alfworld.generator_facts import TASK_TYPES, Fixture, Receptacle, load_scenes
from agent_gym.envs.alfworld.generator_plan import shortest_walkthrough
from agent_gym.envs.alfworld.generator_world import Goal, Household, Thing


@dataclass(frozen=True)
class GameFigures:
    """What is counted in one game; ``hidden`` is the share of the goal's kind that starts behind a closed door."""

    scene: int
    task_type: str
    receptacles: int
    closed: int
    portable: int
    targets: int
    hidden: float
    walkthrough: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Print both tables; returns the exit status."""
    parser = argparse.ArgumentParser(description="compare generated and published games")
    parser.add_argument("--games", type=int, default=1000, help="games of generated_train to look at")
    parser.add_argument("--difficulty", choices=sorted(DIFFICULTIES), default="standard")
    parser.add_argument("--data", type=Path, default=os.environ.get("ALFWORLD_DATA"), help="directory with json_2.1.1")
    options = parser.parse_args(arguments)
    columns = {split: _published(options.data, split) for split in ("train", "valid_seen")} if options.data else {}
    numbers = {split: min(size, options.games) for split, size in GENERATED_SPLITS.items()}
    columns |= {split: _generated(split, number, options.difficulty) for split, number in numbers.items()}
    print(_figures_table(columns))
    print()
    print(_rejections_table(numbers, options.difficulty))
    return 0


def _generated(split: str, number: int, difficulty: str) -> list[GameFigures]:
    games = (generate_game(split, index, difficulty=difficulty) for index in range(number))
    return [
        _count(
            game["pddl_problem"], int(game["scene"].removeprefix("FloorPlan")), game["task_type"], game["pddl_params"]
        )
        for game in games
    ]


def _published(data: Path, split: str) -> list[GameFigures]:
    """Games of a published split; ``valid_train`` is training data and counts as such."""
    folders = ("train", "valid_train") if split == "train" else (split,)
    paths = sorted(path for folder in folders for path in (data / "json_2.1.1" / folder).glob("*/*/game.tw-pddl"))
    figures = []
    for path in paths:
        described = json.loads((path.parent / "traj_data.json").read_text())
        problem = json.loads(path.read_text())["pddl_problem"]
        figures.append(
            _count(problem, described["scene"]["scene_num"], described["task_type"], described["pddl_params"])
        )
    return figures


def _count(problem: str, scene: int, task_type: str, parameters: dict[str, str]) -> GameFigures:
    goal = Goal(task_type, parameters["object_target"], parameters["parent_target"])
    household = _read_household(problem, scene, goal)
    targets = [thing for thing in household.things if thing.kind == goal.object_kind]
    hidden = sum(household.receptacles[thing.receptacle].openable for thing in targets)
    return GameFigures(
        scene=scene,
        task_type=task_type,
        receptacles=len(household.receptacles),
        closed=sum(receptacle.openable for receptacle in household.receptacles),
        portable=len(household.things),
        targets=len(targets),
        hidden=hidden / len(targets),
        walkthrough=len(shortest_walkthrough(household)),
    )


def _read_household(problem: str, scene: int, goal: Goal) -> Household:
    """The part of a problem file that a plan depends on; a thing in several receptacles counts as in the first."""
    start = problem[problem.index("(:init") : problem.index("(:goal")]
    facts: defaultdict[str, list[list[str]]] = defaultdict(list)
    for predicate, arguments in re.findall(r"\((\w+)((?: [^\s()]+)+)\)", start):
        facts[predicate].append(arguments.split())
    openable = {name for (name,) in facts["openable"]}
    portable = {name for (name,) in facts["pickupable"]}
    index = {name: number for number, (name, _) in enumerate(facts["receptacleType"])}
    receptacles = tuple(
        Receptacle(kind.removesuffix("Type"), name, (0, 0, 0), name in openable, "")
        for name, kind in facts["receptacleType"]
    )
    kinds = {name: kind.removesuffix("Type") for name, kind in facts["objectType"]}
    inside = {name: index[place] for name, place in reversed(facts["inReceptacle"])}
    things = tuple(Thing(kinds[name], name, inside[name]) for name in kinds if name in portable and name in inside)
    fixtures = tuple(
        Fixture(kinds[name], name, inside[name], "") for name in kinds if name not in portable and name in inside
    )
    return Household(load_scenes()[scene], goal, receptacles, fixtures, things, "")


def _figures_table(columns: dict[str, list[GameFigures]]) -> str:
    rows: list[tuple[str, ...]] = [("", *columns), ("---", *("---:" for _ in columns))]
    rows.append(("games", *(str(len(games)) for games in columns.values())))
    rows.append(("rooms among them", *(str(len({game.scene for game in games})) for games in columns.values())))
    for label, name in (
        ("receptacles", "receptacles"),
        ("of these start closed", "closed"),
        ("portable objects", "portable"),
        ("of these of the goal's kind", "targets"),
        ("walkthrough, commands", "walkthrough"),
    ):
        rows.append((label, *(_spread([getattr(game, name) for game in games]) for games in columns.values())))
    hidden = (statistics.mean(game.hidden for game in games) if games else 0.0 for games in columns.values())
    rows.append(("of the goal's kind, behind a door", *(f"{share:.0%}" for share in hidden)))
    for task_type in TASK_TYPES:
        shares = (sum(game.task_type == task_type for game in games) / max(1, len(games)) for games in columns.values())
        rows.append((f"`{task_type}`", *(f"{share:.0%}" for share in shares)))
    return _markdown(rows)


def _spread(values: Sequence[int]) -> str:
    """Mean, and the range in brackets."""
    return f"{statistics.mean(values):.1f} ({min(values)} to {max(values)})" if values else "-"


def _rejections_table(numbers: dict[str, int], difficulty: str) -> str:
    counts = {split: rejection_counts(split, number, difficulty=difficulty) for split, number in numbers.items()}
    rows: list[tuple[str, ...]] = [("candidates", *counts), ("---", *("---:" for _ in counts))]
    rows.append(("drawn", *(str(drawn) for drawn, _ in counts.values())))
    rows.append(("accepted", *(str(number) for number in numbers.values())))
    for reason in Rejection:
        shares = (f"{rejected[reason]} ({rejected[reason] / drawn:.1%})" for drawn, rejected in counts.values())
        rows.append((reason.value, *shares))
    return _markdown(rows)


def _markdown(rows: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
