"""Muon in the arithmetic of the weights themselves, matrices of one shape at a time."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.775, 2.0315)
"""Of the quintic iteration (Jordan et al., 2024)."""
STEPS = 5
"""Of the iteration."""


class Muon(torch.optim.Optimizer):
    """Moves matrices by their momentum made orthogonal (Jordan et al., 2024), at the size of AdamW's steps.

    The same rule as `torch.optim.Muon` with `adjust_lr_fn="match_rms_adamw"` (Liu et al., 2025, arXiv 2502.16982). That
    one computes in bfloat16 and one matrix after another, which suits a GPU; most CPUs have no instructions for
    bfloat16, and there it was two fifths of the time of a small model's imitation. It keeps the same state.

    Args:
        weights: Float32 matrices.
        lr: Learning rate.
        weight_decay: Decoupled, per step times the rate.
        momentum: Of the running average of gradients; a step looks ahead by it (Nesterov).
    """

    def __init__(
        self, weights: Iterable[nn.Parameter], lr: float, weight_decay: float = 0.0, momentum: float = 0.95
    ) -> None:
        super().__init__(list(weights), {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.ndim != 2:
                    raise ValueError(f"expected matrices, got a weight of shape {tuple(weight.shape)}")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]  # torch overloads it
        """Move every matrix that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            by_shape: dict[tuple[int, ...], list[nn.Parameter]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    by_shape.setdefault(tuple(weight.shape), []).append(weight)
            for (rows, columns), weights in by_shape.items():
                directions = orthogonal(torch.stack([self._ahead(weight, group["momentum"]) for weight in weights]))
                size = group["lr"] * 0.2 * max(rows, columns) ** 0.5  # root mean square 0.2, as AdamW's steps
                for weight, direction in zip(weights, directions, strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(direction, alpha=-size)
        return loss

    def _ahead(self, weight: nn.Parameter, momentum: float) -> Tensor:
        """Take the gradient into the running average, and return where that will be if the next one is alike."""
        assert weight.grad is not None, "only matrices with gradients are moved"
        state = self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        average: Tensor = state["momentum_buffer"]
        average.lerp_(weight.grad, 1 - momentum)
        return weight.grad.lerp(average, momentum)


def orthogonal(matrices_nrc: Tensor) -> Tensor:
    """Matrices (N, R, C) with the same singular vectors and singular values between 0.7 and 1.2, but for tiny ones."""
    a, b, c = COEFFICIENTS
    tall = matrices_nrc.shape[1] > matrices_nrc.shape[2]
    x_n = matrices_nrc.mT if tall else matrices_nrc
    x_n = x_n / x_n.flatten(1).norm(dim=1).clamp(min=1e-7)[:, None, None]
    for _ in range(STEPS):
        gram_n = x_n @ x_n.mT
        x_n = torch.baddbmm(x_n, torch.baddbmm(gram_n, gram_n, gram_n, beta=b, alpha=c), x_n, beta=a)
    return x_n.mT if tall else x_n
