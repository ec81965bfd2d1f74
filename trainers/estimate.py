"""What a run would cost: `agent-gym train --dry-run`."""

import time
from dataclasses import replace
from typing import Any

from rich.console import Console

from trainers.config import TrainConfig, to_toml


def estimate(config: TrainConfig, env: Any, policy: Any, console: Console) -> int:
    """Play one group, time a forward pass over it, and scale that up to the whole run."""
    from trainers.cast import Cast
    from trainers.learner import Learner
    from trainers.parallel import limit_threads
    from trainers.policies.base import Sampling
    from trainers.rollout import play
    from trainers.samples import build_samples
    from trainers.tasks import agents_of, choose_tasks

    limit_threads()
    slots, order, validation = choose_tasks(config, env)
    settings, agents = config.rollout, agents_of(slots)
    sampling = Sampling(temperature=settings.temperature, max_new_tokens=settings.max_new_tokens, stop=settings.stop)
    began = time.perf_counter()
    cast, tasks = Cast(config, slots, policy), order.take(0, agents)
    parts = cast.evaluating(tasks)
    groups, stats = play(
        parts[0].policy,
        slots,
        tasks,
        group_size=settings.group_size,
        sampling=sampling,
        context=config.env.context,
        seed=config.seed,
        max_turns=settings.max_turns,
        players=[part.policy for part in parts],
    )
    played_s = time.perf_counter() - began
    learnt = [group for group, part in zip(groups, parts, strict=True) if part.learner is not None]
    samples = build_samples(learnt, None, config.env.context)
    # All start from the same model, so the time of one is that of any.
    learner = Learner(next(iter(cast.learners.values())).model, config.learner, replace(config.loss, kl_weight=0.0))
    began = time.perf_counter()
    learner.logprobs(samples)
    passes = 3 * config.learner.epochs + (config.loss.kl_weight > 0)  # a backward pass costs two forward passes
    learnt_s = passes * (time.perf_counter() - began)
    scale = settings.groups * config.iterations // agents
    evaluations = (1 + config.iterations // config.evaluation.every) * len(validation) / settings.group_size / agents
    seconds = scale * (played_s + learnt_s) + evaluations * played_s
    console.print(to_toml(config), highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"{config.iterations} iterations of {settings.groups} groups of {settings.group_size} episodes: about "
        f"{scale * stats.generated_tokens:,} tokens to sample, {scale * stats.prompt_tokens:,} to read and "
        f"{scale * sum(map(len, samples)):,} to learn from, in {_duration(seconds)} on this machine (from one "
        "group of the model as it is; a better one plays shorter episodes).",
        highlight=False,
        soft_wrap=True,
    )
    return 0


def _duration(seconds: float) -> str:
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}" if seconds >= 10 * size else f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} second{'s' * (round(seconds) != 1)}"
