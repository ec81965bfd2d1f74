"""What a person sees of a training run: a live line in a terminal, a plain line per iteration otherwise."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

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

    def on_train_begin(self, config: TrainConfig, state: TrainState, control: TrainControl, **kwargs: Any) -> None:
        """Say where the run begins, and show a bar in a terminal."""
        if not kwargs["is_main"]:
            return
        if state.iteration:
            self._say(f"Resuming at iteration {state.iteration} of {config.iterations}.")
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task("training", total=config.iterations, completed=state.iteration)
            self._bar.start()

    def on_log(self, config: TrainConfig, state: TrainState, control: TrainControl, **kwargs: Any) -> None:
        """Show an iteration's main figures."""
        if not kwargs["is_main"]:
            return
        text = figures(kwargs["logs"])
        if self._bar is None:
            self._say(f"iteration {state.iteration}: {text}")
        else:
            self._bar.update(self._task, completed=state.iteration + 1, description=text)

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

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)


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
