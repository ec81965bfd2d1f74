"""One rank of a learning run on random samples: the test starts it alone and twice, and compares.

python -m tests.trainers.rank_run OUTPUT SETTINGS [OTHER], with RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT as
torchrun sets them. SETTINGS are the learner's, as JSON, and `adapter`, the rank of one that is learnt in the place of
the weights. OTHER is what another run has left, whose checkpoint is gone on from, too.
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
from trainers.policies.load import LoraSettings, add_lora
from trainers.settings import LearnerSettings
from trainers.sharding import is_piece


def make_learner(ranks: Ranks, **changes: Any) -> Learner:
    model = small_model(seed=ranks.rank, tied=True)  # different weights: rank 0's count
    adapter = changes.pop("adapter", 0)
    if adapter:
        model = add_lora(model.bfloat16(), LoraSettings(rank=adapter, seed=ranks.rank))
    usual = {"learning_rate": 1e-3, "minibatches": 2, "epochs": 2, "tokens_per_micro_batch": 100}
    settings = LearnerSettings(**usual | changes)
    loss = PpoLoss(entropy_weight=0.01, aggregation="sequence-mean")
    return Learner(model, settings, loss, ranks=ranks, total_updates=6)


def go_on(ranks: Ranks, changes: dict[str, Any], saved: Path) -> tuple[Learner, dict[str, float]]:
    """Take up the checkpoint in a directory, and make one more update."""
    learner = make_learner(ranks, **changes)
    checkpoint = load_latest(saved, ranks)
    assert checkpoint is not None
    load_weights(learner.model, checkpoint.path)
    learner.load_state(checkpoint.state)
    return learner, learner.update(random_samples(seed=10)[ranks.rank :: ranks.size])


def tiny_step(ranks: Ranks, changes: dict[str, Any]) -> dict[str, float]:
    """Make an update of a millionth, and say how much of the weights it moves, and would move if they were bfloat16."""
    learner = make_learner(ranks, **changes | {"learning_rate": 1e-6, "minibatches": 1, "epochs": 1})
    before = torch.cat([weight.detach().flatten() for weight in learner.model.parameters()])
    learner.update(random_samples(seed=11)[ranks.rank :: ranks.size])
    after = torch.cat([weight.detach().flatten() for weight in learner.model.parameters()])
    large = before.abs() > 1e-3
    short = before.bfloat16()
    return {
        "moved": float((after != before)[large].float().mean()),
        "moved_short": float((short + (after - before).bfloat16() != short)[large].float().mean()),
        "furthest": float((after - before).abs().max()),
    }


def main(output: Path, changes: dict[str, Any], other: Path | None) -> None:
    limit_threads(1)
    ranks = Ranks.from_environment()
    learner = make_learner(ranks, **changes)
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

    save(output, 4, learner.state(), model=cast(Any, learner.model), ranks=ranks)
    ranks.wait()
    metrics.append(learner.update(random_samples(seed=10)[ranks.rank :: ranks.size]))
    _, resumed = go_on(ranks, changes, output)
    difference = {name: value for name, value in resumed.items() if name != "seconds" and value != metrics[-1][name]}

    trained = dict(learner.model.named_parameters())
    sums = ranks.gather(sum(weight.detach().double().sum().item() for weight in trained.values()))
    tiny = tiny_step(ranks, changes)
    held = [weight.to_local() if is_piece(weight) else weight for weight in learner._learning.parameters()]
    if ranks.is_main:
        found = {
            "metrics": metrics,
            "sums": sums,
            "difference": difference,
            "held": sum(weight.numel() for weight in held),
            "types": sorted({str(weight.dtype) for weight in held}),
            "tiny": tiny,
        }
        save_file({name: weight.detach().clone() for name, weight in trained.items()}, output / "weights.safetensors")
        (output / "metrics.json").write_text(json.dumps(found), encoding="utf-8")
    if other is not None:
        learner, resumed = go_on(ranks, changes, other)
        if ranks.is_main:
            (output / "other.json").write_text(json.dumps(resumed), encoding="utf-8")
            save_file(
                {name: weight.detach().clone() for name, weight in learner.model.named_parameters()},
                output / "other.safetensors",
            )
    ranks.close()


if __name__ == "__main__":
    torch.manual_seed(0)
    main(Path(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
