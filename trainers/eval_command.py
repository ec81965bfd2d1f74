"""The verb `eval` of the command line: one model on every task of a split, or two evaluations side by side.

The model lies in a directory, or is behind a server (`--server`); then neither torch nor transformers is loaded.
"""

import functools
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from agent_gym.errors import BadOptionError
from trainers.checks import MakeEnvs, first_prompt, require_fit, require_model, require_output_dir
from trainers.commands import be_quiet, load_policy
from trainers.config import EnvConfig, ModelConfig, TrainConfig, load_config
from trainers.named_values import NamedValues
from trainers.players import Players, model_of, roles_in
from trainers.policies.base import Messages
from trainers.run_files import CONFIG, METRICS
from trainers.samples import Context
from trainers.settings import SamplerSettings
from trainers.words import name_env


@dataclass(frozen=True, kw_only=True)
class EvalEnv:
    """The environment. What is not said is as the model was trained in it."""

    id: Annotated[str, tyro.conf.arg(name="env", prefix_name=False, metavar="ID")] = ""
    """Registered id, such as AgentGym/ALFWorld-v0, or a pattern over all ids and games, such as 'AgentGym/*'."""
    context: Context | None = None
    """conversation or step: how much of an episode the model is shown."""
    num_envs: int = 64
    """Environments that are held; the model is asked for as many answers at once."""
    workers: int | None = None
    """Worker processes that the environments are in, for a slow engine; 0 keeps them in this process."""
    settings: NamedValues = field(default_factory=dict)
    """Further settings of the environment and of the wrappers, such as engine=native history=4 action_format=bare."""


@dataclass(frozen=True, kw_only=True)
class EvalServer:
    """A server that plays in the place of a model here. One request that goes wrong costs one episode."""

    url: Annotated[str, tyro.conf.arg(name="server", prefix_name=False, metavar="URL")] = ""
    """Address of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1; --model is then the server's name for
    the model, and may be left out if it has but one."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; without it none is sent."""
    concurrency: int = 16
    """Requests at a time."""
    timeout_s: float = 120.0
    """Seconds for one try."""
    retries: int = 4
    """Further tries after the first, after 1, 2, 4 … seconds or when the server says."""
    parameters: NamedValues = field(default_factory=dict)
    """Further fields of each request, such as reasoning_effort=low; null takes one out: max_tokens=null."""

    def policy(self, model: str) -> Any:
        """Return the server as a policy.

        Raises:
            BadOptionError: If no model is named, and there is not just one; or a setting means nothing.
            ServerError: If the server does not tell its models.
        """
        from trainers.chat_client import ChatClient, ServerSettings
        from trainers.policies.server import ServerPolicy

        settings = ServerSettings(
            url=self.url,
            model=model,
            key_variable=self.key_variable,
            concurrency=self.concurrency,
            timeout_s=self.timeout_s,
            retries=self.retries,
        )
        if not model:
            models = ChatClient(settings).models()
            if len(models) != 1:
                raise BadOptionError(
                    f"--model must name one of the models of {self.url}: it has {', '.join(models[:20]) or 'none'}."
                )
            settings = replace(settings, model=models[0])
        return ServerPolicy(settings, self.parameters)


@dataclass(frozen=True, kw_only=True)
class EvalPlayers:
    """Who plays the roles of a game for several agents."""

    roles: NamedValues = field(default_factory=dict)
    """ROLE=WHO for roles that the model does not play: expert, random, or the directory of another model. What is not
    said is as in the model's run. Such roles are not counted."""


