"""GiGPO from nothing to a better policy, on one CPU core.

A transformer of a quarter of a million weights (`_tiny_lm.py`) plays ALFWorld in text. It first imitates an expert
until that helps no more on held-out tasks. Then it learns from groups of its own attempts at one task: two-level
advantages (`trainers/credit/gigpo.py`), PPO's clipped objective, and a penalty for moving away from the imitator.

    python examples/train_gigpo.py --seed 0 --output-dir runs/gigpo

An episode is one conversation of tokens that only grows; after ">" the policy speaks, until "<end>":

    you are in the middle of room . ... your task is to : put mug in shelf . > go to desk 1 <end> on the desk 1 ...

While playing, each token is computed once, because keys and values are kept; learning takes one pass over the whole.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice, zip_longest
from pathlib import Path
from typing import NamedTuple, cast

import gymnasium as gym
import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from agent_gym import TextEnv, keys
from agent_gym.vector import SlotEnv, TextVectorEnv
from examples._tiny_lm import ASK, END, PAD, Optimiser, Policy, Sampler, Words
from examples._train_gigpo_report import Figures, in_words, summarise, write_report
from trainers.credit import CreditEstimator, Gigpo, Grpo
from trainers.types import Episode, Group, Status, Turn

CREDIT: dict[str, CreditEstimator | None] = {"gigpo": Gigpo(), "grpo": Grpo(), "clone": None}
"""The methods to compare; "clone" only goes on imitating for the same time."""
RATE, KL, HORIZON = 7e-4, 0.01, 30
"""Learning rate, weight of the distance to the imitator, turns of an attempt (an evaluated episode has 50)."""


# 1. Playing ---------------------------------------------------------------------------------------------------------
def play(slots: SlotEnv, tasks: Sequence[str], words: Words, sampler: Sampler) -> list[Episode]:
    """Play each task once, as many at a time as there are slots; an episode that has ended costs nothing more."""
    episodes: list[Episode] = []
    for first in range(0, len(tasks), slots.num_slots):
        part = tasks[first : first + slots.num_slots]
        frames = slots.start(range(len(part)), part, [None] * len(part))
        turns: list[list[Turn]] = [[] for _ in part]
        sampler.begin(len(part))
        live = kept = list(range(len(part)))
        while live:
            answers = sampler.answer(kept, [[*words.encode(frames[i].observation), ASK] for i in live])
            commands = [words.decode(answer.token_ids) for answer in answers]
            replies = slots.step(live, commands)
            for i, answer, command, reply in zip(live, answers, commands, replies, strict=True):
                seen = frames[i]
                turn = Turn(
                    completion=answer,
                    state_key=seen.info[keys.STATE_KEY],
                    reward=reply.reward,
                    action_valid=bool(reply.info[keys.ACTION_VALID]),
                    observation=seen.observation,
                    answer=command,
                )
                turns[i].append(turn)
                frames[i] = reply
            kept = [place for place, i in enumerate(live) if not (frames[i].terminated or frames[i].truncated)]
            live = [live[place] for place in kept]
        ends: list[Status] = ["finished" if frame.terminated else "cut" for frame in frames]
        for own, end, frame in zip(turns, ends, frames, strict=True):
            episodes.append(Episode(turns=tuple(own), status=end, success=bool(frame.info[keys.SUCCESS])))
    return episodes


# 2. Learning --------------------------------------------------------------------------------------------------------
class Sample(NamedTuple):
    """A conversation as the learner sees it: its tokens, and one entry in each other list for a token to learn from."""

    ids: list[int]
    places: list[int]
    logprobs: list[float]
    advantages: list[float]


def as_sample(episode: Episode, advantages: Iterable[float]) -> Sample:
    """Lay an episode out as tokens; each that the policy said gets its turn's advantage."""
    sample = Sample([], [], [], [])
    for turn, advantage in zip(episode.turns, advantages, strict=True):
        prompt, said = turn.completion.prompt_ids, turn.completion.token_ids
        start = len(sample.ids) + len(prompt)
        sample.places.extend(range(start, start + len(said)))
        sample.ids.extend(prompt + said)
        sample.logprobs.extend(turn.completion.logprobs)
        sample.advantages.extend([advantage] * len(said))
    return sample


