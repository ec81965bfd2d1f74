"""Rollouts with vLLM beside our own sampler and beside generation in lock-step: the same model, tasks and environments.

    .venv-vllm/bin/python -m benchmarks.bench_vllm

Ways take turns (A B C D A B C D …) in one run, after one round that warms up, and medians are printed. Rates are per
second of the clock on the wall and, where the machine does other things too, per second of processor time of all
processes of ours, the engine's among them. What is sampled differs between the engines, so the rates are of what each
sampled itself.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch
import tyro

from benchmarks.throughput_ours import Around, Generate, Recompute
from benchmarks.throughput_work import Clock
from trainers.parallel import limit_threads
from trainers.policies.base import Policy, Sampling
from trainers.policies.hf import HfPolicy
from trainers.policies.load import load_model
from trainers.policies.tiny import TinySettings, build_tiny
from trainers.policies.vllm import VllmPolicy, vllm_beside
from trainers.rollout import play
from trainers.settings import SamplerSettings
from wrappers import make_llm_vec

TEXTS = ["go to shelf 1", "take mug 2 from shelf 1", "You arrive at shelf 1. On the shelf 1, you see a mug 2."] * 4
"""What the random model's tokenizer is made from; other words fall into their bytes."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured."""

    model: Path | None = None
    """Directory of a model with a chat template; by default a random one of 3 layers, 128 wide."""
    env: str = "AgentGym/ALFWorld-v0"
    split: str = "generated_train"
    tasks: int = 4
    group_size: int = 8
    num_envs: int = 32
    """Episodes at a time."""
    max_new_tokens: int = 48
    max_turns: int = 8
    rounds: int = 3


class Measured(NamedTuple):
    """One way, one round."""

    seconds: float
    processor_s: float
    sampled: int
    turns: int
    cached_share: float
    """Of prompt tokens, what the engine had in its cache; 0 where there is no such count."""


class InStep(Around):
    """vLLM asked for a batch at a time: nobody goes on before the last has answered."""


def main(settings: Settings) -> None:
    """Measure and print."""
    limit_threads()
    with tempfile.TemporaryDirectory(prefix="agent-gym-") as made:
        path = settings.model or build_tiny(Path(made), TEXTS, TinySettings(hidden_size=128, layers=3, heads=4))
        _compare(str(path), settings)


def _compare(path: str, settings: Settings) -> None:
    model, tokenizer = load_model(path, device="cpu" if not torch.cuda.is_available() else None)
    vllm = vllm_beside(model, tokenizer, path, SamplerSettings(engine="vllm"), trust_remote_code=False)
    vllm.sync()
    hf = HfPolicy(model, tokenizer)
    ways: dict[str, Policy] = {
        "vLLM": vllm,
        "vLLM, a batch at a time": InStep(vllm),
        "ours, transformers": hf,
        "generate of transformers, in lock-step": Recompute(Generate(hf, Clock())),
    }
    env = make_llm_vec(settings.env, settings.num_envs, context="conversation")
    tasks = list(env.slots.tasks(settings.split)[: settings.tasks])
    found: dict[str, list[Measured]] = {name: [] for name in ways}
    synced_s = []
    for number in range(settings.rounds + 1):
        for name, policy in ways.items():
            found[name].append(_measure(policy, env, tasks, settings, number, vllm))
        began = time.perf_counter()
        vllm.sync()
        synced_s.append(time.perf_counter() - began)
    vllm.engine.close()
    env.close()
    print(
        f"{'':40}{'sampled/s':>11}{'beside ours':>13}{'per processor s':>17}{'beside ours':>13}{'env steps/s':>13}"
        f"{'prompt from cache':>19}"
    )
    busy = {name: _median(rounds, lambda one: one.sampled / one.processor_s) for name, rounds in found.items()}
    rate = {name: _median(rounds, lambda one: one.sampled / one.seconds) for name, rounds in found.items()}
    for name, rounds in found.items():
        steps = _median(rounds, lambda one: one.turns / one.seconds)
        share = _median(rounds, lambda one: one.cached_share)
        beside, busy_beside = (rates[name] / rates["ours, transformers"] for rates in (rate, busy))
        print(
            f"{name:40}{rate[name]:11,.0f}{beside:13.2f}{busy[name]:17,.0f}{busy_beside:13.2f}{steps:13,.1f}{share:19.1%}"
        )
    weights = sum(weight.numel() for weight in model.parameters())
    print(
        f"New weights ({weights:,}) reach the engine in {statistics.median(synced_s[1:]):.2f} s; a round of vLLM takes "
        f"{_median(found['vLLM'], lambda one: one.seconds):.1f} s."
    )


def _measure(policy: Policy, env: Any, tasks: list[str], settings: Settings, seed: int, vllm: VllmPolicy) -> Measured:
    cached, prompts = vllm.cached_tokens, vllm.prompt_tokens
    began, worked = time.perf_counter(), _processor_s()
    _, stats = play(
        policy,
        env.slots,
        tasks,
        group_size=settings.group_size,
        sampling=Sampling(max_new_tokens=settings.max_new_tokens),
        context="conversation",
        seed=seed,
        max_turns=settings.max_turns,
    )
    seconds, processor_s = time.perf_counter() - began, _processor_s() - worked
    share = (vllm.cached_tokens - cached) / max(1, vllm.prompt_tokens - prompts)
    return Measured(seconds, processor_s, stats.generated_tokens, stats.turns, share)


def _processor_s() -> float:
    """Seconds of processor time that this process and its children have used."""
    own = psutil.Process()
    times = [process.cpu_times() for process in (own, *own.children(recursive=True))]
    return float(sum(one.user + one.system for one in times))


def _median(rounds: list[Measured], figure: Callable[[Measured], float]) -> float:
    return statistics.median(figure(one) for one in rounds[1:])


if __name__ == "__main__":
    main(tyro.cli(Settings))
