"""Questions need as many documents as they say: with any of them missing, what has been read leads nowhere."""

import pytest

from agent_gym.envs.diagnostic import SPLITS
from agent_gym.envs.search_qa.questions import MOST_HOPS, ask, leads_on, make_questions
from agent_gym.envs.search_qa.relations import BY_SUBJECT, RELATIONS, named
from agent_gym.envs.search_qa.world import make_world
from tests.envs.search_qa.test_world import read


def follow(facts, question):
    """Answer a question from facts that were read, by trying every chain of relations worded like it; None if none."""
    answers = set()
    for start in {name for name, _ in facts if name in question.text}:
        answers |= set(chains(facts, start, named(start), question.text, len(question.titles)))
    return answers


def chains(facts, name, mention, wanted, hops):
    for (subject, relation_name), values in facts.items():
        if subject != name:
            continue
        relation = next(one for one in RELATIONS if one.name == relation_name and kind_of[subject] == one.subject)
        [value] = values
        if hops == 1 and relation.ask(mention) == wanted:
            yield value
        if hops > 1 and value in kind_of:
            yield from chains(facts, value, relation.phrase(mention), wanted, hops - 1)


WORLD = make_world(300, 0)
kind_of = {name: thing.kind for name, thing in WORLD.things.items()}


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("hops", range(1, MOST_HOPS + 1))
def test_every_document_is_needed(hops, split):
    texts = {document.title: document for document in WORLD.documents}
    for question in make_questions(300, 0, hops, split, 40):
        assert len(set(question.titles)) == hops
        facts: dict[tuple[str, str], set[str]] = {}
        for title in question.titles:
            facts |= read(texts[title])
        assert follow(facts, question) == set(question.answers)
        for missing in question.titles:
            rest = {what: value for what, value in facts.items() if what[0] != missing}
            assert follow(rest, question) == set()
        # Nor does the answer stand where one could guess at it before the last document is read.
        assert not any(question.answers[0] in texts[title].text for title in question.titles[:-1])
        assert question.answers[0] not in question.text
        # Only the first document is named; each other is named in the one before.
        assert [title for title in question.titles if title in question.text] == [question.titles[0]]
        for before, title in zip(question.titles, question.titles[1:], strict=False):
            assert title in texts[before].text


def test_splits_share_neither_questions_nor_documents_nor_answers():
    seen: dict[str, str] = {}
    for split in SPLITS:
        for question in make_questions(300, 0, 2, split, 200):
            for what in (question.text, *question.titles):
                assert seen.setdefault(what, split) == split
            if question.answers[0] in kind_of:
                assert WORLD.things[question.answers[0]].split == split


def test_the_list_of_questions_is_frozen():
    assert make_questions.__wrapped__(300, 0, 2, "train", 20) == make_questions(300, 0, 2, "train", 200)[:20]
    assert len(make_questions(300, 0, 2, "train", 200)) == 200
    # A small world runs out: 12 documents of a split with three relations or so each.
    few = make_questions(60, 0, 1, "test", 1000)
    assert 20 < len(few) < 60
    assert len({question.text for question in few}) == len(few)


def test_wording():
    by_name = {(relation.subject, relation.name): relation for relation in RELATIONS}
    author, birthplace = by_name["book", "author"], by_name["person", "birthplace"]
    mayor, province = by_name["town", "mayor"], by_name["town", "province"]
    start = named("The Amber Oak")
    assert author.ask(start) == "Who is The Amber Oak's author?"
    assert birthplace.ask(author.phrase(start)) == "In which town was The Amber Oak's author born?"
    hometown = birthplace.phrase(author.phrase(start))
    assert province.ask(hometown) == "In which province does the town where The Amber Oak's author was born lie?"
    assert mayor.ask(hometown) == "Who is the mayor of the town where The Amber Oak's author was born?"


def test_a_chain_that_comes_back_is_no_question():
    """Someone's teacher's teacher may be that someone, or be named in the first document: one document would do."""
    teacher = next(relation for relation in RELATIONS if relation.name == "teacher")
    world, checked = make_world(60, 0), 0
    for thing in world.by_kind["test", "person"]:
        other = world.facts[thing.name, "teacher"]
        assert world.facts[other, "teacher"] == thing.name  # there are but two persons in this split
        assert not leads_on(world, thing, (teacher, teacher))
        assert leads_on(world, thing, (teacher,))
        checked += 1
    assert checked == 2
    assert ask(world, thing, (teacher,), named(thing.name)).titles == (thing.name,)
    assert set(BY_SUBJECT) == set(kind_of.values())
