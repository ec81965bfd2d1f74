"""Right-hand sides of a grammar, with the readings of the original's parser as expectations."""

import json
import re

import pytest

from agent_gym.envs.alfworld.engine import Simulator
from agent_gym.envs.alfworld.generator import generate_game
from agent_gym.envs.alfworld.grammar import Listing, Literal, Reference, parse_symbols
from agent_gym.envs.alfworld.problem import parse_game
from agent_gym.errors import UnsupportedGameError


def kinds(text):
    return [
        symbol.text if isinstance(symbol, Literal) else type(symbol).__name__.lower() for symbol in parse_symbols(text)
    ]


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("#task#\t\tnow", ["reference", "now"]),  # tabs between symbols do not count
        ("a\tb{o.name}\t", ["a\tb", "expression"]),  # inside a text they do
        ("[\t{o.name}\t] {\to.name\t}", ["listing", " ", "expression"]),
        ("back\\nslash", ["back\\nslash"]),  # a backslash and an n are no new line
        ("see {o.name | }#task#", ["see "]),  # a condition can't be blank, and what can't be read ends the text
        ("see {#task#\n}", ["see "]),
        ('"quoted" tail', ["quoted", " tail"]),
        ("stop } here", ["stop "]),
    ],
)
def test_symbols_are_read_as_the_original_reads_them(text, symbols):
    assert kinds(text) == symbols


def test_a_rule_is_named_without_the_tab_before_it():
    assert parse_symbols("#\ttask#") == (Reference("task"),)


def test_blanks_in_a_condition_do_not_count():
    (loose,) = parse_symbols("[{o.name | holds ( a : agent , o:object ) }]")
    (tight,) = parse_symbols("[{o.name|holds(a:agent, o:object)}]")
    assert isinstance(loose, Listing)
    assert isinstance(tight, Listing)
    assert loose.items.condition == tight.items.condition


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("put the chef's knife, 100% clean; on the table!", "put the chef's knife, 100% clean"),
        ("put #1 on <it>", "put "),
        ("put it \\n there \u2019\U0001f642", "put it \\n there \u2019\U0001f642"),
        ("line one\nline two", "line one\nline two"),
    ],
)
def test_a_persons_sentence_is_shown_as_the_original_shows_it(sentence, shown):
    data = generate_game("generated_train", 0)
    task = json.dumps(f"Your task is to: {sentence}")
    grammar = re.sub(r'"Your task is to: [^"]*"', lambda _: task, data["grammar"])
    intro = Simulator(parse_game({**data, "grammar": grammar})).reset()
    assert intro.endswith(f"\n\nYour task is to: {shown}")


def test_a_rule_that_might_not_apply_is_refused_before_the_game():
    data = generate_game("generated_train", 0)
    rules = '"CloseObject.feedback": [{"condition": "opened(r:receptacle)", "rhs": "Open."}]'
    grammar = (
        re.sub(
            r'action CloseObject \{[^}]*"#[^"]*#";',
            'action CloseObject { template :: "close {r}"; feedback :: "#CloseObject.feedback#"; ',
            data["grammar"],
        )
        + f'grammar :: """ {{{rules}}} """;'
    )
    with pytest.raises(UnsupportedGameError, match="engine='textworld'"):
        Simulator(parse_game({**data, "grammar": grammar}))
