"""One job of a study, as a worker process does it: make an arena's model for a seed, or train and measure one run."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agent_gym.errors import BadOptionError, DataNotFoundError, did_you_mean
from trainers.bench.store import as_stored, write_file
from trainers.bench.study import Arena, Run, Study, TestSet
from trainers.callbacks import TrainControl, TrainerCallback, TrainState
from trainers.config import EnvConfig, ModelConfig, TrainConfig
from trainers.run_files import written_whole

MakeEnvs = Callable[[EnvConfig], Any]
CURVE = {"files": ("success", "score", "return", "length", "invalid_actions"), "lines": ("success", "length")}
"""Columns of the rollout that a result keeps, beside the arena's metric, by how results are stored."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a worker is sent."""

    study: Study
    run: Run
    scratch: Path
    """Directory of the study's working files."""
    results: Path
    """Directory of its results."""
    only_prepare: bool = False
    """Make the model that the runs of this arena and seed start from, and nothing else."""

    @property
    def model(self) -> Path:
        """Where the recipe puts what the runs of this arena and seed share."""
        return self.scratch / "models" / self.run.arena / str(self.run.seed)

    @property
    def directory(self) -> Path:
        """The run's own directory."""
        return self.scratch / "runs" / self.run.path.with_suffix("")

    @property
    def is_prepared(self) -> bool:
        """Whether the run can start."""
        return self.study.arenas[self.run.arena].recipe is None or (self.model / "ready.json").is_file()


class Budget(TrainerCallback):
    """Ends a run that has played the arena's episodes: a method that plays more in an iteration has fewer of those.

    And one that does not log what the arena compares, before it has played them for nothing.
    """

    def __init__(self, arena: Arena) -> None:
        self.arena, self.episodes = arena, arena.episodes

    def on_log(self, config: TrainConfig, state: TrainState, control: TrainControl, **kwargs: Any) -> None:
        """Look at what an iteration has logged."""
        logs = kwargs["logs"]
        if "rollout/episodes" in logs and self.arena.column not in logs:
            known = [name for name in logs if name.startswith(self.arena.column.partition("/")[0] + "/")]
            raise BadOptionError(
                f"arenas.{self.arena.name}.metric must be what a run logs, got {self.arena.metric!r}."
                f"{did_you_mean(self.arena.column, logs)} There are {', '.join(known or logs)}."
            )

    def on_step_end(self, config: TrainConfig, state: TrainState, control: TrainControl, **kwargs: Any) -> None:
        """Look at what was played."""
        control.should_training_stop = control.should_training_stop or state.episodes >= self.episodes


def do(job: Job, make_envs: MakeEnvs) -> dict[str, Any]:
    """Do a job; returns what the run's result file holds, or for a model how long it took.

    Interrupted or killed, it goes on where it was when it is done again.
    """
    from trainers.commands import be_quiet
    from trainers.parallel import limit_threads

    limit_threads()
    be_quiet()
    return _prepare(job, make_envs) if job.only_prepare else _run(job, make_envs)


def _prepare(job: Job, make_envs: MakeEnvs) -> dict[str, Any]:
    from trainers.commands import load_policy
    from trainers.recipes import load_recipe

    arena = job.study.arenas[job.run.arena]
    assert arena.recipe is not None, "only recipes make models"
    began = time.process_time()
    config = replace(arena.config, seed=job.run.seed)
    env = make_envs(config.env)
    job.model.mkdir(parents=True, exist_ok=True)
    with (job.model / "log.txt").open("a", encoding="utf-8") as log:

        def say(line: str) -> None:
            log.write(line + "\n")
            log.flush()

        ready = load_recipe(arena.recipe).prepare(config, env, job.model, say)
    spent = time.process_time() - began
    tests = _tests(arena, config, env, load_policy(ready.model, trained=True))
    env.close()
    figures = {"model": ready.model.path, "cpu_minutes": spent / 60, "tests": tests}
    with written_whole(job.model / "ready.json") as file:
        json.dump(figures, file)
    return figures


