"""How work is cut into passes."""

from trainers.policies.packing import common_beginning, pack, split


def runs(lengths, most):
    return [lengths[run] for run in pack(lengths, most)]


def test_how_prompts_begin():
    assert common_beginning([(1, 2, 3), (1, 2, 4, 5), (1, 2)]) == 2
    assert common_beginning([(7, 8)]) == 2
    assert common_beginning([(1,), (2,)]) == 0


def test_lists_of_a_size():
    assert list(split((1, 2, 3, 4, 5), 2)) == [[1, 2], [3, 4], [5]]
    assert list(split([], 2)) == []


def test_runs_have_few_tokens_and_little_padding():
    assert runs([1, 2, 300], 1000) == [[1, 2, 300]]  # 900 with padding; few tokens may be padded freely
    assert runs([300, 300, 300, 400], 1000) == [[300, 300, 300], [400]]  # 1,600 would be too many
    # From 512 on padding must be within 15 %: 4 × 250 for 900 tokens are, 3 × 400 for 1,000 are not.
    assert runs([200, 200, 250, 250], 10_000) == [[200, 200, 250, 250]]
    assert runs([300, 300, 400], 10_000) == [[300, 300], [400]]
    assert runs([5, 2000, 2000], 1000) == [[5], [2000], [2000]]  # what is longer than a run has one
    assert runs([], 1000) == []
