"""Conversations about the generated world, in which later questions leave out what has been said.

A conversation begins with a whole question. Each further one goes on in one of three ways:

    stay     about the same thing            "In which town was she born?"       she is who was asked about
    follow   about the last answer           "In which province does it lie?"    it is what was answered
    swap     the same about another thing    "And Edda Birchall?"                all but the name is left out

A pronoun is used where it can be resolved: it stands for the thing mentioned last that it fits and of which the
question can be asked. Nothing that has been said is the answer of a later question.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from agent_gym.envs.diagnostic import digest, shuffled
from agent_gym.envs.search_qa.corpus import Question
from agent_gym.envs.search_qa.questions import Chain, ask, draw_chain, leads_on
from agent_gym.envs.search_qa.relations import KINDS, PRONOUNS, named
from agent_gym.envs.search_qa.world import Thing, World, make_world

TURNS = 4
"""Most questions of a conversation."""
MOVES = ("stay", "follow", "swap")
SWAPS = ("And {}?", "What about {}?")
_PATIENCE = 2000
_TRIES = 8
"""Draws for the next question, after which the conversation is over."""


@functools.lru_cache(maxsize=64)
def make_dialogues(documents: int, seed: int, hops: int, split: str, count: int) -> tuple[tuple[Question, ...], ...]:
    """Return up to `count` conversations of a split; each question needs `hops` documents.

    The first question of each is whole; there are at least two.
    """
    world = make_world(documents, seed)
    things = [thing for kind in KINDS for thing in world.by_kind[split, kind]]
    made: dict[str, tuple[Question, ...]] = {}
    attempt = last = 0
    while len(made) < count and attempt - last < _PATIENCE:
        attempt += 1
        draw = ("dialogue", seed, hops, split, attempt)
        start = things[digest(*draw) % len(things)]
        dialogue = _dialogue(world, start, hops, draw)
        if len(dialogue) > 1 and made.setdefault(dialogue[0].text, dialogue) is dialogue:
            last = attempt
    return tuple(made.values())


def _dialogue(world: World, topic: Thing, hops: int, draw: Sequence[object]) -> tuple[Question, ...]:
    chain = draw_chain(world, topic, hops, draw)
    if chain is None:
        return ()
    questions = [ask(world, topic, chain, named(topic.name))]
    mentioned = [topic]
    while len(questions) < TURNS:
        said = questions[-1]
        answer = world.things.get(said.answers[0])
        mentioned += [answer] if answer else []
        history = (*said.history, (said.text, said.answers[0]))
        following = _next(world, (topic, answer, chain), mentioned, hops, (*draw, len(questions)))
        if following is None:
            break
        question, topic, chain = following
        if any(question.answers[0] in text for pair in history for text in pair):
            break
        mentioned.append(topic)
        questions.append(Question(question.text, question.answers, question.titles, history, question.rewrite))
    return tuple(questions)


def _next(
    world: World,
    last: tuple[Thing, Thing | None, Chain],
    mentioned: Sequence[Thing],
    hops: int,
    draw: Sequence[object],
) -> tuple[Question, Thing, Chain] | None:
    """Draw a question to go on with, its topic and its chain; None if none comes up."""
    for attempt in range(_TRIES):
        topic, answer, chain = last
        here = (*draw, attempt)
        move = MOVES[digest("move", *here) % len(MOVES)]
        if move == "swap":
            kin = [one for one in world.by_kind[topic.split, topic.kind] if one not in mentioned]
            if not kin:
                continue
            topic = shuffled(kin, "swap", *here)[0]
            if not leads_on(world, topic, chain):
                continue
            text = SWAPS[digest("wording", *here) % len(SWAPS)].format(topic.name)
        else:
            if move == "follow":
                if answer is None:
                    continue
                topic = answer
            drawn = draw_chain(world, topic, hops, here)
            if drawn is None or drawn == chain or meant(mentioned, topic.pronoun, topic.kind) is not topic:
                continue
            chain = drawn
            text = ask(world, topic, chain, PRONOUNS[topic.pronoun]).text
        whole = ask(world, topic, chain, named(topic.name))
        return Question(text, whole.answers, whole.titles, rewrite=whole.text), topic, chain
    return None


def meant(mentioned: Sequence[Thing], pronoun: str, kind: str) -> Thing | None:
    """Return what a pronoun stands for: the last thing mentioned that it fits and of which a question is asked."""
    return next((one for one in reversed(mentioned) if one.pronoun == pronoun and one.kind == kind), None)
