"""Questions about the generated world that need a given number of documents."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from agent_gym.envs.diagnostic import digest
from agent_gym.envs.search_qa.corpus import Question
from agent_gym.envs.search_qa.relations import BY_SUBJECT, KINDS, Mention, Relation, named
from agent_gym.envs.search_qa.world import Thing, World, make_world

MOST_HOPS = 4
_PATIENCE = 2000
"""Draws in a row that bring nothing new after which there is taken to be nothing more."""
Chain = tuple[Relation, ...]


@functools.lru_cache(maxsize=64)
def make_questions(documents: int, seed: int, hops: int, split: str, count: int) -> tuple[Question, ...]:
    """Return up to `count` different questions of a split that need `hops` documents; fewer if there are no more."""
    world = make_world(documents, seed)
    things = [thing for kind in KINDS for thing in world.by_kind[split, kind]]
    made: dict[str, Question] = {}
    attempt = last = 0
    while len(made) < count and attempt - last < _PATIENCE:
        attempt += 1
        start = things[digest("start", seed, hops, split, attempt) % len(things)]
        chain = draw_chain(world, start, hops, ("chain", seed, hops, split, attempt))
        if chain is not None:
            question = ask(world, start, chain, named(start.name))
            if made.setdefault(question.text, question) is question:
                last = attempt
    return tuple(made.values())


def draw_chain(world: World, start: Thing, hops: int, seed: Sequence[object]) -> Chain | None:
    """Draw relations that lead from a thing through `hops` documents; None if what was drawn makes no question."""
    chain: list[Relation] = []
    name = start.name
    for hop in range(1, hops + 1):
        kind = world.things[name].kind
        choices = [one for one in BY_SUBJECT[kind] if hop == hops or one.object in KINDS]
        chain.append(choices[digest(*seed, hop) % len(choices)])
        name = world.facts[name, chain[-1].name]
    return tuple(chain) if leads_on(world, start, chain) else None


def leads_on(world: World, start: Thing, chain: Sequence[Relation]) -> bool:
    """Whether a chain makes a question from here: its answer is nothing passed before, nor named in a document before.

    Else fewer documents would do.
    """
    passed = [start.name]
    for relation in chain:
        passed.append(world.facts[passed[-1], relation.name])
    answer = passed.pop()
    return len({*passed, answer}) > len(chain) and not any(answer in world.texts[name] for name in passed[:-1])


def ask(world: World, start: Thing, chain: Chain, mention: Mention) -> Question:
    """Return the question that follows a chain from a thing, worded with what stands for the thing."""
    titles = [start.name]
    for relation in chain[:-1]:
        mention = relation.phrase(mention)
        titles.append(world.facts[titles[-1], relation.name])
    answer = world.facts[titles[-1], chain[-1].name]
    return Question(chain[-1].ask(mention), (answer,), tuple(titles))
