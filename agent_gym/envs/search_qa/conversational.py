"""`AgentGym/ConversationalQA-v0`: answer a question that leaves out what its conversation has said."""

from __future__ import annotations

import os
import re
from typing import Any

import gymnasium as gym

from agent_gym.core import with_known_settings
from agent_gym.envs.diagnostic import check_count, limited
from agent_gym.envs.search_qa.corpus import Question
from agent_gym.envs.search_qa.env import SearchEnv
from agent_gym.envs.search_qa.library import GENERATED_SPLITS, Shelf, generated_dialogues, published_shelf
from agent_gym.envs.search_qa.mentions import names_in
from agent_gym.registration import CONVERSATIONAL_QA
from agent_gym.vector import TextVectorEnv

DATA_VARIABLE = "CONVERSATIONAL_QA_DATA"

REWRITE = "rewrite"
"""Entry of `info`: what the question asks without its conversation; absent where nobody has said so."""

_PRONOUN = re.compile(r"\b(?:(she|he|it|they)|(her|his|its|their))\b", re.IGNORECASE)
_ELLIPSIS = re.compile(r"(?:and|what about|how about)\b.{0,100}\?", re.IGNORECASE)


class ConversationalQaEnv(SearchEnv):
    r"""Answer the last question of a conversation, whose pronouns and gaps only the conversation fills.

    As `SearchQaEnv`, with `info["rewrite"]`: the question as it would be asked alone, for which
    `trainers.shaping.IntentReward` (ChatR1) pays the best query. Suggested are, beside names, the question with each
    name of the conversation in the place of its pronoun, or the question before with the name of this one.

    Example:
        >>> import gymnasium as gym, agent_gym
        >>> env = gym.make("AgentGym/ConversationalQA-v0")
        >>> observation, info = env.reset(options={"task": "generated/300-0-1/train/00000-3"})
        >>> print(observation.replace(" Q:", "\n Q:"))
        Your task is to answer the last question of this conversation.
         Q: Who is The Crimson Quarry's author? A: Otmar Tidewell
         Q: And The Yellow Quarry? A: Kaia Foxglade
         Q: In which town was she born?
        >>> info["rewrite"]
        'In which town was Kaia Foxglade born?'
        >>> print("\n".join(info["admissible_actions"][:4]))
        <search>In which town was Kaia Foxglade born?</search>
        <search>In which town was Otmar Tidewell born?</search>
        <search>In which town was The Crimson Quarry born?</search>
        <search>In which town was The Yellow Quarry born?</search>
    """

    def __init__(self, *, dialogues: int, **common: Any) -> None:
        """Set up the environment; see `make_conversational_qa` for the settings and their defaults."""
        super().__init__(**common)
        self._dialogues = check_count("dialogues", dialogues, 1, 10_000)

    def shelf(self, split: str) -> Shelf:
        """Return the collection of a split, with its questions."""
        self._check_split(split)
        if split in GENERATED_SPLITS:
            return generated_dialogues(self._documents, self._corpus_seed, self._hops, self._dialogues)
        return published_shelf(self._data, DATA_VARIABLE, conversations=True)

    def _state_task(self, question: Question) -> str:
        said = " ".join(f"Q: {asked} A: {answer}" for asked, answer in question.history)
        return f"Your task is to answer the last question of this conversation. {said} Q: {question.text}"

    def _first_queries(self, question: Question) -> tuple[str, ...]:
        return (question.text, *rewrites(question))

    def _more_info(self, question: Question) -> dict[str, Any]:
        return {REWRITE: question.rewrite} if question.rewrite else {}


def rewrites(question: Question) -> tuple[str, ...]:
    """Return ways to fill what a question leaves out, right and wrong ones.

    Of "And X?" the last question before that is none of this kind is asked about X. In any other question each name of
    the history takes the place of the first pronoun.
    """
    if _ELLIPSIS.fullmatch(question.text):
        whole = [asked for asked, _ in question.history if not _ELLIPSIS.fullmatch(asked)]
        if not whole:
            return ()
        return tuple(
            filled
            for name in names_in(question.text)
            for filled in (*_filled(whole[-1], name), *(whole[-1].replace(old, name) for old in names_in(whole[-1])))
        )
    names = dict.fromkeys(name for asked, said in question.history for name in (*names_in(asked), *names_in(said)))
    return tuple(filled for name in names for filled in _filled(question.text, name))


def _filled(question: str, name: str) -> tuple[str, ...]:
    """Return the question with a name for its first pronoun; nothing if it has none."""
    match = _PRONOUN.search(question)
    if match is None:
        return ()
    owner = "'s" if match[2] else ""
    return (f"{question[: match.start()]}{name}{owner}{question[match.end() :]}",)


@with_known_settings
def make_conversational_qa(
    *,
    split: str = "generated_train",
    data: str | os.PathLike[str] | None = None,
    documents: int = 300,
    corpus_seed: int = 0,
    hops: int = 1,
    dialogues: int = 100,
    results: int = 3,
    characters: int = 1000,
    reward: str = "score",
    turns: int = 4,
    render_mode: str | None = None,
) -> gym.Env[str, str]:
    """Make the environment with its limit on turns; the entry point of `AgentGym/ConversationalQA-v0`.

    Args:
        split: Where `reset` draws tasks from: `generated_train`, `generated_valid` or `generated_test`; with files also
            those of `train`, `valid` and `test` that they have.
        data: A file or directory with documents, and questions with a history (see `files`); `None` means the
            environment variable `CONVERSATIONAL_QA_DATA`.
        documents: Size of the generated collection.
        corpus_seed: Which generated collection.
        hops: How many documents a generated question needs, 1 to 4.
        dialogues: Most generated conversations per split, of up to four questions; the first is no task.
        results: Documents that a search shows.
        characters: After how many characters a document is cut off when it is shown.
        reward: `"score"` for the F1 of the answer, or `"success"` for 1 if it is an exact match, else 0.
        turns: Limit on turns.
        render_mode: `"ansi"` or `None`.

    Raises:
        BadOptionError: If a setting is not known or out of range.
        UnknownSplitError: If there is no such split.
    """
    env = ConversationalQaEnv(
        split=split,
        data=data,
        documents=documents,
        corpus_seed=corpus_seed,
        hops=hops,
        dialogues=dialogues,
        results=results,
        characters=characters,
        reward=reward,
        render_mode=render_mode,
    )
    return limited(env, check_count("turns", turns, 1, 1000))


def conversational_qa_vector_env(num_envs: int, **kwargs: Any) -> TextVectorEnv:
    """Create `num_envs` environments in this process; the vector entry point of `AgentGym/ConversationalQA-v0`."""
    return TextVectorEnv.of(CONVERSATIONAL_QA, num_envs, **kwargs)
