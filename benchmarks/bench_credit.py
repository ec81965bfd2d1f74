"""Seconds of each credit estimator, from a thousand to a million turns.

    python benchmarks/bench_credit.py                       # prints the table, draws docs/credit-speed.png, minutes
    python benchmarks/bench_credit.py --sizes 1000 10000    # seconds

Groups of eight episodes of 50 turns with four tokens each, whose states come back. `GiGPO, returns as released` is the
same estimator with step returns computed in the way of verl-agent's release: there, every row of the batch looks for
its episode among all rows, which is quadratic in the batch. It is our own rewriting of that way, in the same run on the
same groups, and its advantages are compared with ours; beyond 20,000 turns it is left out. Estimators that need a
critic are given its values. Times are processor seconds of one thread, the best of three runs (one at a million turns),
without the making of the groups.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from numpy.typing import NDArray

from trainers.config import CHOICES
from trainers.credit import BilevelGae, Gae, Gigpo, MacroGae, TokenCredit, TurnGae, token_batch
from trainers.credit.anchors import anchor_states
from trainers.credit.numerics import episode_advantages, relative_to_pool, spread_over_turns
from trainers.types import Completion, Episode, Group, Turn

EPISODES, TURNS, TOKENS, STATES = 8, 50, 4, 60
RELEASED = "GiGPO, returns as released"
LARGEST_RELEASED = 20_000
PLOT = Path(__file__).resolve().parents[1] / "docs" / "credit-speed.png"

Floats = NDArray[np.float64]
Run = Callable[[], list[Floats]]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured."""

    sizes: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    """Turns of a batch."""
    methods: tuple[str, ...] = ()
    """Names of estimators; all by default."""
    plot: Path | None = None
    """Where to draw; nothing is drawn for a choice of methods or sizes."""


def main(settings: Settings) -> None:
    """Measure, print the table, and draw."""
    seconds: dict[str, dict[int, float]] = {}
    for size in settings.sizes:
        groups = make_groups(size)
        for name, run in runs(groups, size).items():
            if not settings.methods or name in settings.methods:
                seconds.setdefault(name, {})[size] = best_time(run, 1 if size >= 1_000_000 else 3)
    print(f"{'processor seconds for turns:':32}" + "".join(f"{size:>12,}" for size in settings.sizes))
    for name, times in seconds.items():
        print(f"{name:32}" + "".join(f"{times[size]:12.4f}" if size in times else " " * 12 for size in settings.sizes))
    for size, released in seconds.get(RELEASED, {}).items():
        print(f"{size:,} turns: GiGPO is {released / seconds['gigpo'][size]:.0f} times as fast as with those returns")
    plot = settings.plot or (PLOT if settings == Settings() else None)
    if plot is not None:
        draw(seconds, plot)


