"""What `SearchQA` and `ConversationalQA` share: searches, answers, and what is said about them."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent_gym import keys
from agent_gym.core import TextEnv
from agent_gym.envs.diagnostic import check_count, check_name, check_path
from agent_gym.envs.search_qa.commands import FORMS, parse, suggested
from agent_gym.envs.search_qa.corpus import Question
from agent_gym.envs.search_qa.expert import LEAST_SHOWN, Librarian
from agent_gym.envs.search_qa.library import GENERATED_SPLITS, PUBLISHED_SPLITS, Shelf
from agent_gym.envs.search_qa.questions import MOST_HOPS
from agent_gym.envs.search_qa.world import LEAST, MOST
from agent_gym.errors import UnknownTaskError
from agent_gym.search.overlap import answer_f1, exact_match

REWARDS = ("score", "success")

QUERIES = "queries"
"""Entry of `info`: the searches of this episode so far."""
DOCUMENTS = "documents"
"""Entry of `info`: titles of the documents that the last search showed, best first."""
GOLD_TITLES = "gold_titles"
"""Entry of `info`: titles of the documents that are needed; those that were found are `subgoals`."""
ANSWERS, F1, EXACT = "answers", "f1", "exact_match"
"""Entries of `info` after the answer: the references, the best F1 with any of them, and whether one is met exactly."""

LONGEST_QUERY = 1000
"""Characters of a query that count."""
_NEARLY = 0.99
"""Highest score of an answer that is no exact match: the right words in another order have an F1 of 1."""
_ECHO = 200
"""Characters of a command that an observation repeats."""

_INSTRUCTIONS = """\
You answer a question from a collection of documents. A search shows those that fit its words best, at most {results}. \
What you need may be spread over several documents: one names what to search for next.

Commands:
  <search>WORDS</search>  find documents
  <answer>TEXT</answer>   give the answer, as short as it can be; this ends the episode

A command that is not understood changes nothing and costs a turn."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What has happened in an episode."""

    queries: tuple[str, ...] = ()
    shown: tuple[int, ...] = ()
    seen: frozenset[int] = frozenset()
    answer: str | None = None


