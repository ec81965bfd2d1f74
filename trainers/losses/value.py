"""What a critic minimises: PPO's clipped squared error (Schulman et al., 2017, as in its released code)."""

from torch import Tensor


def value_loss(values_n: Tensor, old_values_n: Tensor, targets_n: Tensor, clip: float | None = 0.5) -> Tensor:
    """Half the squared error of each token, shape (N,), with no credit for going far from the values before the update.

        v_c  = old + clip(v − old, −clip, clip)
        L    = ½·max((v − target)², (v_c − target)²)

    Where the clipped value is nearer to the target than the value itself, the value has run past it or past the clip;
    the larger error counts, whose gradient is the value's own. Where the clip holds the value back the gradient is
    zero. The clip is in the units of the return, so it has to fit the scale of the rewards.

    Args:
        values_n: Of the critic being learnt.
        old_values_n: Of the critic before this update.
        targets_n: What it should have said.
        clip: c, above 0, or None for the plain squared error.
    """
    error_n = (values_n - targets_n.detach()).square()
    if clip is not None:
        old_n = old_values_n.detach()
        held_n = old_n + (values_n - old_n).clamp(-clip, clip)
        error_n = error_n.maximum((held_n - targets_n.detach()).square())
    return error_n / 2