def _run(job: Job, make_envs: MakeEnvs) -> dict[str, Any]:
    from trainers.commands import load_trained
    from trainers.evaluate import versions
    from trainers.train import Trainer

    arena = job.study.arenas[job.run.arena]
    config = replace(job.study.config(job.run), output_dir=str(job.directory))
    shared: dict[str, Any] = {}
    if arena.recipe is not None:
        shared = json.loads((job.model / "ready.json").read_text(encoding="utf-8"))
        config = replace(config, model=ModelConfig(path=shared["model"]))
    env = make_envs(config.env)
    policy = load_trained(config, env)
    before = shared["tests"] if shared else _tests(arena, config, env, policy)
    began = time.process_time()
    trainer = Trainer(config, env=env, policy=policy, callbacks=[Budget(arena)], resume=True)
    trainer.train()
    if trainer.interrupted:  # told to stop with the study: half a curve is no result, and its checkpoint is there
        raise KeyboardInterrupt
    spent = time.process_time() - began
    after = _tests(arena, config, env, policy)
    env.close()
    result = {
        "study": job.study.name,
        "arena": job.run.arena,
        "method": job.run.method,
        "seed": job.run.seed,
        "rate": job.run.rate,
        "fingerprint": job.study.fingerprint(job.run),
        "episodes_per_iteration": config.rollout.groups * config.rollout.group_size,
        "curve": read_curve(job.directory / "metrics.jsonl", arena, CURVE[job.study.store]),
        "before": before,
        "after": after,
        "cpu_minutes": spent / 60,
        "warm_start_cpu_minutes": shared.get("cpu_minutes"),
        "versions": versions(),
    }
    if job.study.store == "files":  # lines are appended by one process, the parent
        write_file(job.results, job.run, result)
    return as_stored(result)


def _tests(arena: Arena, config: TrainConfig, env: Any, policy: Any) -> dict[str, Any]:
    """Play the tests; one without data on this machine is left out, and the result says so."""
    found: dict[str, Any] = {}
    for name, test in arena.tests.items():
        try:
            found[name] = _test(test, config, env, policy)
        except DataNotFoundError as error:
            found[name] = {"not_measured": str(error).splitlines()[0]}
    return found


def _test(test: TestSet, config: TrainConfig, env: Any, policy: Any) -> dict[str, Any]:
    from trainers.evaluate import evaluate, summarise
    from trainers.policies.base import Sampling
    from trainers.tasks import spread

    groups, _ = evaluate(
        policy,
        env.slots,
        spread(env.slots.tasks(test.split), test.tasks),
        context=config.env.context,
        sampling=Sampling(temperature=0.0, max_new_tokens=config.rollout.max_new_tokens, stop=config.rollout.stop),
    )
    evaluation = summarise(groups)
    return {
        "tasks": evaluation.all.tasks,
        "success": evaluation.all.success,
        "interval": list(evaluation.all.interval),
        "score": evaluation.all.score,
        "length": evaluation.all.length,
        "length_of_successes": evaluation.all.length_of_successes,
        "invalid_actions": evaluation.all.invalid_actions,
        "by_kind": {kind: [result.success, result.tasks] for kind, result in evaluation.by_kind.items()},
    }


def read_curve(path: Path, arena: Arena, names: Sequence[str]) -> dict[str, list[Any]]:
    """The columns of a run's metrics that its result keeps, one entry per iteration; validation where there was one.

    `episodes`, those played in each iteration, is there only if it is not the same in all.
    """
    columns: dict[str, list[Any]] = {}
    validation: list[list[float]] = []
    episodes: list[int] = []
    wanted = dict.fromkeys((*(f"rollout/{name}" for name in names), arena.column))
    for line in path.read_text(encoding="utf-8").splitlines():
        metrics = json.loads(line)
        if "eval/success" in metrics:
            validation.append([metrics["iteration"], metrics["eval/success"], metrics["eval/length"]])
        if "rollout/episodes" in metrics:
            episodes.append(int(metrics["rollout/episodes"]))
            for name in wanted:
                if name in metrics:
                    columns.setdefault(name, []).append(metrics[name])
    if len(set(episodes)) > 1:
        columns["episodes"] = episodes
    return columns | ({"validation": validation} if validation else {})
