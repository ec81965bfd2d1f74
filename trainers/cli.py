"""The console script `agent-gym`: the one place where environments, wrappers and trainers are put together.

Each verb is a frozen dataclass: its fields are its options, `run` does the work and returns the exit status. A new
verb is one more dataclass in `Verb`. What a verb needs is imported when it runs, so that `--help` answers at once and
nothing here ever waits for torch.

Exit status: 0 for success, 2 for a mistake in what was asked for, 130 after Ctrl-C.
"""

import functools
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, get_args

import tyro
from rich.console import Console

from trainers.env_ids import check_id, full_id, settings_for_env
from trainers.list_commands import ListEnvs, ListMethods

if TYPE_CHECKING:
    import gymnasium as gym

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it: 128 and the number of the signal."""

EnvId = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="ID")]
SameId = Annotated[str, tyro.conf.arg(name="env", metavar="ID")]
SplitName = Annotated[str | None, tyro.conf.arg(metavar="NAME")]
File = Annotated[str | None, tyro.conf.arg(metavar="FILE")]
RunDir = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
Settings = Annotated[tuple[str, ...], tyro.conf.arg(name="env.settings", metavar="NAME=VALUE ...")]


class Runnable(Protocol):
    """What a verb is."""

    def run(self, console: Console) -> int:
        """Do it and return the exit status."""


@dataclass(frozen=True, kw_only=True)
class Play:
    """Play an environment yourself, in the terminal, from a pipe, or in the browser."""

    env_id: EnvId = ""
    """Registered id, such as AgentGym/ALFWorld-v0."""
    env: SameId = ""
    """The same, as the other verbs take it."""
    split: SplitName = None
    """Split to draw the task from; by default the environment's own choice."""
    task: Annotated[str | None, tyro.conf.arg(metavar="ID")] = None
    """Id of the task to play; drawn by default."""
    seed: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """Seed of the draw."""
    settings: Settings = ()
    """Further settings of the environment, such as engine=textworld."""
    output: File = None
    """File to append the episode to, as a line of JSON."""
    browser: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Serve pages for the browser, to this machine alone; for environments with the render mode html."""
    port: Annotated[int | None, tyro.conf.arg(metavar="PORT")] = None
    """Port for the browser; by default a free one."""

    def run(self, console: Console) -> int:
        """Play one episode, or in the browser as many as the player likes."""
        from agent_gym.errors import BadOptionError
        from trainers.play import Session, terminal_reader
        from trainers.play_browser import HTML, require_html, serve

        env_id = _named(self.env_id, self.env)
        settings = parse_settings(env_id, self.split, self.settings)
        if self.port is not None and not self.browser:
            raise BadOptionError("--port is for --browser: add it, or leave the port out.")
        if self.browser:
            require_html(env_id, make_env(env_id, settings))
            settings["render_mode"] = HTML
        env = make_env(env_id, settings, self.output)
        try:
            if self.browser:
                serve(env, console, task=self.task, seed=self.seed, port=self.port or 0)
            else:
                Session(env, console, terminal_reader(console)).play(task=self.task, seed=self.seed)
        finally:
            env.close()
        return 0


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """Let a policy that learns nothing play tasks, each once, and report its success with a 95 % interval."""

    env_id: EnvId = ""
    """Registered id, such as AgentGym/ALFWorld-v0."""
    env: SameId = ""
    """The same, as the other verbs take it."""
    policy: Literal["random", "expert"] = "random"
    """random: one of the admissible commands, each as likely. expert: the environment's own expert."""
    split: SplitName = None
    """Split to draw tasks from; by default the environment's own choice."""
    episodes: int = 100
    """Number of tasks to draw; if the split has fewer, each is played once."""
    seed: int = 0
    """Seed of the draw of tasks, of their starts and of the random policy."""
    workers: int = 1
    """Processes that play. The outcome does not depend on it; a slow engine gains from it."""
    output: File = None
    """File to append one line of JSON per episode to."""
    settings: Settings = ()
    """Further settings of the environment, such as engine=textworld."""

    def run(self, console: Console) -> int:
        """Play the tasks and print the report, of what was finished if it is interrupted."""
        from trainers.baselines import choose_tasks, play_tasks
        from trainers.rollout_report import play_and_report

        env_id = _named(self.env_id, self.env)
        settings = parse_settings(env_id, self.split, self.settings)
        probe = make_env(env_id, settings)
        split = self.split or str(getattr(probe.unwrapped, "split", ""))
        tasks = choose_tasks(probe, split, self.episodes, self.seed)
        probe.close()
        if len(tasks) < self.episodes:
            console.print(f"{split} has {len(tasks)} tasks: each is played once.", highlight=False)
        make = functools.partial(make_env, env_id, settings, self.output)
        outcomes = play_tasks(make, self.policy, tasks, seed=self.seed, workers=self.workers)
        finished = play_and_report(outcomes, len(tasks), console, f"{self.policy} policy, {env_id}, {split}")
        return 0 if finished else INTERRUPTED


