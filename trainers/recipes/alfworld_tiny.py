"""A small language model from nothing that learns generated ALFWorld households, on one CPU core.

First a tokenizer is trained on what expert episodes say and a model of under a million weights is made for it, then it
imitates such episodes, then it learns from its own attempts with GiGPO. Answers are bare commands and there are no
instructions: a model that has never seen a language learns the commands from the demonstrations.

`alfworld-tiny` takes about fifteen minutes of one core, `alfworld-long` about forty-five: four times the demonstrations
and iterations. docs/evidence.md has what comes of them.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainers.config import (
    EnvConfig,
    EvaluationConfig,
    ModelConfig,
    RewardConfig,
    RolloutConfig,
    TrainConfig,
)
from trainers.credit import Gigpo
from trainers.losses.ppo import PpoLoss
from trainers.policies.hf import HfPolicy
from trainers.policies.load import load_model
from trainers.policies.scripted import ByteCodec
from trainers.policies.tiny import TinySettings, build_tiny
from trainers.settings import LearnerSettings
from trainers.sft import Cloner, Demonstrator, SftConfig, demonstrate
from trainers.tasks import TaskOrder

CONFIG = TrainConfig(
    env=EnvConfig(
        id="AgentGym/ALFWorld-v0",
        split="generated_train",
        context="conversation",
        num_envs=128,
        settings={"action_format": "bare", "instructions": ""},
    ),
    rollout=RolloutConfig(groups=16, group_size=8, max_new_tokens=16, max_turns=30),
    # A small model says much that is not understood. In a group without success a penalty for it is all that differs,
    # and normalised it weighs as much as success elsewhere: the model learns to do harmless things.
    reward=RewardConfig(invalid_penalty=0.0),
    credit=Gigpo(),
    loss=PpoLoss(kl_weight=0.01),
    learner=LearnerSettings(learning_rate=3e-4, warmup_steps=3, betas=(0.9, 0.98), minibatches=4, schedule="linear"),
    evaluation=EvaluationConfig(split="generated_valid", tasks=128, every=10),
    iterations=40,
    output_dir="runs/alfworld-tiny",
)

TINY = TinySettings(
    hidden_size=128,
    layers=3,
    heads=4,
    vocabulary=4000,
    # "mug 2" is one word; articles, commas, the greeting and the numbers of places say nothing.
    words=r" ?[a-z]+ \d+| ?[a-z/]+| ?\d+| ?[^\sa-z\d]+|\s+",
    drop=(r"-= [^=]*=-\s*", r"you arrive at loc \d+\.\s*", r",|\b(an?|the) "),
    short_template=True,
)
VOCABULARY_EPISODES = 400
"""Expert episodes that the tokenizer is trained on."""
SFT = SftConfig(
    learner=LearnerSettings(
        optimiser="muon",
        learning_rate=5e-3,
        schedule="linear",
        warmup_steps=50,
        betas=(0.9, 0.98),
        precision="bfloat16",
    ),
    episodes=1000,
    rounds=8,
    epochs=1,
    batch_size=8,
    observation_weight=0.2,
    slips=0.2,
)


def numbered_things(texts: Iterable[str]) -> list[str]:
    """Every kind of thing with all numbers up to the largest that was seen, so that each becomes one word."""
    largest: dict[str, int] = {}
    for text in texts:
        for kind, number in re.findall(r"\b([a-z]+) (\d+)", text):
            largest[kind] = max(largest.get(kind, 0), int(number))
    largest.pop("loc", None)
    return [f" {kind} {number}" for kind in sorted(largest) for number in range(1, largest[kind] + 1)]


def prepare(config: TrainConfig, env: Any, directory: Path, say: Callable[[str], None]) -> TrainConfig:
    """Make the model and let it imitate the expert, unless the configuration names a model."""
    if config.model.path:
        return config
    warm = directory / "warm_start"
    if not (warm / "config.json").is_file():
        make_warm_start(config, env, warm, say, SFT)
    return replace(config, model=ModelConfig(path=str(warm)))


def make_warm_start(config: TrainConfig, env: Any, directory: Path, say: Callable[[str], None], sft: SftConfig) -> None:
    """Save a small model that has imitated the expert, as an ordinary model directory.

    Interrupted, it goes on after the last round of imitation that was done.
    """
    texts = demonstrate(
        Demonstrator(ByteCodec(), form="{command}"),
        env.slots,
        TaskOrder(env.slots.tasks(config.env.split), config.seed).take(0, VOCABULARY_EPISODES),
        context=config.env.context,
        seed=config.seed,
    )
    turns = [turn for group in texts for turn in group.episodes[0].turns]
    lines = [text for turn in turns for text in (*(m["content"] for m in turn.messages), turn.answer)]
    fresh = directory.with_name(directory.name + "_untrained")
    build_tiny(fresh, [*lines, *numbered_things(lines)], replace(TINY, seed=config.seed))
    model, tokenizer = load_model(fresh)
    policy = HfPolicy(model, tokenizer)
    weights = sum(parameter.numel() for parameter in model.parameters())
    say(
        f"Made a model of {weights:,} weights with {len(tokenizer)} words; it imitates {sft.rounds} times "
        f"{sft.episodes} episodes."
    )

    def tell(round_: int, _: int, metrics: dict[str, float]) -> None:
        say(f"imitation {round_ + 1} of {sft.rounds}: {metrics['loss']:.3f} nats a token")

    cloner = Cloner(
        model,
        tokenizer,
        policy.codec,
        policy.context_limit,
        env.slots,
        config.env.split,
        replace(sft, env=config.env, seed=config.seed),
        directory=directory.with_name(directory.name + "_checkpoints"),
    )
    cloner.run(tell)
    partial = directory.with_name(directory.name + "_partial")
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    partial.rename(directory)
