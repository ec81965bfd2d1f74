"""What a conversation leaves out can be filled in, and only from what was said."""

import re

import pytest

from agent_gym.envs.diagnostic import SPLITS
from agent_gym.envs.search_qa.conversational import rewrites
from agent_gym.envs.search_qa.dialogues import TURNS, make_dialogues, meant
from agent_gym.envs.search_qa.world import Thing, make_world

PRONOUN = re.compile(r"\b(?:(she|he|it)|(her|his|its))\b")
OWNERS = {"her": "she", "his": "he", "its": "it"}


def things_in(world, text):
    """Things named in a text, in their order; a name within another's is not there on its own."""
    found = [(text.index(name), name) for name in world.things if name in text]
    return [world.things[name] for _, name in sorted(found)]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("hops", [1, 2])
def test_a_question_is_its_rewrite_with_something_left_out(hops, split):
    world, kinds = make_world(300, 0), {"pronoun": 0, "ellipsis": 0}
    for dialogue in make_dialogues(300, 0, hops, split, 50):
        assert 2 <= len(dialogue) <= TURNS
        assert dialogue[0].rewrite == ""
        for place, question in enumerate(dialogue):
            assert question.history == tuple((one.text, one.answers[0]) for one in dialogue[:place])
            assert len(question.titles) == hops
            if not place:
                continue
            said = " ".join(text for pair in question.history for text in pair)
            assert question.answers[0] not in said
            match = PRONOUN.search(question.text)
            if match:
                mentioned = things_in(world, " ".join(said.split()))
                # In the order in which they were said last.
                mentioned.sort(key=lambda thing: said.rindex(thing.name))
                stands_for = meant(mentioned, match[1] or OWNERS[match[2]], world.things[question.titles[0]].kind)
                assert stands_for is not None
                name = stands_for.name + ("'s" if match[2] else "")
                assert question.rewrite == question.text[: match.start()] + name + question.text[match.end() :]
                kinds["pronoun"] += 1
            else:
                assert question.text in (f"And {question.titles[0]}?", f"What about {question.titles[0]}?")
                assert question.titles[0] in question.rewrite
                kinds["ellipsis"] += 1
            assert question.rewrite in rewrites(question)
            assert len(things_in(world, question.text)) == (not match)
    assert min(kinds.values()) > 20


def test_splits_share_no_document():
    seen: dict[str, str] = {}
    for split in SPLITS:
        for dialogue in make_dialogues(300, 0, 1, split, 50):
            for question in dialogue:
                for title in question.titles:
                    assert seen.setdefault(title, split) == split


def test_a_pronoun_stands_for_the_last_thing_that_it_fits():
    ada, bea, carl = (Thing(name, "person", "train", she) for name, she in (("A", "she"), ("B", "she"), ("C", "he")))
    town = Thing("T", "town", "train", "it")
    assert meant([ada, bea, carl, town], "she", "person") is bea
    assert meant([ada, bea, carl, town], "he", "person") is carl
    assert meant([ada], "he", "person") is None
    assert meant([town, ada], "it", "company") is None


def test_the_list_is_frozen():
    assert make_dialogues.__wrapped__(300, 0, 1, "train", 5) == make_dialogues(300, 0, 1, "train", 50)[:5]
