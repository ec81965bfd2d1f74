"""`AgentGym/SearchQA-v0`: answer a question by searching documents, one search after another."""

from __future__ import annotations

import os
from typing import Any

import gymnasium as gym

from agent_gym.core import with_known_settings
from agent_gym.envs.diagnostic import check_count, limited
from agent_gym.envs.search_qa.corpus import Question
from agent_gym.envs.search_qa.env import SearchEnv
from agent_gym.envs.search_qa.library import GENERATED_SPLITS, Shelf, generated_questions, published_shelf
from agent_gym.registration import SEARCH_QA
from agent_gym.vector import TextVectorEnv

DATA_VARIABLE = "SEARCH_QA_DATA"


class SearchQaEnv(SearchEnv):
    """Answer questions whose answers are spread over several documents.

    The reward is the token F1 of the answer, paid with it; an exact match is success. `admissible_actions` suggests
    names to search for and to answer with; any other text is as valid.

    Example:
        >>> import gymnasium as gym, agent_gym
        >>> env = gym.make("AgentGym/SearchQA-v0")
        >>> env.reset(options={"task": "generated/300-0-2/train/00000"})[0]
        'Your task is to answer this question: In which province does the town in which The Velvet Mirror is set lie?'
        >>> *_, info = env.step("<search>The Velvet Mirror</search>")
        >>> info["documents"][0], info["subgoals"]
        ('The Velvet Mirror', ('The Velvet Mirror',))
    """

    def __init__(self, *, questions: int, **common: Any) -> None:
        """Set up the environment; see `make_search_qa` for the settings and what they are if nothing is said."""
        super().__init__(**common)
        self._questions = check_count("questions", questions, 1, 10_000)

    def shelf(self, split: str) -> Shelf:
        """Return the collection of a split, with its questions."""
        self._check_split(split)
        if split in GENERATED_SPLITS:
            return generated_questions(self._documents, self._corpus_seed, self._hops, self._questions)
        return published_shelf(self._data, DATA_VARIABLE, conversations=False)

    def _state_task(self, question: Question) -> str:
        return f"Your task is to answer this question: {question.text}"

    def _first_queries(self, question: Question) -> tuple[str, ...]:
        return (question.text,)


@with_known_settings
def make_search_qa(
    *,
    split: str = "generated_train",
    data: str | os.PathLike[str] | None = None,
    documents: int = 300,
    corpus_seed: int = 0,
    hops: int = 2,
    questions: int = 200,
    results: int = 3,
    characters: int = 1000,
    reward: str = "score",
    turns: int = 6,
    render_mode: str | None = None,
) -> gym.Env[str, str]:
    """Make the environment with its limit on turns; the entry point of `AgentGym/SearchQA-v0`.

    Args:
        split: Where `reset` draws tasks from: `generated_train`, `generated_valid` or `generated_test`; with files also
            those of `train`, `valid` and `test` that they have.
        data: A file or directory with questions and documents (see `files`); `None` means the environment variable
            `SEARCH_QA_DATA`.
        documents: Size of the generated collection.
        corpus_seed: Which generated collection.
        hops: How many documents a generated question needs, 1 to 4.
        questions: Most generated questions per split.
        results: Documents that a search shows.
        characters: After how many characters a document is cut off when it is shown.
        reward: `"score"` for the F1 of the answer, or `"success"` for 1 if it is an exact match, else 0.
        turns: Limit on turns.
        render_mode: `"ansi"` or `None`.

    Raises:
        BadOptionError: If a setting is not known or out of range.
        UnknownSplitError: If there is no such split.
    """
    env = SearchQaEnv(
        split=split,
        data=data,
        documents=documents,
        corpus_seed=corpus_seed,
        hops=hops,
        questions=questions,
        results=results,
        characters=characters,
        reward=reward,
        render_mode=render_mode,
    )
    return limited(env, check_count("turns", turns, 1, 1000))


def search_qa_vector_env(num_envs: int, **kwargs: Any) -> TextVectorEnv:
    """Create `num_envs` environments in this process; the vector entry point of `AgentGym/SearchQA-v0`."""
    return TextVectorEnv.of(SEARCH_QA, num_envs, **kwargs)
