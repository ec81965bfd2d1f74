"""Behaviour cloning: make a model say what an environment's expert says.

Demonstrations are played through the same rollout as everything else, so the model sees in them what it will see when
it plays. An expert that never errs teaches nothing about getting out of an error: `slips` makes the demonstrator say,
now and then, something it said before, and go on from there. Such a turn is seen but not imitated.

The loop goes in rounds: play demonstrations of tasks that were not shown yet, learn from them, save. Where the expert
costs little, many rounds of one pass each are better than many passes over the same episodes, which a model learns by
heart.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent_gym import SlotEnv
from agent_gym.errors import BadOptionError
from trainers.checkpoint import State, load_latest, load_weights, save
from trainers.config import EnvConfig, EvaluationConfig, ModelConfig
from trainers.learner import Learner
from trainers.losses.ppo import PpoLoss
from trainers.policies.base import Codec, Request, Sampling
from trainers.policies.scripted import ANSWER_FORMS, ExpertPolicy
from trainers.rollout import play
from trainers.samples import Context, Sample, build_samples
from trainers.settings import LearnerSettings
from trainers.streams import stream
from trainers.tasks import TaskOrder
from trainers.types import Completion, Group


@dataclass(frozen=True, kw_only=True)
class SftConfig:
    """A run of behaviour cloning."""

    env: EnvConfig = field(default_factory=EnvConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    learner: LearnerSettings = field(default_factory=lambda: LearnerSettings(learning_rate=1e-5, schedule="cosine"))
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    episodes: int = 500
    """Demonstrations in a round; those that do not solve their task are left out."""
    rounds: int = 1
    """Times that new demonstrations are played, each of another task, and learnt from."""
    epochs: int = 3
    """Passes over a round's demonstrations."""
    batch_size: int = 8
    """Samples per step of the weights: episodes in a conversation, turns in step context."""
    observation_weight: float = 0.0
    """Weight of predicting what the environment says, where a demonstrated token counts 1. A model from nothing learns
    to read by it; one that can read does not need it."""
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
        for name in ("episodes", "rounds", "epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise BadOptionError(f"{name} must be 1 or more, got {getattr(self, name)}.")
        if not (math.isfinite(self.observation_weight) and self.observation_weight >= 0):
            raise BadOptionError(f"observation_weight must be 0 or more, got {self.observation_weight}.")
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
    demonstrator: Demonstrator, env: SlotEnv, tasks: Sequence[str], *, context: Context, seed: int
) -> list[Group]:
    """Play each task once, and return those that were solved.

    Raises:
        BadOptionError: If not one was solved.
    """
    groups, _ = play(demonstrator, env, tasks, group_size=1, sampling=Sampling(), context=context, seed=seed)
    solved = [group for group in groups if group.episodes[0].success]
    if not solved:
        errors = [group.episodes[0].error for group in groups if group.episodes[0].error]
        raise BadOptionError(
            f"expected demonstrations that solve their task, got none out of {len(tasks)}"
            + (f"; the first error was {errors[0]}" if errors else "")
        )
    return solved


def read_too(sample: Sample, weight: float) -> Sample:
    """Let a sample teach what the environment says as well, each token with this weight; slips keep the weight 0."""
    everything = np.ones_like(sample.action_mask)
    everything[0] = False  # nothing comes before it to predict it from
    weights = np.where(sample.action_mask, sample.advantages, np.float32(weight))
    return replace(sample, action_mask=everything, advantages=weights.astype(np.float32))


_AT_ONCE = 500
"""Episodes that are held as such before they become tokens, which take far less memory."""