@dataclass(frozen=True, kw_only=True)
class View:
    """Write a run's report: one HTML file with curves, tasks and every episode, for any browser, without a network."""

    run_dir: RunDir
    """Directory of the run; it may still be running."""
    output: File = None
    """File to write; by default report.html in the run's directory."""

    def run(self, console: Console) -> int:
        """Write the report and say where it is."""
        from trainers.report import view

        path = view(self.run_dir, self.output)
        size = f"{path.stat().st_size / 1e6:.1f} MB"
        console.print(f"The report is in {path} ({size}).", highlight=False, markup=False, soft_wrap=True)
        return 0


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a run's episodes as conversations, for supervised training elsewhere."""

    run_dir: RunDir
    """Directory of the run."""
    format: Literal["messages", "sharegpt"] = "messages"
    """messages: JSON lines with roles, as TRL takes them. sharegpt: one JSON array, as LLaMA-Factory takes it."""
    output: File = None
    """File to write; by default messages.jsonl or sharegpt.json in the run's directory."""
    successes_only: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Leave out episodes without success."""

    def run(self, console: Console) -> int:
        """Write the file and say what is in it."""
        from trainers.export import export

        done = export(self.run_dir, self.format, self.output, successes_only=self.successes_only)
        told = [f"{_count(done.conversations, 'conversation')} in {done.path}"]
        for number, noun in ((done.left_out, "episode"), (done.damaged, "damaged line")):
            if number:
                told.append(f"{_count(number, noun)} {'was' if number == 1 else 'were'} left out")
        console.print("; ".join(told) + ".", highlight=False, markup=False, soft_wrap=True)
        return 0


def _named(positional: str, option: str) -> str:
    """The environment's id, which may be short, and may stand alone or behind --env."""
    from agent_gym.errors import BadOptionError

    if positional and option and positional != option:
        raise BadOptionError(f"expected one environment, got {positional!r} and --env {option!r}.")
    if not positional and not option:
        raise BadOptionError(
            "--env must name an environment, such as AgentGym/ALFWorld-v0; `agent-gym list` shows all."
        )
    return full_id(positional or option)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


@dataclass(frozen=True, kw_only=True)
class _Elsewhere:
    """A verb as `--help` lists it; its options are read apart, with what they need loaded."""

    def run(self, console: Console) -> int:
        """Never run: `main` takes these verbs before."""
        raise AssertionError("a verb with a reader was parsed without it")


Verb = (
    Annotated[ListEnvs, tyro.conf.subcommand("list")]
    | Annotated[ListMethods, tyro.conf.subcommand("methods")]
    | Annotated[Play, tyro.conf.subcommand("play")]
    | Annotated[Rollout, tyro.conf.subcommand("rollout")]
    | Annotated[_Elsewhere, tyro.conf.subcommand("train", description="Train a model with GiGPO or GRPO.")]
    | Annotated[_Elsewhere, tyro.conf.subcommand("eval", description="Evaluate a model on every task of a split.")]
    | Annotated[_Elsewhere, tyro.conf.subcommand("sft", description="Let a model imitate the environment's expert.")]
    | Annotated[_Elsewhere, tyro.conf.subcommand("bench", description="Compare methods over arenas and seeds.")]
    | Annotated[_Elsewhere, tyro.conf.subcommand("plan", description="Say what training would need of GPUs.")]
    | Annotated[View, tyro.conf.subcommand("view")]
    | Annotated[Export, tyro.conf.subcommand("export")]
)
"""All verbs."""


@dataclass(frozen=True, kw_only=True)
class _WithEnvs:
    """A verb of the trainer, together with what makes its environments."""

    verb: Any

    def run(self, console: Console) -> int:
        """Run the verb."""
        return int(self.verb.run(console, make_envs))


TRAINER_VERBS = ("train", "eval", "sft", "bench", "plan")
"""Verbs whose options are the trainer's configuration, which takes Gymnasium and more to load."""


