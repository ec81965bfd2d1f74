import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_gym.envs.search_qa.mentions import LONGEST, names_in


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("In which town was Alda Carrow born?", ["Alda Carrow"]),
        ("Who is The Amber Oak's author?", ["The Amber Oak"]),
        ("She was born in Upper Tolby. The Fane flows past it.", ["Upper Tolby", "The Fane"]),
        ("It appeared in 1923, after the First World War.", ["1923", "First World War"]),
        (
            "She became Chief of Protocol of the United States, and the rest is lost.",
            ["Chief of Protocol of the United States"],
        ),
        ("Schindler's List is a film.", ["Schindler", "Schindler's List"]),
        ("J. K. Rowling met R. Smith.", ["J. K. Rowling", "R. Smith"]),
        ("The arena seats 3,677 people", ["3,677"]),
        ("Are Local H and For Against both from the United States?", ["Local H", "For Against", "United States"]),
        ("the of and", []),
        ("The. It's late", []),
        ("", []),
    ],
)
def test_names(text, expected):
    assert list(names_in(text)) == expected


def test_a_runaway_name_is_none():
    assert names_in("Word " * 1000) == ()
    assert names_in("A" * LONGEST) == ("A" * LONGEST,)


@given(st.text())
def test_names_stand_in_the_text(text):
    for name in names_in(text):
        assert name in text
        assert name.strip() == name != ""