@dataclass(frozen=True, kw_only=True)
class Eval:
    """Evaluate a model: every task of a split, with a 95 % interval and per task type. Or compare two evaluations."""

    env: EvalEnv = field(default_factory=EvalEnv)
    model: ModelConfig = field(default_factory=ModelConfig)
    server: EvalServer = field(default_factory=EvalServer)
    sampler: SamplerSettings = field(default_factory=SamplerSettings)
    players: EvalPlayers = field(default_factory=EvalPlayers)
    split: str = ""
    """Split to evaluate on. With a pattern train, valid or test, by default test, as each environment has it."""
    tasks: int | None = None
    """Tasks, evenly spaced over the split's list; by default all of them. With a pattern that many of each."""
    samples: int = 1
    """Episodes per task; with more than one, give a temperature."""
    temperature: float = 0.0
    """Of sampling; 0 takes the most likely token."""
    max_new_tokens: int | None = None
    """Limit on an answer's tokens; by default as in the model's run, else 512."""
    seed: int = 0
    """Of sampling."""
    output_dir: str | None = None
    """Directory for summary.json; by default eval/SPLIT in the model's run, or runs/eval/SPLIT. With a pattern for
    suite.json, and one directory for each environment below it; by default eval/suite-SPLIT."""
    compare: Annotated[tuple[str, str] | None, tyro.conf.arg(metavar="A B")] = None
    """Two evaluations to compare instead: their directories or summaries. Prints how much better B is, task by task."""

    def run(self, console: Console, make_envs: MakeEnvs) -> int:
        """Evaluate, or compare."""
        from trainers.evaluate import compare, read_summary
        from trainers.evaluate_report import comparison_table
        from trainers.tables import show_table

        if self.compare is not None:
            for name, path in zip("AB", self.compare, strict=True):
                console.print(f"{name}: {path}", highlight=False, markup=False, soft_wrap=True)
            show_table(console, comparison_table(compare(*(read_summary(path) for path in self.compare))))
            return 0
        self._check()
        if is_pattern(self.env.id):
            from trainers.eval_suite import evaluate_suite

            return evaluate_suite(self, console, make_envs)
        return self._one(console, make_envs)

    def _one(self, console: Console, make_envs: MakeEnvs) -> int:
        """Evaluate in one environment."""
        from trainers.eval_play import Part, play_part
        from trainers.evaluate_report import result_table
        from trainers.tables import show_table
        from trainers.tasks import agents_of, slots_of, spread

        run, trained = self.find_run()
        env_config = self.env_like(trained)
        directory = Path(self.output_dir) if self.output_dir else (run or Path("runs")) / "eval" / self.split
        require_output_dir(directory, fresh=False)
        if not self.server.url:
            be_quiet()
        env = make_envs(env_config)
        slots = slots_of(env)
        part = Part(
            env=env_config,
            split=self.split,
            tasks=spread(slots.tasks(self.split), self.tasks, agents_of(slots)),
            sampling=self.sampling(trained),
            samples=self.samples,
            seed=self.seed,
            players=self.players_like(trained, slots, env_config.id),
            note=seen_in_training(trained, env_config.id, self.split, str(getattr(env.envs[0].unwrapped, "split", ""))),
        )
        if part.note:
            console.print(f"Note: {part.note}.", style="yellow", highlight=False, soft_wrap=True)
        if part.players == Players():
            policy = self.load(first_prompt(env, part.tasks), part.sampling)
        else:
            policy = self.load_players(part.players, slots, env_config)
        if not self.server.url:
            require_fit(policy, env, self.split)
        named = functools.partial(self.named_with_players, policy, part.players)
        played = play_part(part, policy, env, directory, named)
        env.close()
        if self.server.url:
            name, cost = policy.client.settings.model, cost_in_words(policy)
        else:
            name, speed = self.model.path, played.stats.generated_tokens / max(played.stats.generation_s, 1e-9)
            cost = f"{speed:,.0f} tokens/s sampled"
        show_table(console, result_table(f"{name} on {self.split}", played.result))
        console.print(f"{cost}; written to {directory}", highlight=False, soft_wrap=True)
        return 0

    def find_run(self) -> tuple[Path | None, TrainConfig | None]:
        """Return the run that the model lies in, and its configuration; `None` for what there is not."""
        return (None, None) if self.server.url else find_run(self.model.path)

    def sampling(self, trained: TrainConfig | None) -> Any:
        """Return how answers are drawn; the limit on tokens is the model's run's, where none is given."""
        from trainers.policies.base import Sampling

        limit = self.max_new_tokens or (trained.rollout.max_new_tokens if trained else 512)
        return Sampling(temperature=self.temperature, max_new_tokens=limit)

    def load(self, prompt: Messages, sampling: Any) -> Any:
        """Return what answers: the model, or the server, which has then answered one prompt."""
        if not self.server.url:
            return load_policy(self.model, trained=False, sampler=self.sampler)
        policy = self.server.policy(self.model.path)
        policy.require_answer(prompt, sampling)
        return policy

    def named(self, policy: Any, stats: Any, before: Any = None) -> dict[str, Any]:
        """Return what a summary says of the model.

        Args:
            policy: What answered.
            stats: What playing has cost.
            before: A server's usage before this part of the evaluation; by default none.
        """
        if not self.server.url:
            tokens = {"prompt": stats.prompt_tokens, "completion": stats.generated_tokens}
            # On the hub several have the same last word, and there is no hash to tell them apart.
            name = self.model.path if self._sha256 is None else Path(self.model.path).name
            return {"name": name, "sha256": self._sha256, "tokens": tokens}
        spent = policy.usage if before is None else policy.usage - before
        return {
            "name": policy.client.settings.model,
            "sha256": None,
            "server": self.server.url,
            "parameters": self.server.parameters,
            "tokens": {
                "prompt": spent.prompt_tokens,
                "completion": spent.completion_tokens,
                "answers_without_a_count": spent.uncounted,
            },
        }

    def players_like(self, trained: TrainConfig | None, slots: Any, env_id: str) -> Players:
        """Return who plays which role: a checkpoint that has a model for each role is played by all of them.

        Raises:
            BadOptionError: If a role is left to nobody, or it is a server that would play with others.
        """
        like = trained.players.roles if trained is not None and env_id == trained.env.id else {}
        own = [] if self.server.url else roles_in(self.model.path)
        roles = set(getattr(slots, "roles", {}).values())
        if own and not roles:
            raise BadOptionError(f"{self.model.path!r} has models for the roles {own}, and none that plays alone.")
        players = Players(learn="per-role" if own else "shared", roles=like | self.players.roles)
        missing = [role for role in players.learners(roles) if own and role not in own]
        if missing:
            raise BadOptionError(
                f"{self.model.path!r} has models for the roles {own}, and none for {missing}: say who plays those, "
                f"--players.roles {missing[0]}=expert."
            )
        if self.server.url and players.roles:
            raise BadOptionError("--players.roles must be left out with --server, which plays all roles.")
        return players

    def load_players(self, players: Players, slots: Any, env: EnvConfig) -> Any:
        """Return the policies of all roles."""
        from trainers.cast import load_players

        def load(path: str, _: bool) -> Any:
            return load_policy(replace(self.model, path=path), trained=False, sampler=self.sampler)

        form = str(env.settings.get("action_format", "tags"))
        return load_players(players, slots, self.model.path, load, form)

    def named_with_players(self, policy: Any, players: Players, stats: Any, before: Any = None) -> dict[str, Any]:
        """Return what a summary says of the model (see `named`) and of who else plays, if anybody does."""
        found = self.named(policy, stats, before)
        return found if players == Players() else found | {"players": self._named_players(players)}

    def _named_players(self, players: Players) -> dict[str, Any]:
        """What a summary says of those who are not simply the model: a hash, where there are weights."""
        from trainers.evaluate import hash_model

        own = {role: model_of(self.model.path, role) for role in roles_in(self.model.path) if role not in players.roles}
        paths = own | {role: model_of(who, role) for role, who in players.roles.items()}
        return {role: {"name": Path(path).name, "sha256": hash_model(path)} for role, path in sorted(paths.items())}

    @functools.cached_property
    def _sha256(self) -> str | None:
        """Hash of the model's files, which takes a while if they are large."""
        from trainers.evaluate import hash_model

        return hash_model(self.model.path)

    def _check(self) -> None:
        """Say what is missing before anything is loaded."""
        if not self.server.url:
            if not self.model.path:
                raise BadOptionError(
                    "--model must name the model to evaluate: a checkpoint such as runs/a/checkpoints/best, a "
                    "directory, or the id of one on the hub. One behind a server is named by --server and --model."
                )
            if self.model.path.startswith(("http://", "https://")):
                raise BadOptionError(f"a server is named by --server {self.model.path}, its model by --model.")
            require_model(self.model.path)
        if not self.split and not is_pattern(self.env.id):
            raise BadOptionError("--split must name the tasks to evaluate on, such as generated_test.")
        if self.players.roles and is_pattern(self.env.id):
            raise BadOptionError(
                "--players.roles must be left out with a pattern: there who plays is as in the model's run."
            )
        for name, value, least in (
            ("--tasks", self.tasks, 1),
            ("--max-new-tokens", self.max_new_tokens, 1),
            ("--samples", self.samples, 1),
            ("--env.num-envs", self.env.num_envs, 1),
            ("--env.workers", self.env.workers, 0),
            ("--seed", self.seed, 0),
        ):
            if value is not None and value < least:
                raise BadOptionError(f"{name} must be {least} or more, got {value}.")

    def env_like(self, trained: TrainConfig | None) -> EnvConfig:
        """Return the environment asked for; what is not said is as the model was trained."""
        like = trained.env if trained is not None else EnvConfig()
        env_id = self.env.id or like.id
        if not env_id and self.server.url:
            raise BadOptionError("--env must name an environment, such as AgentGym/ALFWorld-v0.")
        if not env_id:
            where = "does not lie in a run's directory" if Path(self.model.path).is_dir() else "is no directory here"
            raise BadOptionError(
                f"--env must name an environment, such as AgentGym/ALFWorld-v0: the model {self.model.path!r} {where}, "
                "which would tell."
            )
        return EnvConfig(
            id=env_id,
            context=self.env.context or like.context,
            num_envs=self.env.num_envs,
            workers=self.env.workers if self.env.workers is not None else like.workers * (env_id == like.id),
            settings=like.settings | self.env.settings,
        )


