"""Which turns of a group were taken in the same state."""

from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

from trainers.types import Group


def anchor_states(group: Group, similarity: float | None = None) -> NDArray[np.intp]:
    """Return the number of each turn's anchor state, in order of first appearance; all turns of the group, in order.

    Args:
        group: The episodes.
        similarity: None: turns share an anchor when their state keys are equal. Otherwise a turn belongs to the first
            anchor whose first observation is this alike to its own, by difflib's ratio 2·M/T (M characters in common
            out of T in both texts). Which one is first depends on the order of the episodes. A turn without an
            observation is known by its key.

    Returns:
        Shape (turns of the group,).
    """
    numbers: dict[str, int] = {}
    anchors: list[int] = []
    first: list[str] = []  # what each anchor's first turn saw
    for episode in group.episodes:
        for turn in episode.turns:
            text = turn.state_key if similarity is None else turn.observation or turn.state_key
            if text not in numbers:
                found = None if similarity is None else _first_alike(text, first, similarity)
                if found is None:
                    found = len(first)
                    first.append(text)
                numbers[text] = found
            anchors.append(numbers[text])
    return np.array(anchors, dtype=np.intp)


def _first_alike(text: str, candidates: list[str], similarity: float) -> int | None:
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(text)  # what is compared with many is indexed once
    for number, candidate in enumerate(candidates):
        matcher.set_seq1(candidate)
        # The first two are cheap upper bounds of the third.
        if (
            matcher.real_quick_ratio() >= similarity
            and matcher.quick_ratio() >= similarity
            and matcher.ratio() >= similarity
        ):
            return number
    return None
