"""What is true, read back from the documents: every fact stands in one of them, and splits share nothing."""

import re
from collections import Counter

import pytest

from agent_gym.envs.diagnostic import SPLITS
from agent_gym.envs.search_qa.relations import BY_SUBJECT, KINDS, PRONOUNS
from agent_gym.envs.search_qa.world import LEAST, MOST, make_world


def read(document):
    """The facts that a document states, by the sentences of its kind, without a look at how it was made."""
    first = re.match(rf"{re.escape(document.title)} (was|is) an? (\w+)\.", document.text)
    assert first is not None
    kind = "person" if first[1] == "was" else WHAT[first[2]]
    found: dict[tuple[str, str], set[str]] = {}
    for relation in BY_SUBJECT[kind]:
        for statement in relation.statements:
            for pronoun in PRONOUNS.values():
                pattern = re.escape(statement).replace(r"\{s\}", pronoun.text.capitalize())
                pattern = pattern.replace(r"\{p\}", pronoun.owner.capitalize()).replace(r"\{o\}", r"([^.]+?)")
                for value in re.findall(rf"(?<=\. ){pattern}", document.text):
                    found.setdefault((document.title, relation.name), set()).add(value)
    return found


WHAT = {"town": "town", "province": "province", "company": "company", "novel": "book", "school": "school"}


@pytest.mark.parametrize(("documents", "seed"), [(LEAST, 0), (300, 0), (300, 7)])
def test_each_fact_stands_in_the_document_of_its_subject_and_nowhere_else(documents, seed):
    world = make_world(documents, seed)
    read_back: dict[tuple[str, str], set[str]] = {}
    for document in world.documents:
        facts = read(document)
        assert {title for title, _ in facts} == {document.title}
        read_back |= facts
    assert read_back == {what: {value} for what, value in world.facts.items()}


def test_sizes():
    for documents in (LEAST, 137, 300, MOST):
        world = make_world(documents, 0)
        assert len(world.documents) == len(world.things) == documents
        assert {document.title for document in world.documents} == set(world.things)
    # 300 documents: 60 for test, 60 for valid, 180 for train. Of 60: int(13.2) towns, int(6.0) provinces,
    # int(8.4) companies and novels, int(6.0) schools; 60 - 13 - 6 - 8 - 8 - 6 = 19 persons.
    counts = Counter((thing.split, thing.kind) for thing in make_world(300, 0).things.values())
    assert [counts["test", kind] for kind in KINDS] == [19, 13, 6, 8, 8, 6]
    assert sum(counts["train", kind] for kind in KINDS) == 180
    assert min(Counter((thing.split, thing.kind) for thing in make_world(LEAST, 0).things.values()).values()) >= 2


def test_no_fact_leads_from_one_split_to_another():
    world = make_world(300, 0)
    for (name, _), value in world.facts.items():
        assert value != name
        if value in world.things:
            assert world.things[value].split == world.things[name].split
    assert {thing.split for thing in world.things.values()} == set(SPLITS)


def test_things_are_called_alike():
    """Nearly every name shares a part with another of its kind, which a search for it finds as well."""
    names = [(thing.kind, part) for thing in make_world(300, 0).things.values() for part in thing.name.rsplit(" ", 1)]
    shared = Counter(names)
    lonely = [
        thing.name
        for thing in make_world(300, 0).things.values()
        if all(shared[thing.kind, part] == 1 for part in thing.name.rsplit(" ", 1))
    ]
    assert len(lonely) <= 3


def test_a_seed_is_a_world():
    assert make_world.__wrapped__(100, 3) == make_world.__wrapped__(100, 3)
    assert make_world(100, 3).documents != make_world(100, 4).documents
