"""Steps per processor second of the adapters beside the raw libraries: the table in docs/adapters.md.

    python -m benchmarks.bench_adapters

Both play the same commands from the same seeds, in one process, turn about.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import gymnasium as gym

import agent_gym

TEXT_ARENA, GEM, REASONING = "AgentGym/TextArena-v0", "AgentGym/GEM-v0", "AgentGym/ReasoningGym-v0"
GAMES = {
    (TEXT_ARENA, "2048-v0"): ("[up]", "[left]", "[down]", "[right]"),
    (TEXT_ARENA, "GuessTheNumber-v0"): ("[1]", "[20]", "[2]", "[19]", "[3]", "[18]"),
    (TEXT_ARENA, "Mastermind-v0"): ("[1 2 3 4]", "[2 3 4 5]", "[3 4 5 6]"),
    (GEM, "game:Game2048-v0-easy"): ("\\boxed{up}", "\\boxed{left}", "\\boxed{down}", "\\boxed{right}"),
    (GEM, "game:Minesweeper-v0-easy"): ("\\boxed{flag 0 0}", "\\boxed{flag 1 1}", "\\boxed{flag 2 2}"),
    (REASONING, "chain_sum"): ("12",),
    (REASONING, "spiral_matrix"): ("12",),
}
"""Commands that are played over and over; an episode that ends is followed by the next task's."""

Play = Callable[[int, str | None], bool]
"""Starts the task with this number (no command), or carries out a command; returns whether the episode is over."""


def ours(env_id: str, game: str) -> Play:
    """Return the adapter."""
    assert agent_gym  # imported for its ids
    env = gym.make(env_id, game=game, disable_env_checker=True, steps=4 if env_id == REASONING else 1000)

    def play(number: int, command: str | None) -> bool:
        if command is None:
            env.reset(options={"task": f"train/{number:05d}"})
            return False
        _, _, terminated, truncated, _ = env.step(command)
        return terminated or truncated

    return play


def raw(env_id: str, game: str) -> Play:
    """Return the library itself, with the same seeds."""
    return {TEXT_ARENA: _raw_text_arena, GEM: _raw_gem, REASONING: _raw_reasoning_gym}[env_id](game)


def _raw_text_arena(game: str) -> Play:
    import textarena

    env = textarena.make(f"{game}-raw")

    def play(number: int, command: str | None) -> bool:
        if command is None:
            env.reset(num_players=1, seed=number * 1000)
            env.get_observation()
            return False
        ended, _ = env.step(command)
        env.get_observation()
        return bool(ended)

    return play


def _raw_gem(game: str) -> Play:
    import gem
    import gem.envs  # registers them

    env = gem.make(game)

    def play(number: int, command: str | None) -> bool:
        if command is None:
            env.reset(seed=number * 1000)
            return False
        _, _, terminated, truncated, _ = env.step(command)
        return bool(terminated or truncated)

    return play


def _raw_reasoning_gym(game: str) -> Play:
    import reasoning_gym

    data = reasoning_gym.create_dataset(game, seed=0, size=1000)
    entry: dict[str, object] = {}

    def play(number: int, command: str | None) -> bool:
        nonlocal entry
        if command is None:
            entry = data[number]
            return False
        data.score_answer(command, entry)
        return True

    return play


def steps_per_second(play: Play, commands: tuple[str, ...], steps: int) -> float:
    """Play `steps` steps and the resets between them."""
    begun = time.process_time()
    number, over = 0, True
    for _, command in zip(range(steps), _round(commands), strict=False):
        if over:
            play(number % 1000, None)
            number += 1
        over = play(0, command)
    return steps / (time.process_time() - begun)


def _round(commands: tuple[str, ...]) -> Iterator[str]:
    while True:
        yield from commands


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000, help="steps per round of a game")
    parser.add_argument("--rounds", type=int, default=5, help="the best of these counts, for both")
    arguments = parser.parse_args()
    print("| id | game | adapter, steps/s | library, steps/s | ratio |\n|---|---|---|---|---|")
    for (env_id, game), commands in GAMES.items():
        players = [ours(env_id, game), raw(env_id, game)]
        for play in players:
            steps_per_second(play, commands, 50)
        rates = [
            max(rate)
            for rate in zip(
                *[
                    [steps_per_second(play, commands, arguments.steps) for play in players]
                    for _ in range(arguments.rounds)
                ],
                strict=True,
            )
        ]
        print(f"| `{env_id}` | `{game}` | {rates[0]:,.0f} | {rates[1]:,.0f} | {rates[0] / rates[1]:.3f} |")


if __name__ == "__main__":
    main()
