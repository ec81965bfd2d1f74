"""The verb `plan` of the command line: what `train` would need, given the same words."""

import inspect
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import tyro
from rich.console import Console

from agent_gym.errors import BadOptionError
from trainers.commands import read_start
from trainers.config import TrainConfig
from trainers.recipes import load_recipe
from trainers.scale.machine import Machine, Work
from trainers.scale.plan import Plan, show_plan
from trainers.scale.shapes import shape_of
from trainers.words import choices_help, refuse_stray

UNFIT = 1
"""Exit status of a plan that does not fit."""


@dataclass(frozen=True, kw_only=True)
class PlanVerb:
    """Say what training would need of GPUs: memory, tokens per second, time; and what helps if it does not fit.

    It takes the words of `train`, and those that describe the machine. Nothing is loaded.
    """

    file: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="FILE.toml")] = None
    """Configuration to start from."""
    recipe: str | None = None
    """Named recipe to start from, such as alfworld-qwen-1.5b."""
    method: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Published method to train with."""
    resume: Annotated[str | None, tyro.conf.arg(metavar="RUN")] = None
    """Directory of a run whose settings are meant."""
    hours: float | None = None
    """Time that the whole run may take: says how many tokens per second that asks for."""
    machine: Annotated[Machine, tyro.conf.arg(name="")] = field(default_factory=Machine)
    work: Work = field(default_factory=Work)
    config: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)

    def run(self, console: Console, _: Any = None) -> int:
        """Print the plan; the exit status says whether it fits."""
        if not self.config.model.path:
            raise BadOptionError("--model must name a model: a directory with a config.json, or a known name.")
        if self.hours is not None and not self.hours > 0:
            raise BadOptionError(f"--hours must be above 0, got {self.hours}.")
        plan = Plan(shape=shape_of(self.config.model.path), config=self.config, machine=self.machine, work=self.work)
        show_plan(plan, console, self.hours)
        return 0 if plan.missing_gib <= 0 else UNFIT


def show_plan_of(config: TrainConfig, recipe: Any, console: Console) -> None:
    """Print the plan of a configuration for one GPU."""
    plan = Plan(
        shape=shape_of(config.model.path), config=config, machine=Machine(), work=getattr(recipe, "WORK", Work())
    )
    show_plan(plan, console)
    console.print("Other machines: `agent-gym plan` with the same words, and --gpus.", highlight=False, soft_wrap=True)


def parse_plan(words: list[str]) -> PlanVerb:
    """Read the words after `plan`, see `trainers.commands.read_start`.

    Raises:
        BadOptionError: If they do not fit together.
        DataNotFoundError: If there is no run to take the settings of.
    """
    start = read_start(words)
    work = getattr(load_recipe(start.recipe), "WORK", Work()) if start.recipe else Work()
    given = PlanVerb(recipe=start.recipe, method=start.method, resume=start.resume, work=work, config=start.config)
    verb = tyro.cli(
        PlanVerb,
        prog="agent-gym plan",
        description=f"{inspect.getdoc(PlanVerb)}\n\n{choices_help()}",
        args=start.words,
        default=given,
        config=(tyro.conf.AvoidSubcommands,),
    )
    refuse_stray(verb.file, "plan")
    return replace(verb, file=start.file)