def micro_batches(samples: Iterable[Sample], tokens: int = 8192) -> Iterator[list[Sample]]:
    """Batches of similar length, of at most so many tokens with padding."""
    batch: list[Sample] = []
    for sample in sorted(samples, key=lambda s: len(s.ids)):
        if batch and (len(batch) + 1) * len(sample.ids) > tokens:
            yield batch
            batch = []
        batch.append(sample)
    if batch:
        yield batch


def logprobs_of(policy: Policy, batch: list[Sample]) -> Tensor:
    """Log-probabilities of the tokens at `places`, one conversation after the other, in one forward pass."""
    ids = torch.tensor(list(zip(*zip_longest(*(sample.ids for sample in batch), fillvalue=PAD), strict=True)))
    rows = torch.tensor([row for row, sample in enumerate(batch) for _ in sample.places])
    columns = torch.tensor([place for sample in batch for place in sample.places])
    return -F.cross_entropy(policy(ids, rows, columns - 1), ids[rows, columns], reduction="none")


def gigpo_loss(policy: Policy, imitator: Policy, batch: list[Sample]) -> tuple[Tensor, float]:
    """Eq. 9 of the paper, summed over tokens, and its k3 part alone: how far the imitator is by now, in nats.

    −min(ρA, clip(ρ, 0.8, 1.2)·A) + 0.01·k3      ρ = π/π_old,  k3 = d̂ − 1 − ln d̂  with  d̂ = π_imitator/π
    """
    logprobs = logprobs_of(policy, batch)
    with torch.no_grad():
        log_d = logprobs_of(imitator, batch)
    log_d = log_d - logprobs
    k3 = log_d.exp() - 1 - log_d
    ratio = (logprobs - torch.tensor([x for sample in batch for x in sample.logprobs])).exp()
    advantage = torch.tensor([x for sample in batch for x in sample.advantages])
    objective = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
    return (KL * k3 - objective).sum(), float(k3.detach().sum())


# 3. The warm start --------------------------------------------------------------------------------------------------
Demo = list[tuple[str, str, bool]]
"""For each turn: what was observed, what was said, and whether that is to be imitated."""


def demonstrate(env: gym.Env[str, str], tasks: Iterable[str], rng: np.random.Generator) -> list[Demo]:
    """Expert episodes with slips: at 15 % of the turns something that was said earlier is said again instead.

    Who has seen only flawless episodes is lost at the first "Nothing happens."; the slips are not to be imitated.
    """
    demos, said, expert = [], ["look"], cast(TextEnv, env.unwrapped)
    for task in tasks:
        (observation, _), demo, ended = env.reset(options={"task": task}), [], False
        while not ended:
            said.append(right := expert.expert_action())
            command = said[rng.integers(len(said))] if rng.random() < 0.15 else right
            demo.append((observation, command, command == right))
            observation, _, terminated, truncated, _ = env.step(command)
            ended = terminated or truncated
        demos.append([*demo, (observation, "", False)])
    return demos


def demo_sample(demo: Demo, words: Words) -> Sample:
    """Lay a demonstration out as tokens, the same way."""
    sample = Sample([], [], [], [])
    for observation, command, imitate in demo:
        prompt, said = [*words.encode(observation), ASK], [*words.encode(command), END]
        start = len(sample.ids) + len(prompt)
        sample.places.extend(range(start, start + len(said)) if imitate else ())
        sample.ids.extend(prompt + said)
    return sample


