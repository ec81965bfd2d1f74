"""What a person sees of a training run: a line per iteration, in a terminal with a bar below them, and how it ended."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from trainers.callbacks import TrainControl, TrainerCallback, TrainState
from trainers.config import TrainConfig


class ShowProgress(TrainerCallback):
    """Shows iterations as they are done, and evaluations.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._began_s = 0.0
        self._first = 0
        self._solved: dict[int, float] = {}
        """Share of training episodes that were solved, by the iterations of this process."""

    def on_train_begin(self, config: TrainConfig, state: TrainState, control: TrainControl, **kwargs: Any) -> None:
        """Say where the run begins, and show a bar in a terminal."""
        if not kwargs["is_main"]:
            return
        if state.iteration:
            self._say(_resumed(state.iteration, config.iterations))
        self._began_s, self._first = time.monotonic(), state.iteration
        if self._console.is_terminal and state.iteration < config.iterations:
            columns = (BarColumn(20), MofNCompleteColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task("", total=config.iterations, completed=state.iteration)
            self._bar.start()

    def on_log(self, config: TrainConfig, state: TrainState, control: TrainControl, **kwargs: Any) -> None:
        """Show an iteration's main figures."""
        if not kwargs["is_main"]:
            return
        logs, done = kwargs["logs"], state.iteration + 1
        self._say(f"iteration {state.iteration}: {figures(logs)}")
        if "rollout/success" in logs:
            self._solved[state.iteration] = logs["rollout/success"]
        if self._bar is not None:
            each_s = (time.monotonic() - self._began_s) / (done - self._first)
            left = f"{_clock(each_s * (config.iterations - done))} left"
            solved = [f"{self._solved[state.iteration]:.0%} solved"] if state.iteration in self._solved else []
            self._bar.update(self._task, completed=done, description="  ".join([*solved, left]))

    def on_evaluate(self, config: TrainConfig, state: TrainState, control: TrainControl, **kwargs: Any) -> None:
        """Say how the weights did on the validation tasks."""
        if not kwargs["is_main"]:
            return
        metrics = kwargs["metrics"]
        low, high = 100 * metrics["eval/success_low"], 100 * metrics["eval/success_high"]
        mark = ", the best so far" if kwargs["best"] else ""
        self._say(
            f"after {_iterations(state.iteration)} {100 * metrics['eval/success']:.1f} % of {config.evaluation.split} "
            f"({low:.1f} to {high:.1f}){mark}"
        )

    def on_train_end(self, config: TrainConfig, state: TrainState, control: TrainControl, **kwargs: Any) -> None:
        """Take the bar away, and say what there is now, or how to go on after an interrupt."""
        if self._bar is not None:
            self._bar.stop()
        if not kwargs["is_main"]:
            return
        if self._solved:
            self._say(self._outcome(config, state))
        if kwargs["interrupted"]:
            self._say(
                f"Stopped after {_iterations(state.iteration)}; everything is saved. "
                f"Go on with: agent-gym train --resume {config.output_dir}"
            )
            return
        name = f"step_{state.iteration:08d}" if state.best_iteration is None else "best"
        checkpoint = Path(config.output_dir) / "checkpoints" / name
        self._say(
            f"The run is in {config.output_dir}. Measure it with: agent-gym eval --model {checkpoint} --split NAME; "
            f"look at it with: agent-gym view {config.output_dir}"
        )

    def _outcome(self, config: TrainConfig, state: TrainState) -> str:
        """Say how the last and the best iteration of this process did, and the best weights of the whole run."""
        last, best = max(self._solved), max(self._solved, key=self._solved.__getitem__)
        told = f"Training episodes solved: {self._solved[last]:.0%} in the last iteration"
        if self._solved[best] > self._solved[last]:
            told += f", {self._solved[best]:.0%} in the best (iteration {best})"
        if state.best_iteration is not None and state.best_success is not None:
            told += (
                f"; of {config.evaluation.split} {100 * state.best_success:.1f} % at best (after "
                f"{_iterations(state.best_iteration)})"
            )
        return f"{told}."

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)


def _resumed(done: int, wanted: int) -> str:
    """What is said of a run that goes on, or that has nothing left to do."""
    if done < wanted:
        return f"Resuming at iteration {done} of {wanted}."
    return (
        f"This run is finished: it has done {_iterations(done)}, and {wanted} "
        f"{'was' if wanted == 1 else 'were'} asked for. To go on, give an --iterations above {done}."
    )


def _clock(seconds: float) -> str:
    """A span as clocks show it: 0:12, 12:05, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _iterations(number: int) -> str:
    return f"{number} iteration" if number == 1 else f"{number} iterations"


def figures(logs: Mapping[str, float]) -> str:
    """Put an iteration's main figures into one short line."""
    parts = []
    for name, form in (
        ("rollout/success", "{:.0%} solved"),
        ("rollout/length", "{:.1f} turns"),
        ("rollout/invalid_actions", "{:.0%} invalid"),
        ("learner/kl", "kl {:.4f}"),
        ("learner/entropy", "entropy {:.2f}"),
        ("speed/tokens_per_s", "{:,.0f} tokens/s"),
        ("time/iteration_s", "{:.1f} s"),
    ):
        if name in logs:
            parts.append(form.format(logs[name]))
    return ", ".join(parts)
