"""One environment's part of an evaluation: what is asked for, playing it, and the files that it leaves."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainers.assign import uncredited
from trainers.cast import Cast
from trainers.config import EnvConfig, TrainConfig
from trainers.evaluate import SUMMARY, Evaluation, evaluate, hash_tasks, summarise, summary
from trainers.metrics import episode_lines
from trainers.players import Players
from trainers.policies.base import Sampling
from trainers.rollout import RolloutStats
from trainers.run_files import written_whole
from trainers.tasks import slots_of

Named = Callable[[RolloutStats], dict[str, Any]]
"""What a summary says of the model, which has the tokens that were spent under `tokens`."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What is played in one environment."""

    env: EnvConfig
    split: str
    tasks: Sequence[str]
    sampling: Sampling
    samples: int = 1
    seed: int = 0
    players: Players = field(default_factory=Players)
    """Who plays the roles of a game."""
    note: str = ""
    """Why the result is not to be reported, if it is not."""

    def about(self, model: Mapping[str, Any]) -> dict[str, Any]:
        """Return what its summary says of the request."""
        return {
            "env": {"id": self.env.id, "context": self.env.context, **self.env.settings},
            "split": self.split,
            "model": dict(model),
            "sampling": {
                "temperature": self.sampling.temperature,
                "max_new_tokens": self.sampling.max_new_tokens,
                "samples": self.samples,
                "seed": self.seed,
            },
            "note": self.note,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Played:
    """How a part went."""

    result: Evaluation
    stats: RolloutStats
    summary: dict[str, Any]
    """What was written."""


def play_part(part: Part, policy: Any, env: Any, directory: Path, named: Named) -> Played:
    """Play all tasks, and write episodes and then the summary into a directory.

    In a game of several agents `policy` may be one for each role; those that `part.players` names are not counted.
    """
    slots = slots_of(env)
    parts = Cast(TrainConfig(players=part.players), slots, policy).evaluating(part.tasks)
    groups, stats = evaluate(
        parts[0].policy,
        slots,
        part.tasks,
        context=part.env.context,
        sampling=part.sampling,
        samples=part.samples,
        seed=part.seed,
        players=[one.policy for one in parts],
    )
    groups = [one.of(group) for one, group in zip(parts, groups, strict=True)]
    result = summarise([group for group in groups if group.learner is not None])
    with written_whole(directory / "episodes.jsonl") as file:
        file.writelines(json.dumps(line) + "\n" for line in episode_lines(0, [uncredited(one) for one in groups]))
    written = summary(result, part.about(named(stats)))
    with written_whole(directory / SUMMARY) as file:
        json.dump(written, file, indent=1)
    return Played(result=result, stats=stats, summary=written)


def played_before(part: Part, directory: Path, model: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the summary in a directory if it is of the very same request and model; else None."""
    try:
        found: dict[str, Any] = json.loads((directory / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    wanted = part.about(_without_tokens(model)) | {"task_list": hash_tasks(part.tasks)}
    there = {name: found.get(name) for name in wanted}
    there |= {"model": _without_tokens(found.get("model", {})), "task_list": found.get("task_list", {}).get("sha256")}
    return found if json.loads(json.dumps(wanted)) == there else None


def _without_tokens(model: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in model.items() if name != "tokens"}
