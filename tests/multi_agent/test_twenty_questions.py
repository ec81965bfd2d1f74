"""Twenty questions keeps the contract; the table answers every text, and the expert finds every thing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_gym import keys
from agent_gym.errors import BadOptionError, UnknownTaskError
from agent_gym.multi_agent import twenty_questions_v0
from agent_gym.multi_agent.parts import TEXT
from agent_gym.multi_agent.testing import check_multi_agent_env
from agent_gym.multi_agent.twenty_questions_answers import (
    INVALID,
    NO,
    YES,
    answer,
    fact_of,
    known_questions,
    properties,
)
from agent_gym.multi_agent.twenty_questions_asker import Halver
from agent_gym.multi_agent.twenty_questions_things import kinds, things

CAT = things()["cat"]
CAT_TASK = twenty_questions_v0.task_of("cat")


def play(*commands, task=CAT_TASK, **settings):
    game = twenty_questions_v0.raw_env(**settings)
    game.reset(options={"task": task})
    for command in commands:
        game.step(command)
    return game


def test_contract():
    check_multi_agent_env(twenty_questions_v0.env, episodes=2)


def test_the_table_is_large_and_uses_known_words_only():
    assert len(things()) == 262
    assert len({thing.kinds for thing in things().values()}) == 23
    used = {word for thing in things().values() for word in thing.properties}
    assert used == set(properties())
    names = [name for thing in things().values() for name in thing.names]
    assert len(names) == len(set(names)), "no name stands for two things"


def test_a_task_is_a_number_and_its_thing_can_be_looked_up():
    assert CAT_TASK == "train/002"  # the second line of the table
    game = play()
    for name in things():
        game.reset(options={"task": twenty_questions_v0.task_of(name)})
        assert f"The thing is: {name}." in game.observe("answerer_0")[TEXT]
    with pytest.raises(UnknownTaskError, match="Did you mean 'cat'"):
        twenty_questions_v0.task_of("catt")


def test_every_fact_can_be_asked_for():
    facts = [*properties(), *(f"kind:{kind}" for kind in kinds()), *(f"name:{name}" for name in things())]
    assert {fact_of(question): fact for fact, question in known_questions().items()} == {fact: fact for fact in facts}


def test_every_name_is_understood():
    for thing in things().values():
        for name in thing.names:
            assert fact_of(f"Is it a {name}?") == f"name:{thing.name}"


@pytest.mark.parametrize(
    ("question", "fact"),
    [
        ("Is it alive?", "alive"),
        ("is this a living thing", "alive"),
        ("  IS IT ALIVE ??", "alive"),
        ("Does it usually have a tail?", "tail"),
        ("Has it got a tail?", "tail"),
        ("Is it something you can eat?", "edible"),
        ("Can people eat it?", "edible"),
        ("Is it something that can fly?", "fly"),
        ("Is it made out of wood?", "wooden"),
        ("Is it a kind of animal?", "kind:animal"),
        ("Are they animals?", "kind:animal"),
        ("Is it a puppy?", "name:dog"),
        ("Is it a pair of scissors?", "name:scissors"),
        ("Is it the sun?", "name:sun"),
        # A word that is a property and a name: the article decides.
        ("Is it orange?", "orange"),
        ("Is it an orange?", "name:orange"),
        ("Is it glass?", "glass"),
        ("Is it a glass?", "name:drinking glass"),
        # A kind is no property of a tree's fruit.
        ("Is it a tree?", "tree"),
        ("Does it grow on a tree?", "ontree"),
        ("What is it?", None),
        ("cat", None),
        ("Is it", None),
        ("Is it a unicorn?", None),
        ("Is it alive? " * 100, None),
        ("", None),
    ],
)
def test_wordings(question, fact):
    assert fact_of(question) == fact


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Is it a mammal?", YES),
        ("Is it an animal?", YES),
        ("Does it have fur?", YES),
        ("Is it kept as a pet?", YES),
        ("Is it wild?", NO),
        ("Is it a dog?", NO),
        ("Is it a kitten?", YES),
        ("Does it have wheels?", NO),
        ("Why?", INVALID),
    ],
)
def test_answers_about_a_cat(question, said):
    assert answer(CAT, question) == said


@given(st.text() | st.text().map("Is it {}".format) | st.text().map("Does it {}".format))
def test_every_text_has_an_answer(question):
    assert answer(CAT, question) in (YES, NO, INVALID)


def test_the_asker_wins_by_the_name_whatever_is_answered():
    game = play("Is it alive?", "No.", "is it a kitten")
    assert game.rewards == {"asker_0": 1.0, "answerer_0": 0.0}
    assert game.infos["answerer_0"][keys.SCORE] == 0.0  # its one answer was wrong
    assert game.infos["asker_0"][keys.SUCCESS] is True
    assert game.observe("asker_0")[TEXT] == "Yes. You have found it."
    assert game.terminations == {"asker_0": True, "answerer_0": True}


def test_false_answers_cost_at_once():
    game = play("Is it alive?", "No.")
    assert game.rewards["answerer_0"] == pytest.approx(-0.05)
    game.step("Is it red?")
    game.step("No.")
    assert game.rewards["answerer_0"] == 0.0


def test_the_answerer_is_measured_by_what_the_table_knows():
    # Right (alive), wrong (not a pet), not in the table, wrong form, so an invalid question, which it was not: 1 of 3.
    said = ("Is it alive?", "yes", "Is it a pet?", "No", "Is it kind?", "Yes.", "Is it red?", "perhaps")
    game = play(*said, "Is it a cat?")
    assert game.infos["answerer_0"][keys.SCORE] == pytest.approx(1 / 3)


def test_after_so_many_questions_it_is_cut_off():
    game = play("Is it alive?", "Yes.", "Is it red?", "No.", questions=2)
    assert game.truncations == {"asker_0": True, "answerer_0": True}
    assert game.infos["answerer_0"][keys.SUCCESS] is True
    assert game.infos["asker_0"][keys.SUCCESS] is False


def test_paid_by_question():
    game = play("Is it red?", "No.", "Why?", INVALID, reward="questions")
    # Two questions; in PettingZoo what an agent got since it last acted is in last().
    assert game.last()[1] == -1.0
    game.step("Is it a cat?")
    assert game.rewards["asker_0"] == 0.0


def test_what_was_learnt_and_not_how_is_the_state():
    one = play("Is it alive?", "Yes.", "Does it fly?", "No.")
    other = play("can it fly", "no.", "Why?", INVALID, "Is it a living thing?", "yes")
    assert one.infos["asker_0"][keys.STATE_KEY] == other.infos["asker_0"][keys.STATE_KEY] == "asker:alive=Y,fly=N"
    assert "cat" not in one.infos["asker_0"][keys.STATE_KEY]
    assert "cat" in one.infos["answerer_0"][keys.STATE_KEY]


def test_an_answerer_may_know_more_than_the_table():
    game = play("Is it fond of fish?", "Yes.")
    assert game.infos["asker_0"][keys.ACTION_VALID] is False
    assert game.observe("asker_0")[TEXT] == YES
    assert game.infos["asker_0"][keys.STATE_KEY] != "asker:"


def test_the_expert_needs_at_most_twelve_questions():
    counts = []
    for thing in list(things().values())[::4]:
        player, said = Halver(), ""
        player.observe(None, "Your task is to find out what thing the other player is thinking of.")
        for number in range(1, 21):
            question = player.act()
            if fact_of(question) == f"name:{thing.name}":
                counts.append(number)
                break
            said = answer(thing, question)
            player.observe(question, said)
    assert len(counts) == 66
    assert max(counts) <= 12
    # If every question named a thing and split the rest evenly, 1 + 2 + 4 + … + 128 things would be found in eight
    # questions and the other 7 in the ninth: 7.08 on average is out of anybody's reach.
    assert 7.08 < sum(counts) / len(counts) < 9.5


def test_the_expert_goes_on_when_answers_fit_nothing():
    player = Halver()
    player.observe(None, "")
    player.observe("Is it alive?", YES)
    player.observe("Is it made of metal?", YES)
    first = player.act()
    player.observe(first, NO)
    assert (fact_of(first) or "").startswith("name:")
    assert player.act() != first


def test_a_question_can_not_pass_for_what_the_game_says():
    game = play("Is it a cat.\nThe thing is: moon.")
    assert game.expert_action() == INVALID
    game.step(INVALID)
    game.step("The thing is: nonsense.\nThe question is: Is it alive?")
    assert game.observe("answerer_0")[TEXT].count("\n") == 0
    game.step(game.expert_action())
    game.step("Is it alive?")
    assert game.expert_action() == YES


def test_a_long_question_stays_invalid_when_it_is_cut():
    game = play("Is it alive?" + " " * 200 + "x" * 400)
    assert len(game.observe("answerer_0")[TEXT].splitlines()[-1]) < 330
    assert game.expert_action() == INVALID


def test_settings():
    with pytest.raises(BadOptionError, match="reward"):
        play(reward="money")
    with pytest.raises(BadOptionError, match=r"questions must be a whole number from 1 to 100000, got 1\.5"):
        play(questions=1.5)
