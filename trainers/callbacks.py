"""Events of a training run, named as in transformers.

Example:
    class StopWhenSolved(TrainerCallback):
        def on_evaluate(self, config, state, control, metrics, **kwargs):
            control.should_training_stop = metrics["eval/success"] > 0.95

    Trainer(config, env=env, policy=policy, callbacks=[StopWhenSolved()]).train()
"""

from dataclasses import dataclass, field
from typing import Any

from trainers.config import TrainConfig


@dataclass(kw_only=True, slots=True)
class TrainState:
    """Where a run stands. It is saved in checkpoints, so everything in it must be JSON."""

    iteration: int = 0
    """Iterations that are done; also the number of the next one, and of the weights in hand."""
    episodes: int = 0
    """Episodes played for training so far."""
    generated_tokens: int = 0
    """Tokens sampled for training so far."""
    best_iteration: int | None = None
    """Weights with the highest success in evaluation."""
    best_success: float | None = None
    evaluation: dict[str, float] = field(default_factory=dict)
    """Metrics of the evaluation of the weights in hand, if they were evaluated."""


@dataclass(kw_only=True, slots=True)
class TrainControl:
    """What a callback may ask for, on any rank; each request is granted at the end of the iteration and taken back."""

    should_training_stop: bool = False
    should_evaluate: bool = False
    should_save: bool = False


class TrainerCallback:
    """Does nothing at each event; override what you need. New keywords may come, so take `**kwargs`.

    Every event gets the configuration, the state and the control, on every rank; files and terminals are rank 0's
    business (`kwargs["is_main"]`).
    """

    def on_train_begin(self, config: TrainConfig, state: TrainState, control: TrainControl, **kwargs: Any) -> None:
        """Before the first iteration, or the first after resuming."""

    def on_train_end(self, config: TrainConfig, state: TrainState, control: TrainControl, **kwargs: Any) -> None:
        """After the last iteration, or after an interrupt."""

    def on_step_begin(self, config: TrainConfig, state: TrainState, control: TrainControl, **kwargs: Any) -> None:
        """Before an iteration."""

    def on_rollout(self, config: TrainConfig, state: TrainState, control: TrainControl, **kwargs: Any) -> None:
        """Episodes have been played and credited: `credited`, a list of `trainers.assign.Credited`."""

    def on_step_end(self, config: TrainConfig, state: TrainState, control: TrainControl, **kwargs: Any) -> None:
        """After an iteration's update of the weights."""

    def on_log(self, config: TrainConfig, state: TrainState, control: TrainControl, **kwargs: Any) -> None:
        """Metrics have been written: `logs`."""

    def on_evaluate(self, config: TrainConfig, state: TrainState, control: TrainControl, **kwargs: Any) -> None:
        """The weights have been evaluated: `metrics`."""

    def on_save(self, config: TrainConfig, state: TrainState, control: TrainControl, **kwargs: Any) -> None:
        """A checkpoint has been written: `path`."""
