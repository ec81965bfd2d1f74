"""Record the golden playthrough of a new id or version.

    python tools/record_golden.py OUTPUT ID TASK '{"setting": …}' COMMAND …

For a game of several agents its name stands for the id. Without commands the expert plays. Chance, where there is any,
is that of seed 0. A recorded file belongs to its version for ever; see CONTRIBUTING.md.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym

import agent_gym  # noqa: F401  registers the ids
from agent_gym import keys
from agent_gym.core import TextEnv
from agent_gym.multi_agent.games import is_game, load_game


def main() -> None:
    """Play and write the file."""
    output, env_id, task, settings, *commands = sys.argv[1:]
    kwargs: dict[str, Any] = json.loads(settings)
    golden = (_of_game if is_game(env_id) else _of_environment)(env_id, kwargs, task, commands)
    Path(output).write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _of_environment(env_id: str, kwargs: dict[str, Any], task: str, commands: list[str]) -> dict[str, Any]:
    env = gym.make(env_id, **kwargs)
    base = env.unwrapped
    assert isinstance(base, TextEnv)
    observation, info = env.reset(seed=0, options={"task": task})
    frames: list[dict[str, Any]] = [{"command": None, **_frame(observation, info)}]
    ended = False
    while not ended and (commands or len(sys.argv) == 5):
        command = commands.pop(0) if commands else base.expert_action()
        observation, reward, terminated, truncated, info = env.step(command)
        outcome = {"reward": reward, "terminated": terminated, "truncated": truncated}
        frames.append({"command": command, **_frame(observation, info), **outcome})
        ended = terminated or truncated
    print(f"{len(frames) - 1} steps, success: {info[keys.SUCCESS]}")
    return {"id": env_id, "kwargs": kwargs, "task": task, "frames": frames}


def _of_game(name: str, kwargs: dict[str, Any], task: str, commands: list[str]) -> dict[str, Any]:
    """Each frame is what the agent whose turn it is gets to know, its command, and what is paid for it to whom."""
    game = load_game(name).raw_env(**kwargs)
    game.reset(seed=0, options={"task": task})
    frames: list[dict[str, Any]] = []
    while game.turn is not None and (commands or len(sys.argv) == 5):
        agent = game.turn
        frame = {"agent": agent, **_frame(game.observe(agent)["text"], game.infos[agent])}
        del frame["valid"]
        command = commands.pop(0) if commands else game.expert_action()
        game.step(command)
        valid = game.infos[agent][keys.ACTION_VALID]
        frames.append({**frame, "command": command, "valid": valid, "rewards": dict(game.rewards)})
    ends = {agent: game.observe(agent)["text"] for agent in game.possible_agents}
    print(f"{len(frames)} turns, scores: {[game.infos[agent][keys.SCORE] for agent in game.possible_agents]}")
    return {"id": name, "kwargs": kwargs, "task": task, "frames": frames, "ends": ends}


def _frame(observation: str, info: dict[str, Any]) -> dict[str, Any]:
    return {
        "observation": observation,
        "admissible": list(info[keys.ADMISSIBLE_ACTIONS]),
        "valid": info[keys.ACTION_VALID],
        "state_key": info[keys.STATE_KEY],
    }


if __name__ == "__main__":
    main()
