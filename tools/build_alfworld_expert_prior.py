"""Rebuild ``agent_gym/envs/alfworld/data/expert_prior.json``: where each kind of object usually lies.

Run as ``python tools/build_alfworld_expert_prior.py [--data DIRECTORY]`` with published games in ``--data``,
``ALFWORLD_DATA`` or ``../shared/data/alfworld``. Only training games are counted (``train`` and ``valid_train``), never
the games that the expert is measured on.

Every object of a game is one choice among the receptacles of its room, made with probability proportional to a weight
that depends on the kind of object and the kind of receptacle (Luce's choice rule). The weights are the maximum of the
posterior under a gamma prior around the weights of all objects together, found by minorisation-maximisation (Hunter
2004, "MM algorithms for generalized Bradley-Terry models", section 5). A choice model and not a count, because rooms
differ in what stands in them: a kind that is rare but holds the object whenever it is there must come first.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections import Counter, defaultdict
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
TARGET = REPOSITORY / "agent_gym" / "envs" / "alfworld" / "data" / "expert_prior.json"
SPLITS = ("train", "valid_train")
STRENGTH = 0.5
"""How many choices the pooled weights count for, per kind of object and receptacle."""
ROUNDS = 200
ABOUT = (
    "Weight of one receptacle of each kind that fits, for each kind of object, and how often a kind of receptacle is "
    "closed at first. Counted by tools/build_alfworld_expert_prior.py from training games of ALFWorld "
    "(MIT, 2020 Mohit Shridhar and others), made from ALFRED (MIT, 2019 Mohit Shridhar and others)."
)

Choice = tuple[dict[str, int], list[str]]
"""The receptacles to choose from (kind to number) and the kinds chosen (several if the object is listed twice)."""


def _kind(name: str) -> str:
    return name.removesuffix("Type").lower()


def _read(path: Path) -> tuple[dict[str, list[Choice]], set[tuple[str, str]], Counter[str], Counter[str]]:
    """Return the choices by kind of object, what fits where, and how many receptacles there are and are closed."""
    problem = json.loads(path.read_text(encoding="utf-8"))["pddl_problem"]
    start = problem.split("(:init", 1)[1].split("(:goal", 1)[0]
    facts: dict[str, list[list[str]]] = defaultdict(list)
    for fact in re.findall(r"\(([^()]+)\)", start):
        name, *arguments = fact.split()
        facts[name].append(arguments)
    receptacles = {r: _kind(t) for r, t in facts["receptacleType"]}
    objects = {o: _kind(t) for o, t in facts["objectType"]}
    shut = {r for (r,) in facts["openable"]} - {r for (r,) in facts["opened"]}
    present = Counter(receptacles.values())
    closed = Counter(kind for r, kind in receptacles.items() if r in shut)
    fits = {(_kind(o), _kind(r)) for r, o in facts["canContain"]}
    places: dict[str, list[str]] = defaultdict(list)
    for o, r in facts["inReceptacle"]:
        places[o].append(receptacles[r])
    useful = {o for (o,) in facts["pickupable"]} | {o for (o,) in facts["toggleable"]}
    choices: dict[str, list[Choice]] = defaultdict(list)
    for o, chosen in sorted(places.items()):
        if o in useful:
            choices[objects[o]].append((dict(present), sorted(chosen)))
    return choices, fits, present, closed


def fit(choices: list[Choice], allowed: set[str], centre: dict[str, float]) -> dict[str, float]:
    """Return the weight of each allowed kind of receptacle, by `ROUNDS` of minorisation-maximisation."""
    weights = {kind: centre[kind] for kind in sorted(allowed)}
    wins: Counter[str] = Counter()
    for _, chosen in choices:
        for kind in chosen:
            wins[kind] += 1 / len(chosen)  # type: ignore[assignment]  # a share of a choice
    for _ in range(ROUNDS):
        exposure = dict.fromkeys(weights, 0.0)
        for present, _ in choices:
            open_to = {kind: n for kind, n in present.items() if kind in allowed}
            total = sum(n * weights[kind] for kind, n in open_to.items())
            for kind, n in open_to.items():
                exposure[kind] += n / total
        weights = {k: (wins[k] + STRENGTH) / (exposure[k] + STRENGTH / centre[k]) for k in weights}
    return weights


def build(data: Path) -> dict[str, object]:
    """Return what the file holds, from the training games under `data`."""
    choices: dict[str, list[Choice]] = defaultdict(list)
    fits: set[tuple[str, str]] = set()
    present: Counter[str] = Counter()
    closed: Counter[str] = Counter()
    games = [g for split in SPLITS for g in sorted((data / "json_2.1.1" / split).glob("*/*/game.tw-pddl"))]
    if not games:
        raise FileNotFoundError(f"Expected games under {data / 'json_2.1.1'}, found none; pass --data.")
    for game in games:
        found, can, there, shut = _read(game)
        for kind, several in found.items():
            choices[kind] += several
        fits |= can
        present += there
        closed += shut
    fits |= {(kind, r) for kind, several in choices.items() for _, chosen in several for r in chosen}
    allowed = {kind: {r for o, r in fits if o == kind and r in present} for kind in sorted({o for o, _ in fits})}
    flat = dict.fromkeys(present, 1.0)
    pooled = fit([choice for several in choices.values() for choice in several], set(present), flat)
    mean = sum(pooled.values()) / len(pooled)
    pooled = {kind: weight / mean for kind, weight in pooled.items()}
    weights = {kind: fit(choices[kind], allowed[kind], pooled) for kind in sorted(allowed) if allowed[kind]}
    return {
        "about": ABOUT,
        "games": len(games),
        "closed": {kind: round(closed[kind] / present[kind], 2) for kind in sorted(present) if closed[kind]},
        "weights": {o: {r: round(w, 4) for r, w in sorted(of.items())} for o, of in weights.items()},
    }


def main() -> None:
    """Write the file."""
    default = os.environ.get("ALFWORLD_DATA", str(REPOSITORY.parent / "shared" / "data" / "alfworld"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=Path(default), help="directory in the benchmark's layout")
    prior = build(parser.parse_args().data)
    text = json.dumps(prior, separators=(",", ":"), ensure_ascii=True)
    TARGET.write_text(text.replace('},"', '},\n"').replace('],"', '],\n"') + "\n", encoding="utf-8")
    print(f"{TARGET.name}: {prior['games']} games, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
