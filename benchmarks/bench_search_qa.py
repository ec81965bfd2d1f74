"""Steps/s of SearchQA, and what its search costs beside other ways to score BM25, in one run.

    python -m benchmarks.bench_search_qa                  # a minute on one core

Searching: queries that are all different (names of the collection with a word of another document), three results, in
microseconds of processor time a query, the median of five passes. Beside ours stand bm25s as it is shipped
(`BM25.retrieve` over the same terms, a query a call) and BM25 as it is often written for an environment: dictionaries
of term counts and a loop over all documents, as the package rank_bm25 does.

Stepping: one environment without wrappers, processor seconds of one thread, the best of three runs. Commands are random
suggested ones; "fresh" forgets all searches before each run, as if nobody had asked anything before, and "no memory"
never remembers one.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import bm25s
import gymnasium as gym
import numpy as np

import agent_gym  # noqa: F401  registers the ids
from agent_gym import keys
from agent_gym.envs.search_qa.commands import suggested
from agent_gym.envs.search_qa.corpus import Corpus
from agent_gym.envs.search_qa.env import SearchEnv
from agent_gym.envs.search_qa.library import generated_questions
from agent_gym.search.analysis import terms
from agent_gym.search.bm25 import K1, B

RESULTS = 3
Search = Callable[[str], Sequence[int]]


class PlainBm25:
    """BM25 with a dictionary per document and a loop over all of them."""

    def __init__(self, documents: Sequence[Sequence[str]]) -> None:
        """Count terms."""
        self.counts = [Counter(document) for document in documents]
        self.lengths = [len(document) for document in documents]
        self.average = sum(self.lengths) / len(documents)
        having = Counter(term for counts in self.counts for term in counts)
        self.idf = {term: math.log(1 + (len(documents) - n + 0.5) / (n + 0.5)) for term, n in having.items()}

    def search(self, query: Sequence[str]) -> list[int]:
        """Return the places of the best documents, best first."""
        scores = np.zeros(len(self.counts))
        for place, (counts, length) in enumerate(zip(self.counts, self.lengths, strict=True)):
            norm = K1 * (1 - B + B * length / self.average)
            for term in query:
                count = counts.get(term, 0)
                if count:
                    scores[place] += self.idf[term] * count / (count + norm)
        best = np.argsort(-scores, kind="stable")[:RESULTS]
        return [int(place) for place in best if scores[place] > 0]


def queries_of(corpus: Corpus, count: int) -> list[str]:
    """Return different queries: a title, and a word of some document."""
    rng = np.random.default_rng(0)
    made: dict[str, None] = {}
    while len(made) < count:
        one, other = rng.integers(len(corpus.documents), size=2).tolist()
        words = corpus.documents[other].text.split()
        made.setdefault(f"{corpus.documents[one].title} {words[int(rng.integers(len(words)))]}")
    return list(made)


def searches_of(corpus: Corpus) -> dict[str, Search]:
    """Return ways to search."""
    tokens = [terms(f"{document.title} {document.text}") for document in corpus.documents]
    shipped = bm25s.BM25(k1=K1, b=B, method="lucene")
    shipped.index(tokens, show_progress=False)
    plain = PlainBm25(tokens)

    def retrieve(query: str) -> list[int]:
        found = shipped.retrieve([terms(query)], k=RESULTS, show_progress=False, n_threads=0)
        return [int(place) for place in found.documents[0]]

    corpus.open()
    index = corpus._index
    assert index is not None
    return {
        "ours": lambda query: index.search(query, RESULTS),
        "bm25s": retrieve,
        "plain": lambda query: plain.search(terms(query)),
    }


def microseconds(search: Search, queries: Sequence[str]) -> float:
    """Return the processor time of a query."""
    spent = []
    for _ in range(5):
        start = time.process_time()
        for query in queries:
            search(query)
        spent.append((time.process_time() - start) / len(queries) * 1e6)
    return statistics.median(spent)


def steps_per_second(steps: int, *, fresh: bool = False, memory: bool = True, **settings: Any) -> float:
    """Return steps/s of random play."""
    env = gym.make("AgentGym/SearchQA-v0", disable_env_checker=True, **settings).unwrapped
    assert isinstance(env, SearchEnv)
    picks = np.random.default_rng(0).integers(0, 1 << 30, steps).tolist()
    corpus = env.shelf(env.split).corpus
    corpus.open()
    remembered = corpus.search
    if not memory:
        corpus.search = remembered.__wrapped__  # type: ignore[assignment]  # the search that is remembered
    if fresh:
        remembered.cache_clear()
        suggested.cache_clear()
    _, info = env.reset(seed=0)
    start = time.process_time()
    for pick in picks:
        choices = info[keys.ADMISSIBLE_ACTIONS]
        _, _, over, _, info = env.step(choices[pick % len(choices)])
        if over:
            _, info = env.reset()
    rate = steps / (time.process_time() - start)
    corpus.search = remembered
    return rate


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=200)
    given = parser.parse_args()
    print("| documents | ours, µs a query | bm25s `retrieve` | ratio | loop over documents | ratio |")
    print("|---|---|---|---|---|---|")
    for size in (60, 300, 2000):
        corpus = generated_questions(size, 0, 2, 200).corpus
        queries = queries_of(corpus, given.queries)
        spent = {name: microseconds(search, queries) for name, search in searches_of(corpus).items()}
        cells = [f"{spent['ours']:.0f}"]
        for name in ("bm25s", "plain"):
            cells += [f"{spent[name]:,.0f}", f"{spent[name] / spent['ours']:.1f}"]
        print(f"| {size:,} | {' | '.join(cells)} |", flush=True)
    print("\n| documents | steps/s | fresh | no memory |\n|---|---|---|---|")
    for size in (60, 300, 2000):
        rates = [
            max(steps_per_second(given.steps, documents=size, **how) for _ in range(3))
            for how in ({}, {"fresh": True}, {"memory": False})
        ]
        print(f"| {size:,} | {' | '.join(f'{rate:,.0f}' for rate in rates)} |", flush=True)


if __name__ == "__main__":
    main()
