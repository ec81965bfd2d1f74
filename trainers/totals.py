"""What the learner measures: added up over micro-batches, steps and ranks."""

from collections import Counter
from dataclasses import dataclass, field

import torch
from torch import Tensor

from trainers.logprobs import Batch
from trainers.parallel import Ranks

Measured = dict[str, Tensor]
"""Values for the metrics: one per action token, or what is to be added up as it is; of a name in _max the maximum."""


@dataclass
class Totals:
    """What is added up over micro-batches, on the device until the end so that a GPU is not kept waiting."""

    counts: Counter[str] = field(default_factory=Counter)
    sums: dict[str, Tensor] = field(default_factory=dict)
    grad_norms: list[float] = field(default_factory=list)
    """Of each step, over all ranks."""
    rate: float = 0.0
    """Learning rate of the last step."""

    def add(self, batch: Batch, loss: Tensor, measured: Measured) -> None:
        """Add a micro-batch."""
        self.counts.update(
            samples=len(batch.ids_bt),
            action_tokens=len(batch.row_n),
            tokens=batch.tokens,
            padded_tokens=batch.ids_bt.numel(),
            micro_batches=1,
        )
        for name, values in (measured | {"loss": loss}).items():
            value = values.detach().double()
            if name not in self.sums:
                self.sums[name] = value if name.endswith("_max") else value.sum()
            elif name.endswith("_max"):
                self.sums[name] = torch.maximum(self.sums[name], value)
            else:
                self.sums[name] = self.sums[name] + value.sum()

    def summary(self, ranks: Ranks, seconds: float) -> dict[str, float]:
        """Metrics over all ranks."""
        mine: dict[str, float] = {name: value.item() for name, value in self.sums.items()}
        everyone = ranks.gather((self.counts, mine, seconds))
        counts = sum((theirs for theirs, _, _ in everyone), Counter())
        result = {name: float(counts[name]) for name in ("samples", "action_tokens", "tokens", "micro_batches")}
        result |= {"steps": float(len(self.grad_norms)), "seconds": max(theirs for _, _, theirs in everyone)}
        if not self.grad_norms:
            return result
        for name in sorted({name for _, theirs, _ in everyone for name in theirs}):
            values = [theirs[name] for _, theirs, _ in everyone if name in theirs]
            if name.endswith("_max"):
                result[name] = max(values)
            else:  # the losses carry their weights already, and sum to 1 within a step
                result[name] = sum(values) / (len(self.grad_norms) if "loss" in name else counts["action_tokens"])
        result["padding"] = 1 - counts["tokens"] / counts["padded_tokens"]
        result["grad_norm"] = sum(self.grad_norms) / len(self.grad_norms)
        result["learning_rate"] = self.rate
        return result
