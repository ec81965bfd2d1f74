"""The verbs `train`, `eval` and `sft` of the command line, apart from it so that `agent-gym --help` need not load them.

Environments with prompts are made of wrappers, which trainers do not know; the command line hands in a function that
makes them.
"""

import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from agent_gym.errors import BadOptionError, DataNotFoundError
from trainers.config import EnvConfig, ModelConfig, TrainConfig, choices_help, load_config, take_choices, to_toml

MakeEnvs = Callable[[EnvConfig], Any]
"""Makes the environments of a configuration, wrapped for a model, as a `TextVectorEnv`."""

INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a model in an environment with group-based reinforcement learning.

    Settings come from a recipe or a TOML file, and each can be overridden: --credit.gamma 0.9.
    """

    file: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="FILE.toml")] = None
    """Configuration to start from."""
    recipe: str | None = None
    """Named recipe to start from, such as alfworld-tiny."""
    resume: Annotated[str | None, tyro.conf.arg(metavar="RUN")] = None
    """Directory of a run to go on with, exactly where it stopped."""
    dry_run: bool = False
    """Show the resolved configuration and an estimate of tokens and time; train nothing."""
    config: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)

    def run(self, console: Console, make_envs: MakeEnvs) -> int:
        """Train."""
        from trainers.recipes import load_recipe

        config = self.config
        directory = Path(config.output_dir)
        if not config.env.id:
            raise BadOptionError("--env must name an environment, such as AgentGym/ALFWorld-v0 (or give a --recipe).")
        if self.dry_run and self.recipe is not None and not config.model.path:
            console.print(to_toml(config), highlight=False, markup=False, soft_wrap=True)
            console.print(
                f"No estimate: the recipe {self.recipe} makes its model before it trains. Name one with --model."
            )
            return 0
        _be_quiet()
        env = make_envs(config.env)
        if self.recipe is not None:
            config = _prepare(load_recipe(self.recipe), config, env, directory, console)
        if not config.model.path:
            raise BadOptionError("--model must name a model: a directory, or the id of one on the hub.")
        from trainers.progress import ShowProgress
        from trainers.train import Trainer

        policy = load_policy(config.model, trained=True)
        if self.dry_run:
            return _estimate(config, env, policy, console)
        callbacks = [ShowProgress(console)]
        trainer = Trainer(config, env=env, policy=policy, callbacks=callbacks, resume=self.resume is not None)
        trainer.train()
        env.close()
        return INTERRUPTED if trainer.interrupted else 0


@dataclass(frozen=True, kw_only=True)
class Eval:
    """Evaluate a model: every task of a split, with a 95 % interval and per task type. Or compare two evaluations."""

    env: EnvConfig = field(default_factory=EnvConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    split: str = ""
    """Split to evaluate on."""
    tasks: int | None = None
    """Tasks, evenly spaced over the split's list; by default all of them."""
    samples: int = 1
    """Episodes per task; with more than one, give a temperature."""
    temperature: float = 0.0
    """Of sampling; 0 takes the most likely token."""
    max_new_tokens: int | None = None
    """Limit on an answer's tokens; by default as in the model's run, else 512."""
    seed: int = 0
    """Of sampling."""
    output_dir: str | None = None
    """Directory for summary.json; by default eval/SPLIT in the model's run, or runs/eval/SPLIT."""
    compare: Annotated[tuple[str, str] | None, tyro.conf.arg(metavar="A B")] = None
    """Two evaluations to compare instead: their directories or summaries. Prints how much better B is, task by task."""

    def run(self, console: Console, make_envs: MakeEnvs) -> int:
        """Evaluate, or compare."""
        from trainers.evaluate import SUMMARY, compare, evaluate, hash_model, read_summary, summarise, summary
        from trainers.evaluate_report import comparison_table, result_table
        from trainers.metrics import episode_lines
        from trainers.run_files import written_whole
        from trainers.tables import show_table

        if self.compare is not None:
            show_table(console, comparison_table(compare(*(read_summary(path) for path in self.compare))))
            return 0
        run, trained = find_run(self.model.path)
        env_config = self._env(trained)
        if not self.model.path or not self.split:
            raise BadOptionError("--model and --split must say what to evaluate, and on which tasks.")
        from trainers.policies.base import Sampling
        from trainers.tasks import spread

        _be_quiet()
        env = make_envs(env_config)
        tasks = spread(env.slots.tasks(self.split), self.tasks)
        seen = self._seen(trained)
        if seen:
            console.print(f"Note: {seen}.", style="yellow", highlight=False, soft_wrap=True)
        limit = self.max_new_tokens or (trained.rollout.max_new_tokens if trained else 512)
        policy = load_policy(self.model, trained=False)
        groups, stats = evaluate(
            policy,
            env.slots,
            tasks,
            context=env_config.context,
            sampling=Sampling(temperature=self.temperature, max_new_tokens=limit),
            samples=self.samples,
            seed=self.seed,
        )
        env.close()
        result = summarise(groups)
        about = {
            "env": {"id": env_config.id, "context": env_config.context, **env_config.settings},
            "split": self.split,
            "model": {"name": Path(self.model.path).name, "sha256": hash_model(self.model.path)},
            "sampling": {
                "temperature": self.temperature,
                "max_new_tokens": limit,
                "samples": self.samples,
                "seed": self.seed,
            },
            "note": seen,
        }
        directory = Path(self.output_dir) if self.output_dir else (run or Path("runs")) / "eval" / self.split
        with written_whole(directory / SUMMARY) as file:
            json.dump(summary(result, about), file, indent=1)
        with written_whole(directory / "episodes.jsonl") as file:
            file.writelines(json.dumps(line) + "\n" for line in episode_lines(0, [_uncredited(one) for one in groups]))
        show_table(console, result_table(f"{self.model.path} on {self.split}", result))
        speed = stats.generated_tokens / max(stats.generation_s, 1e-9)
        console.print(f"{speed:,.0f} tokens/s sampled; written to {directory}", highlight=False, soft_wrap=True)
        return 0

    def _env(self, trained: TrainConfig | None) -> EnvConfig:
        """The environment asked for; what is not said is as the model was trained."""
        given = self.env
        if trained is not None:
            same = trained.env.id if not given.id else given.id
            settings = trained.env.settings | given.settings
            given = replace(given, id=same, settings=settings, context=trained.env.context)
        if not given.id:
            raise BadOptionError("--env must name an environment, such as AgentGym/ALFWorld-v0.")
        return given

    def _seen(self, trained: TrainConfig | None) -> str:
        """Say it if the split had a part in making the model; such a result is not to be reported."""
        if trained is None:
            return ""
        if self.split == trained.env.split:
            return f"the model was trained on {self.split}"
        if self.split == trained.evaluation.split:
            return f"the checkpoint was chosen by its success on {self.split}; report another split"
        return ""


