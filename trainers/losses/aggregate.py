"""From one value per token to the number that is minimised."""

from typing import get_args

import torch
from torch import Tensor

from trainers.losses.base import Aggregation


def token_weights(
    row_n: Tensor, actions_per_row_b: Tensor, aggregation: Aggregation, total: float, length: float = 1.0
) -> Tensor:
    """Weight of each action token in the loss, shape (N,); the means' weights sum to 1 over the whole batch.

        token-mean       1 / total                            total = action tokens of the whole batch
        sequence-mean    1 / (total · tokens of the row)      total = rows of the whole batch
        sequence-sum     1 / (total · length)                 the same rows, and a constant

    With token-mean a long row has more say than a short one, with sequence-mean a token of a long row has less say than
    one of a short row: a policy that must fail then fails at length. sequence-sum (Dr. GRPO; Liu et al., 2025, arXiv
    2503.20783) has neither bias, and a size that depends on the constant.

    The whole batch is all micro-batches of all ranks. So a sum of weighted losses over them is the same, and so is
    its gradient, wherever the batch was cut.

    Args:
        row_n: Row of each action token.
        actions_per_row_b: Action tokens in each row, float.
        aggregation: What is averaged over.
        total: Action tokens or rows, see above.
        length: Constant of sequence-sum.
    """
    match aggregation:
        case "token-mean":
            return torch.full(row_n.shape, 1.0 / total, device=row_n.device)
        case "sequence-mean":
            return 1.0 / (total * actions_per_row_b[row_n])
        case "sequence-sum":
            return torch.full(row_n.shape, 1.0 / (total * length), device=row_n.device)
        case _:
            raise ValueError(f"expected aggregation to be one of {get_args(Aggregation)}, got {aggregation!r}")