# 4. A run -----------------------------------------------------------------------------------------------------------
class Run:
    """One seed: its environments, its demonstrations, its policy."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Play the demonstrations and build words and policy from them; the seed decides everything."""
        self.options, self.curve = options, list[Figures]()
        self.rng, self.generator = np.random.default_rng(options.seed), torch.Generator().manual_seed(options.seed)
        n, name = 8 if options.smoke else 128, "AgentGym/ALFWorld-v0"
        vector = TextVectorEnv.of(name, n, difficulty=options.difficulty)
        practice = TextVectorEnv.of(name, n, difficulty=options.difficulty, max_episode_steps=HORIZON)
        self.slots, self.practice = vector.slots, practice.slots
        tasks = self.slots.tasks("generated_train")
        first = options.seed * 20_000 % len(tasks)  # other tasks for another seed, and none comes twice
        self.fresh_tasks = (tasks[i] for i in range(first, len(tasks)))
        demos = demonstrate(vector.envs[0], islice(self.fresh_tasks, 8 if options.smoke else options.demos), self.rng)
        self.words = Words(text for demo in demos for line in demo for text in line[:2])
        self.demos = [demo_sample(demo, self.words) for demo in demos]
        torch.manual_seed(options.seed)  # the first weights
        self.policy = Policy(self.words)
        self.imitator = copy.deepcopy(self.policy)

    def evaluate(self, policy: Policy, split: str, n: int) -> list[Episode]:
        """Play the first `n` tasks of a split greedily."""
        tasks = self.slots.tasks(split)[: min(n, self.slots.num_slots) if self.options.smoke else n]
        return play(self.slots, tasks, self.words, Sampler(policy, self.slots.num_slots))

    def imitate(self, optimiser: Optimiser, factor: float) -> None:
        """Make what the expert said in eight demonstrations more likely."""
        batch = [self.demos[i] for i in self.rng.choice(len(self.demos), 8, replace=False)]
        torch.autograd.backward(-logprobs_of(self.policy, batch).mean())
        optimiser.step(factor)

    def warm_start(self, progress: Progress) -> None:
        """Imitate until success on 128 tasks of generated_valid has not risen two times in a row.

        What is evaluated and kept is a running average of the weights, which spares a schedule of learning rates.
        """
        optimiser, average = Optimiser(self.policy, 4e-3), copy.deepcopy(self.policy)
        best, stale, bar = -1.0, 0, progress.add_task("imitating", total=None)
        while stale < 2:
            for step in range(2 if self.options.smoke else 125):
                self.imitate(optimiser, min(1.0, (step + 1) / 30) if best < 0 else 1.0)
                for mean, weight in zip(average.parameters(), self.policy.parameters(), strict=True):
                    mean.detach().lerp_(weight.detach(), 0.02)
            success = summarise(self.evaluate(average, "generated_valid", 128))["success"]
            best, stale = max(best, success), 0 if success > best else stale + 1
            if not stale:
                self.imitator.load_state_dict(average.state_dict())
            progress.update(bar, description=f"imitating: {success:.0%} of valid tasks, at best {best:.0%}")

    def reinforce(self, credit: CreditEstimator | None, progress: Progress) -> None:
        """Learn for `minutes` of processor time by a method of credit; without one, go on imitating."""
        self.policy.load_state_dict(self.imitator.state_dict())
        optimiser, began, total = Optimiser(self.policy, RATE), time.process_time(), 60 * self.options.minutes
        bar = progress.add_task(self.options.method, total=total)
        while (spent := time.process_time() - began) < total:
            factor = min(1.0, (len(self.curve) + 1) / 8) * (1 - 0.9 * spent / total)
            point: Figures = {} if credit is None else self.iterate(credit, optimiser, factor)
            for _ in range(0 if credit else 60):  # steps that take about as long as an iteration
                self.imitate(optimiser, factor)
            if len(self.curve) % 10 == 9:
                point["valid_success"] = summarise(self.evaluate(self.policy, "generated_valid", 128))["success"]
            self.curve.append(point | {"minutes": (time.process_time() - began) / 60})
            note = f": {point['success']:.0%} of attempts succeed" if "success" in point else ""
            progress.update(bar, completed=spent, description=self.options.method + note)

    def iterate(self, credit: CreditEstimator, optimiser: Optimiser, factor: float) -> Figures:
        """One iteration: play groups, assign credit, learn in four steps."""
        attempts = min(8, self.slots.num_slots // 2)
        tasks = [task for task in islice(self.fresh_tasks, self.slots.num_slots // attempts) for _ in range(attempts)]
        episodes = play(self.practice, tasks, self.words, Sampler(self.policy, len(tasks), self.generator))
        samples = []
        for first in range(0, len(tasks), attempts):
            group = Group(task=tasks[first], episodes=tuple(episodes[first : first + attempts]))
            samples += [as_sample(e, a) for e, a in zip(group.episodes, credit(group), strict=True)]
        samples = [samples[i] for i in self.rng.permutation(len(samples)) if any(samples[i].advantages)]
        distance = 0.0
        for part in (samples[i::4] for i in range(4) if samples[i::4]):
            tokens = sum(len(sample.places) for sample in part)
            for batch in micro_batches(part):
                loss, k3 = gigpo_loss(self.policy, self.imitator, batch)
                torch.autograd.backward(loss / tokens)
                distance += k3 / tokens / 4
            optimiser.step(factor)
        return summarise(episodes) | {"k3_per_token": distance, "share_learnt_from": len(samples) / len(episodes)}


def main() -> None:
    """Train one seed with one method, and report success before and after on held-out tasks."""
    parser = argparse.ArgumentParser(description="GiGPO in AgentGym/ALFWorld-v0, from nothing, on one CPU core.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--method", choices=sorted(CREDIT), default="gigpo", help="clone only goes on imitating")
    parser.add_argument("--minutes", type=float, default=6.0, help="processor time to learn for after the warm start")
    parser.add_argument("--difficulty", default="standard", help="of the generated games")
    parser.add_argument("--demos", type=int, default=1000, help="expert episodes to imitate")
    parser.add_argument("--warm-start", type=Path, help="file of the imitator: read if it exists, else written")
    parser.add_argument("--output-dir", type=Path, default=Path("runs/train_gigpo"))
    parser.add_argument("--smoke", action="store_true", help="the same with tiny numbers, in seconds")
    options = parser.parse_args()
    options.minutes = 0.05 if options.smoke else options.minutes
    torch.set_num_threads(1)  # with a model this small a second thread costs more than it gives
    options.output_dir.mkdir(parents=True, exist_ok=True)
    run, began, stored = Run(options), time.process_time(), options.warm_start
    with Progress(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()) as progress:
        if not (stored and stored.exists()):
            with suppress(KeyboardInterrupt):  # Ctrl-C ends a phase early; what was learnt until then counts
                run.warm_start(progress)
            kept = {"weights": run.imitator.state_dict(), "minutes": (time.process_time() - began) / 60}
            torch.save(kept, stored := stored or options.output_dir / "imitator.pt")
        kept = torch.load(stored, weights_only=True)
        run.imitator.load_state_dict(kept["weights"])
        before = run.evaluate(run.imitator, "generated_test", 400)
        progress.console.print(f"after the warm start: {in_words(before)}")
        with suppress(KeyboardInterrupt):
            run.reinforce(CREDIT[options.method], progress)
        after = run.evaluate(run.policy, "generated_test", 400)
        progress.console.print(f"after {options.method}: {in_words(after)}")
    torch.save(run.policy.state_dict(), options.output_dir / "policy.pt")
    settings = ("method", "seed", "difficulty", "minutes", "demos")
    figures = {name: getattr(options, name) for name in settings} | {"warm_start_minutes": kept["minutes"]}
    write_report(options.output_dir, figures, before, after, run.curve)


if __name__ == "__main__":
    main()
