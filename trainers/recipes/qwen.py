"""GiGPO's published experiments (Feng et al., 2025, arXiv 2505.10978): Qwen2.5 instruct models on ALFWorld and WebShop.

Recipes `alfworld-qwen-1.5b`, `alfworld-qwen-7b`, `webshop-qwen-1.5b` and `webshop-qwen-7b`; the same settings for any
number of GPUs, `agent-gym plan --recipe … --gpus N` says what else a machine needs. They play the published tasks, so
ALFWORLD_DATA or WEBSHOP_DATA must name them. Weights come from the hub, or from a directory that --model names.

Read in copies of the released scripts (`examples/gigpo_trainer` of verl-agent): 16 groups of 8; γ 0.95, ω 1; divided by
the standard deviation for ALFWorld and not for WebShop; rate 1e-6, constant; k3 with weight 0.01; 0.1 taken off for an
invalid answer where success pays 10; prompts of 2,048 and 4,096 tokens, answers of 512; mini-batches of 256 and 64
turns; 50 and 15 steps an episode; evaluation every 5 iterations at temperature 0.4 on 128 tasks; 150 iterations.
From memory, unchecked: temperature 1 in training, and WebShop's smaller shop of 1,000 products with synthetic goals.
Not as published: the prompt's wording is this project's, and so is the selection of the best weights, which looks at
`valid_train` or `valid` and never at what is to be reported.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainers.config import EnvConfig, EvaluationConfig, ModelConfig, RewardConfig, RolloutConfig, TrainConfig
from trainers.credit import Gigpo
from trainers.losses.ppo import PpoLoss
from trainers.scale.machine import Work
from trainers.settings import LearnerSettings, SamplerSettings

ANSWER_TOKENS = 512
LOGIT_CHUNK = 512
"""Of 152,000 logits each: 1 GiB, however long answers are. All of a micro-batch's would be 2 GiB with answers of 120
tokens and 6 with answers of 512; computing them again costs 0.4 % of the time of learning (`agent-gym plan` with and
without `--learner.logit-chunk None`, 1.5 B, one GPU)."""


def experiment(
    size: str, env: str, evaluated: str, *, prompt_tokens: int, minibatch: int, normalise: bool, **settings: Any
) -> TrainConfig:
    """One of the experiments.

    Args:
        size: Of the model, as its name has it.
        env: Id of the environment.
        evaluated: Split that chooses the best weights.
        prompt_tokens: Most tokens of a prompt.
        minibatch: Turns per optimiser step.
        normalise: Divide advantages by their standard deviation.
        **settings: Of the environment.
    """
    return TrainConfig(
        env=EnvConfig(
            id=env,
            split="train",
            context="step",
            num_envs=128,
            settings={"history": 2, "action_format": "tags", "require_think": True, **settings},
        ),
        model=ModelConfig(path=f"Qwen/Qwen2.5-{size}-Instruct"),
        rollout=RolloutConfig(groups=16, group_size=8, temperature=1.0, max_new_tokens=ANSWER_TOKENS),
        sampler=SamplerSettings(engine="vllm", context_limit=prompt_tokens + ANSWER_TOKENS),
        reward=RewardConfig(scale=10.0, invalid_penalty=0.1, penalise="format"),
        credit=Gigpo(gamma=0.95, step_weight=1.0, normalise=normalise),
        loss=PpoLoss(kl_weight=0.01, kl_estimator="k3"),
        learner=LearnerSettings(
            learning_rate=1e-6,
            minibatch_size=minibatch,
            logit_chunk=LOGIT_CHUNK,
            gradient_checkpointing=True,
            sharding="fsdp2",
        ),
        evaluation=EvaluationConfig(split=evaluated, tasks=128, every=5, temperature=0.4),
        iterations=150,
        output_dir=f"runs/{env.partition('/')[2].partition('-')[0].lower()}-qwen-{size.lower()}",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """A recipe whose model is there already."""

    CONFIG: TrainConfig
    WORK: Work

    def prepare(self, config: TrainConfig, env: Any, directory: Path, say: Callable[[str], None]) -> TrainConfig:
        """Return the configuration as it is."""
        return config


def _alfworld(size: str) -> Experiment:
    config = experiment(size, "AgentGym/ALFWorld-v0", "valid_train", prompt_tokens=2048, minibatch=256, normalise=True)
    return Experiment(CONFIG=config, WORK=Work(turns=25, longest=50, prompt_tokens=800, answer_tokens=120))


def _webshop(size: str) -> Experiment:
    config = experiment(
        size, "AgentGym/WebShop-v0", "valid", prompt_tokens=4096, minibatch=64, normalise=False, reward="success"
    )
    return Experiment(CONFIG=config, WORK=Work(turns=8, longest=15, prompt_tokens=1500, answer_tokens=120))


ALFWORLD_1_5B, ALFWORLD_7B = _alfworld("1.5B"), _alfworld("7B")
WEBSHOP_1_5B, WEBSHOP_7B = _webshop("1.5B"), _webshop("7B")
