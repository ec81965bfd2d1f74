"""What a run measures, and where it is written.

`metrics.jsonl` has one object per iteration with flat names (`rollout/success`, `credit/anchor_size_mean`,
`learner/kl`, `time/generation_s`, …), `episodes.jsonl` one object per episode. Everything but times, rates and memory
(`is_timing`) is a function of the configuration on a CPU. On resuming, lines of iterations that will be played again
are taken out first.
"""

import importlib
import json
import os
import resource
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from agent_gym import keys
from agent_gym.errors import MissingExtraError
from trainers.assign import Credited
from trainers.players import iteration_of
from trainers.rollout import RolloutStats
from trainers.types import Episode, Group, Turn

METRICS = "metrics.jsonl"
EPISODES = "episodes.jsonl"
TIMINGS = ("time/", "speed/", "memory/")
"""Beginnings of the names whose numbers differ from run to run."""


def is_timing(name: str) -> bool:
    """Whether a metric depends on the machine rather than on the configuration."""
    return name.startswith(TIMINGS)


def rollout_metrics(groups: Sequence[Group], stats: RolloutStats, prefix: str = "rollout/") -> dict[str, float]:
    """Success, score, return, length, validity and status of what was played; failed episodes count in `failed` only.

    Rates are out of episodes, those of invalid answers out of turns. Without an episode that did not fail they are left
    out.
    """
    everyone = [episode for group in groups for episode in group.episodes if not episode.baseline]
    episodes = [episode for episode in everyone if episode.status != "failed"]
    turns = [turn for episode in episodes for turn in episode.turns]
    metrics: dict[str, float] = {
        "episodes": len(everyone),
        "failed": len(everyone) - len(episodes),
        "turns": stats.turns,
        "generated_tokens": stats.generated_tokens,
        "prompt_tokens": stats.prompt_tokens,
        "wasted_tokens": stats.wasted_tokens,
        "answers_cut": stats.answers_cut,
    }
    if episodes:
        metrics |= {
            "success": _mean(episode.success for episode in episodes),
            "score": _mean(episode.score for episode in episodes),
            "return": _mean(float(episode.rewards.sum()) for episode in episodes),
            "length": _mean(len(episode.turns) for episode in episodes),
            "cut": _mean(episode.status == "cut" for episode in episodes),
        }
    # In a zero-sum game the mean over all roles says nothing.
    for role in sorted({_role(episode) for episode in episodes} - {None}, key=str):
        of_role = [one for one in episodes if _role(one) == role]
        metrics |= {
            f"return_of_{role}": _mean(float(one.rewards.sum()) for one in of_role),
            f"success_of_{role}": _mean(one.success for one in of_role),
            f"length_of_{role}": _mean(len(one.turns) for one in of_role),
        }
    if any(episode.success for episode in episodes):
        metrics["length_of_successes"] = _mean(len(episode.turns) for episode in episodes if episode.success)
    if turns:
        metrics["invalid_actions"] = _mean(not turn.action_valid for turn in turns)
        metrics["invalid_format"] = _mean(not turn.format_valid for turn in turns)
        metrics["answer_tokens"] = _mean(len(turn.completion.token_ids) for turn in turns)
    return {prefix + name: float(value) for name, value in metrics.items()}


def players_metrics(groups: Sequence[Group], iteration: int) -> dict[str, float]:
    """Who met whom in games with others than policies in hand: groups, and the mean return of each role.

    Earlier selves count together, as `earlier`; `players/age_of_earlier` is how many iterations old they are on
    average.
    """
    returns: dict[str, list[float]] = defaultdict(list)
    counts: Counter[str] = Counter()
    ages = []
    for group in groups:
        born = iteration_of(group.against)
        whom = "self" if not group.against else "earlier" if born is not None else "others"
        counts[whom] += 1
        ages += [] if born is None else [iteration - born]
        for episode in group.episodes:
            if episode.status != "failed" and not episode.baseline:
                returns[f"return_of_{_role(episode) or 'unknown'}_against_{whom}"].append(float(episode.rewards.sum()))
    if set(counts) <= {"self"}:
        return {}
    metrics = {f"groups_against_{whom}": float(count) for whom, count in counts.items()}
    metrics |= {name: _mean(found) for name, found in returns.items()}
    if ages:
        metrics["age_of_earlier"] = _mean(ages)
    return {f"players/{name}": metrics[name] for name in sorted(metrics)}


