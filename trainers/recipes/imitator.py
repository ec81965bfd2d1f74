"""A small model from nothing that has imitated an environment's expert: where recipes for one CPU core begin."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trainers.config import ModelConfig, TrainConfig
from trainers.policies.hf import HfPolicy
from trainers.policies.load import load_model
from trainers.policies.scripted import ByteCodec
from trainers.policies.tiny import TinySettings, build_tiny
from trainers.settings import LearnerSettings
from trainers.sft import Cloner, Demonstrator, SftConfig, demonstrate
from trainers.tasks import TaskOrder

FROM_NOTHING = SftConfig(
    learner=LearnerSettings(
        optimiser="muon",
        learning_rate=5e-3,
        schedule="linear",
        warmup_steps=50,
        betas=(0.9, 0.98),
    ),
    episodes=1000,
    rounds=8,
    epochs=1,
    batch_size=8,
    observation_weight=0.2,
)
"""How a model that has never seen a language imitates: new demonstrations in every round, and what the environment says
is learnt, too. docs/evidence.md has what each of these is worth."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Imitator:
    """How such a model is made."""

    tiny: TinySettings
    """Size and vocabulary."""
    vocabulary_episodes: int
    """Expert episodes that the tokenizer is trained on."""
    sft: SftConfig
    """How it imitates; environment and seed are those of the run."""
    more_words: Callable[[Iterable[str]], list[str]] = lambda _: []
    """Takes what the episodes say, and returns words that should be in the vocabulary as well."""

    def prepare(self, config: TrainConfig, env: Any, directory: Path, say: Callable[[str], None]) -> TrainConfig:
        """Return the configuration with a model in it, made in `directory` unless it names one or one is there."""
        if config.model.path:
            return config
        warm = directory / "warm_start"
        if not (warm / "config.json").is_file():
            self.make(config, env, warm, say)
        return replace(config, model=ModelConfig(path=str(warm)))

    def make(self, config: TrainConfig, env: Any, directory: Path, say: Callable[[str], None]) -> None:
        """Save a small model that has imitated the expert, as an ordinary model directory.

        Interrupted, it goes on after the last round of imitation that was done.
        """
        texts = demonstrate(
            Demonstrator(ByteCodec(), form="{command}"),
            env.slots,
            TaskOrder(env.slots.tasks(config.env.split), config.seed).take(0, self.vocabulary_episodes),
            context=config.env.context,
            seed=config.seed,
        )
        turns = [turn for group in texts for turn in group.episodes[0].turns]
        lines = [text for turn in turns for text in (*(m["content"] for m in turn.messages), turn.answer)]
        fresh = directory.with_name(directory.name + "_untrained")
        build_tiny(fresh, [*lines, *self.more_words(lines)], replace(self.tiny, seed=config.seed))
        model, tokenizer = load_model(fresh)
        policy = HfPolicy(model, tokenizer)
        weights = sum(parameter.numel() for parameter in model.parameters())
        say(
            f"Made a model of {weights:,} weights with {len(tokenizer)} words; it imitates {self.sft.rounds} times "
            f"{self.sft.episodes} episodes."
        )

        def tell(round_: int, _: int, metrics: dict[str, float]) -> None:
            say(f"imitation {round_ + 1} of {self.sft.rounds}: {metrics['loss']:.3f} nats a token")

        cloner = Cloner(
            model,
            tokenizer,
            policy.codec,
            policy.context_limit,
            env.slots,
            config.env.split,
            replace(self.sft, env=config.env, seed=config.seed),
            directory=directory.with_name(directory.name + "_checkpoints"),
        )
        cloner.run(tell)
        partial = directory.with_name(directory.name + "_partial")
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        partial.rename(directory)
