import torch

from trainers.policies.cache import RowCache


def fill(cache, rows, tokens):
    """One pass in which a token's key is its own number and its value the negative of it."""
    ids, mask, positions = cache.plan(rows, tokens)
    states = ids.float()[:, None, :, None]
    keys, values = cache.update(states, -states, 0)
    return ids, mask, positions, keys, values


def seen(mask, keys):
    """What each query of each row may look at."""
    return [
        [[int(key) for key, bias in zip(row_keys[0, :, 0], query, strict=True) if bias == 0] for query in row_mask[0]]
        for row_keys, row_mask in zip(keys, mask, strict=True)
    ]


def new_cache(rows=2, columns=8):
    cache = RowCache(torch.float32, torch.device("cpu"))
    cache.make_room(rows, columns)
    return cache


def test_cache_a_token_sees_itself_and_what_its_row_held_before():
    cache = new_cache()
    ids, mask, positions, keys, values = fill(cache, [0, 1], [(5, 6, 7), (8,)])
    assert ids.tolist() == [[5, 6, 7], [0, 0, 8]]
    assert positions.tolist() == [[0, 1, 2], [0, 0, 0]]
    assert seen(mask, keys)[0] == [[5], [5, 6], [5, 6, 7]]
    assert seen(mask, keys)[1][-1] == [8]
    assert torch.equal(keys, -values)
    assert cache.lengths[:2] == [3, 1]
    _, mask, positions, keys, _ = fill(cache, [0, 1], [(9,), (10,)])
    assert positions.tolist() == [[3], [1]]
    assert seen(mask, keys) == [[[5, 6, 7, 9]], [[8, 10]]]


def test_cache_rows_are_taken_in_the_order_asked_for():
    cache = new_cache(rows=3)
    fill(cache, [2, 0], [(5, 6), (7,)])
    _, mask, _, keys, _ = fill(cache, [0, 2], [(8,), (9, 10)])
    assert seen(mask, keys)[0][-1] == [7, 8]
    assert seen(mask, keys)[1] == [[5, 6, 9], [5, 6, 9, 10]]


def test_cache_rows_side_by_side_are_read_without_a_copy():
    cache = new_cache(rows=4)
    *_, keys, _ = fill(cache, [1, 2], [(5,), (6,)])
    assert keys.untyped_storage().data_ptr() == cache._keys[0].untyped_storage().data_ptr()


def test_cache_rows_move_all_at_once():
    cache = new_cache(rows=3)
    fill(cache, [0, 1], [(5, 6), (7,)])
    cache.permute([(0, 1), (1, 0), (2, 0)])  # a swap, and a copy
    assert cache.lengths[:3] == [1, 2, 2]
    _, mask, _, keys, _ = fill(cache, [0, 1, 2], [(8,), (9,), (10,)])
    assert seen(mask, keys) == [[[7, 8]], [[5, 6, 9]], [[5, 6, 10]]]


def test_cache_grows_and_keeps_what_it_holds():
    cache = new_cache()
    fill(cache, [0], [(5, 6)])
    rows = len(cache.lengths)
    cache.make_room(rows + 1, 1000)
    assert len(cache.lengths) > rows
    _, mask, _, keys, _ = fill(cache, [0], [tuple(range(10, 300))])
    assert seen(mask, keys)[0][-1] == [5, 6, *range(10, 300)]
