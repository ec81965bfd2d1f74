"""GRPO, GiGPO and TEMPO in rooms where almost every attempt succeeds: a learning curve of each, over rates and seeds.

    python examples/rooms_in_seconds.py                          # five rooms, 200 steps
    python examples/rooms_in_seconds.py --regime short --rooms 8 --steps 30

Comparing episodes has nothing to say there: all have return 1. Comparing turns taken in the same room has, because a
discounted return knows how many steps are still to come. The policy is a table, moved by plain gradient descent, so
that nothing but the credit assignment is at work; rates are swept, since GiGPO's advantages are the larger ones.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from trainers.config import Credit, EnvConfig, OutputConfig, RolloutConfig, TrainConfig
from trainers.credit import Gigpo, Grpo, TempoTurns
from trainers.losses.ppo import PpoLoss
from trainers.policies.tabular import TabularPolicy
from trainers.settings import LearnerSettings
from trainers.train import Trainer
from wrappers import make_llm_vec

ID = "AgentGym/Rooms-v0"
METHODS: dict[str, Credit] = {"grpo": Grpo(), "gigpo": Gigpo(), "tempo-turns": TempoTurns()}


def learning_curve(
    method: str, rate: float, seed: int, iterations: int, settings: dict[str, object]
) -> list[dict[str, float]]:
    """Return the metrics of each iteration: two groups of eight episodes, one step of gradient descent."""
    with tempfile.TemporaryDirectory() as directory:
        config = TrainConfig(
            env=EnvConfig(id=ID, split="train", num_envs=16, settings={"layouts": 1, **settings}),
            rollout=RolloutConfig(groups=2, group_size=8),
            credit=METHODS[method],
            loss=PpoLoss(kl_weight=0.0),
            learner=LearnerSettings(optimiser="sgd", learning_rate=rate, max_grad_norm=1e9),
            output=OutputConfig(save_steps=iterations, report_to=(), episodes=False),
            iterations=iterations,
            seed=seed,
            output_dir=f"{directory}/run",
        )
        env = make_llm_vec(ID, config.env.num_envs, **config.env.settings)
        Trainer(config, env=env, policy=TabularPolicy()).train()
        lines = Path(f"{directory}/run/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def mean(values: list[float]) -> float:
    """Return the mean."""
    return sum(values) / len(values)


def main() -> None:
    """Train with every method and rate, and print how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--regime", default="slow", choices=["short", "slow", "sparse", "tree"])
    parser.add_argument("--rooms", type=int, help="instead of the regime's")
    parser.add_argument("--steps", type=int, help="instead of the regime's")
    parser.add_argument("--rates", type=float, nargs="+", default=[3.0, 10.0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=60)
    given = parser.parse_args()
    chosen = {"regime": given.regime, "rooms": given.rooms, "steps": given.steps}
    settings = {name: value for name, value in chosen.items() if value is not None}
    print(f"{'method':12} {'rate':>6} {'success':>8} {'last':>6} {'length':>7} {'last':>6} {'silent groups':>14}")
    for rate in given.rates:
        for method in METHODS:
            curves = [learning_curve(method, rate, seed, given.iterations, settings) for seed in range(given.seeds)]
            success = [[line["rollout/success"] for line in curve] for curve in curves]
            length = [[line["rollout/length"] for line in curve] for curve in curves]
            silent = [line["credit/silent_groups"] for curve in curves for line in curve]
            print(
                f"{method:12} {rate:6g} {mean([mean(one) for one in success]):8.3f} "
                f"{mean([mean(one[-5:]) for one in success]):6.3f} {mean([mean(one[:3]) for one in length]):7.1f} "
                f"{mean([mean(one[-5:]) for one in length]):6.1f} {mean(silent):14.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
