"""Commands: which text is one, and which are suggested where any text could be given."""

from __future__ import annotations

import functools
import re
from typing import Literal

from agent_gym.envs.search_qa.corpus import Corpus, Question, on_one_line
from agent_gym.envs.search_qa.mentions import names_in

Verb = Literal["search", "answer"]
FORMS = ("<answer>your answer</answer>", "<search>your query</search>")

_TAGS = re.compile(r"<(search|answer)>(.*)</\1>", re.DOTALL | re.IGNORECASE)
_BRACKETS = re.compile(r"(search|answer)\[(.*)\]", re.DOTALL | re.IGNORECASE)
_A_TAG = re.compile(r"</?(?:search|answer)>", re.IGNORECASE)
_CLOSED = re.compile(r"(?:are|is|was|were|do|does|did|has|have|had|can|could|will)\b", re.IGNORECASE)
"""How questions begin that are answered yes or no."""
_OFFERS = " or "
"""What a question has in it that offers answers to choose from."""


def parse(command: str) -> tuple[Verb, str] | None:
    """Return what a command does, and its text on one line; None if it is none.

    `<search>words</search>` and `search[words]` mean the same. Nothing may stand around it or be left out of it.
    """
    match = _TAGS.fullmatch(command.strip()) or _BRACKETS.fullmatch(command.strip())
    if match is None or _A_TAG.search(match[2]):
        return None
    text = on_one_line(match[2])
    return ("search" if match[1].lower() == "search" else "answer", text) if text else None


def search_for(query: str) -> str:
    """Return the command."""
    return f"<search>{query}</search>"


def answer_with(answer: str) -> str:
    """Return the command."""
    return f"<answer>{answer}</answer>"


@functools.lru_cache(maxsize=1 << 14)
def suggested(corpus: Corpus, question: Question, seen: frozenset[int], queries: tuple[str, ...]) -> tuple[str, ...]:
    """Return the commands that are suggested where some documents have been seen, sorted.

    Searches: `queries`, and the names in question, history and documents, but for titles of documents that have been
    seen. Answers: once a document has been seen, the titles and names in what has been seen that the question does not
    name, unless it offers them ("A or B?"), and yes and no where it asks so.

    Args:
        corpus: The collection.
        question: What is asked.
        seen: Places of the documents.
        queries: Searches that are suggested whatever has been seen.
    """
    own = dict.fromkeys(names_in(question.text))
    names = own.copy()
    for asked, said in question.history:
        names |= dict.fromkeys((*names_in(asked), said))
    answers: dict[str, None] = {}
    titles = set()
    for place in seen:
        document = corpus.documents[place]
        titles.add(document.title)
        answers |= dict.fromkeys((document.title, *names_in(document.text)))
    searches = dict.fromkeys(queries) | {name: None for name in names | answers if name not in titles}
    if seen and _OFFERS in question.text:
        answers |= own
    else:
        answers = {name: None for name in answers if name not in own}
    if seen and _CLOSED.match(question.text):
        answers |= {"yes": None, "no": None}
    commands = [search_for(query) for query in searches] + [answer_with(answer) for answer in answers]
    return tuple(sorted(command for command in commands if parse(command)))