@dataclass(frozen=True, kw_only=True)
class Sft:
    """Let a model imitate the environment's expert (behaviour cloning)."""

    config: Annotated[Any, tyro.conf.arg(name="")] = None

    def run(self, console: Console, make_envs: MakeEnvs) -> int:
        """Collect demonstrations, imitate them, save the model."""
        from trainers.metrics import RunLog
        from trainers.sft import SftConfig, clone

        config: SftConfig = self.config
        if not config.env.id or not config.model.path:
            raise BadOptionError("--env and --model must say what to imitate, and with which model.")
        directory = Path(config.output_dir)
        if (directory / "model").exists():
            raise BadOptionError(f"{str(directory)!r} holds a model already: name another --output-dir.")
        _be_quiet()
        env = make_envs(config.env)
        policy = load_policy(config.model, trained=True)
        log = RunLog(directory)

        def tell(epoch: int, metrics: dict[str, float]) -> None:
            log.log(epoch, {f"sft/{name}": value for name, value in metrics.items()})
            console.print(f"pass {epoch + 1} of {config.epochs}: {metrics['loss']:.4f} nats a token", highlight=False)

        split = config.env.split or str(env.envs[0].unwrapped.split)
        shown = clone(policy.model, policy.codec, policy.context_limit, env.slots, split, config, tell)
        partial = directory / ".model"
        policy.model.save_pretrained(str(partial))
        policy.tokenizer.save_pretrained(str(partial))
        partial.rename(directory / "model")
        env.close()
        console.print(f"Imitated {shown} episodes; the model is in {directory / 'model'}", highlight=False)
        return 0


# What the verbs share -------------------------------------------------------------------------------------------------


def parse_train(words: list[str]) -> Train:
    """Read the words after `train`; a file, a recipe or a run to resume is what the other words change."""
    from trainers.recipes import load_recipe

    base = TrainConfig()
    file = words[0] if words and not words[0].startswith("-") and ":" not in words[0] else None
    recipe, resume = _value_of(words, "--recipe"), _value_of(words, "--resume")
    if recipe is not None:
        base = load_recipe(recipe).CONFIG
    if file is not None:
        base = load_config(file, base)
    if resume is not None:
        saved = Path(resume) / "config.toml"
        if saved.is_file():
            base = load_config(saved)
        elif recipe is None and file is None:
            raise DataNotFoundError(f"expected a run to go on with, got {resume!r}, which has no config.toml.")
        base = replace(base, output_dir=resume)
    words, base = take_choices(words, base)
    return tyro.cli(
        Train,
        prog="agent-gym train",
        description=f"{Train.__doc__}\n\n{choices_help()}",
        args=words,
        default=Train(file=file, recipe=recipe, resume=resume, config=base),
        # Without it tyro would have a subcommand for each kind, in a fixed order and with the options between them.
        config=(tyro.conf.AvoidSubcommands,),
    )


def parse_eval(words: list[str]) -> Eval:
    """Read the words after `eval`."""
    return tyro.cli(Eval, prog="agent-gym eval", args=words)