def _role(episode: Episode) -> str | None:
    """The role in a game of several agents; none where one plays alone, or before its first turn."""
    role: str | None = episode.turns[0].info.get(keys.ROLE) if episode.turns else None
    return role


def credit_metrics(credited: Sequence[Credited]) -> dict[str, float]:
    """What credit assignment had to work with: the spread of advantages, and how many turns share an anchor state.

    `step_to_episode` is mean |A_step| / mean |A_episode|; the figures of the step part are absent where there is none.
    """
    sizes = [int(size) for one in credited for size in np.bincount(one.anchors)]
    total = sum(sizes)
    if not total:
        return {}
    metrics = {
        "advantage_abs": _mean_abs(array for one in credited for array in one.advantages),
        "silent_groups": _mean(one.silent for one in credited),
        "anchor_size_mean": total / len(sizes),
        "anchor_size_max": float(max(sizes)),
        "shared_turns": sum(size for size in sizes if size > 1) / total,
    }
    of_steps = _mean_abs(array for one in credited for array in one.step_part)
    of_episodes = _mean_abs(array for one in credited for array in one.episode_part)
    if of_steps > 0:
        metrics |= {"advantage_step_abs": of_steps, "advantage_episode_abs": of_episodes}
        if of_episodes > 0:
            metrics["step_to_episode"] = of_steps / of_episodes
    return {f"credit/{name}": value for name, value in metrics.items()}


def speed_metrics(stats: RolloutStats, learning_s: float, learnt_tokens: float, total_s: float) -> dict[str, float]:
    """Seconds, shares and tokens per second of generation, environment and learning, and peak memory in MB."""
    metrics = {
        "time/iteration_s": total_s,
        "time/generation_s": stats.generation_s,
        "time/environment_s": stats.environment_s,
        "time/learning_s": learning_s,
    }
    for name, seconds in (
        ("generation", stats.generation_s),
        ("environment", stats.environment_s),
        ("learning", learning_s),
    ):
        metrics[f"time/{name}_share"] = seconds / total_s if total_s else 0.0
    metrics["speed/generated_tokens_per_s"] = stats.generated_tokens / max(stats.generation_s, 1e-9)
    metrics["speed/env_steps_per_s"] = stats.turns / max(stats.environment_s, 1e-9)
    metrics["speed/learnt_tokens_per_s"] = learnt_tokens / max(learning_s, 1e-9)
    metrics["speed/tokens_per_s"] = (stats.generated_tokens + stats.prompt_tokens) / max(total_s, 1e-9)
    return metrics | memory_metrics()


