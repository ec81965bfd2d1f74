import pytest

from tests.trainers.shaping.made import made_group, made_turn, rewards_of
from trainers.shaping import IntentReward
from trainers.types import Episode

REWRITE = "which european countries use wind energy most"
VAGUE, KEYWORDS = "which one uses it most", "european countries wind energy"


def searching(*queries, rewrite=REWRITE, answer=1.0):
    turns = [made_turn(answer=f"<search>{q}</search>" if q else "hm", info={"rewrite": rewrite}) for q in queries]
    return Episode(turns=(*turns, made_turn(reward=answer, answer="<answer>Denmark</answer>")))


def test_the_best_query_is_paid():
    played = made_group(
        searching(VAGUE, KEYWORDS),  # the better one of two
        searching("", REWRITE),  # word for word
        searching("", ""),  # no query
        searching(REWRITE, rewrite=None),  # nothing to compare it with
        Episode(turns=()),
    )
    best = 0.2 * 8 / 11
    assert rewards_of(IntentReward()(played)) == [
        pytest.approx([0, 0, 1 + best]),
        pytest.approx([0, 0, 1.2]),
        [0, 0, 1],
        [0, 1],
        [],
    ]
    assert rewards_of(IntentReward(where="query", weight=1.0)(played))[0] == pytest.approx([0, 8 / 11, 1])


def test_other_forms_of_query():
    turn = made_turn(answer="search[one] then search[wind energy]", info={"goal": "wind energy"})
    shaper = IntentReward(pattern=r"search\[(.*?)\]", entry="goal", weight=1.0)
    assert rewards_of(shaper(made_group(Episode(turns=(turn,))))) == [[1.0]]


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="regular expression"):
        IntentReward(pattern="(")
    with pytest.raises(ValueError, match="one group"):
        IntentReward(pattern="a")
    with pytest.raises(ValueError, match="finite weight"):
        IntentReward(weight=float("nan"))
    with pytest.raises(ValueError, match="where"):
        IntentReward(where="start")  # type: ignore[arg-type]  # what is refused
