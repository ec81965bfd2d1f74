"""Names in a text: what a search may go on with, and what may be an answer.

Commands are free text, so those that are suggested have to come from somewhere: from the names and numbers that a
reader sees. A name is a run of words with a capital or a digit, in which small words may stand ("Chief of Protocol").
"""

from __future__ import annotations

import functools
import re

from agent_gym.envs.search_qa.words import words

LONGEST = 80
"""Characters of the longest run that counts as a name."""

_WORD = re.compile(r"\d+(?:[.,]\d+)+|\w[\w’'\-]*")
_JOINING = frozenset({"of", "the", "de", "la", "du", "von", "van"})
"""Small words that stand within names."""
_OPENING = frozenset(words("opening"))
"""Words with which sentences begin; at the beginning of a run they are no part of the name."""
_ENDING = '.!?:;"“('
"""Signs after which a sentence may begin."""
_ARTICLES = frozenset({"a", "the"})
"""They may belong to it ("The Amber Orchard"), but are no name alone."""


@functools.lru_cache(maxsize=1 << 14)
def names_in(text: str) -> tuple[str, ...]:
    """Return the names and numbers in a text, each once, in the order in which they are first met."""
    found: dict[str, None] = {}
    start = end = 0  # of the run; it is empty while they are equal

    def close() -> None:
        before = text[:start].rstrip()
        if name := _trimmed(text[start:end], begins=not before or before[-1] in _ENDING):
            found.setdefault(name)

    last_end, initial = 0, False
    for match in _WORD.finditer(text):
        word = match[0]
        gap = text[last_end : match.start()]
        if start < end and not (gap == " " or (initial and gap == ". ")):
            close()
            start = end
        last_end, initial = match.end(), len(word) == 1 and word.isupper()
        if word[0].isupper() or word[0].isdigit():
            if start == end:
                start = match.start()
            end = match.end()
            if word.endswith(("'s", "’s")):  # "Schindler's List" is a name, and so is "Schindler"
                close()
        elif word not in _JOINING and start < end:
            close()
            start = end
    if start < end:
        close()
    return tuple(found)


def _trimmed(run: str, *, begins: bool) -> str:
    """Return a run without a possessive and, at the beginning of a sentence, without words that only open it."""
    name = run.rstrip("-’'")
    if name.endswith(("'s", "’s")):
        name = name[:-2]
    parts = name.split(" ")
    while begins and parts and parts[0].lower() in _OPENING:
        parts.pop(0)
    if not parts or (len(parts) == 1 and parts[0].lower() in _ARTICLES):
        return ""
    name = " ".join(parts)
    return name if len(name) <= LONGEST else ""
