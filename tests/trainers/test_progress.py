"""What a person sees of a run: the same events in a pipe and in a terminal."""

import io
import re

from rich.console import Console

from trainers.callbacks import TrainControl, TrainState
from trainers.config import EvaluationConfig, TrainConfig
from trainers.progress import ShowProgress

LOGS = {
    "rollout/success": 0.25,
    "rollout/length": 7.5,
    "learner/kl": 0.0125,
    "speed/tokens_per_s": 1234.0,
    "time/iteration_s": 2.5,
}
EVALUATED = {"eval/success": 0.5, "eval/success_low": 0.25, "eval/success_high": 0.75}


def shown(*, terminal: bool, is_main: bool = True, start: int = 0, interrupted: bool = False, width: int = 150) -> str:
    """All that is written in two iterations with an evaluation between them."""
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, force_interactive=terminal, width=width)
    progress = ShowProgress(console)
    config = TrainConfig(
        iterations=start + 2, evaluation=EvaluationConfig(split="generated_valid"), output_dir="runs/a"
    )
    state, control = TrainState(iteration=start), TrainControl()
    progress.on_train_begin(config, state, control, is_main=is_main)
    for _ in range(2):
        progress.on_log(config, state, control, is_main=is_main, logs=LOGS)
        state.iteration += 1
        progress.on_evaluate(
            config, state, control, is_main=is_main, metrics=EVALUATED, best=state.iteration == start + 1
        )
    progress.on_train_end(config, state, control, is_main=is_main, interrupted=interrupted)
    return output.getvalue()


def test_a_pipe_gets_plain_lines():
    figures = "25% solved, 7.5 turns, kl 0.0125, 1,234 tokens/s, 2.5 s"
    assert shown(terminal=False).splitlines() == [
        f"iteration 0: {figures}",
        "after 1 iteration 50.0 % of generated_valid (25.0 to 75.0), the best so far",
        f"iteration 1: {figures}",
        "after 2 iterations 50.0 % of generated_valid (25.0 to 75.0)",
        "Training episodes solved: 25% in the last iteration.",
        "The run is in runs/a. Measure it with: agent-gym eval --model runs/a/checkpoints/step_00000002 --split NAME; "
        "look at it with: agent-gym view runs/a",
    ]


def test_the_best_weights_are_named_if_there_are_any():
    output = io.StringIO()
    progress = ShowProgress(Console(file=output, width=150))
    state = TrainState(iteration=1, best_iteration=0, best_success=0.5)
    for interrupted in (False, True):
        progress.on_train_end(
            TrainConfig(output_dir="runs/a"), state, TrainControl(), is_main=True, interrupted=interrupted
        )
    first, second = output.getvalue().splitlines()
    assert "--model runs/a/checkpoints/best --split NAME" in first
    assert second.startswith("Stopped after 1 iteration;")


def test_a_terminal_gets_the_lines_of_a_pipe_above_a_bar_that_fits():
    text = shown(terminal=True, width=80)
    assert "\x1b[" in text
    seen = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "\n", text)  # each of the terminal's own commands ends a piece of a line
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text)
    for line in shown(terminal=False).splitlines():
        assert line in seen
    bars = [line for line in re.split(r"[\r\n]", plain) if "━" in line]
    assert re.fullmatch(r"━{20} 2/2 25% solved  \d+:\d\d left *", bars[-1])
    assert max(map(len, bars)) <= 80


def test_the_end_names_the_best_iteration_and_the_best_weights():
    output = io.StringIO()
    progress = ShowProgress(Console(file=output, width=80))
    config, control = TrainConfig(iterations=3, evaluation=EvaluationConfig(split="valid")), TrainControl()
    state = TrainState(best_iteration=2, best_success=0.625)
    progress.on_train_begin(config, state, control, is_main=True)
    for success in (0.25, 0.75, 0.5):
        progress.on_log(config, state, control, is_main=True, logs={"rollout/success": success})
        state.iteration += 1
    progress.on_train_end(config, state, control, is_main=True, interrupted=False)
    assert output.getvalue().splitlines()[3] == (
        "Training episodes solved: 50% in the last iteration, 75% in the best (iteration 1); "
        "of valid 62.5 % at best (after 2 iterations)."
    )


def test_a_finished_run_is_not_resumed():
    output = io.StringIO()
    progress = ShowProgress(Console(file=output, width=80, force_terminal=True))
    state, control = TrainState(iteration=60), TrainControl()
    progress.on_train_begin(TrainConfig(iterations=1), state, control, is_main=True)
    assert output.getvalue() == (
        "This run is finished: it has done 60 iterations, and 1 was asked for. To go on, give an --iterations above "
        "60.\n"
    )


def test_one_hears_how_a_run_goes_on():
    lines = shown(terminal=False, start=3, interrupted=True).splitlines()
    assert lines[0] == "Resuming at iteration 3 of 5."
    assert lines[-1].endswith("everything is saved. Go on with: agent-gym train --resume runs/a")


def test_only_the_first_rank_speaks():
    assert shown(terminal=False, is_main=False, interrupted=True) == ""
