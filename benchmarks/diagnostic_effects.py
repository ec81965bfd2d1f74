"""What process scores, subgoals and step credit do in the diagnostic environments; a few minutes.

    python benchmarks/diagnostic_effects.py                     # all
    python benchmarks/diagnostic_effects.py --only KeyDoor --seeds 1

A table, plain gradient descent, two groups of eight episodes per iteration. Prints the Markdown rows of
docs/diagnostic-environments.md: success over the last five iterations by seed, and turns per episode.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from agent_gym import keys
from trainers.config import Credit, EnvConfig, OutputConfig, RewardConfig, RolloutConfig, ShapingConfig, TrainConfig
from trainers.credit import Gigpo, Grpo
from trainers.losses.ppo import PpoLoss
from trainers.policies.tabular import TabularPolicy
from trainers.settings import LearnerSettings
from trainers.shaping import Calm, Renorm
from trainers.shaping.base import reshape
from trainers.train import Trainer
from trainers.types import Group
from wrappers import make_llm_vec


@dataclass(frozen=True, kw_only=True, slots=True)
class AddProcessScores:
    """Pays every step its process score beside the outcome: what `Renorm` is there to avoid."""

    def __call__(self, group: Group, /) -> Group:
        """Return the group with the sums as rewards."""
        return reshape(
            group,
            lambda episode: episode.rewards + np.array([turn.info[keys.PROCESS_SCORE] for turn in episode.turns]),
        )


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One row."""

    env: str
    name: str
    credit: Credit
    rate: float
    iterations: int
    shaping: ShapingConfig = field(default_factory=ShapingConfig)
    model: str = "tabular"
    settings: dict[str, Any] = field(default_factory=dict)


def _busy(name: str, credit: Credit, **shapers: Any) -> Effect:
    shaping, model = ShapingConfig(**shapers), "tabular:observation"
    return Effect(env="BusyWork", name=name, credit=credit, rate=30, iterations=150, shaping=shaping, model=model)


def _copy(name: str, credit: Credit) -> Effect:
    settings, model = {"length": 16, "texts": 1}, "tabular:observation"
    return Effect(env="MacroCopy", name=name, credit=credit, rate=10, iterations=60, settings=settings, model=model)


def _key(name: str, credit: Credit, **shapers: Any) -> Effect:
    shaping, settings = ShapingConfig(**shapers), {"layouts": 1}
    return Effect(env="KeyDoor", name=name, credit=credit, rate=10, iterations=40, shaping=shaping, settings=settings)


EFFECTS = (
    _busy("GRPO, outcome only", Grpo()),
    _busy("GRPO, outcome and process scores added up", Grpo(), own=AddProcessScores()),
    _busy("GRPO, ReNorm", Grpo(), renorm=Renorm()),
    _busy("GiGPO, outcome only", Gigpo()),
    _busy("GiGPO, outcome and process scores added up", Gigpo(), own=AddProcessScores()),
    _busy("GiGPO, ReNorm", Gigpo(), renorm=Renorm()),
    _copy("GRPO", Grpo()),
    _copy("GiGPO", Gigpo()),
    _key("GRPO", Grpo()),
    _key("GiGPO", Gigpo()),
    _key("GiGPO, CALM with the true subgoals, bonus 0.5", Gigpo(), calm=Calm(bonus=0.5)),
)


def train(effect: Effect, seed: int) -> list[dict[str, float]]:
    """Return the metrics of each iteration."""
    env_id = f"AgentGym/{effect.env}-v0"
    with tempfile.TemporaryDirectory() as directory:
        config = TrainConfig(
            env=EnvConfig(id=env_id, split="train", num_envs=16, settings=effect.settings),
            rollout=RolloutConfig(groups=2, group_size=8),
            reward=RewardConfig(scale=1.0),
            shaping=effect.shaping,
            credit=effect.credit,
            loss=PpoLoss(kl_weight=0.0),
            learner=LearnerSettings(optimiser="sgd", learning_rate=effect.rate, max_grad_norm=1e9),
            output=OutputConfig(save_steps=effect.iterations, report_to=(), episodes=False),
            iterations=effect.iterations,
            seed=seed,
            output_dir=f"{directory}/run",
        )
        env = make_llm_vec(env_id, config.env.num_envs, **config.env.settings)
        Trainer(config, env=env, policy=TabularPolicy.load(effect.model)).train()
        lines = Path(f"{directory}/run/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="part of an environment's name")
    parser.add_argument("--seeds", type=int, default=2)
    given = parser.parse_args()
    print("| environment | method | success at the end, by seed | turns |\n|---|---|---|---|")
    for effect in EFFECTS:
        if given.only not in effect.env:
            continue
        ends = [train(effect, seed)[-5:] for seed in range(given.seeds)]
        success = ", ".join(f"{np.mean([line['rollout/success'] for line in end]):.2f}" for end in ends)
        turns = np.mean([line["rollout/length"] for end in ends for line in end])
        print(f"| {effect.env} | {effect.name} | {success} | {turns:.1f} |", flush=True)


if __name__ == "__main__":
    main()
