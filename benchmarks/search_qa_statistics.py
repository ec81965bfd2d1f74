"""The generated collection of SearchQA and ConversationalQA in numbers, and what simple players reach.

    python -m benchmarks.search_qa_statistics             # half a minute

Prints the Markdown tables of docs/search-qa.md. Players play the first 200 tasks of `generated_train` once, with seed 0
for chance. "By heart" is no player: it says to each question the answer that is most frequent, among all other
questions of the split, of those of its kind (a town, a year …).
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

import agent_gym  # noqa: F401  registers the ids
from agent_gym import keys
from agent_gym.envs.search_qa.corpus import Question
from agent_gym.envs.search_qa.dialogues import make_dialogues
from agent_gym.envs.search_qa.env import SearchEnv
from agent_gym.envs.search_qa.questions import MOST_HOPS, make_questions
from agent_gym.envs.search_qa.world import VALUES_OF, make_world

SIZES = (60, 300, 2000)
MANY = 1000
"""Questions of a kind after which nobody counts on."""
TASKS = 200
DOCUMENTS = 300
"""The default."""
SPLIT = "generated_train"
Player = Callable[[SearchEnv, dict[str, Any], np.random.Generator], str]


def collections() -> list[list[str]]:
    """Return, by size: things by split, words, facts, and how many questions and conversations come up."""
    rows = []
    for size in SIZES:
        world = make_world(size, 0)
        things = Counter(thing.split for thing in world.things.values())
        words = [len(document.text.split()) for document in world.documents]
        questions = [len(make_questions(size, 0, hops, "train", MANY)) for hops in range(1, MOST_HOPS + 1)]
        dialogues = len(make_dialogues(size, 0, 1, "train", MANY))
        rows.append(
            [
                f"{size:,}",
                " / ".join(f"{things[split]:,}" for split in ("train", "valid", "test")),
                f"{len(world.facts):,}",
                f"{np.mean(words):.0f}",
                " / ".join(_up_to_many(count) for count in questions),
                _up_to_many(dialogues),
            ]
        )
    return rows


def _up_to_many(count: int) -> str:
    return f"{count:,}" if count < MANY else f"{MANY:,} or more"


def searching(env: SearchEnv, questions: Sequence[Question]) -> tuple[float, float]:
    """Return in how many questions one search for them finds the first needed document, and all of them."""
    corpus, results = env.shelf(SPLIT).corpus, 3
    first = whole = 0
    for question in questions:
        found = {corpus.documents[place].title for place in corpus.search(question.text, results)}
        first += question.titles[0] in found
        whole += found.issuperset(question.titles)
    return first / len(questions), whole / len(questions)


def by_heart(questions: Sequence[Question]) -> float:
    """Return the share of questions whose answer is the most frequent one of its kind among the other questions."""
    kinds = {name: thing.kind for name, thing in make_world(DOCUMENTS, 0).things.items()}
    kinds |= {value: kind for kind, values in VALUES_OF.items() for value in values}
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for question in questions:
        answers[kinds[question.answers[0]]][question.answers[0]] += 1
    right = 0
    for question in questions:
        [answer] = question.answers
        others = answers[kinds[answer]] - Counter([answer])
        right += bool(others) and max(sorted(others), key=others.__getitem__) == answer
    return right / len(questions)


def expert(env: SearchEnv, info: dict[str, Any], rng: np.random.Generator) -> str:
    """Play as the expert does."""
    return env.expert_action()


def chance(env: SearchEnv, info: dict[str, Any], rng: np.random.Generator) -> str:
    """Play any command that is suggested."""
    commands: tuple[str, ...] = info[keys.ADMISSIBLE_ACTIONS]
    return commands[int(rng.integers(len(commands)))]


def play(env_id: str, player: Player, **settings: Any) -> tuple[float, float, float]:
    """Return success, score and turns of a player."""
    env = gym.make(env_id, disable_env_checker=True, split=SPLIT, **settings)
    base = env.unwrapped
    assert isinstance(base, SearchEnv)
    rng, outcomes = np.random.default_rng(0), []
    for task in base.tasks(SPLIT)[:TASKS]:
        _, info = env.reset(seed=0, options={"task": task})
        turns, over = 0, False
        while not over:
            _, _, terminated, truncated, info = env.step(player(base, info, rng))
            turns, over = turns + 1, terminated or truncated
        outcomes.append((float(info[keys.SUCCESS]), float(info[keys.SCORE]), float(turns)))
    success, score, turns = np.mean(outcomes, axis=0).tolist()
    return success, score, turns


def main() -> None:
    """Count, play and print."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print("| documents | train / valid / test | facts | words | questions of 1 / 2 / 3 / 4 hops | conversations |")
    print("|---|---|---|---|---|---|")
    for row in collections():
        print(f"| {' | '.join(row)} |", flush=True)
    print("\n| environment | `hops` | one search finds the first document | all | by heart | random | expert | turns |")
    print("|---|---|---|---|---|---|---|---|")
    for env_id, most in (("AgentGym/SearchQA-v0", MOST_HOPS), ("AgentGym/ConversationalQA-v0", 2)):
        for hops in range(1, most + 1):
            env = gym.make(env_id, disable_env_checker=True, hops=hops).unwrapped
            assert isinstance(env, SearchEnv)
            questions = [env.question(task) for task in env.tasks(SPLIT)]
            first, whole = searching(env, questions)
            luck, score, _ = play(env_id, chance, hops=hops)
            best, _, turns = play(env_id, expert, hops=hops)
            name = env_id.split("/")[1].removesuffix("-v0")
            cells = [f"{first:.2f}", f"{whole:.2f}", f"{by_heart(questions):.2f}", f"{luck:.3f} ({score:.3f})"]
            print(f"| {name} | {hops} | {' | '.join(cells)} | {best:.2f} | {turns:.1f} |", flush=True)


if __name__ == "__main__":
    main()
