"""Runs what a study still lacks, in as many processes as there are cores, and shows how far it is."""

import multiprocessing
import os
import shutil
import signal
import warnings
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from agent_gym.errors import AgentGymError
from trainers.bench.store import append_line, load_results, sort_lines
from trainers.bench.study import Results, Run, Study
from trainers.bench.work import Job, MakeEnvs, do

POLL_S = 2.0
"""Seconds between looks at how far the runs are."""


def run_study(
    study: Study,
    make_envs: MakeEnvs,
    *,
    results: Path,
    scratch: Path,
    jobs: int,
    console: Console,
) -> Results:
    """Run everything that is missing; what is interrupted goes on the next time.

    Args:
        study: What to run.
        make_envs: Makes the environments of a configuration; sent to the workers by name.
        results: Directory for results, see `trainers.bench.store`.
        scratch: Directory for models, checkpoints and logs.
        jobs: Processes at a time, each with one thread.
        console: For progress.

    Returns:
        All results of the study.

    Raises:
        AgentGymError: At the end, if runs failed; the others have their results.
    """
    found, stale = load_results(study, results)
    for name in stale:
        console.print(f"{name} is of another configuration and does not count", highlight=False, soft_wrap=True)
    running: dict[Future[dict[str, Any]], Job] = {}
    failed: dict[Run, BaseException] = {}
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin_worker)
    try:
        with Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        ) as progress:
            bar = progress.add_task(study.name, total=None)
            while True:
                missing = [run for run in study.next_runs(found) if run not in failed]
                progress.update(bar, completed=len(found), total=len(found) + len(missing))
                for job in _startable(study, missing, list(running.values()), results, scratch, jobs - len(running)):
                    running[pool.submit(do, job, make_envs)] = job
                if not running:
                    break
                done, _ = wait(running, timeout=POLL_S, return_when=FIRST_COMPLETED)
                progress.update(
                    bar, description=f"{study.name}: {', '.join(_standing(job) for job in running.values())}"
                )
                for future in done:
                    job = running.pop(future)
                    error = future.exception()
                    if error is not None:
                        failed[job.run] = error
                        progress.console.print(f"{_name(job)} failed: {error}", markup=False, soft_wrap=True)
                        continue
                    result = future.result()
                    if not job.only_prepare:
                        found[job.run] = result
                        if study.store == "lines":
                            append_line(results, job.run, result)
                            shutil.rmtree(job.directory, ignore_errors=True)
                    progress.console.print(_line(job, result), highlight=False, soft_wrap=True)
    finally:
        _stop(pool)
    if study.store == "lines":
        sort_lines(study, results)
    if failed:
        run, error = next(iter(failed.items()))
        said = str(error) if isinstance(error, AgentGymError) else repr(error)
        count = "a run" if len(failed) == 1 else f"{len(failed)} runs"
        raise AgentGymError(f"{count} failed; {run.path}: {said}") from error
    return found


def _startable(
    study: Study, missing: list[Run], running: list[Job], results: Path, scratch: Path, free: int
) -> list[Job]:
    """Jobs to start now: runs whose model is there, and models that runs wait for, each once."""
    busy = {job.run for job in running if not job.only_prepare}
    being_made = {job.model for job in running if job.only_prepare}
    chosen: list[Job] = []
    for run in missing:
        if len(chosen) >= free:
            break
        if run in busy:
            continue
        job = Job(study=study, run=run, scratch=scratch, results=results)
        if not job.is_prepared:
            if job.model in being_made:
                continue
            being_made.add(job.model)
            job = Job(study=study, run=run, scratch=scratch, results=results, only_prepare=True)
        chosen.append(job)
    return chosen


def _name(job: Job) -> str:
    if job.only_prepare:
        return f"model for {job.run.arena}, seed {job.run.seed}"
    rate = "" if job.run.rate is None else f", rate {job.run.rate:g}"
    return f"{job.run.method} in {job.run.arena}, seed {job.run.seed}{rate}"


def _standing(job: Job) -> str:
    """A running job and how far it is."""
    if job.only_prepare:
        return _name(job)
    done = 0
    try:
        with (job.directory / "metrics.jsonl").open("rb") as file:
            done = sum(1 for _ in file)
    except OSError:
        pass
    total = job.study.config(job.run).iterations
    return f"{_name(job)} ({min(done, total)}/{total})"


def _line(job: Job, result: dict[str, Any]) -> str:
    if job.only_prepare:
        return f"{_name(job)}: {result['cpu_minutes']:.1f} minutes of processor time"
    arena = job.study.arenas[job.run.arena]
    values = result["curve"][arena.column]
    tests = "".join(
        f"; {name} {100 * result['before'][name]['success']:.1f} -> {100 * test['success']:.1f} %"
        for name, test in result["after"].items()
        if "success" in test
    )
    return (
        f"{_name(job)}: {arena.column} {values[0]:.3g} -> {values[-1]:.3g}{tests} ({result['cpu_minutes']:.1f} minutes)"
    )


def _begin_worker() -> None:
    """Leave Ctrl-C to the parent, use one thread, and do not write into its progress display."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = "1"
    warnings.simplefilter("ignore")


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the workers at once: every run has its checkpoints."""
    processes: list[Callable[[], None]] = [process.terminate for process in (pool._processes or {}).values()]
    pool.shutdown(wait=False, cancel_futures=True)
    for terminate in processes:
        terminate()
