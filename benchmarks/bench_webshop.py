"""Speed and memory of AgentGym/WebShop-v0 beside what it could have been made of, in one run on the same products.

    python -m benchmarks.bench_webshop                      # 1,000 generated products, half a minute on one core
    python -m benchmarks.bench_webshop --size 1000000 --cache DIRECTORY   # builds 2 GB there once, five minutes

Beside our search stands bm25s as it is shipped (its own index of the same terms, `retrieve`, 50 results), beside our
catalogue what the original does for every environment: `json.load` of all products. Both are left out, or done on the
first 100,000 products, where a million would not fit. Every measurement has a process of its own. Times are of the
processor, so that other work on the machine does not count; where a wait counts too, both are given.

Queries: 40 % instructions without their price, 30 % what the product was collected by with two attributes, 20 % that
alone, 10 % titles, drawn until there are `QUERIES` different ones: no query is asked twice, and nothing keeps answers.
Steps: `VISITS`, a quarter of them searches.
"""

import argparse
import gc
import json
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from agent_gym import keys
from agent_gym.envs.webshop.env import WebshopEnv
from agent_gym.envs.webshop.generated import generate_products
from agent_gym.envs.webshop.goals_generated import GeneratedGoals
from agent_gym.envs.webshop.library import open_catalogue_of
from agent_gym.envs.webshop.product import RESULTS
from agent_gym.envs.webshop.store import Store, indexed_text
from agent_gym.search.analysis import terms

QUERIES = 1000
SHIPPED_AT_MOST, DECODED_AT_MOST = 100_000, 100_000
VISITS = (
    ("search", "item", "option", "buy"),
    ("search", "next", "prev", "item", "option", "buy"),
    ("search", "back", "search", "back", "search", "item", "buy"),
)
"""What the customer of the step rate does, in turn; where an item has no options, "Features" is looked at instead."""
NAMES = {"back": "back to search", "prev": "< prev", "next": "next >", "buy": "buy now"}

Result = TypeVar("Result")


def alone(measure: Callable[..., Result], *arguments: Any) -> Result:
    """Measure in a fresh process, so that memory is that of one thing only."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, arguments)


def memory(name: str = "VmRSS") -> float:
    """Return MB of this process's memory: all of it, or by name the part that is of files (RssFile) or is not."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise KeyError(name)


def peak() -> float:
    """Return MB of this process's memory at its largest, shared pages included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def build(size: int) -> dict[str, float]:
    """Build the catalogue, or find it in the cache."""
    cpu, wall = time.process_time(), time.perf_counter()
    catalogue = open_catalogue_of(None, size)
    figures = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "peak": peak()}
    disk = sum(path.stat().st_size for path in catalogue.directory.iterdir())
    cpu = time.process_time()
    for _ in generate_products(min(size, 2000), 0):
        pass
    making = (time.process_time() - cpu) * size / min(size, 2000)
    return figures | {"disk": disk / 2**20, "making": making}


def open_it(size: int) -> dict[str, float]:
    """Open the catalogue and ask the queries."""
    import bm25s  # noqa: F401  its import, of scipy too, is no part of opening

    before, cpu, wall = memory(), time.process_time(), time.perf_counter()
    catalogue = open_catalogue_of(None, size)
    figures = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "opened": memory() - before}
    queries = make_queries(catalogue)
    spent = [timed(catalogue.search, query) for query in queries]
    figures |= in_ms(spent)
    return figures | {"resident": memory(), "own": memory("RssAnon"), "shared": memory("RssFile")}


def timed(what: Callable[..., object], *arguments: object) -> float:
    """Return the seconds of processor time that a call takes."""
    start = time.process_time_ns()
    what(*arguments)
    return (time.process_time_ns() - start) / 1e9


def in_ms(seconds: list[float]) -> dict[str, float]:
    """Return what is told of the times of many searches."""
    spent = 1e3 * np.array(seconds)
    return {"median": float(np.median(spent)), "high": float(np.quantile(spent, 0.95)), "most": float(spent.max())}


def make_queries(catalogue: Store) -> list[str]:
    """Return different queries of the kinds that the module's docstring lists."""
    goals = GeneratedGoals(catalogue, 0)
    tasks = goals.tasks("generated_train")
    queries: dict[str, None] = {}
    number = 0
    while len(queries) < QUERIES and number < 20 * QUERIES:
        goal = goals.goal(tasks[number * 7919 % len(tasks)])
        position = catalogue.position(goal.asin)
        assert position is not None
        product = catalogue.product(position)
        kind = number % 10
        if kind < 4:
            query = goal.instruction.partition(", and price lower than")[0]
        elif kind < 9:
            query = " ".join((product.query, *(goal.attributes[:2] if kind < 7 else ())))
        else:
            query = product.title
        queries[query] = None
        number += 1
    return list(queries)