def memory_metrics() -> dict[str, float]:
    """Peak memory of this process, and of its GPU if it uses one, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    metrics = {"memory/peak_mb": peak / (2**20 if sys.platform == "darwin" else 2**10)}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        metrics["memory/gpu_peak_mb"] = torch.cuda.max_memory_allocated() / 2**20
    return metrics


def episode_lines(
    iteration: int, credited: Sequence[Credited], replayed: Collection[tuple[int, int]] = ()
) -> list[dict[str, Any]]:
    """One object per episode for `episodes.jsonl`: rewards as played; a failed episode has no advantages.

    Args:
        iteration: Number of the iteration.
        credited: All groups that are learnt from.
        replayed: (group, member) of episodes that were played in an earlier iteration.
    """
    lines = []
    for number, one in enumerate(credited):
        places = {member: place for place, member in enumerate(one.members)}
        for member, episode in enumerate(one.played.episodes):
            place = places.get(member)
            lines.append(
                {
                    "iteration": iteration,
                    "task": one.played.task,
                    "kind": episode.kind,
                    "member": member,
                    "status": episode.status,
                    "error": episode.error,
                    "success": episode.success,
                    "score": episode.score,
                    "return": float(episode.rewards.sum()),
                    **({"replayed": True} if (number, member) in replayed else {}),
                    **({"player": one.played.player} if one.played.player else {}),
                    **({"against": one.played.against} if one.played.against else {}),
                    "system": _system(episode.turns[0].messages) if episode.turns else "",
                    "turns": [
                        _turn_entry(turn) | ({} if place is None else _advantage_entry(one, place, t))
                        for t, turn in enumerate(episode.turns)
                    ],
                }
            )
    return lines


def _turn_entry(turn: Turn) -> dict[str, Any]:
    return {
        "state_key": turn.state_key,
        "observation": turn.observation,
        "answer": turn.answer,
        "reward": turn.reward,
        "action_valid": turn.action_valid,
        "format_valid": turn.format_valid,
    }


def _advantage_entry(credited: Credited, place: int, t: int) -> dict[str, float]:
    return {
        "advantage": float(credited.advantages[place][t]),
        "advantage_episode": float(credited.episode_part[place][t]),
        "advantage_step": float(credited.step_part[place][t]),
    }


def _system(messages: Sequence[Mapping[str, str]]) -> str:
    return next((message["content"] for message in messages if message["role"] == "system"), "")


class RunLog:
    """Writes a run's files, and passes metrics on to other loggers.

    Args:
        directory: Of the run.
        report_to: Loggers beside `metrics.jsonl`.
        start: First iteration that will be logged; what the files hold of it and later ones is taken out.
        config: Settings that wandb and trackio show.

    Raises:
        MissingExtraError: If wandb or trackio is asked for and not installed.
    """

    def __init__(
        self, directory: Path, report_to: Sequence[str] = (), *, start: int = 0, config: Mapping[str, Any] | None = None
    ) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        for name in (METRICS, EPISODES):
            cut_back(directory / name, start)
        self._loggers = [logger for name in report_to if (logger := _LOGGERS[name](directory, start, config or {}))]

    def log(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Write the metrics of an iteration."""
        self._append(METRICS, [{"iteration": iteration, **metrics}])
        for logger in self._loggers:
            logger.log(iteration, metrics)

    def log_episodes(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Write episodes."""
        self._append(EPISODES, lines)

    def close(self) -> None:
        """Finish what other loggers hold back."""
        for logger in self._loggers:
            logger.close()

    def _append(self, name: str, lines: Iterable[Mapping[str, Any]]) -> None:
        text = "".join(json.dumps(line) + "\n" for line in lines)
        path = self.directory / name
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OSError(f"could not write {path}: {error}; make room and go on with --resume") from error


def cut_back(path: Path, iteration: int) -> None:
    """Take the lines of this iteration and later ones out of a file, and a last line that a kill has torn."""
    if not path.exists():
        return
    draft = path.with_name(f".{path.name}.new")
    with path.open("rb") as old, draft.open("wb") as new:
        for line in old:
            try:
                at = json.loads(line).get("iteration")
            except (ValueError, AttributeError):
                continue
            if line.endswith(b"\n") and isinstance(at, int) and at < iteration:
                new.write(line)
        new.flush()
        os.fsync(new.fileno())
    draft.replace(path)


class _Logger(Protocol):
    def log(self, iteration: int, metrics: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class _TensorBoard:
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def log(self, iteration: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, iteration)

    def close(self) -> None:
        self._writer.close()


def _tensorboard(directory: Path, start: int, config: Mapping[str, Any]) -> _Logger | None:
    """TensorBoard is a default, so without it a run goes on."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return _TensorBoard(SummaryWriter(str(directory / "tensorboard"), purge_step=start))


class _Service:
    """wandb, or trackio, which has the same functions."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def log(self, iteration: int, metrics: Mapping[str, float]) -> None:
        self._module.log(dict(metrics), step=iteration)

    def close(self) -> None:
        self._module.finish()


def _service(name: str) -> Any:
    def start_logger(directory: Path, start: int, config: Mapping[str, Any]) -> _Logger:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            raise MissingExtraError(
                f"output.report_to names {name}, which is not installed: `pip install {name}`, or leave it out."
            ) from error
        module.init(project="agent-gym", name=directory.resolve().name, config=dict(config))
        return _Service(module)

    return start_logger


_LOGGERS = {"tensorboard": _tensorboard, "wandb": _service("wandb"), "trackio": _service("trackio")}


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return float(sum(numbers) / len(numbers))


def _mean_abs(arrays: Iterable[NDArray[np.float64]]) -> float:
    return float(np.abs(np.concatenate(list(arrays))).mean())
