import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_gym.envs.search_qa.commands import answer_with, parse, search_for, suggested
from agent_gym.envs.search_qa.corpus import Corpus, Document, Question


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("<search>who wrote it</search>", ("search", "who wrote it")),
        (" <Search>\n who\twrote  it\n</SEARCH> ", ("search", "who wrote it")),
        ("search[who wrote it [sic]]", ("search", "who wrote it [sic]")),
        ("<answer>42</answer>", ("answer", "42")),
        ("ANSWER[42]", ("answer", "42")),
        ("<search>a < b</search>", ("search", "a < b")),
        ("<search></search>", None),
        ("<search> </search>", None),
        ("answer[]", None),
        ("<search>a</answer>", None),
        ("<search>a", None),
        ("I think <search>a</search>", None),
        ("<search>a</search> <answer>b</answer>", None),
        ("<search>a</search> <search>b</search>", None),
        ("<search><answer>b</answer></search>", None),
        ("look", None),
        ("", None),
    ],
)
def test_parse(command, expected):
    assert parse(command) == expected


@given(st.text())
def test_what_is_written_is_read(text):
    parsed = parse(search_for(text))
    assert parsed is None or parsed == ("search", " ".join(text.split()))


CORPUS = Corpus(
    [
        Document("Tolby", "Tolby is a town. It lies in Sorn Vale. Its mayor is Alda Carrow."),
        Document("Alda Carrow", "Alda Carrow was a judge. She was born in Tolby."),
    ]
)


def test_suggestions():
    question = Question("Where was Tolby's mayor born?", ("Tolby",), ("Tolby", "Alda Carrow"))
    # Nothing has been read: there is nothing to answer with.
    assert suggested(CORPUS, question, frozenset(), ("mayor",)) == (search_for("Tolby"), search_for("mayor"))
    # Tolby has been read, so that searching for it is pointless, and the question names it, so that it answers nothing.
    assert suggested(CORPUS, question, frozenset({0}), ("mayor",)) == tuple(
        sorted(
            [
                answer_with("Alda Carrow"),
                answer_with("Sorn Vale"),
                search_for("Alda Carrow"),
                search_for("Sorn Vale"),
                search_for("mayor"),
            ]
        )
    )


def test_questions_that_offer_answers():
    choice = Question("Who is older, Alda Carrow or Boris Norrish?", ("Alda Carrow",))
    assert {answer_with("Alda Carrow"), answer_with("Boris Norrish")} < set(
        suggested(CORPUS, choice, frozenset({1}), ())
    )
    closed = Question("Was Alda Carrow a judge?", ("yes",))
    assert {answer_with("yes"), answer_with("no")} < set(suggested(CORPUS, closed, frozenset({1}), ()))
    assert answer_with("yes") not in suggested(CORPUS, closed, frozenset(), ())
