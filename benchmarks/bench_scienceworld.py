"""ScienceWorld's own solutions, kind by kind, and its speed here beside the package's own environment.

    python -m benchmarks.bench_scienceworld                     # all, some minutes
    python -m benchmarks.bench_scienceworld --only solutions --variations 3

A solution is what scienceworld's player does in the first variations of a kind's test set, played again in our engine,
as the expert of `AgentGym/ScienceWorld-v0` plays it. Speed is of the same random admissible commands in one game,
without `focus on`, which may end it; text and list of commands in every step, in processor seconds of this process and
of Java; starting Java is left out. Of the commands that the package lists those are counted that are listed here,
too: its own parser does not understand the others.
"""

from __future__ import annotations

import argparse
import json
import os
import random
from pathlib import Path

from agent_gym.envs.scienceworld.engine import Game, Setup, gold_path
from agent_gym.envs.scienceworld.java import find_java
from agent_gym.envs.scienceworld.kinds import VARIATIONS, variations
from agent_gym.envs.scienceworld.session import Session, forget_frames
from benchmarks.suite_figures import cpu_seconds


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("solutions", "speed", "commands"))
    parser.add_argument("--variations", type=int, default=1, help="of each kind")
    parser.add_argument("--simplifications", default="easy", help="as scienceworld has them")
    parser.add_argument("--steps", type=int, default=40, help="of a random walk; Java gets faster with them")
    given = parser.parse_args()
    if given.only in (None, "solutions"):
        solutions(given.variations, given.simplifications)
    if given.only in (None, "speed"):
        speed(given.steps)
    if given.only in (None, "commands"):
        commands_understood(given.steps)


def solutions(number: int, simplifications: str) -> None:
    """Print how long the solutions are, and what they score."""
    print("| kind | commands | points |\n|---|---|---|")
    game = Game()
    for kind in VARIATIONS:
        lengths, points = [], []
        for variation in variations(kind, "test")[:number]:
            setup = Setup(kind, variation, simplifications)
            path = gold_path(setup)
            game.load(setup)
            for command in path[:-1]:
                game.repeat(command)
            lengths.append(len(path))
            points.append(game.play(path[-1]).points)
        print(f"| `{kind}` | {', '.join(map(str, lengths))} | {', '.join(map(str, points))} |", flush=True)
    game.close()


def speed(steps: int) -> None:
    """Print steps per processor second of our session and of the package's environment, with the same commands."""
    setup = Setup("find-living-thing", 0, "easy")
    session, rng = Session(), random.Random(0)
    commands: list[str] = []
    session.begin(setup)
    while len(commands) < steps:  # a wrong focus would end the game, and what is said after that costs little
        allowed = [one for one in session.position.frame.commands if not one.startswith("focus on")]
        commands.append(rng.choice(allowed))
        session.play(commands[-1])
    assert not session.position.frame.over, "nothing else fails this task"
    session.begin(setup)
    forget_frames()
    began = cpu_seconds()
    for command in commands:
        session.play(command)
    ours = steps / (cpu_seconds() - began)

    os.environ["JAVA_HOME"] = str(Path(find_java()).parents[1])
    from scienceworld import ScienceWorldEnv

    env = ScienceWorldEnv("", envStepLimit=10**6)
    env.load(setup.kind, setup.variation, setup.simplifications)
    env.reset()
    for command in commands:  # once for Java to get used to it, as above
        env.step(command)
    env.reset()
    began = cpu_seconds()
    for command in commands:
        env.step(command)
    theirs = steps / (cpu_seconds() - began)
    env.close()
    print(f"\nsteps/s: ours {ours:.1f}, scienceworld alone {theirs:.1f}, ratio {ours / theirs:.2f}")


def commands_understood(steps: int) -> None:
    """Print how many of the package's commands are listed here, and whether what is listed is understood."""
    game, rng = Game(), random.Random(0)
    theirs = ours = understood = 0
    for kind in ("boil", "chemistry-mix", "find-living-thing", "use-thermometer"):
        frame = game.start(Setup(kind, 1, "easy"))
        for _ in range(steps // 4):
            theirs += len(json.loads(game._server.getValidActionObjectCombinationsJSON())["validActions"])
            ours += len(frame.commands)
            frame = game.play(rng.choice(frame.commands))
            understood += frame.understood
            if frame.over or frame.asks:
                frame = game.start(Setup(kind, 1, "easy"))
    print(f"\ncommands listed by scienceworld {theirs}, here {ours}; of {steps} played {understood} were understood")
    game.close()


if __name__ == "__main__":
    main()
