"""An expert that has been told which documents are needed and what the answer is."""

from __future__ import annotations

from agent_gym.envs.search_qa.commands import answer_with, search_for
from agent_gym.envs.search_qa.corpus import Corpus, Question

_FIRST = 12
"""Words of a document that a second search for it has."""
LEAST_SHOWN = 20
"""Characters of a document by which it is known; no setting may show fewer. A title alone may begin another's."""


class Librarian:
    """Searches for the needed documents one after the other, by their titles, then answers.

    In the generated world each title is named in the question or in the document before, so that what it does can be
    learnt from what it reads. A conversation's question it asks in full first, where its rewrite is known; and where
    nobody has said which documents are needed it asks the question. Where a title finds other documents it tries again
    with the document's first words.
    """

    def __init__(self, corpus: Corpus, question: Question) -> None:
        """Take what is known; nothing has been seen."""
        texts = corpus.texts
        self._answer = question.answers[0]
        self._wanted = {title: f"{title}: {texts.get(title, '')[:LEAST_SHOWN]}" for title in question.titles}
        self._whole = question.rewrite or ("" if question.titles else question.text)
        self._queries = [
            (title, query)
            for title in question.titles
            for query in (title, f"{title} {' '.join(texts.get(title, '').split()[:_FIRST])}")
        ]
        self._tried: set[str] = set()

    def observe(self, command: str | None, observation: str) -> None:
        """Note what was searched for, and which documents came up."""
        if command is None:
            return
        self._tried.add(command)
        lines = [line.partition("] ")[2] for line in observation.splitlines()]
        for title, beginning in list(self._wanted.items()):
            if any(line.startswith(beginning) for line in lines):
                del self._wanted[title]

    def act(self) -> str:
        """Return the next search for a document that is still wanted, or the answer."""
        nobody_knows = not self._queries
        queries = [query for title, query in self._queries if title in self._wanted]
        if self._whole and (queries or nobody_knows):
            queries.insert(0, self._whole)
        for command in map(search_for, queries):
            if command not in self._tried:
                return command
        return answer_with(self._answer)