def make_groups(turns: int) -> list[Group]:
    """Groups with this many turns in all, or a few less."""
    rng = np.random.default_rng(0)
    completions = [
        Completion(prompt_ids=(1, 2), token_ids=tuple(ids), logprobs=(-1.0,) * TOKENS)
        for ids in rng.integers(0, 3, size=(20, TOKENS)).tolist()
    ]
    keys = [f"state {number}" for number in range(STATES)]
    per_episode = min(TURNS, turns // EPISODES)
    groups = []
    for number in range(max(1, turns // (EPISODES * per_episode))):
        episodes = []
        for _ in range(EPISODES):
            states, said = rng.integers(0, STATES, per_episode).tolist(), rng.integers(0, 20, per_episode).tolist()
            won = float(rng.random() < 0.5)
            played = [
                Turn(completion=completions[answer], state_key=keys[state], reward=0.0)
                for answer, state in zip(said[:-1], states[:-1], strict=True)
            ]
            played.append(Turn(completion=completions[said[-1]], state_key=keys[states[-1]], reward=won))
            episodes.append(Episode(turns=tuple(played)))
        groups.append(Group(task=f"task {number}", episodes=tuple(episodes)))
    return groups


def runs(groups: list[Group], size: int) -> dict[str, Run]:
    """What is timed, by name: each computes the advantages of all groups."""
    result: dict[str, Run] = {}
    kinds = {**CHOICES["credit"], "gae": Gae, "turn-gae": TurnGae, "bilevel-gae": BilevelGae, "macro-gae": MacroGae}
    count = sum(len(turn.completion.token_ids) for group in groups for e in group.episodes for turn in e.turns)
    values = np.random.default_rng(1).random(count)
    for name, kind in kinds.items():
        credit = kind()
        if getattr(credit, "needs_action_values", False):
            continue  # its critic does the work
        played = [with_greedy(group) for group in groups] if getattr(credit, "needs_baseline", False) else groups
        if isinstance(credit, TokenCredit):
            given = values if getattr(credit, "needs_values", False) else None
            result[name] = lambda credit=credit, given=given: [  # type: ignore[misc]
                credit.assign(token_batch(groups, values=given)).advantages_n
            ]
        else:
            result[name] = lambda credit=credit, played=played: [  # type: ignore[misc]
                advantages for group in played for advantages in credit(group)
            ]
    if size <= LARGEST_RELEASED:
        result[RELEASED] = lambda: gigpo_as_released(groups)
        np.testing.assert_allclose(np.concatenate(result[RELEASED]()), np.concatenate(result["gigpo"]()), atol=1e-9)
    return result


def with_greedy(group: Group) -> Group:
    """The last episode as the one to compare with."""
    return replace(group, episodes=(*group.episodes[:-1], replace(group.episodes[-1], baseline=True)))


def gigpo_as_released(groups: Sequence[Group]) -> list[Floats]:
    """GiGPO with the quadratic returns; the rest is ours."""
    credit = Gigpo()
    returns = quadratic_returns(groups, credit.gamma)
    result, begin = [], 0
    for group in groups:
        anchors = anchor_states(group)
        mine = returns[begin : begin + len(anchors)]
        begin += len(anchors)
        a_step = relative_to_pool(mine, anchors, normalise=True)
        a_episode = spread_over_turns(
            episode_advantages(group, normalise=True, statistics="episodes", singletons="zero"), group
        )
        result.append(np.concatenate(a_episode) + a_step)
    return result


def quadratic_returns(groups: Sequence[Group], gamma: float) -> Floats:
    """Discounted returns of all rows of a batch, each row finding its place among all of them."""
    names, rewards = [], []
    for g, group in enumerate(groups):
        for e, episode in enumerate(group.episodes):
            names += [f"{g}-{e}"] * len(episode.turns)
            rewards += [turn.reward for turn in episode.turns]
    owners, paid = np.array(names, dtype=object), np.array(rewards)
    by_episode = {}
    for name in dict.fromkeys(names):
        mine = paid[np.where(owners == name)[0]]
        found, follows = np.zeros_like(mine), 0.0
        for t in reversed(range(len(mine))):
            follows = mine[t] + gamma * follows
            found[t] = follows
        by_episode[name] = found
    result = np.zeros_like(paid)
    for row, name in enumerate(names):
        rows = np.where(owners == name)[0]
        result[row] = by_episode[name][np.where(rows == row)[0][0]]
    return result


def best_time(run: Run, times: int) -> float:
    """Processor seconds of the quickest of some runs."""
    measured = []
    for _ in range(times):
        begin = time.process_time()
        run()
        measured.append(time.process_time() - begin)
    return min(measured)


def draw(seconds: dict[str, dict[int, float]], path: Path) -> None:
    """Draw seconds over turns, both logarithmic."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    colours = plt.get_cmap("tab20").colors  # type: ignore[attr-defined]  # its type is wider than what is used
    for number, (name, times) in enumerate(seconds.items()):
        released = name == RELEASED
        axes.plot(
            list(times),
            list(times.values()),
            color="black" if released else colours[number % 20],
            linestyle="--" if released else "-",
            marker="x" if released else "o",
            linewidth=2.5 if name == "gigpo" or released else 1.2,
            markersize=4,
            label=name,
        )
    axes.set(xscale="log", yscale="log", xlabel="turns in the batch", ylabel="processor seconds, one thread")
    axes.axhline(1.0, color="grey", linewidth=0.8)
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False)
    figure.savefig(path, dpi=130)
    plt.close(figure)


if __name__ == "__main__":
    main(tyro.cli(Settings))
