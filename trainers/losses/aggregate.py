"""From one value per token to the number that is minimised."""

import torch
from torch import Tensor

from trainers.settings import Aggregation


def token_weights(row_n: Tensor, actions_per_row_b: Tensor, aggregation: Aggregation, total: float) -> Tensor:
    """Weight of each action token in the loss, shape (N,); over the whole batch the weights sum to 1.

        token-mean       1 / total                            total = action tokens of the whole batch
        sequence-mean    1 / (total · tokens of the row)      total = rows of the whole batch

    The whole batch is all micro-batches of all ranks. So a sum of weighted losses over them is the same, and so is
    its gradient, wherever the batch was cut.

    Args:
        row_n: Row of each action token.
        actions_per_row_b: Action tokens in each row, float.
        aggregation: What is averaged over.
        total: Action tokens or rows, see above.
    """
    match aggregation:
        case "token-mean":
            return torch.full(row_n.shape, 1.0 / total, device=row_n.device)
        case "sequence-mean":
            return 1.0 / (total * actions_per_row_b[row_n])
        case _:
            raise ValueError(f"expected aggregation 'token-mean' or 'sequence-mean', got {aggregation!r}")