class SearchEnv(TextEnv):
    """Questions about a collection of documents, each answered by searching it.

    The state is the question and which documents have been seen, since nothing else decides what can follow:
    `state_key` has just that.
    """

    splits = (*PUBLISHED_SPLITS, *GENERATED_SPLITS)

    def __init__(
        self,
        *,
        split: str,
        data: str | os.PathLike[str] | None,
        documents: int,
        corpus_seed: int,
        hops: int,
        results: int,
        characters: int,
        reward: str,
        render_mode: str | None,
    ) -> None:
        """Check the settings (see `make_search_qa`); nothing is read or made before it is needed."""
        super().__init__(split=split, render_mode=render_mode)
        self._data = None if data is None else check_path("data", data)
        self._documents = check_count("documents", documents, LEAST, MOST)
        self._corpus_seed = check_count("corpus_seed", corpus_seed, 0, 2**31)
        self._hops = check_count("hops", hops, 1, MOST_HOPS)
        self._results = check_count("results", results, 1, 50)
        self._characters = check_count("characters", characters, LEAST_SHOWN, 1_000_000)
        self._reward = check_name("reward", reward, REWARDS)
        self._playing = ""
        self._progress = Progress()

    @abstractmethod
    def shelf(self, split: str) -> Shelf:
        """Return the collection of a split, with its questions.

        Raises:
            UnknownSplitError: If there is no such split.
            DataNotFoundError: If it is a published one, and there are no files.
            DataFileError: If they are malformed.
        """

    @abstractmethod
    def _state_task(self, question: Question) -> str:
        """Return the line that begins with "Your task is": wrappers keep it before an agent's eyes."""

    @abstractmethod
    def _first_queries(self, question: Question) -> tuple[str, ...]:
        """Return searches to suggest whatever has been seen."""

    def _more_info(self, question: Question) -> dict[str, Any]:
        return {}

    @property
    def instructions(self) -> str:
        """The rules and commands."""
        return _INSTRUCTIONS.format(results=self._results)

    def tasks(self, split: str) -> Sequence[str]:
        """Return the task ids of a split."""
        return self.shelf(split).tasks[split]

    def question(self, task: str) -> Question:
        """Return what a task asks, with its answers.

        Raises:
            UnknownTaskError: If there is no such task.
        """
        return self._find(task)[1]

    def make_expert(self) -> Librarian:
        """Return an expert that has been told the needed documents and the answer."""
        return Librarian(self._shelf.corpus, self._question)

    def _find(self, task: str) -> tuple[Shelf, Question]:
        source = task.partition("/")[0]
        if source not in ("generated", "published"):
            raise UnknownTaskError(
                f"Tasks are named generated/… or published/…, got {task!r}; env.unwrapped.tasks(split) lists them."
            )
        shelf = self.shelf((GENERATED_SPLITS if source == "generated" else PUBLISHED_SPLITS)[0])
        if task not in shelf.questions:
            known = next(iter(shelf.questions), "none: there is no question for this environment")
            raise UnknownTaskError(
                f"expected a task id such as {known!r}, got {task!r}; env.unwrapped.tasks(split) lists those of these "
                "settings."
            )
        return shelf, shelf.questions[task]

    def _start(self, task: str) -> tuple[str, dict[str, Any]]:
        self._shelf, self._question = self._find(task)
        self._shelf.corpus.open()
        self._playing, self._progress = task, Progress()
        self._queries = self._first_queries(self._question)
        self._static = {
            keys.SPLIT: self._shelf.split_of[task],
            keys.SOURCE: self._shelf.source,
            GOLD_TITLES: self._question.titles,
        }
        self._static |= self._more_info(self._question)
        return self._state_task(self._question), self._info(valid=True)

    def _act(self, command: str) -> tuple[str, float, bool, dict[str, Any]]:
        parsed, before = parse(command), self._progress
        if parsed is None:
            return "That is not a command: expected " + " or ".join(FORMS) + ".", 0.0, False, self._info(valid=False)
        verb, text = parsed
        if verb == "answer":
            self._progress = Progress(before.queries, before.shown, before.seen, text)
            info = self._info(valid=True)
            reward = info[keys.SCORE] if self._reward == "score" else float(info[keys.SUCCESS])
            said = "right" if info[keys.SUCCESS] else "not right"
            return f'Your answer "{_short(text)}" is {said}.', float(reward), True, info
        query = text[:LONGEST_QUERY]
        shown = self._shelf.corpus.search(query, self._results)
        self._progress = Progress((*before.queries, query), shown, before.seen.union(shown))
        return self._show(query, shown), 0.0, False, self._info(valid=True)

    def _show(self, query: str, shown: tuple[int, ...]) -> str:
        if not shown:
            return f'No document has a word of "{_short(query)}".'
        lines = [f'Documents for "{_short(query)}":']
        for number, place in enumerate(shown, start=1):
            document = self._shelf.corpus.documents[place]
            text = document.text
            if len(text) > self._characters:
                text = text[: self._characters] + " …"
            lines.append(f"[{number}] {document.title}: {text}")
        return "\n".join(lines)

    def _info(self, *, valid: bool) -> dict[str, Any]:
        question, progress = self._question, self._progress
        over = progress.answer is not None
        documents = self._shelf.corpus.documents
        commands = () if over else suggested(self._shelf.corpus, question, progress.seen, self._queries)
        found = {documents[place].title for place in progress.seen}
        info = {
            keys.STATE_KEY: f"{self._playing}:{','.join(map(str, sorted(progress.seen)))}{':answered' * over}",
            keys.ADMISSIBLE_ACTIONS: commands,
            keys.ALIASES[keys.ADMISSIBLE_ACTIONS]: commands,
            keys.COMMAND_FORMS: () if over else FORMS,
            keys.ACTION_VALID: valid,
            keys.SUCCESS: False,
            keys.ALIASES[keys.SUCCESS]: False,
            keys.SCORE: 0.0,
            keys.SUBGOALS: tuple(title for title in question.titles if title in found),
            QUERIES: progress.queries,
            DOCUMENTS: tuple(documents[place].title for place in progress.shown),
            **self._static,
        }
        return info if progress.answer is None else info | _judged(question, progress.answer)

    def _get_state(self) -> Progress:
        return self._progress

    def _set_state(self, state: Progress) -> None:
        self._progress = state


def _judged(question: Question, answer: str) -> dict[str, Any]:
    """Return the entries of `info` that an answer decides."""
    exact = any(exact_match(answer, reference) for reference in question.answers)
    best = max(answer_f1(answer, reference) for reference in question.answers)
    return {
        keys.SUCCESS: exact,
        keys.ALIASES[keys.SUCCESS]: exact,
        keys.SCORE: 1.0 if exact else min(best, _NEARLY),
        ANSWERS: question.answers,
        F1: best,
        EXACT: exact,
    }


def _short(text: str) -> str:
    return text if len(text) <= _ECHO else text[:_ECHO] + " …"
