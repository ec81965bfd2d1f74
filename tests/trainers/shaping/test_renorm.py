import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainers.shaping.made import made_group, made_turn, rewards_of
from trainers.shaping import Renorm
from trainers.shaping.renorm import renormed
from trainers.types import Episode


def scored(*scores, success=False, reward=5.0):
    return Episode(turns=tuple(made_turn(reward=reward, info={"process_score": s}) for s in scores), success=success)


def test_hand_vector():
    process = np.array([0.8, 0.4, 1.0])
    # wrong: .8 + 0 − 1, .4 + 0 − 1, 1 + 0 − 1; right: the scores themselves.
    np.testing.assert_allclose(renormed(process, 0.0), [-0.2, -0.6, 0.0], atol=1e-15)
    np.testing.assert_allclose(renormed(process, 1.0), [0.8, 0.4, 1.0], atol=1e-15)


def test_it_replaces_the_rewards_by_the_environments_scores():
    played = made_group(scored(0.75, 0.5), scored(0.25, success=True), Episode(turns=()))
    assert rewards_of(Renorm()(played)) == [[-0.25, -0.5], [0.25], []]
    # With the outcome at the end: −.25 and 0 + 0 − 1; 1 + 1 − 1; times 10.
    assert rewards_of(Renorm(last="outcome", weight=10.0)(played)) == [[-2.5, -10.0], [10.0], []]


def test_a_step_without_a_score_counts_nothing():
    assert rewards_of(Renorm()(made_group(Episode(turns=(made_turn(),), success=False)))) == [[-1.0]]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.booleans(), st.sampled_from(["both", "outcome"]))
def test_it_never_turns_an_outcome_round(scores, success, last):
    [rewards] = rewards_of(Renorm(last=last)(made_group(scored(*scores, success=success))))
    assert all(reward >= 0 for reward in rewards) if success else all(reward <= 0 for reward in rewards)


def test_busy_work_pays_without_the_shift_and_not_with_it():
    # Ten steps that please the judge and fail, against two that please it less and succeed.
    played = made_group(scored(*[0.9] * 10), scored(0.5, 0.5, success=True))
    naive = [sum(rewards) for rewards in rewards_of(Renorm(shift=0.0)(played))]
    assert naive == [pytest.approx(9.0), pytest.approx(3.0)]  # 10·.9, and 2·(.5 + 1)
    shifted = [sum(rewards) for rewards in rewards_of(Renorm()(played))]
    assert shifted == [pytest.approx(-1.0), pytest.approx(1.0)]  # 10·(.9 − 1), and 2·.5


def test_what_does_not_keep_the_promise_is_refused():
    with pytest.raises(ValueError, match=r"score between 0 and 1 from InfoJudge, got 1\.5"):
        Renorm()(made_group(scored(1.5)))
    with pytest.raises(ValueError, match="finite shift"):
        Renorm(shift=float("nan"))
    with pytest.raises(ValueError, match="last"):
        Renorm(last="none")  # type: ignore[arg-type]  # what is refused
