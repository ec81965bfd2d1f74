import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_gym.search.overlap import answer_f1, exact_match, normalised, token_f1

REWRITE = "which european countries use wind energy most"
VAGUE, KEYWORDS = "which one uses it most", "european countries wind energy"


def test_hand_vector():
    # 7 tokens. "which", "most" of 5: 2·2/(5 + 7) = .333333. All of 4: 2·4/(4 + 7) = .727273.
    assert token_f1(VAGUE, REWRITE) == pytest.approx(0.333333, abs=1e-6)
    assert token_f1(KEYWORDS, REWRITE) == pytest.approx(0.727273, abs=1e-6)
    assert token_f1("Which European countries use the wind energy most?", REWRITE) == 1.0
    assert token_f1("", REWRITE) == token_f1(REWRITE, "the") == 0.0
    # Two of the three "a b" count once each: 2·2/(3 + 2).
    assert token_f1("x x y", "x y") == pytest.approx(0.8)


def test_normalisation():
    assert normalised("The U.S., an  example!") == ["us", "example"]


@given(st.text(), st.text())
def test_overlap_is_symmetric_and_at_most_one(one, other):
    assert 0.0 <= token_f1(one, other) == token_f1(other, one) <= 1.0


def test_an_exact_match_has_the_same_tokens_in_the_same_order():
    assert exact_match("the Chief of Protocol.", "chief of protocol")
    assert not exact_match("protocol of chief", "chief of protocol")
    assert not exact_match("", "the")
    assert not exact_match("The", "")


def test_yes_and_no_have_no_parts():
    assert answer_f1("Yes.", "yes") == 1.0
    # As tokens they would share one of four and one: 2·1/(3 + 1).
    assert token_f1("yes, both are", "yes") == pytest.approx(0.5)
    assert answer_f1("yes, both are", "yes") == answer_f1("no", "yes") == answer_f1("no", "no way") == 0.0
    # "greenwich village new york city" and "greenwich village": 2·2/(5 + 2).
    assert answer_f1("Greenwich Village, New York City", "Greenwich Village") == pytest.approx(4 / 7)
    assert answer_f1("", "") == answer_f1("", "Tolby") == 0.0
