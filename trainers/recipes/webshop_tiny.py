"""A small language model from nothing that learns to shop in a generated catalogue, on one CPU core.

As `alfworld-tiny`: a tokenizer and a model of under two million weights are made from expert episodes, the model
imitates such episodes, then it learns from its own attempts with GiGPO. It is trained on the goals of `generated_train`
and the best weights are chosen on `generated_valid`; the goals of `generated_test` look for other products.

The reward is 1 for a purchase that is right in everything, else 0, as in GiGPO's experiments (there 10): a score for
the better half of a purchase would reward buying at once.

After imitation it buys rightly for 54 % of the goals of `generated_test`, after GiGPO for 56 %, in fewer steps
(docs/webshop.md, three seeds).

Products are called by their place among what was found, "Item 3" and not "B09QQP3356": such a model learns the codes of
a thousand products by heart before it learns to copy one.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainers.config import EnvConfig, EvaluationConfig, RewardConfig, RolloutConfig, TrainConfig
from trainers.credit import Gigpo
from trainers.losses.ppo import PpoLoss
from trainers.policies.tiny import TinySettings
from trainers.recipes.imitator import FROM_NOTHING, Imitator
from trainers.settings import LearnerSettings

CONFIG = TrainConfig(
    env=EnvConfig(
        id="AgentGym/WebShop-v0",
        split="generated_train",
        context="conversation",
        num_envs=128,
        settings={
            "action_format": "bare",
            "instructions": "",
            "reward": "success",
            "product_names": "place",
            "expert_steps": 5,
        },
    ),
    rollout=RolloutConfig(groups=16, group_size=8, max_new_tokens=40, max_turns=15),
    reward=RewardConfig(invalid_penalty=0.0),
    credit=Gigpo(),
    loss=PpoLoss(kl_weight=0.01),
    learner=LearnerSettings(learning_rate=3e-4, warmup_steps=3, betas=(0.9, 0.98), minibatches=4, schedule="linear"),
    evaluation=EvaluationConfig(split="generated_valid", tasks=128, every=10),
    iterations=30,
    output_dir="runs/webshop-tiny",
)

TINY = TinySettings(
    hidden_size=128,
    layers=3,
    heads=4,
    vocabulary=4500,
    context=4096,
    words=r" ?item \d+| ?\[sep\]| ?(?:click|search)\[| ?\d+| ?[a-z'-]+| ?[^\sa-z\d]|\s+",
    # Every page but the first begins with the instruction once more, and has buttons that are always there. Of a page
    # of results the model sees six products, and of each the first eight words.
    drop=(
        r"\[sep\] item \d*7 \[sep\].*\Z",
        r"item \d+ \[sep\] (?:\S+ ){8}\K[^\[]*(?=\[sep\])",
        r"\Ainstruction: \[sep\] .*? \[sep\] (?=back to search)",
        r"back to search \[sep\] |< prev \[sep\] |next > \[sep\] |rating: n\.a\. \[sep\] .*\Z",
        r"webshop \[sep\] instruction: \[sep\] | \[sep\] search\Z|\(total results: \d+\) \[sep\] ",
        r"thank you for shopping.*\Z",
        r"\[sep\] (?=\$|item \d+ \[sep\])|item \d+\K \[sep\]|(?<=\d)\.\d\d\b|,",
    ),
    bare_words=True,
    short_template=True,
)
VOCABULARY_EPISODES = 800
"""Expert episodes that the tokenizer is trained on."""
SFT = replace(FROM_NOTHING, rounds=8, batch_size=4)
"""More and smaller batches than a household needs: what is to be learnt is to copy words, and that comes late."""


def imitator() -> Imitator:
    """How this recipe's model begins."""
    return Imitator(tiny=TINY, vocabulary_episodes=VOCABULARY_EPISODES, sft=SFT)


def prepare(config: TrainConfig, env: Any, directory: Path, say: Callable[[str], None]) -> TrainConfig:
    """Make the model and let it imitate the expert, unless the configuration names a model."""
    return imitator().prepare(config, env, directory, say)
