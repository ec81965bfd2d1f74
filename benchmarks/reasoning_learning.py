"""Learning curves in `AgentGym/ReasoningGym-v0`: a small language model, GRPO beside GiGPO.

    python -m benchmarks.reasoning_learning                       # the table of docs/adapters.md
    python -m benchmarks.reasoning_learning --seeds 1 --iterations 20

Answers are free text, so a table can't learn here. A model of 150,000 weights is made from nothing; it imitates the
expert until it answers every fifth sum of two digits rightly, and then learns four sums from its own attempts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trainers.callbacks import TrainerCallback
from trainers.config import EnvConfig, OutputConfig, RewardConfig, RolloutConfig, TrainConfig
from trainers.credit import Gigpo, Grpo
from trainers.losses.ppo import PpoLoss
from trainers.policies.hf import HfPolicy
from trainers.policies.load import load_model
from trainers.policies.tiny import TinySettings
from trainers.recipes.imitator import FROM_NOTHING, Imitator
from trainers.settings import LearnerSettings
from trainers.train import Trainer
from wrappers import make_llm_vec

SUMS = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
IMITATOR = Imitator(
    tiny=TinySettings(
        hidden_size=64, layers=2, heads=4, vocabulary=300, context=128, words=r"\d| ?[a-z]+| ?[^\sa-z\d]|\s+"
    ),
    vocabulary_episodes=200,
    sft=replace(FROM_NOTHING, rounds=5, batch_size=16),
)
METHODS = {"GRPO": Grpo(), "GiGPO": Gigpo()}
TASKS = 4


class Watch(TrainerCallback):
    """Notes the success of every iteration."""

    def __init__(self) -> None:
        """Note nothing yet."""
        self.success: list[float] = []

    def on_log(self, config: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """After an iteration."""
        logs: dict[str, float] = kwargs["logs"]
        if "rollout/success" in logs:
            self.success.append(logs["rollout/success"])


def config_of(method: str, *, seed: int, iterations: int, directory: Path) -> TrainConfig:
    """Return the configuration of a run."""
    settings = {"options": SUMS, "action_format": "bare", "instructions": ""}
    return TrainConfig(
        env=EnvConfig(id="AgentGym/ReasoningGym-v0", split="train", context="step", num_envs=128, settings=settings),
        rollout=RolloutConfig(tasks=TASKS, groups=16, group_size=8, max_new_tokens=6, max_turns=1),
        reward=RewardConfig(invalid_penalty=0.0, scale=1.0),
        credit=METHODS[method],
        loss=PpoLoss(kl_weight=0.0),
        learner=LearnerSettings(learning_rate=1e-3, warmup_steps=3, betas=(0.9, 0.98), minibatches=2),
        output=OutputConfig(report_to=(), episodes=False, save_steps=10 * iterations),
        iterations=iterations,
        seed=seed,
        output_dir=str(directory / method),
    )


def curves(seed: int, iterations: int, imitator: Imitator = IMITATOR) -> dict[str, list[float]]:
    """Return success by iteration of each method; both begin with the same model."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        for method in METHODS:
            config = config_of(method, seed=seed, iterations=iterations, directory=Path(name))
            env = make_llm_vec(config.env.id, config.env.num_envs, context="step", **config.env.settings)
            config = imitator.prepare(config, env, Path(name), lambda _: None)
            model, tokenizer = load_model(config.model.path)
            watch = Watch()
            Trainer(config, env=env, policy=HfPolicy(model, tokenizer), callbacks=[watch]).train()
            found[method] = watch.success
    return found


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--iterations", type=int, default=36)
    given = parser.parse_args()
    began = time.process_time()
    runs = [curves(seed, given.iterations) for seed in range(given.seeds)]
    parts = [(0, 1), *((given.iterations * n // 6, given.iterations * (n + 1) // 6) for n in range(6))]
    print(f"| method | first | {' | '.join(f'{a + 1} to {b}' for a, b in parts[1:])} | last, by seed |")
    print(f"|---|{'---|' * (len(parts) + 1)}")
    for method in METHODS:
        means = [np.mean([run[method][a:b] for run in runs]) for a, b in parts]
        last = [f"{np.mean(run[method][slice(*parts[-1])]):.2f}" for run in runs]
        print(f"| {method} | {' | '.join(f'{mean:.2f}' for mean in means)} | {', '.join(last)} |")
    print(f"\n{given.seeds} seeds; {time.process_time() - began:.0f} s of one core, imitation included")


if __name__ == "__main__":
    main()
