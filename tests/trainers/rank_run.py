"""One rank of a learning run on random samples: the test starts it alone and twice, and compares.

python -m tests.trainers.rank_run OUTPUT, with RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT as torchrun sets them.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.trainers.small_model import random_samples, small_model
from trainers.learner import Learner
from trainers.losses.ppo import PpoLoss
from trainers.parallel import Ranks, limit_threads
from trainers.settings import LearnerSettings


def main(output: Path) -> None:
    limit_threads(1)
    ranks = Ranks.from_environment()
    model = small_model(seed=ranks.rank)  # different weights: rank 0's count
    settings = LearnerSettings(learning_rate=1e-3, minibatches=2, epochs=2, tokens_per_micro_batch=100)
    loss = PpoLoss(entropy_weight=0.01, aggregation="sequence-mean")
    learner = Learner(model, settings, loss, ranks=ranks, total_updates=3)
    metrics = []
    for update in range(3):
        everything = random_samples(seed=update)
        # Whole groups go to a rank, as in a rollout; with two ranks the first gets two of the three.
        mine = [sample for sample in everything if sample.group % ranks.size == ranks.rank]
        metrics.append(learner.update(mine))
    # A mini-batch of which one rank has nothing.
    metrics.append(learner.update(random_samples(groups=1, seed=9) if ranks.is_main else []))
    everyone = ranks.gather(sum(p.detach().double().sum().item() for p in model.parameters()))
    ranks.wait()
    if ranks.is_main:
        save_file({name: p.detach().clone() for name, p in model.named_parameters()}, output / "weights.safetensors")
        (output / "metrics.json").write_text(json.dumps({"metrics": metrics, "sums": everyone}), encoding="utf-8")
    ranks.close()


if __name__ == "__main__":
    torch.manual_seed(0)
    main(Path(sys.argv[1]))