def shipped(size: int) -> dict[str, float]:
    """Do the same with bm25s alone: index the same terms, and retrieve."""
    import bm25s

    catalogue = open_catalogue_of(None, size)
    before, start = memory(), time.process_time()
    index = bm25s.BM25(k1=0.9, b=0.4, method="lucene")
    index.index([terms(indexed_text(catalogue.product(i))) for i in range(size)], show_progress=False)
    figures = {"build": time.process_time() - start, "peak": peak(), "resident": memory() - before}
    k = min(RESULTS, size)

    def ask(query: str) -> None:
        index.retrieve([terms(query)], k=k, show_progress=False, n_threads=0)

    spent = [timed(ask, query) for query in make_queries(catalogue)]
    return figures | in_ms(spent)


def decoded(size: int, directory: str) -> dict[str, float]:
    """Load products as the original does for each environment: the whole JSON list."""
    path = Path(directory) / "products.json"
    with path.open("w") as file:
        json.dump([asdict(product) for product in generate_products(size, 0)], file)
    gc.collect()
    before, start = memory(), time.process_time()
    products = json.loads(path.read_bytes())
    return {"cpu": time.process_time() - start, "memory": memory() - before, "products": len(products)}


def play(size: int) -> dict[str, float]:
    """Play on one environment, then add 1,023 more."""
    env = WebshopEnv(products=size)
    env.reset(seed=0)
    catalogue = open_catalogue_of(None, size)
    queries = [query for query in make_queries(catalogue) if catalogue.search(query)]
    runs = [play_once(env, queries, 600) for _ in range(3)]
    resets = [timed(env.reset) for _ in range(2000)]
    gc.collect()
    before = memory()
    others = [WebshopEnv(products=size) for _ in range(1023)]
    for other in others:
        other.reset()
        other.step("search[red shoes]")
    rate, share = statistics.median(rate for rate, _ in runs), runs[0][1]
    return {"steps": rate, "searches": share, "reset": statistics.median(resets), "more": memory() - before}


def play_once(env: WebshopEnv, queries: list[str], episodes: int) -> tuple[float, float]:
    """Return steps per second of processor time, resets and choices not counted, and the share of searches."""
    spent, steps, searches = 0.0, 0, 0
    for number in range(episodes):
        _, info = env.reset()
        plan = list(VISITS[number % len(VISITS)])
        while plan:
            what = plan.pop(0)
            clickables = info["available_actions"]["clickables"]
            if what == "option" and clickables[-1] == "buy now":  # the last button; options come behind it
                plan[:0] = ("features", "prev")
                continue
            query = queries[searches % len(queries)]
            command = f"search[{query}]" if what == "search" else choose(what, clickables)
            searches += what == "search"
            start = time.process_time_ns()
            *_, info = env.step(command)
            spent += (time.process_time_ns() - start) / 1e9
            steps += 1
            assert info[keys.ACTION_VALID], command
    return steps / spent, searches / steps


def choose(what: str, clickables: tuple[str, ...]) -> str:
    """Return the click for a word of a visit."""
    if what == "option":
        return f"click[{clickables[-1]}]"
    if what == "item":
        return f"click[{next(text for text in clickables if text not in NAMES.values())}]"
    return f"click[{NAMES.get(what, what)}]"