def parse_eval(words: list[str]) -> Eval:
    """Read the words after `eval`."""
    return tyro.cli(Eval, prog="agent-gym eval", args=name_env(words))


def cost_in_words(policy: Any) -> str:
    """Return what a server's answers have cost, for the terminal."""
    usage, counts = policy.usage, policy.client.counts
    words = (
        f"{usage.prompt_tokens:,} prompt and {usage.completion_tokens:,} completion tokens in {usage.answers:,} answers"
    )
    if usage.uncounted:
        words += f", not counting {usage.uncounted:,} for which the server told nothing"
    if counts["retried"] or counts["failed"]:
        words += f"; {counts['retried']:,} tries more, {counts['failed']:,} given up"
    return words


def find_run(model: str) -> tuple[Path | None, TrainConfig | None]:
    """Return the run that a model directory lies in, and its configuration; `None` for what there is not."""
    path = Path(model)
    if path.is_dir():
        for directory in [path, *path.parents][:3]:
            if (directory / CONFIG).is_file() and (directory / METRICS).is_file():
                return directory, load_config(directory / CONFIG)
    return None, None


def seen_in_training(trained: TrainConfig | None, env_id: str, split: str, own_choice: str) -> str:
    """Say it if the split had a part in making the model; such a result is not to be reported.

    Args:
        trained: The model's run, if it lies in one.
        env_id: What it is evaluated in.
        split: Split to evaluate on.
        own_choice: The split that the environment takes where none is named.
    """
    if trained is None or trained.env.id != env_id:
        return ""
    if split == (trained.env.split or own_choice):
        return f"the model was trained on {split}"
    if split == trained.evaluation.split:
        return f"the checkpoint was chosen by its success on {split}; report another split"
    return ""


def is_pattern(env_id: str) -> bool:
    """Whether `--env` names environments by a pattern, as a shell has them."""
    return any(sign in env_id for sign in "*?[")
