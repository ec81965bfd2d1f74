"""Collections with their questions, which all environments of a process share."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent_gym.envs.diagnostic import SPLITS
from agent_gym.envs.search_qa.corpus import Corpus, Question
from agent_gym.envs.search_qa.dialogues import make_dialogues
from agent_gym.envs.search_qa.files import Stamp, read_collection, stamps_of
from agent_gym.envs.search_qa.questions import make_questions
from agent_gym.envs.search_qa.world import make_world
from agent_gym.errors import DataNotFoundError

PUBLISHED_SPLITS = SPLITS
GENERATED_SPLITS = tuple(f"generated_{split}" for split in SPLITS)


@dataclass(frozen=True)
class Shelf:
    """A collection and the questions about it.

    Attributes:
        corpus: The documents.
        questions: By task.
        tasks: By split, sorted.
        source: `generated` or `published`.
    """

    corpus: Corpus
    questions: Mapping[str, Question]
    tasks: Mapping[str, Sequence[str]]
    source: str

    @functools.cached_property
    def split_of(self) -> Mapping[str, str]:
        """The split of each task; files may hold so many that looking through `tasks` takes long."""
        return {task: split for split, tasks in self.tasks.items() for task in tasks}


@functools.lru_cache(maxsize=8)
def _generated_corpus(documents: int, seed: int) -> Corpus:
    return Corpus(make_world(documents, seed).documents)


@functools.lru_cache(maxsize=32)
def generated_questions(documents: int, seed: int, hops: int, count: int) -> Shelf:
    """Return a generated collection with up to `count` questions per split."""
    questions: dict[str, Question] = {}
    tasks = {}
    for split, name in zip(SPLITS, GENERATED_SPLITS, strict=True):
        made = make_questions(documents, seed, hops, split, count)
        own = {f"generated/{documents}-{seed}-{hops}/{split}/{place:05d}": one for place, one in enumerate(made)}
        tasks[name] = tuple(own)
        questions |= own
    return Shelf(_generated_corpus(documents, seed), questions, tasks, "generated")


@functools.lru_cache(maxsize=32)
def generated_dialogues(documents: int, seed: int, hops: int, count: int) -> Shelf:
    """Return a generated collection with up to `count` conversations per split; tasks are their later questions."""
    questions: dict[str, Question] = {}
    tasks = {}
    for split, name in zip(SPLITS, GENERATED_SPLITS, strict=True):
        own = {
            f"generated/{documents}-{seed}-{hops}/{split}/{place:05d}-{turn}": one
            for place, dialogue in enumerate(make_dialogues(documents, seed, hops, split, count))
            for turn, one in enumerate(dialogue[1:], start=2)
        }
        tasks[name] = tuple(own)
        questions |= own
    return Shelf(_generated_corpus(documents, seed), questions, tasks, "generated")


def published_shelf(data: str | os.PathLike[str] | None, variable: str, *, conversations: bool) -> Shelf:
    """Return the collection in a file or directory.

    Args:
        data: Where it is; `None` means what the environment variable names.
        variable: That environment variable.
        conversations: Whether to take the questions with a history, or those without.

    Raises:
        DataNotFoundError: If there is nothing.
        DataFileError: If a file is malformed; names file and line.
    """
    named = os.environ.get(variable, "") if data is None else os.fspath(data)
    if not named:
        raise DataNotFoundError(
            f"The splits {list(PUBLISHED_SPLITS)} need files with documents and questions: name them with data=… or "
            f"the environment variable {variable}, or play a split of {list(GENERATED_SPLITS)}, which need none."
        )
    return _published(stamps_of(named, "data" if data is not None else variable), conversations)


@functools.lru_cache(maxsize=8)
def _published(stamps: tuple[Stamp, ...], conversations: bool) -> Shelf:
    collection = read_collection(stamps)
    wanted = {
        task: question
        for task, (_, question) in collection.questions.items()
        if bool(question.history) == conversations
    }
    tasks = {
        split: tuple(sorted(task for task in wanted if collection.questions[task][0] == split))
        for split in PUBLISHED_SPLITS
    }
    return Shelf(collection.corpus, wanted, tasks, "published")
