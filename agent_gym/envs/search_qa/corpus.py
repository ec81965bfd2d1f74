"""Documents that are searched, and questions that they answer."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from agent_gym.search.bm25 import Index, index_of

_KEPT = 1 << 16
"""Searches whose results a process remembers, per collection: members of a group search for the same."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document; both parts are on one line."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question, with what belongs to it.

    Attributes:
        text: As it is asked.
        answers: References; any of them is right. The first is the expert's.
        titles: Titles of the documents that are needed, in the order in which they lead to each other where that is
            known; none if nobody has said which.
        history: Questions and answers before it, where it is part of a conversation.
        rewrite: What it asks without its history; empty if nobody has said so.
    """

    text: str
    answers: tuple[str, ...]
    titles: tuple[str, ...] = ()
    history: tuple[tuple[str, str], ...] = ()
    rewrite: str = ""


class Corpus:
    """A collection of documents with a search index, which is built when it is first searched."""

    def __init__(self, documents: Sequence[Document]) -> None:
        """Take the documents; the earlier comes first where a search finds two equally good."""
        self.documents = tuple(documents)
        self._index: Index | None = None
        self.search = functools.lru_cache(maxsize=_KEPT)(self._search)

    @functools.cached_property
    def texts(self) -> dict[str, str]:
        """What documents say, by title; of those of one title the first."""
        return {document.title: document.text for document in reversed(self.documents)}

    def _search(self, query: str, limit: int) -> tuple[int, ...]:
        """Return the places of the best documents, best first; fewer if fewer have a word in common with the query.

        Raises:
            MissingExtraError: Without the extra `search`.
        """
        if self._index is None:
            self._index = index_of([f"{document.title} {document.text}" for document in self.documents])
        return self._index.search(query, limit)

    def open(self) -> None:
        """Build the index, if that has not been done.

        Raises:
            MissingExtraError: Without the extra `search`.
        """
        self.search("", 1)


def on_one_line(text: str) -> str:
    """Return a text with its white space as single blanks."""
    return " ".join(text.split())
