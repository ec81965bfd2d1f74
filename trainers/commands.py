"""The verbs `train` and `sft` of the command line, apart from it so that `agent-gym --help` need not load them.

Environments with prompts are made of wrappers, which trainers do not know; the command line hands in a function that
makes them.
"""

import importlib.util
import inspect
import logging
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import tyro
from rich.console import Console

from agent_gym.errors import AgentGymError, BadOptionError, DataNotFoundError, MissingExtraError
from trainers.checks import MakeEnvs, is_here, missing_data, require_fit, require_model, require_output_dir
from trainers.config import ModelConfig, TrainConfig, load_config, to_toml
from trainers.players import EXPERT, RANDOM
from trainers.run_files import CONFIG, written_whole
from trainers.settings import SamplerSettings
from trainers.words import choices_help, name_env, refuse_stray, take_choices, take_file, value_of

INTERRUPTED = 130
LEAST_RATE = 1e-3
"""Of a table that is worth a run; the trainer's own default is for billions of weights."""


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a model in an environment with group-based reinforcement learning.

    Settings come from a recipe or a TOML file, and each can be overridden: --credit.gamma 0.9.
    """

    file: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="FILE.toml")] = None
    """Configuration to start from."""
    recipe: str | None = None
    """Named recipe to start from, such as alfworld-tiny."""
    method: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Published method to train with, such as dapo (`agent-gym methods` shows all), or a TOML file of your own. It
    changes what the file and the recipe say; options change what it says."""
    resume: Annotated[str | None, tyro.conf.arg(metavar="RUN")] = None
    """Directory of a run to go on with, exactly where it stopped."""
    dry_run: bool = False
    """Show the resolved configuration and an estimate of tokens and time; train nothing."""
    config: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)

    def run(self, console: Console, make_envs: MakeEnvs) -> int:
        """Train."""
        from trainers.scale.shapes import is_known

        config = self.config
        if self.dry_run and (not config.model.path or (is_known(config.model.path) and not is_here(config.model.path))):
            return self._resolve(console, make_envs)
        be_quiet()
        config = self.prepared(make_envs, console)
        env = make_envs(config.env)
        from trainers.policies.tabular import TabularPolicy
        from trainers.progress import ShowProgress
        from trainers.train import Trainer

        policy = load_trained(config, env)
        require_fit(policy, env, config.env.split or str(env.envs[0].unwrapped.split))
        if isinstance(policy, TabularPolicy) and config.learner.learning_rate < LEAST_RATE:
            console.print(
                f"At a learning rate of {config.learner.learning_rate:g} a table learns next to nothing: "
                "--learner.learning-rate 0.3 is usual.",
                highlight=False,
            )
        if self.dry_run:
            from trainers.estimate import estimate

            return estimate(config, env, policy, console)
        callbacks = [ShowProgress(console)]
        trainer = Trainer(config, env=env, policy=policy, callbacks=callbacks, resume=self.resume is not None)
        trainer.train()
        env.close()
        return INTERRUPTED if trainer.interrupted else 0

    def _resolve(self, console: Console, make_envs: MakeEnvs) -> int:
        """Show what would be run by a model that is not here, and what is still missing for it."""
        config = self.config

        def say(line: str) -> None:
            console.print(line, highlight=False, markup=False, soft_wrap=True)

        say(to_toml(config))
        missing: list[AgentGymError | None] = [missing_data(config, make_envs)]
        if config.sampler.engine == "vllm" and importlib.util.find_spec("vllm") is None:
            missing.append(MissingExtraError("vLLM samples, and it is not installed: pip install 'agent-gym[vllm]'"))
        for error in filter(None, missing):
            say(f"Before it can run: {error}")
        if not config.model.path:
            say(f"No estimate: the recipe {self.recipe} makes its model before it trains. Name one with --model.")
            return 0
        from trainers.recipes import load_recipe
        from trainers.scale.command import show_plan_of

        say(f"No weights of {config.model.path} are here, so nothing was played. By its shape alone:")
        show_plan_of(config, load_recipe(self.recipe) if self.recipe else None, console)
        return 0

    def prepared(self, make_envs: MakeEnvs, console: Console) -> TrainConfig:
        """Let the recipe make its model, if there is one; returns the configuration with it."""
        if self.recipe is None:
            return self.config
        from trainers.recipes import load_recipe

        env = make_envs(self.config.env)
        config = _prepare(load_recipe(self.recipe), self.config, env, Path(self.config.output_dir), console)
        env.close()
        return config

    def check(self, make_envs: MakeEnvs) -> None:
        """Say what is wrong with the request before processes are started for it, or a recipe makes a model.

        Raises:
            BadOptionError: If something is missing, or does not fit.
            ModelError: If the model's directory is not one.
        """
        config = self.config
        if not config.env.id:
            raise BadOptionError("--env must name an environment, such as AgentGym/ALFWorld-v0 (or give a --recipe).")
        if not config.model.path and self.recipe is None:
            raise BadOptionError("--model must name a model: a directory, or the id of one on the hub.")
        config.require_complete()
        require_model(config.model.path)
        for who in config.players.roles.values():
            require_model("" if who in (EXPERT, RANDOM) else who)
        missing = missing_data(config, make_envs)
        if missing is not None and not self.dry_run:
            raise missing
        if not self.dry_run:  # last: a word that is misspelt matters more than where its run would go
            require_output_dir(Path(config.output_dir), fresh=self.resume is None)