def processes(size: int, number: int) -> list[dict[str, float]]:
    """Open and search in several processes at once; return what is each one's own and what they share, in MB."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(number) as pool:
        barrier = manager.Barrier(number)
        return pool.starmap(share, [(size, barrier)] * number, chunksize=1)


def share(size: int, barrier: Any) -> dict[str, float]:
    """Search, wait for the others, and look at the memory of this process."""
    catalogue = open_catalogue_of(None, size)
    for query in make_queries(catalogue):
        catalogue.search(query)
    barrier.wait()
    sizes = {
        line.split(":")[0]: int(line.split()[1]) / 1024
        for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    }
    barrier.wait()
    return {"own": sizes["Private_Dirty"] + sizes["Private_Clean"], "resident": sizes["Rss"]}


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1000, help="number of generated products")
    parser.add_argument("--cache", type=Path, help="where catalogues are kept; by default a folder that is removed")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["AGENT_GYM_CACHE"] = str((chosen.cache or Path(scratch) / "cache").absolute())
        report(chosen.size, scratch)
    return 0


def report(size: int, scratch: str) -> None:
    """Measure everything on a catalogue of some size and print the tables."""
    built = alone(build, size)
    ours = alone(open_it, size)
    theirs = alone(shipped, size) if size <= SHIPPED_AT_MOST else {}
    print(f"\n| search in {size:,} generated products | ours | bm25s as shipped | ratio |\n|---|---|---|---|")
    compare("ms, median", ours["median"], theirs.get("median"))
    compare("ms, 95th percentile", ours["high"], theirs.get("high"))
    compare("ms, longest", ours["most"])
    compare("build, s (ours writes the catalogue too)", built["cpu"] - built["making"], theirs.get("build"))
    compare("build, MB at its largest", built["peak"], theirs.get("peak"))

    loaded = alone(decoded, min(size, DECODED_AT_MOST), scratch)
    times = size / loaded["products"]
    scaled = "" if times == 1 else f" (of {loaded['products']:,}, times {times:g})"
    print(f"\n| the products for an environment | ours | json.load{scaled} | ratio |\n|---|---|---|---|")
    compare("s, processor", ours["cpu"], times * loaded["cpu"])
    compare("s, wall clock", ours["wall"])
    compare("MB more after opening", ours["opened"], times * loaded["memory"])

    played = alone(play, size)
    shared = processes(size, 4)
    print("\n| figure | |\n|---|---|")
    print(f"| making {size:,} products, s of processor | {built['making']:.1f} |")
    print(f"| opened or built in, s by the clock | {built['wall']:.1f} |")
    print(f"| on disk, MB | {built['disk']:,.0f} |")
    print(f"| resident after {QUERIES:,} searches, MB (of it files, shared) | {pair(ours)} |")
    print(f"| own to each of 4 processes that searched, MB (resident) | {', '.join(map(own, shared))} |")
    print(f"| 1,023 more environments, MB | {played['more']:.1f} |")
    print(f"| reset, ms, median | {1e3 * played['reset']:.3f} |")
    print(f"| steps/s, {played['searches']:.0%} of them searches | {played['steps']:,.0f} |")


def compare(what: str, ours: float, theirs: float | None = None) -> None:
    """Print a line, with the ratio where there is something to compare with."""
    other, ratio = ("", "") if theirs is None else (rounded(theirs), rounded(theirs / ours))
    print(f"| {what} | {rounded(ours)} | {other} | {ratio} |")


def rounded(number: float) -> str:
    """Word a number with three digits that count."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def pair(figures: dict[str, float]) -> str:
    """Word resident memory and the part of it that processes share."""
    return f"{figures['resident']:,.0f} ({figures['shared']:,.0f})"


def own(figures: dict[str, float]) -> str:
    """Word what is a process's own and what is resident."""
    return f"{figures['own']:,.0f} ({figures['resident']:,.0f})"


if __name__ == "__main__":
    raise SystemExit(main())
