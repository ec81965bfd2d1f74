"""The verb `eval` of the command line: one model on every task of a split, or two evaluations side by side."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from agent_gym.errors import BadOptionError
from trainers.commands import MakeEnvs, be_quiet, load_policy, require_fit, require_model, require_output_dir
from trainers.config import EnvConfig, EnvSettings, ModelConfig, TrainConfig, load_config
from trainers.run_files import CONFIG, METRICS
from trainers.samples import Context
from trainers.words import name_env


@dataclass(frozen=True, kw_only=True)
class EvalEnv:
    """The environment. What is not said is as the model was trained in it."""

    id: Annotated[str, tyro.conf.arg(name="env", prefix_name=False, metavar="ID")] = ""
    """Registered id, such as AgentGym/ALFWorld-v0."""
    context: Context | None = None
    """conversation or step: how much of an episode the model is shown."""
    num_envs: int = 64
    """Environments that are held; the model is asked for as many answers at once."""
    settings: EnvSettings = field(default_factory=dict)
    """Further settings of the environment and of the wrappers, such as engine=native history=4 action_format=bare."""


@dataclass(frozen=True, kw_only=True)
class Eval:
    """Evaluate a model: every task of a split, with a 95 % interval and per task type. Or compare two evaluations."""

    env: EvalEnv = field(default_factory=EvalEnv)
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
            for name, path in zip("AB", self.compare, strict=True):
                console.print(f"{name}: {path}", highlight=False, markup=False, soft_wrap=True)
            show_table(console, comparison_table(compare(*(read_summary(path) for path in self.compare))))
            return 0
        self._check()
        run, trained = find_run(self.model.path)
        env_config = self._env(trained)
        directory = Path(self.output_dir) if self.output_dir else (run or Path("runs")) / "eval" / self.split
        require_output_dir(directory, fresh=False)
        from trainers.policies.base import Sampling
        from trainers.tasks import spread

        be_quiet()
        env = make_envs(env_config)
        tasks = spread(env.slots.tasks(self.split), self.tasks)
        seen = self._seen(trained, env_config.id, str(getattr(env.envs[0].unwrapped, "split", "")))
        if seen:
            console.print(f"Note: {seen}.", style="yellow", highlight=False, soft_wrap=True)
        limit = self.max_new_tokens or (trained.rollout.max_new_tokens if trained else 512)
        policy = load_policy(self.model, trained=False)
        require_fit(policy, env, self.split)
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
        with written_whole(directory / SUMMARY) as file:
            json.dump(summary(result, about), file, indent=1)
        with written_whole(directory / "episodes.jsonl") as file:
            file.writelines(json.dumps(line) + "\n" for line in episode_lines(0, [_uncredited(one) for one in groups]))
        show_table(console, result_table(f"{self.model.path} on {self.split}", result))
        speed = stats.generated_tokens / max(stats.generation_s, 1e-9)
        console.print(f"{speed:,.0f} tokens/s sampled; written to {directory}", highlight=False, soft_wrap=True)
        return 0

    def _check(self) -> None:
        """Say what is missing before anything is loaded."""
        if not self.model.path:
            raise BadOptionError(
                "--model must name the model to evaluate: a checkpoint such as runs/a/checkpoints/best, a directory, "
                "or the id of one on the hub."
            )
        require_model(self.model.path)
        if not self.split:
            raise BadOptionError("--split must name the tasks to evaluate on, such as generated_test.")
        for name, value, least in (
            ("--tasks", self.tasks, 1),
            ("--max-new-tokens", self.max_new_tokens, 1),
            ("--samples", self.samples, 1),
            ("--env.num-envs", self.env.num_envs, 1),
            ("--seed", self.seed, 0),
        ):
            if value is not None and value < least:
                raise BadOptionError(f"{name} must be {least} or more, got {value}.")

    def _env(self, trained: TrainConfig | None) -> EnvConfig:
        """The environment asked for; what is not said is as the model was trained."""
        like = trained.env if trained is not None else EnvConfig()
        env_id = self.env.id or like.id
        if not env_id:
            where = "does not lie in a run's directory" if Path(self.model.path).is_dir() else "is no directory here"
            raise BadOptionError(
                f"--env must name an environment, such as AgentGym/ALFWorld-v0: the model {self.model.path!r} {where}, "
                "which would tell."
            )
        settings = like.settings | self.env.settings
        return EnvConfig(
            id=env_id, context=self.env.context or like.context, num_envs=self.env.num_envs, settings=settings
        )

    def _seen(self, trained: TrainConfig | None, env_id: str, own_choice: str) -> str:
        """Say it if the split had a part in making the model; such a result is not to be reported.

        Args:
            trained: The model's run, if it lies in one.
            env_id: What it is evaluated in.
            own_choice: The split that this environment takes where none is named.
        """
        if trained is None:
            return ""
        if self.split == (trained.env.split or (own_choice if trained.env.id == env_id else "")):
            return f"the model was trained on {self.split}"
        if self.split == trained.evaluation.split:
            return f"the checkpoint was chosen by its success on {self.split}; report another split"
        return ""


def parse_eval(words: list[str]) -> Eval:
    """Read the words after `eval`."""
    return tyro.cli(Eval, prog="agent-gym eval", args=name_env(words))


def find_run(model: str) -> tuple[Path | None, TrainConfig | None]:
    """Return the run that a model directory lies in, and its configuration; `None` for what there is not."""
    path = Path(model)
    if path.is_dir():
        for directory in [path, *path.parents][:3]:
            if (directory / CONFIG).is_file() and (directory / METRICS).is_file():
                return directory, load_config(directory / CONFIG)
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
