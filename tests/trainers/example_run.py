"""The directory of a run whose player improves without learning: it asks the expert more often from pass to pass.

Episodes are played in the real environment through the real wrappers, credit is assigned and files are written by what
a real run does that with. Only the player and what a learner would add (losses, speed) stand in, the latter from a
formula.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from agent_gym import keys
from trainers.assign import assign_credit
from trainers.config import EnvConfig, TrainConfig, to_toml
from trainers.credit import Gigpo
from trainers.evaluate import summarise, summary
from trainers.metrics import RunLog, credit_metrics, episode_lines, rollout_metrics
from trainers.rollout import RolloutStats
from trainers.shaping import PenaliseInvalid, ScaleRewards
from trainers.statistics import wilson_interval
from trainers.types import Completion, Episode, Group, Turn
from wrappers import make_llm_vec

ENV = "AgentGym/ALFWorld-v0"
NO_TOKENS = Completion(prompt_ids=(), token_ids=(), logprobs=())


def play_episode(envs: Any, task: str, skill: float, rng: np.random.Generator, limit: int) -> Episode:
    """One episode of a player that asks the expert with probability `skill` and sometimes answers out of form."""
    [frame] = envs.slots.start([0], [task], [0])
    kind = frame.info["task_type"]
    turns: list[Turn] = []
    while not frame.terminated and not frame.truncated and len(turns) < limit:
        admissible = frame.info[keys.ADMISSIBLE_ACTIONS]
        if rng.random() < skill:
            command = envs.envs[0].unwrapped.expert_action()
        else:
            command = admissible[int(rng.integers(len(admissible)))]
        answer = f"<action>{command}</action>"
        if rng.random() < 0.08 * (1 - skill):
            answer = str(rng.choice(["I would look around first.", "<action>open the door</action>"]))
        [after] = envs.slots.step([0], [answer])
        turn = Turn(
            completion=NO_TOKENS,
            state_key=frame.info[keys.STATE_KEY],
            reward=after.reward,
            action_valid=after.info[keys.ACTION_VALID],
            format_valid=after.info[keys.FORMAT_VALID],
            observation=frame.observation,
            answer=answer,
            messages=tuple(frame.info[keys.MESSAGES]),
        )
        turns.append(turn)
        frame = after
    over = frame.terminated or frame.truncated
    success = bool(frame.info[keys.SUCCESS])
    return Episode(
        turns=tuple(turns), status="finished" if over else "cut", success=success, score=float(success), kind=kind
    )


def write_run(
    directory: Path, *, iterations: int = 4, tasks: int = 3, members: int = 4, num_tasks: int = 6, limit: int = 30
) -> Path:
    """Write the directory of a run and return it."""
    rng = np.random.default_rng(7)
    envs = make_llm_vec(ENV, 1, split="generated_train", context="conversation")
    ids = envs.slots.tasks("generated_train")[:num_tasks]
    credit, shapers = Gigpo(), (ScaleRewards(factor=10.0), PenaliseInvalid(amount=0.1))
    log = RunLog(directory)
    groups: list[Group] = []
    for iteration in range(iterations):
        progress = (iteration + 1) / iterations
        groups = []
        for place in range(tasks):
            task = ids[(iteration * tasks + place) % len(ids)]
            played = [play_episode(envs, task, 0.9 * progress**0.7, rng, limit) for _ in range(members)]
            groups.append(Group(task=task, episodes=tuple(played)))
        credited = [assign_credit(credit, group, shapers) for group in groups]
        turns = sum(len(episode.turns) for group in groups for episode in group.episodes)
        metrics = rollout_metrics(groups, RolloutStats(turns=turns)) | credit_metrics(credited)
        log.log(iteration, metrics | learner_metrics(progress, rng) | evaluation_metrics(iteration, progress))
        log.log_episodes(episode_lines(iteration, credited))
    log.close()
    envs.close()
    about = {"split": "generated_valid", "chosen_on_these_tasks": True}
    (directory / "summary.json").write_text(json.dumps(summary(summarise(groups), about)), encoding="utf-8")
    config = TrainConfig(env=EnvConfig(id=ENV, split="generated_train"), iterations=iterations)
    (directory / "config.toml").write_text(to_toml(config), encoding="utf-8")
    return directory


def learner_metrics(progress: float, rng: np.random.Generator) -> dict[str, float]:
    """Curves of the usual shapes."""
    return {
        "learner/kl": 0.02 * progress + 0.002 * float(rng.random()),
        "learner/clip_fraction": 0.08 * math.exp(-2 * progress) + 0.01 * float(rng.random()),
        "learner/entropy": 1.1 * math.exp(-1.5 * progress) + 0.05 * float(rng.random()),
        "learner/grad_norm": 0.6 + 0.4 * float(rng.random()),
        "speed/tokens_per_s": 2100 + 300 * float(rng.random()),
    }


def evaluation_metrics(iteration: int, progress: float) -> dict[str, float]:
    """Every second pass, an evaluation on 100 tasks with its interval."""
    if iteration % 2:
        return {}
    wins = round(10 + 75 * progress)
    low, high = wilson_interval(wins, 100)
    figures = {"success": wins / 100, "success_low": low, "success_high": high, "length": 30 - 18 * progress}
    figures |= {f"success_of_{kind}": min(1.0, wins / 100 + extra) for kind, extra in (("easy", 0.1), ("hard", -0.08))}
    return {f"eval/{name}": value for name, value in figures.items()}


def write_episodes(directory: Path, *episodes: dict[str, Any]) -> Path:
    directory.mkdir()
    (directory / "episodes.jsonl").write_text("".join(json.dumps(episode) + "\n" for episode in episodes))
    return directory


def turn(**changes: Any) -> dict[str, Any]:
    return {"state_key": "k", "observation": "A room.", "answer": "look", "reward": 0.0, "advantage": 0.5} | changes


def episode(**changes: Any) -> dict[str, Any]:
    known = {"iteration": 0, "task": "t/1", "member": 0, "status": "finished", "success": True, "score": 1.0}
    return known | {"return": 1.0, "turns": [turn()]} | changes
