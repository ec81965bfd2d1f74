"""How the samples of an update are cut into optimiser steps, whoever holds them."""

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from trainers.parallel import Ranks
from trainers.samples import Sample


def cut_minibatches(
    samples: Sequence[Sample], ranks: Ranks, epochs: int, parts: Callable[[int], int], seed: tuple[int, ...]
) -> Iterator[list[Sample]]:
    """This rank's part of each mini-batch; the shuffle is of the whole batch, so ranks do not change it.

    Args:
        samples: Of this rank.
        ranks: The processes among which the batch is shared; all of them must ask.
        epochs: Passes over the batch, each shuffled anew.
        parts: Says how many parts a pass over so many samples has.
        seed: Of the shuffles.

    Raises:
        ValueError: If two samples come from the same place.
    """
    keys = sorted(key for theirs in ranks.gather([sample.key for sample in samples]) for key in theirs)
    if len(set(keys)) < len(keys):
        twice = next(key for key, after in itertools.pairwise(keys) if key == after)
        raise ValueError(
            f"expected samples of different origins, got (group, episode, turn) {twice} twice: build the "
            "samples of a batch in one call, and pass `first_group` where ranks build parts of it"
        )
    mine = {sample.key: sample for sample in samples}
    for epoch in range(epochs):
        order = np.random.default_rng((*seed, epoch)).permutation(len(keys))
        for chunk in np.array_split(order, parts(len(keys))):
            yield [mine[keys[number]] for number in chunk if keys[number] in mine]