class Cloner:
    """Lets a model imitate an environment's expert, round by round.

    Args:
        model: Learns, in place.
        tokenizer: Saved with the model, or None.
        codec: The model's.
        context_limit: Most tokens of a demonstration; longer ones are left out.
        env: Environments with an expert, in this process.
        split: Tasks to demonstrate.
        config: Everything else.
        directory: Where a checkpoint is written after each round, and looked for at the start; None for no checkpoints.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        codec: Codec,
        context_limit: int,
        env: SlotEnv,
        split: str,
        config: SftConfig,
        *,
        directory: Path | None = None,
    ) -> None:
        self.config, self.model, self.tokenizer, self.directory = config, model, tokenizer, directory
        self._codec, self._context_limit, self._env = codec, context_limit, env
        self._order = TaskOrder(env.tasks(split), stream(config.seed, 1) % 2**31)
        self.round = 0
        self.shown = 0
        self._learner: Learner | None = None
        if directory is not None:
            self._resume(directory)

    def run(self, on_epoch: Callable[[int, int, dict[str, float]], None] | None = None) -> int:
        """Imitate, and return how many demonstrations there were.

        Args:
            on_epoch: Is told the round, the pass over its demonstrations, and the learner's metrics.

        Raises:
            BadOptionError: If the expert solves no task, or no demonstration fits into the context.
        """
        while self.round < self.config.rounds:
            samples = self._samples()
            if self._learner is None:
                self._learner = self._make_learner(math.ceil(len(samples) / self.config.batch_size))
            for epoch in range(self.config.epochs):
                metrics = self._learner.supervised(samples)
                if on_epoch is not None:
                    on_epoch(self.round, epoch, metrics)
            self.round += 1
            self._save(self._learner)
        return self.shown

    def _samples(self) -> list[Sample]:
        """Demonstrations of this round as tokens."""
        config = self.config
        tasks = self._order.take(self.round * config.episodes, config.episodes)
        form = ANSWER_FORMS[str(config.env.settings.get("action_format", "tags"))]
        samples: list[Sample] = []
        shortest = 1 << 62
        for first in range(0, len(tasks), _AT_ONCE):
            demonstrator = Demonstrator(self._codec, form=form, slips=config.slips)
            groups = demonstrate(
                demonstrator,
                self._env,
                tasks[first : first + _AT_ONCE],
                context=config.env.context,
                seed=stream(config.seed, 2, self.round, first),
            )
            self.shown += len(groups)
            weights = [demonstrator.weights(group) for group in groups]
            new = build_samples(groups, weights, config.env.context, first_group=first)
            shortest = min(shortest, *map(len, new))
            samples += [sample for sample in new if len(sample) <= self._context_limit]
        if not samples:
            raise BadOptionError(
                f"expected demonstrations within the model's context of {self._context_limit} tokens, got none below "
                f"{shortest}: use a model with a longer context, or context 'step'."
            )
        if config.observation_weight:
            samples = [read_too(sample, config.observation_weight) for sample in samples]
        return samples

    def _make_learner(self, minibatches: int) -> Learner:
        settings = replace(self.config.learner, epochs=1, minibatches=minibatches, minibatch_size=None)
        return Learner(
            self.model,
            settings,
            PpoLoss(kl_weight=0.0),
            total_updates=self.config.rounds * self.config.epochs,
            seed=self.config.seed,
        )

    def _fingerprint(self) -> dict[str, Any]:
        """What must be the same for an interrupted imitation to go on, as JSON has it."""
        config = asdict(self.config)
        del config["output_dir"], config["evaluation"]
        found: dict[str, Any] = json.loads(json.dumps(config))
        return found

    def _save(self, learner: Learner) -> None:
        if self.directory is None:
            return
        state = learner.state()
        values = {
            "learner": state.values,
            "minibatches": learner.settings.minibatches,
            "round": self.round,
            "shown": self.shown,
            "config": self._fingerprint(),
        }
        save(
            self.directory,
            self.round,
            State(tensors=state.tensors, values=values),
            model=self.model,
            tokenizer=self.tokenizer,
            keep=1,
        )

    def _resume(self, directory: Path) -> None:
        checkpoint = load_latest(directory)
        if checkpoint is None:
            return
        values = checkpoint.state.values
        now = self._fingerprint()
        changed = sorted(name for name in now if now[name] != values["config"].get(name))
        if changed:
            raise BadOptionError(
                f"{str(directory.parent)!r} holds an imitation that was begun with other settings "
                f"({', '.join(changed)}): repeat the same command to go on, or name another output directory."
            )
        load_weights(self.model, checkpoint.path)
        self._learner = self._make_learner(values["minibatches"])
        self._learner.load_state(State(tensors=checkpoint.state.tensors, values=values["learner"]))
        self.round, self.shown = values["round"], values["shown"]
