"""TRL's GRPOTrainer at the same work, with its own means: `generate` of transformers, and environments as tools."""

import os
import warnings
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final

from agent_gym import SlotEnv, keys
from benchmarks.throughput_work import Clock, Messages, Sizes, score
from trainers.policies.load import load_model

NEVER: Final = "<never>"
"""An end of an answer that no model knows: its id lies behind the vocabulary, so answers get the length asked for."""
OVER: Final = "The episode is over."
AS_TOOLS: Final = (
    "{% set told = namespace(all=[]) %}{% for message in messages %}{% set called = namespace(text='') %}"
    "{% for call in message.tool_calls or [] %}"
    "{% set called.text = called.text ~ call.function.name ~ call.function.arguments %}{% endfor %}"
    "{% set told.all = told.all + [{'role': 'user' if message.role == 'tool' else message.role, "
    "'content': message.content ~ called.text}] %}{% endfor %}{% set messages = told.all %}"
)
"""Put in front of a chat template, it gives TRL what it asks of tools: what a tool says looks like a user's message."""


def single_turn(model: Path, prompts: Sequence[Messages], settings: Sizes, clock: Clock, output: Path) -> None:
    """Train on recorded prompts, answers scored by their text."""
    weights, tokenizer = load_model(model)
    tokenizer.add_tokens([NEVER], special_tokens=True)
    tokenizer.eos_token = NEVER
    weights.generation_config.eos_token_id = weights.config.eos_token_id = tokenizer.eos_token_id

    def reward(completions: list[Messages], **_: Any) -> list[float]:
        return [score(completion[0]["content"]) for completion in completions]

    trainer = _trainer(
        weights,
        tokenizer,
        settings,
        {"prompt": list(prompts)},
        output,
        reward_funcs=[reward],
        max_completion_length=settings.max_new_tokens,
    )
    _run(trainer, clock)


def conversations(
    model: Path, slots: SlotEnv, tasks: Sequence[str], settings: Sizes, clock: Clock, output: Path
) -> None:
    """Train on conversations with an environment, through TRL's `environment_factory`.

    An answer is a call of the tool `act` with the whole answer as its argument. TRL ends a conversation when an answer
    calls no tool, so of an episode that is over it asks for one answer more; that is counted as wasted.
    """
    weights, tokenizer = load_model(model)
    tokenizer.chat_template = AS_TOOLS + str(tokenizer.chat_template)
    numbers = count()

    class Household:
        """One environment; TRL resets it for every episode."""

        def __init__(self) -> None:
            self._slot = next(numbers)
            self._turns, self._reward = 0, 0.0

        def reset(self, task: str, **_: Any) -> str:
            [frame] = slots.start([self._slot], [task], [0])
            self._turns, self._reward = 0, 0.0
            [message] = frame.info[keys.MESSAGES]
            return str(message["content"])

        def act(self, command: str) -> str:
            """Do something.

            Args:
                command: What to do.

            Returns:
                What happens.
            """
            [frame] = slots.step([self._slot], [command])
            self._turns += 1
            self._reward += frame.reward
            if frame.terminated or frame.truncated or self._turns == settings.max_turns:
                return OVER
            [message] = frame.info[keys.MESSAGES]
            return str(message["content"])

        def get_reward(self) -> float:
            return self._reward

    over = tokenizer.encode(OVER, add_special_tokens=False)
    told = tokenizer.decode(over)  # what this tokenizer leaves of it
    tail = len(over) + 8  # the end of the message and the beginning of the answer stand behind it

    def parse_response(ids: list[int], prefix: list[int], **_: Any) -> dict[str, Any]:
        text = tokenizer.decode(ids, skip_special_tokens=True)
        said: dict[str, Any] = {"role": "assistant", "content": text}
        if told in tokenizer.decode(prefix[-tail:]):
            clock.counts["wasted"] += len(ids)
            return said
        call = {"type": "function", "function": {"name": "act", "arguments": {"command": text}}}
        return said | {"content": "", "tool_calls": [call]}

    tokenizer.response_template = {}  # what TRL looks for; the parser itself is the one above
    tokenizer.parse_response = parse_response  # type: ignore[method-assign, assignment]  # a hook that TRL calls
    start: Messages = [{"role": "user", "content": ""}]
    trainer = _trainer(
        weights,
        tokenizer,
        settings,
        {"prompt": [start] * len(tasks), "task": list(tasks)},
        output,
        environment_factory=Household,
        max_completion_length=1900,
        generation_kwargs={"max_new_tokens": settings.max_new_tokens},
    )
    _run(trainer, clock)


def _trainer(weights: Any, tokenizer: Any, settings: Sizes, table: dict[str, Any], output: Path, **given: Any) -> Any:
    """Make the trainer; what would slow it down here (recomputation, bfloat16) is off."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    batch = settings.groups * settings.group_size
    rows = min(settings.rows, batch)
    mine = {name: given.pop(name) for name in ("max_completion_length", "generation_kwargs") if name in given}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = GRPOConfig(
            output_dir=str(output),
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            per_device_train_batch_size=rows,
            gradient_accumulation_steps=batch // rows,
            num_generations=settings.group_size,
            beta=settings.kl_weight,
            loss_type="dapo",  # the mean over tokens, as ours
            learning_rate=settings.learning_rate,
            lr_scheduler_type="constant",
            max_steps=settings.iterations,
            shuffle_dataset=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            logging_steps=1,
            **mine,
        )
        return GRPOTrainer(
            model=weights, args=config, train_dataset=Dataset.from_dict(table), processing_class=tokenizer, **given
        )


def _run(trainer: Any, clock: Clock) -> None:
    """Train, taking the time of what TRL calls for a batch of answers, and counting tokens in what it learns from."""
    from transformers import PrinterCallback, TrainerCallback

    generate: Callable[..., Any] = trainer._generate_single_turn
    play: Callable[..., Any] = trainer._generate_and_score_completions

    def metered_generate(prompts: list[list[int]], *args: Any, **kwargs: Any) -> Any:
        with clock.part("generation"):
            made = generate(prompts, *args, **kwargs)
        clock.counts["generated"] += len(prompts) * (max(map(len, prompts)) + max(map(len, made[0])))
        return made

    def metered_play(inputs: Any) -> Any:
        batch = play(inputs)
        prompts, answers = batch["prompt_mask"], batch["completion_mask"]
        sampled = int((answers * batch.get("tool_mask", 1)).sum())
        everything = int(prompts.sum() + answers.sum())
        clock.counts["read"] += everything - sampled
        clock.counts["sampled"] += sampled - clock.counts["wasted"]
        clock.counts["learnt"] += everything
        clock.counts["padding"] += prompts.numel() + answers.numel()
        return batch

    class Meter(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            clock.begin()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.end()

    trainer._generate_single_turn = metered_generate
    trainer._generate_and_score_completions = metered_play
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Meter())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.train()
