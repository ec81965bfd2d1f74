"""The generated world: things of six kinds, what is true of them, and a document about each.

Everything follows from a number of documents and a seed, by hashing, so it is the same in every process and version.

- Every fact stands in one document only, that of its subject. So a question that follows k facts from thing to thing
  needs k documents, whatever else is read.
- Each split has things of its own, and no fact leads from one split to another: nothing that is learnt by heart in one
  answers a question of another. All stand in one collection, and names are put together from the same parts, so that a
  search for one finds others that are called alike.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agent_gym.envs.diagnostic import SPLITS, digest, shuffled
from agent_gym.envs.search_qa.corpus import Document
from agent_gym.envs.search_qa.relations import (
    BOOK,
    BY_SUBJECT,
    COMPANY,
    KINDS,
    LANGUAGE,
    PEAK,
    PERSON,
    PRONOUNS,
    PROVINCE,
    RIVER,
    SCHOOL,
    TOWN,
    VALUES,
    YEAR,
)
from agent_gym.envs.search_qa.words import words

LEAST, MOST = 60, 2000
"""Documents that a world can have: fewer leave a split without a choice, and for more there are not names enough."""
_SHARES = {TOWN: 0.22, PROVINCE: 0.10, COMPANY: 0.14, BOOK: 0.14, SCHOOL: 0.10}
"""Of a split's documents, by kind; persons are the rest."""
_PARTS = {"test": 0.2, "valid": 0.2}
"""Of all documents, by split; `train` has the rest."""
_NAMES: dict[str, tuple[str, Sequence[str], Sequence[str]]] = {
    PERSON: ("{} {}", words("women") + words("men"), words("families")),
    TOWN: ("{} {}", words("compass"), words("towns")),
    PROVINCE: ("{} {}", words("realms"), words("lands")),
    COMPANY: ("{} {}", words("makers"), words("works")),
    BOOK: ("The {} {}", words("moods"), words("things")),
    SCHOOL: ("{} {}", words("patrons"), words("schools")),
}
VALUES_OF: dict[str, Sequence[str]] = {
    RIVER: words("rivers"),
    LANGUAGE: words("languages"),
    PEAK: words("peaks"),
    YEAR: tuple(str(year) for year in range(1700, 1950)),
}
"""What is only named in documents, by kind."""
_WHAT = {TOWN: "town", PROVINCE: "province", COMPANY: "company", BOOK: "novel", SCHOOL: "school"}


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that a document is about.

    Attributes:
        name: Also the document's title.
        kind: One of `KINDS`.
        split: The split that it belongs to.
        pronoun: she, he or it.
    """

    name: str
    kind: str
    split: str
    pronoun: str


@dataclass(frozen=True, slots=True)
class World:
    """What is true, and where it stands.

    Attributes:
        things: By name.
        facts: Name of the subject and of the relation, to the name of the object or the value.
        documents: One about each thing.
        by_kind: Things by split and kind.
        texts: What the document about a thing says, by the thing's name.
    """

    things: dict[str, Thing]
    facts: dict[tuple[str, str], str]
    documents: tuple[Document, ...]
    by_kind: dict[tuple[str, str], tuple[Thing, ...]] = field(repr=False)
    texts: dict[str, str] = field(repr=False)


@functools.lru_cache(maxsize=8)
def make_world(documents: int, seed: int) -> World:
    """Return the world of a size and seed; `documents` is between `LEAST` and `MOST`."""
    by_kind = _things(documents, seed)
    things = {thing.name: thing for split in SPLITS for kind in KINDS for thing in by_kind[split, kind]}
    facts: dict[tuple[str, str], str] = {}
    for thing in things.values():
        for relation in BY_SUBJECT[thing.kind]:
            draw = digest("fact", seed, thing.name, relation.name)
            if relation.object in VALUES:
                choices = VALUES_OF[relation.object]
            else:
                choices = [one.name for one in by_kind[thing.split, relation.object] if one is not thing]
            facts[thing.name, relation.name] = choices[draw % len(choices)]
    named_alike = _named_alike(things.values())
    texts = {name: _text(thing, facts, named_alike.get(name, []), seed) for name, thing in things.items()}
    shown = tuple(Document(name, texts[name]) for name in shuffled(list(texts), "documents", seed))
    return World(things, facts, shown, by_kind, texts)


def _things(documents: int, seed: int) -> dict[tuple[str, str], tuple[Thing, ...]]:
    sizes = {split: round(documents * part) for split, part in _PARTS.items()}
    sizes["train"] = documents - sum(sizes.values())
    counts: dict[tuple[str, str], int] = {}
    for split, size in sizes.items():
        for kind, share in _SHARES.items():
            counts[split, kind] = max(2, int(size * share))
        counts[split, PERSON] = size - sum(counts[split, kind] for kind in _SHARES)
    result: dict[tuple[str, str], tuple[Thing, ...]] = {}
    for kind in KINDS:
        names = _names(kind, sum(counts[split, kind] for split in SPLITS), seed)
        for split in SPLITS:
            dealt = [names.pop() for _ in range(counts[split, kind])]
            result[split, kind] = tuple(Thing(name, kind, split, _pronoun(name, kind)) for name in dealt)
    return result


def _names(kind: str, count: int, seed: int) -> list[str]:
    """Return different names, from parts so few that half of what they can make is used."""
    form, firsts, lasts = _NAMES[kind]
    few = min(len(firsts), math.ceil(math.sqrt(2 * count)))
    many = min(len(lasts), math.ceil(2 * count / few))
    few = min(len(firsts), math.ceil(2 * count / many))
    firsts, lasts = shuffled(firsts, "firsts", kind, seed)[:few], shuffled(lasts, "lasts", kind, seed)[:many]
    made = [form.format(first, last) for first in firsts for last in lasts]
    assert len(made) >= count, f"{count} things of the kind {kind} need more parts of names"
    return shuffled(made, "names", kind, seed)[:count]


def _pronoun(name: str, kind: str) -> str:
    if kind != PERSON:
        return "it"
    return "she" if name.split()[0] in words("women") else "he"


def _named_alike(things: Iterable[Thing]) -> dict[str, list[str]]:
    """Return, by name, the names of the same kind that share a part of it, of whatever split."""
    sharing: dict[tuple[str, str], list[str]] = {}
    for thing in things:
        first, last = thing.name.rsplit(" ", 1)
        for part in (first, last):
            sharing.setdefault((thing.kind, part), []).append(thing.name)
    alike: dict[str, list[str]] = {}
    for names in sharing.values():
        for name in names:
            alike.setdefault(name, []).extend(other for other in names if other != name)
    return alike


def _text(thing: Thing, facts: dict[tuple[str, str], str], alike: Sequence[str], seed: int) -> str:
    """Return what a document says: what the thing is, its facts in some order, and what is no fact about it."""

    def pick(choices: Sequence[str], *what: str) -> str:
        return choices[digest("text", seed, thing.name, *what) % len(choices)]

    what = pick(words("crafts"), "craft") if thing.kind == PERSON else _WHAT[thing.kind]
    pronoun = PRONOUNS[thing.pronoun]
    said = [
        pick(relation.statements, relation.name).format(
            s=pronoun.text.capitalize(), p=pronoun.owner.capitalize(), o=facts[thing.name, relation.name]
        )
        for relation in BY_SUBJECT[thing.kind]
    ]
    said.append(pick(words("remarks"), "remark"))
    if alike:
        said.append(f"{thing.name} is not to be confused with {pick(alike, 'alike')}.")
    article = "an" if what[0] in "aeiou" else "a"
    first = f"{thing.name} {'was' if thing.kind == PERSON else 'is'} {article} {what}."
    return " ".join([first, *shuffled(said, "order", seed, thing.name)])
