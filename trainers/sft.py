"""Behaviour cloning: make a model say what an environment's expert says.

Demonstrations are played through the same rollout as everything else, so the model sees in them what it will see when
it plays. An expert that never errs teaches nothing about getting out of an error: `slips` makes the demonstrator say,
now and then, something it said before, and go on from there. Such a turn is seen but not imitated.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from agent_gym import SlotEnv
from agent_gym.errors import BadOptionError
from trainers.config import EnvConfig, EvaluationConfig, ModelConfig
from trainers.learner import Learner
from trainers.losses.ppo import PpoLoss
from trainers.policies.base import Codec, Request, Sampling
from trainers.policies.scripted import COMMAND_IN_TAGS, ExpertPolicy
from trainers.rollout import play, stream
from trainers.samples import Context, Sample, build_samples
from trainers.settings import LearnerSettings
from trainers.tasks import TaskOrder
from trainers.types import Completion, Group

ANSWER_FORMS = {
    "tags": COMMAND_IN_TAGS,
    "boxed": "\\boxed{{{command}}}",
    "json": '{{"name": "act", "arguments": {{"command": "{command}"}}}}',
    "bare": "{command}",
}
"""How an answer holds its command, by the environment's setting `action_format`."""


@dataclass(frozen=True, kw_only=True)
class SftConfig:
    """A run of behaviour cloning."""

    env: EnvConfig = field(default_factory=EnvConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    learner: LearnerSettings = field(default_factory=lambda: LearnerSettings(learning_rate=1e-5, schedule="cosine"))
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    episodes: int = 500
    """Demonstrations; those that do not solve their task are left out."""
    epochs: int = 3
    """Passes over them."""
    batch_size: int = 8
    """Samples per step of the weights: episodes in a conversation, turns in step context."""
    slips: float = 0.0
    """Chance that the demonstrator says something else than the expert. Such a turn is seen, but not imitated."""
    seed: int = 0
    """Of everything that is drawn."""
    output_dir: str = "runs/sft"
    """Directory for the model and the metrics."""

    def __post_init__(self) -> None:
        """Refuse what can't work.

        Raises:
            BadOptionError: If a number is out of range.
        """
        for name, value in (("episodes", self.episodes), ("epochs", self.epochs), ("batch_size", self.batch_size)):
            if value < 1:
                raise BadOptionError(f"{name} must be 1 or more, got {value}.")
        if not 0 <= self.slips < 1:
            raise BadOptionError(f"slips must be a probability below 1, got {self.slips}.")


class Demonstrator(ExpertPolicy):
    """Says what the environment's expert would do, and slips now and then.

    Args:
        codec: Of the model that is to learn.
        form: How an answer holds its `{command}`.
        slips: Chance of saying something that was said before instead.
    """

    def __init__(self, codec: Codec, *, form: str, slips: float = 0.0) -> None:
        super().__init__(codec, form=form)
        self._slips = slips
        self._said: dict[str, None] = {}
        self._slipped: list[Completion] = []

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Answer with the expert's command, or with a slip."""
        completions = []
        for request in requests:
            right = self.answer(request)
            rng = np.random.default_rng(request.seed)
            slip = bool(self._said) and rng.random() < self._slips
            said = list(self._said)[int(rng.integers(len(self._said)))] if slip else right
            self._said[right] = None
            ids = self.codec.encode_answer(said)
            completions.append(
                Completion(prompt_ids=request.prompt_ids, token_ids=ids, logprobs=(0.0,) * len(ids), finish="stop")
            )
            if said != right:
                self._slipped.append(completions[-1])
        return completions

    def weights(self, group: Group) -> list[NDArray[np.float64]]:
        """Return for each turn of a group that this played 1, or 0 for a slip; one array per episode."""
        slipped = {id(completion) for completion in self._slipped}
        return [
            np.array([float(id(turn.completion) not in slipped) for turn in episode.turns])
            for episode in group.episodes
        ]


def demonstrate(
    demonstrator: Demonstrator, env: SlotEnv, split: str, episodes: int, *, context: Context, seed: int
) -> list[Group]:
    """Play tasks of a split, each once, and return those that were solved.

    Raises:
        BadOptionError: If not one was solved.
    """
    tasks = TaskOrder(env.tasks(split), stream(seed, 1) % 2**31).take(0, episodes)
    groups, _ = play(demonstrator, env, tasks, group_size=1, sampling=Sampling(), context=context, seed=stream(seed, 2))
    solved = [group for group in groups if group.episodes[0].success]
    if not solved:
        errors = [group.episodes[0].error for group in groups if group.episodes[0].error]
        raise BadOptionError(
            f"expected demonstrations that solve their task, got none out of {episodes}"
            + (f"; the first error was {errors[0]}" if errors else "")
        )
    return solved


def imitate(
    model: nn.Module,
    samples: Sequence[Sample],
    settings: LearnerSettings,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
) -> None:
    """Raise the likelihood of demonstrated answers, in place; `on_epoch` gets number and metrics of each pass."""
    settings = replace(settings, epochs=1, minibatches=math.ceil(len(samples) / batch_size))
    learner = Learner(model, settings, PpoLoss(kl_weight=0.0), total_updates=epochs, seed=seed)
    for epoch in range(epochs):
        metrics = learner.supervised(samples)
        if on_epoch is not None:
            on_epoch(epoch, metrics)


def clone(
    model: nn.Module,
    codec: Codec,
    context_limit: int,
    env: SlotEnv,
    split: str,
    config: SftConfig,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
) -> int:
    """Collect demonstrations and imitate them; returns how many there were.

    Raises:
        BadOptionError: If the expert solves no task.
    """
    form = ANSWER_FORMS[str(config.env.settings.get("action_format", "tags"))]
    demonstrator = Demonstrator(codec, form=form, slips=config.slips)
    groups = demonstrate(demonstrator, env, split, config.episodes, context=config.env.context, seed=config.seed)
    samples = build_samples(groups, [demonstrator.weights(group) for group in groups], config.env.context)
    fitting = [sample for sample in samples if len(sample) <= context_limit]
    if not fitting:
        raise BadOptionError(
            f"expected demonstrations within the model's context of {context_limit} tokens, got none below "
            f"{min(map(len, samples))}: use a model with a longer context, or context 'step'."
        )
    imitate(
        model,
        fitting,
        config.learner,
        epochs=config.epochs,
        batch_size=config.batch_size,
        seed=config.seed,
        on_epoch=on_epoch,
    )
    return len(groups)
