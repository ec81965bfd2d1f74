"""How much each token counts."""

import pytest
import torch

from trainers.losses.aggregate import token_weights

# Two rows with 3 action tokens and 1.
ROW, ACTIONS = torch.tensor([0, 0, 0, 1]), torch.tensor([3.0, 1.0])


def test_token_mean_counts_tokens_alike():
    assert token_weights(ROW, ACTIONS, "token-mean", 4).tolist() == [0.25] * 4


def test_sequence_mean_counts_rows_alike():
    # each row 1/2: 1/6 per token of the first, 1/2 for the one of the second
    weights = token_weights(ROW, ACTIONS, "sequence-mean", 2).tolist()
    assert weights == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_a_part_of_a_batch_is_weighed_by_the_whole():
    # The first row alone, of a batch with 8 tokens in 4 rows.
    assert token_weights(ROW[:3], ACTIONS[:1], "token-mean", 8).tolist() == [0.125] * 3
    assert token_weights(ROW[:3], ACTIONS[:1], "sequence-mean", 4).sum().item() == pytest.approx(0.25)


def test_a_sum_is_divided_by_a_constant():
    # Two rows, length 8: every token 1/16, however long its row.
    assert token_weights(ROW, ACTIONS, "sequence-sum", 2, 8).tolist() == [1 / 16] * 4


def test_an_unknown_aggregation_is_refused():
    with pytest.raises(ValueError, match=r"'sequence-mean', .*got 'sum'"):
        token_weights(ROW, ACTIONS, "sum", 1)  # type: ignore[arg-type]  # what is refused