@dataclass(frozen=True, kw_only=True)
class Sft:
    """Let a model imitate the environment's expert (behaviour cloning)."""

    config: Annotated[Any, tyro.conf.arg(name="")] = None

    def run(self, console: Console, make_envs: MakeEnvs) -> int:
        """Collect demonstrations, imitate them, save the model."""
        from trainers.metrics import RunLog
        from trainers.sft import Cloner, SftConfig

        config: SftConfig = self.config
        if not config.env.id or not config.model.path:
            raise BadOptionError("--env and --model must say what to imitate, and with which model.")
        require_model(config.model.path)
        if config.seed < 0:
            raise BadOptionError(f"--seed must be 0 or more, got {config.seed}.")
        directory = Path(config.output_dir)
        if (directory / "model").exists():
            raise BadOptionError(f"{str(directory)!r} holds a model already: name another --output-dir.")
        checkpoints = directory / "checkpoints"
        require_output_dir(directory, fresh=not checkpoints.is_dir())
        be_quiet()
        env = make_envs(config.env)
        policy = load_policy(config.model, trained=True)
        split = config.env.split or str(env.envs[0].unwrapped.split)
        cloner = Cloner(
            policy.model,
            policy.tokenizer,
            policy.codec,
            policy.context_limit,
            env.slots,
            split,
            config,
            directory=checkpoints,
        )
        if cloner.round:
            console.print(f"goes on after round {cloner.round} of {config.rounds}", highlight=False)
        passes = config.rounds * config.epochs
        log = RunLog(directory, start=cloner.round * config.epochs)

        def tell(round_: int, epoch: int, metrics: dict[str, float]) -> None:
            number = round_ * config.epochs + epoch
            log.log(number, {f"sft/{name}": value for name, value in metrics.items()})
            console.print(f"pass {number + 1} of {passes}: {metrics['loss']:.4f} nats a token", highlight=False)

        shown = cloner.run(tell)
        partial = directory / ".model"
        policy.model.save_pretrained(str(partial))
        policy.tokenizer.save_pretrained(str(partial))
        # What it was trained in, so that `eval --model` need not be told: as a run of `train` would have it.
        with written_whole(directory / CONFIG) as file:
            file.write(to_toml(TrainConfig(env=config.env, model=config.model, output_dir=config.output_dir)))
        partial.rename(directory / "model")
        env.close()
        console.print(f"Imitated {shown} episodes; the model is in {directory / 'model'}", highlight=False)
        return 0


# What the verbs share -------------------------------------------------------------------------------------------------


class Start(NamedTuple):
    """What a file, a recipe, a run and a method come to, and the words that are left, which change it."""

    words: list[str]
    config: TrainConfig
    file: str | None
    recipe: str | None
    method: str | None
    resume: str | None


