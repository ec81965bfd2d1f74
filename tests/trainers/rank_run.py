"""One rank of a learning run on random samples: the test starts it alone and twice, and compares.

python -m tests.trainers.rank_run OUTPUT SHARDING, with RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT as torchrun sets
them.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import save_file

from tests.trainers.small_model import random_samples, small_model
from trainers.checkpoint import load_latest, load_weights, save
from trainers.learner import Learner
from trainers.losses.ppo import PpoLoss
from trainers.parallel import Ranks, limit_threads
from trainers.settings import LearnerSettings
from trainers.sharding import is_piece


def make_learner(ranks: Ranks, sharding: Any = "none") -> Learner:
    model = small_model(seed=ranks.rank, tied=True)  # different weights: rank 0's count
    settings = LearnerSettings(
        learning_rate=1e-3, minibatches=2, epochs=2, tokens_per_micro_batch=100, sharding=sharding
    )
    loss = PpoLoss(entropy_weight=0.01, aggregation="sequence-mean")
    return Learner(model, settings, loss, ranks=ranks, total_updates=6)


def main(output: Path, sharding: str) -> None:
    limit_threads(1)
    ranks = Ranks.from_environment()
    learner = make_learner(ranks, sharding)
    metrics = []
    for update in range(3):
        everything = random_samples(seed=update)
        # Whole groups go to a rank, as in a rollout; with two ranks the first gets two of the three.
        mine = [sample for sample in everything if sample.group % ranks.size == ranks.rank]
        if update == 1:  # weights of 0 to 3, so that ranks differ in their sum
            mine = [replace(sample, advantages=sample.action_mask * np.float32(sample.turn)) for sample in mine]
        metrics.append((learner.supervised if update == 1 else learner.update)(mine))
    # A mini-batch of which one rank has nothing.
    metrics.append(learner.update(random_samples(groups=1, seed=9) if ranks.is_main else []))

    state = learner.state()
    if ranks.is_main:
        save(output, 4, state, model=cast(Any, learner.model))
    ranks.wait()
    again = make_learner(ranks, sharding)
    checkpoint = load_latest(output)
    assert checkpoint is not None
    load_weights(again.model, checkpoint.path)
    again.load_state(checkpoint.state)
    last = random_samples(seed=10)[ranks.rank :: ranks.size]
    metrics.append(learner.update(last))
    resumed = again.update(last)
    difference = {name: value for name, value in resumed.items() if name != "seconds" and value != metrics[-1][name]}

    trained = dict(learner.model.named_parameters())
    sums = ranks.gather(sum(weight.detach().double().sum().item() for weight in trained.values()))
    held = [weight.to_local() if is_piece(weight) else weight for weight in learner._learning.parameters()]
    if ranks.is_main:
        found = {
            "metrics": metrics,
            "sums": sums,
            "difference": difference,
            "held": sum(weight.numel() for weight in held),
        }
        save_file({name: weight.detach().clone() for name, weight in trained.items()}, output / "weights.safetensors")
        (output / "metrics.json").write_text(json.dumps(found), encoding="utf-8")
    ranks.close()


if __name__ == "__main__":
    torch.manual_seed(0)
    main(Path(sys.argv[1]), sys.argv[2])
