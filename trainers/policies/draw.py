"""Drawing tokens so that a draw depends on the row it belongs to and on nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch

_AT_ONCE: Final = 1 << 24
"""Most logits that are turned into float64 at a time: 128 MiB each for the probabilities and their sums."""


def draw(
    logits: torch.Tensor, uniforms: torch.Tensor, temperatures: Sequence[float]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw one token per row of (rows, vocabulary) logits by inverting the distribution function, in float64.

        token = min { v : P(1) + … + P(v) > u },     P = softmax(logits / temperature)

    A row with temperature 0 takes its largest logit (the first of several) and reports log P at temperature 1.

    Returns:
        Ids (int64) and log-probabilities (float64, nats), shape (rows,) each. A row of logits that holds NaN or only
        infinities has the log-probability NaN.
    """
    step = max(1, _AT_ONCE // logits.shape[1])
    if logits.shape[0] > step:
        parts = [
            draw(logits[i : i + step], uniforms[i : i + step], temperatures[i : i + step])
            for i in range(0, logits.shape[0], step)
        ]
        return torch.cat([ids for ids, _ in parts]), torch.cat([logprobs for _, logprobs in parts])
    scaled = logits.double()
    if any(temperature not in (0.0, 1.0) for temperature in temperatures):
        divisors = [temperature or 1.0 for temperature in temperatures]
        scaled = scaled / torch.tensor(divisors, dtype=torch.float64, device=logits.device)[:, None]
    weights = (scaled - scaled.amax(dim=1, keepdim=True)).exp_()
    sums = weights.cumsum(dim=1)
    totals = sums[:, -1:]
    # A token of weight 0 has the same sum as the one before it and is never the first to exceed the target. For u so
    # near to 1 that u * total rounds to the total, the largest target below the total is taken.
    targets = torch.minimum(uniforms[:, None] * totals, totals.nextafter(torch.zeros_like(totals)))
    ids = torch.searchsorted(sums, targets, right=True).clamp_(max=logits.shape[1] - 1)
    if 0.0 in temperatures:
        greedy = torch.tensor([temperature == 0 for temperature in temperatures], device=logits.device)
        ids = torch.where(greedy[:, None], logits.argmax(dim=1, keepdim=True), ids)
    logprobs = (weights.gather(1, ids) / totals).log()
    return ids[:, 0], logprobs[:, 0]