def read_start(words: list[str]) -> Start:
    """Read what a configuration starts from, wherever it stands: a file, a recipe, a run to resume, a method, choices.

    Raises:
        BadOptionError: If they do not fit together.
        DataNotFoundError: If there is no run to resume.
    """
    from trainers.methods import apply_method
    from trainers.recipes import load_recipe

    words, file = take_file(words)
    base = TrainConfig()
    recipe, resume = value_of(words, "--recipe"), value_of(words, "--resume")
    if recipe is not None:
        base = load_recipe(recipe).CONFIG
    if file is not None:
        base = load_config(file, base)
    if resume is not None:
        saved = Path(resume) / CONFIG
        if saved.is_file():
            base = load_config(saved)
        elif recipe is None and file is None:
            raise DataNotFoundError(f"expected a run to go on with, got {resume!r}, which has no {CONFIG}.")
        base = replace(base, output_dir=resume)
    method = value_of(words, "--method")
    if method is not None:
        base = apply_method(method, base)
    words, base = take_choices(words, base)
    return Start(words, base, file, recipe, method, resume)


def parse_train(words: list[str]) -> Train:
    """Read the words after `train`, in any order; a file, a recipe or a run to resume is what the others change.

    Raises:
        BadOptionError: If they do not fit together.
        DataNotFoundError: If there is no run to resume.
    """
    start = read_start(words)
    verb = tyro.cli(
        Train,
        prog="agent-gym train",
        description=f"{inspect.getdoc(Train)}\n\n{choices_help()}",
        args=start.words,
        default=Train(recipe=start.recipe, method=start.method, resume=start.resume, config=start.config),
        config=(tyro.conf.AvoidSubcommands,),
    )
    refuse_stray(verb.file, "train")
    return replace(verb, file=start.file)


def parse_sft(words: list[str]) -> Sft:
    """Read the words after `sft`."""
    from trainers.sft import SftConfig

    return Sft(config=tyro.cli(SftConfig, prog="agent-gym sft", args=name_env(words), description=Sft.__doc__))


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


def load_policy(config: ModelConfig, *, trained: bool, sampler: SamplerSettings | None = None) -> Any:
    """Load a model as a policy, sampled from by the engine that `sampler` names (by default transformers).

    Weights that are all trained are float32, since small steps are lost to rounding in bfloat16; an adapter's base may
    be shorter. The word "tabular" stands for a fresh table in the place of a model.

    Raises:
        ModelError: If the model is not what it should be.
        MissingExtraError: If the engine is not installed.
    """
    import torch

    from trainers.policies.tabular import TabularPolicy, is_tabular

    sampler = sampler or SamplerSettings()
    if is_tabular(config.path):
        return TabularPolicy.load(config.path)
    from trainers.policies.hf import HfPolicy
    from trainers.policies.load import LoraSettings, load_model

    if sampler.engine == "vllm":
        from trainers.policies.vllm_engine import load_vllm

        load_vllm()  # if it is missing, that is said before anything is loaded
    if sampler.engine == "vllm" and not trained:
        from trainers.policies.vllm import load_vllm_policy

        return load_vllm_policy(config.path, sampler, trust_remote_code=config.trust_remote_code)

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
    if sampler.engine == "vllm":
        from trainers.policies.vllm import vllm_beside

        return vllm_beside(model, tokenizer, config.path, sampler, trust_remote_code=config.trust_remote_code)
    return HfPolicy(model, tokenizer, context_limit=sampler.context_limit, max_batch=sampler.max_batch)


def load_trained(config: TrainConfig, env: Any) -> Any:
    """Load what a run's `Trainer` takes: the policy that learns, or in a game the policies of all roles.

    Raises:
        BadOptionError: If `config.players` names a role that there is not.
        ModelError: If a model is not what it should be.
        MissingExtraError: If the engine is not installed.
    """
    from trainers.cast import load_players
    from trainers.tasks import slots_of

    def load(path: str, learns: bool) -> Any:
        model = replace(config.model, path=path)
        return load_policy(model, trained=learns, sampler=config.sampler if learns else None)

    form = str(config.env.settings.get("action_format", "tags"))
    return load_players(config.players, slots_of(env), config.model.path, load, form)


def be_quiet() -> None:
    """Keep the progress bars of transformers for every loaded and saved file off the terminal."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    for noisy in ("transformers", "huggingface_hub"):  # what matters comes back as an error
        logging.getLogger(noisy).setLevel(logging.ERROR)