def _read_trainer_verb(words: list[str]) -> Runnable:
    from trainers.bench.command import parse_bench
    from trainers.commands import parse_sft
    from trainers.eval_command import parse_eval
    from trainers.processes import parse_train
    from trainers.scale.command import parse_plan

    parse: dict[str, Any] = {
        "train": parse_train,
        "eval": parse_eval,
        "sft": parse_sft,
        "bench": parse_bench,
        "plan": parse_plan,
    }
    return _WithEnvs(verb=parse[words[0]](words[1:]))


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb and return the exit status; a mistake in the request is one line on standard error, without traceback.

    Args:
        argv: Words after the program's name; those of the process by default.
    """
    try:
        return _main(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:
        _complaint("interrupted.")
        return INTERRUPTED


def _main(words: list[str]) -> int:
    known = [annotation.name for one in get_args(Verb) for annotation in get_args(one)[1:]]
    if words and not words[0].startswith("-") and words[0] not in known:
        from agent_gym.errors import did_you_mean

        _complaint(f"there is no verb {words[0]!r}.{did_you_mean(words[0], known)} `agent-gym --help` shows all.")
        return 2
    settings = settings_for_env(words)
    verb: Runnable | None = None
    if settings is None and (not words or words[0] not in TRAINER_VERBS):
        verb = tyro.cli(Verb, prog="agent-gym", description=_DESCRIPTION, args=words)
    # Gymnasium and numpy are needed from here on, and --help has answered by now.
    from gymnasium.error import Error as GymnasiumError

    from agent_gym.errors import AgentGymError

    try:
        if settings is not None:
            raise AgentGymError(
                f"--env takes the id of an environment, got {settings!r}: its settings follow --env.settings, as in "
                f"--env.settings {settings}."
            )
        return (verb or _read_trainer_verb(words)).run(Console(markup=False, emoji=False))
    except (AgentGymError, GymnasiumError, OSError) as error:
        if isinstance(error, BrokenPipeError):  # whoever read our output has gone, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        told = " ".join(str(error).split())
        _complaint(told)
        return 2
    except ModuleNotFoundError as error:
        extra = _extra_with(error.name or "")
        if not extra:
            raise
        told = f"this needs {error.name}: pip install 'agent-gym[{extra}]' (in a checkout: pip install '.[{extra}]')."
        _complaint(told)
        return 2


def _complaint(told: str) -> None:
    """Print an error as it stands: `[model]` and `:key:` are no marks of rich's here."""
    console = Console(stderr=True, markup=False, emoji=False)
    console.print(f"agent-gym: {told}", style="red", highlight=False, soft_wrap=True)


def _extra_with(module: str) -> str:
    """The extra that brings a module which is missing; empty if it is none of ours."""
    wanted = {"train": ("torch", "transformers", "peft", "safetensors", "tokenizers", "scipy", "matplotlib", "jinja2")}
    return next((extra for extra, modules in wanted.items() if module.partition(".")[0] in modules), "")


_DESCRIPTION = "Gymnasium environments for language-model agents: see them, play them, train models in them."


def make_envs(config: Any) -> Any:
    """Make the environments, or the games of several agents, that an `EnvConfig` describes, wrapped for a model.

    Raises:
        BadOptionError: If there is no such environment, or a setting has an unknown name or a value of the wrong type.
    """
    from agent_gym.errors import AgentGymError, BadOptionError
    from agent_gym.multi_agent.games import is_game
    from wrappers import make_llm_vec

    if not is_game(config.id):
        check_id(config.id)
    settings = dict(config.settings)
    for name in ("split", "context", "num_envs", "workers"):
        if name in settings:
            option = f"--env.{name.replace('_', '-')}"
            raise BadOptionError(f"{name} is no setting of the environment: it has an option of its own, {option}.")
    if config.split:
        settings["split"] = config.split
    try:
        if is_game(config.id):
            from wrappers.make_llm_games import make_llm_games

            if config.workers:
                raise BadOptionError(f"--env.workers must be 0 for a game of several agents, got {config.workers}.")
            return make_llm_games(config.id, config.num_envs, context=config.context, **settings)
        return make_llm_vec(config.id, config.num_envs, context=config.context, workers=config.workers, **settings)
    except AgentGymError:
        raise
    except (TypeError, ValueError, AttributeError) as error:  # Gymnasium's, for a value that it can't use
        raise BadOptionError(f"{config.id} can't be made with the settings {settings}: {error}.") from error


def make_env(env_id: str, settings: dict[str, Any], record: str | None = None) -> "gym.Env[str, str]":
    """Make one environment, which records its episodes if a file is named; worker processes call this too.

    Raises:
        BadOptionError: If a setting has a value of the wrong type, or observations and actions are not text.
    """
    import gymnasium as gym

    import agent_gym  # noqa: F401  registers the ids
    from agent_gym.errors import AgentGymError, BadOptionError
    from wrappers import RecordEpisodes, check_text_spaces

    try:
        env: gym.Env[str, str] = gym.make(env_id, **{"disable_env_checker": True} | settings)
    except AgentGymError:
        raise
    except (TypeError, ValueError, AttributeError) as error:  # Gymnasium's, for a value that it can't use
        raise BadOptionError(f"{env_id} can't be made with the settings {settings}: {error}.") from error
    check_text_spaces(env)
    return env if record is None else RecordEpisodes(env, record)


def parse_settings(env_id: str, split: str | None, assignments: Sequence[str]) -> dict[str, Any]:
    """Turn `name=value` words into settings of an environment; a value that reads as JSON is taken as JSON.

    Raises:
        BadOptionError: If the environment is not registered, a word is no assignment, or there is no such setting.
    """
    from agent_gym.errors import BadOptionError
    from wrappers import check_env_settings

    check_id(env_id)
    settings: dict[str, Any] = {} if split is None else {"split": split}
    for word in assignments:
        name, equals, value = word.partition("=")
        if not equals:
            raise BadOptionError(f"--env.settings takes NAME=VALUE, such as engine=textworld, got {word!r}.")
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value
    check_env_settings(env_id, settings)
    return settings
