from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainers.shaping.made import made_group, made_turn, rewards_of
from trainers.shaping import Calm
from trainers.shaping.calm import agreement
from trainers.types import Episode


class Reader:
    """Finds subgoals in the reply."""

    def __init__(self):
        self.counts: Counter[str] = Counter()

    def goals(self, steps):
        return [frozenset({"key"} if "You pick up the key" in step.turn.reply else set()) for step in steps]


def told(*reached):
    return Episode(turns=tuple(made_turn(info={"subgoals": goals}) for goals in reached))


def test_a_key_that_is_picked_up_twice_is_paid_once():
    replies = ["Nothing.", "You pick up the key.", "You drop the key.", "You pick up the key.", "Nothing."]
    episode = Episode(turns=tuple(made_turn(reply=reply) for reply in replies))
    # Each episode has a latch of its own.
    assert rewards_of(Calm(bonus=0.25).judged_by(Reader())(made_group(episode, episode))) == [[0, 0.25, 0, 0, 0]] * 2


def test_the_environment_tells_what_was_reached_so_far():
    played = made_group(told((), ("key",), ("key", "door", "map"), ("key", "door", "map")), Episode(turns=()))
    assert rewards_of(Calm(bonus=0.5)(played)) == [[0, 0.5, 1.0, 0], []]
    assert rewards_of(Calm(bonus=0.5, wanted=("door",))(played)) == [[0, 0, 0.5, 0], []]


@given(st.lists(st.frozensets(st.sampled_from(["key", "door", "map"])), max_size=12))
def test_all_bonuses_together_are_one_per_subgoal(reached):
    # 1/4 adds up without rounding.
    [rewards] = rewards_of(Calm(bonus=0.25)(made_group(told(*reached))))
    assert sum(rewards) == 0.25 * len(frozenset().union(*reached))


def test_agreement_hand_vector():
    # Right: step 1 flagged, steps 0, 3, 5 not. Step 2 is flagged wrongly, step 4 is missed.
    # P = 1/2, R = 1/2, F1 = 2/(2 + 1 + 1) = .5, accuracy 4/6.
    result = agreement([False, True, False, False, True, False], [False, True, True, False, False, False])
    counts = (result.true_positives, result.false_positives, result.false_negatives, result.true_negatives)
    assert counts == (1, 1, 1, 3)
    assert (result.precision, result.recall, result.f1) == (0.5, 0.5, 0.5)
    assert result.accuracy == pytest.approx(0.666667, abs=1e-6)
    nothing = agreement([], [])
    assert (nothing.precision, nothing.recall, nothing.f1, nothing.accuracy) == (0, 0, 0, 0)


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="finite bonus"):
        Calm(bonus=float("inf"))