def parse_sft(words: list[str]) -> Sft:
    """Read the words after `sft`."""
    from trainers.sft import SftConfig

    return Sft(config=tyro.cli(SftConfig, prog="agent-gym sft", args=words, description=Sft.__doc__))


def _value_of(words: list[str], flag: str) -> str | None:
    """Return the word after a flag, or behind its equals sign."""
    for place, word in enumerate(words):
        if word == flag and place + 1 < len(words):
            return words[place + 1]
        if word.startswith(flag + "="):
            return word.partition("=")[2]
    return None


def _prepare(recipe: Any, config: TrainConfig, env: Any, directory: Path, console: Console) -> TrainConfig:
    """Let a recipe make what it needs; under `torchrun` rank 0 does, and the others take what it made."""
    from trainers.parallel import Ranks, limit_threads

    def say(line: str) -> None:
        console.print(line, highlight=False, soft_wrap=True)

    limit_threads()
    ranks = Ranks.from_environment()
    if not ranks.is_main:
        ranks.wait()
    ready: TrainConfig = recipe.prepare(config, env, directory, say)
    if ranks.is_main:
        ranks.wait()
    return ready


def load_policy(config: ModelConfig, *, trained: bool) -> Any:
    """Load a model as a policy.

    Weights that are all trained are float32, since small steps are lost to rounding in bfloat16; an adapter's base may
    be shorter.

    Raises:
        ModelError: If the model is not what it should be.
    """
    import torch

    from trainers.policies.hf import HfPolicy
    from trainers.policies.load import LoraSettings, load_model

    lora = None
    if trained and config.lora_rank:
        targets: Any = "all-linear" if config.lora_targets == ("all-linear",) else config.lora_targets
        lora = LoraSettings(rank=config.lora_rank, alpha=config.lora_alpha, targets=targets)
    model, tokenizer = load_model(
        config.path,
        lora=lora,
        device=None if config.device == "auto" else config.device,
        dtype=torch.float32 if trained and lora is None else None,
        trust_remote_code=config.trust_remote_code,
    )
    return HfPolicy(model, tokenizer)


def find_run(model: str) -> tuple[Path | None, TrainConfig | None]:
    """Return the run that a model directory lies in, and its configuration; `None` for what there is not."""
    path = Path(model)
    for directory in [path, *path.parents][: 3 if model else 0]:
        if (directory / "config.toml").is_file():
            return directory, load_config(directory / "config.toml")
    return None, None


def _uncredited(group: Any) -> Any:
    """An evaluation's group, in the form in which training's are written."""
    from trainers.assign import Credited
    from trainers.credit.anchors import anchor_states

    nothing = replace(group, episodes=())
    return Credited(
        played=group,
        group=nothing,
        members=(),
        anchors=anchor_states(nothing),
        advantages=[],
        episode_part=[],
        step_part=[],
    )


def _estimate(config: TrainConfig, env: Any, policy: Any, console: Console) -> int:
    """Play one group, time a forward pass over it, and scale that up to the whole run."""
    from trainers.learner import Learner
    from trainers.parallel import limit_threads
    from trainers.policies.base import Sampling
    from trainers.rollout import play
    from trainers.samples import build_samples
    from trainers.train import choose_tasks

    limit_threads()
    slots, order, validation = choose_tasks(config, env)
    settings = config.rollout
    sampling = Sampling(temperature=settings.temperature, max_new_tokens=settings.max_new_tokens, stop=settings.stop)
    began = time.perf_counter()
    groups, stats = play(
        policy,
        slots,
        order.take(0, 1),
        group_size=settings.group_size,
        sampling=sampling,
        context=config.env.context,
        seed=config.seed,
        max_turns=settings.max_turns,
    )
    played_s = time.perf_counter() - began
    samples = build_samples(groups, None, config.env.context)
    learner = Learner(policy.model, config.learner, replace(config.loss, kl_weight=0.0))
    began = time.perf_counter()
    learner.logprobs(samples)
    passes = 3 * config.learner.epochs + (config.loss.kl_weight > 0)  # a backward pass costs two forward passes
    learnt_s = passes * (time.perf_counter() - began)
    scale = settings.groups * config.iterations
    evaluations = (1 + config.iterations // config.evaluation.every) * len(validation) / settings.group_size
    seconds = scale * (played_s + learnt_s) + evaluations * played_s
    console.print(to_toml(config), highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"{config.iterations} iterations of {settings.groups} groups of {settings.group_size} episodes: about "
        f"{scale * stats.generated_tokens:,} tokens to sample, {scale * stats.prompt_tokens:,} to read and "
        f"{scale * sum(map(len, samples)):,} to learn from, in {seconds / 3600:.1f} hours on this machine (from one "
        "group of the model as it is; a better one plays shorter episodes).",
        highlight=False,
        soft_wrap=True,
    )
    return 0


def _be_quiet() -> None:
    """Keep the progress bars of transformers for every loaded and saved file off the terminal."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.getLogger("transformers").setLevel(logging.ERROR)
