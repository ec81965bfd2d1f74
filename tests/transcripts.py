"""All that an environment or a game says in a few episodes, so that two places can be compared.

Run as a program it prints, as one JSON object, the transcripts of the names that it is given.
"""

import json
import sys
from typing import Any

import gymnasium as gym
import numpy as np

import agent_gym  # noqa: F401  registers the ids
from agent_gym import keys
from agent_gym.errors import DataNotFoundError, MissingExtraError
from agent_gym.multi_agent.games import is_game, load_game

SEED, STEPS = 11, 12


def transcript(name):
    """Lists of tasks, an episode of random commands and one of the expert; or which extra is missing."""
    try:
        return of_game(name) if is_game(name) else of_environment(name)
    except MissingExtraError as error:
        return [f"missing: {error}"]


def of_environment(env_id):
    env = gym.make(env_id, disable_env_checker=True)
    base, rng = env.unwrapped, np.random.default_rng(SEED)
    frames = tasks_of(base)
    frame: Any
    for expert in (False, True):
        frame = env.reset(seed=SEED)
        frames.append(repr(frame))
        for _ in range(STEPS):
            commands = frame[-1][keys.ADMISSIBLE_ACTIONS]
            frame = env.step(base.expert_action() if expert else str(commands[int(rng.integers(len(commands)))]))
            frames.append(repr(frame))
            if frame[2] or frame[3]:
                break
    env.close()
    return frames


def of_game(name):
    game, rng = load_game(name).raw_env(), np.random.default_rng(SEED)
    frames = tasks_of(game)
    for expert in (False, True):
        game.reset(seed=SEED)
        for _ in range(STEPS):
            frames.append(repr([(agent, game.observe(agent), game.infos[agent]) for agent in game.possible_agents]))
            frames.append(repr((game.turn, game.rewards, game.terminations, game.truncations)))
            if game.turn is None:
                break
            commands = game.infos[game.turn][keys.ADMISSIBLE_ACTIONS]
            game.step(game.expert_action() if expert else str(commands[int(rng.integers(len(commands)))]))
    return frames


def tasks_of(base):
    frames = []
    for split in base.splits:
        try:
            frames.append(repr((split, [str(task) for task in base.tasks(split)[:50]])))
        except DataNotFoundError:
            continue
    return frames


if __name__ == "__main__":
    sys.stdout.write(json.dumps({name: transcript(name) for name in sys.argv[1:]}) + "\n")
