"""The configuration of a run: nested dataclasses, read from TOML, overridden word by word, written back as TOML.

The configuration *is* these objects. A TOML file has one table per nested dataclass and one key per field; the command
line has the same names with dots (`--rollout.group-size 8`). `credit` and `loss` are each one of several kinds:
`method = "gigpo"` in the table `[credit]`, the word `credit:gigpo` on the command line. The fields of another kind have
other defaults, as its paper has. TOML has no null: `"none"` stands for it.
"""

import dataclasses
import json
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import tyro

from agent_gym.errors import BadOptionError, did_you_mean
from trainers.credit import (
    DrGrpo,
    Gigpo,
    Grpo,
    GrpoPassK,
    Hgpo,
    Opo,
    ReinforcePlusPlus,
    Remax,
    Rloo,
    Tempo,
    TempoTurns,
    smallest_group,
)
from trainers.losses.cispo import CispoLoss
from trainers.losses.gspo import GspoLoss
from trainers.losses.ppo import PpoLoss
from trainers.losses.reinforce import ReinforceLoss
from trainers.samples import Context
from trainers.settings import LearnerSettings

Credit = Gigpo | Grpo | DrGrpo | Rloo | ReinforcePlusPlus | Opo | Remax | GrpoPassK | Hgpo | Tempo | TempoTurns
Loss = PpoLoss | GspoLoss | CispoLoss | ReinforceLoss


def _by_name(union: Any, ending: str = "") -> dict[str, type[Any]]:
    """The classes of a union by the name that files and the command line know them under: `DrGrpo` is `dr-grpo`."""
    return {
        re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind.__name__.removesuffix(ending)).lower(): kind
        for kind in get_args(union)
    }


CHOICES: dict[str, Mapping[str, type[Any]]] = {"credit": _by_name(Credit), "loss": _by_name(Loss, "Loss")}
"""Fields of a configuration that are one of several kinds."""

Report = Literal["tensorboard", "wandb", "trackio"]


def _read_setting(words: list[str]) -> dict[str, Any]:
    """Turn NAME=VALUE words into a table; a value that reads as JSON is taken as JSON."""
    table: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"expected NAME=VALUE, such as engine=textworld, got {word!r}")
        try:
            table[name] = json.loads(value)
        except ValueError:
            table[name] = value
    return table


_SETTINGS = tyro.constructors.PrimitiveConstructorSpec(
    nargs="*",
    metavar="NAME=VALUE ...",
    instance_from_str=_read_setting,
    is_instance=lambda value: isinstance(value, dict),
    str_from_instance=lambda table: [f"{name}={json.dumps(value)}" for name, value in table.items()],
)

EnvSettings = Annotated[dict[str, Any], _SETTINGS]


@dataclass(frozen=True, kw_only=True)
class EnvConfig:
    """The environment, and how much of an episode the model is shown."""

    id: Annotated[str, tyro.conf.arg(name="env", prefix_name=False, metavar="ID")] = ""
    """Registered id, such as AgentGym/ALFWorld-v0."""
    split: str = ""
    """Split that training tasks come from; the environment's own choice if empty."""
    context: Context = "conversation"
    """conversation: the prompt grows with the episode. step: each step has a prompt of its own with the last ones."""
    num_envs: int = 64
    """Environments that are held; the model is asked for as many answers at once."""
    settings: EnvSettings = field(default_factory=dict)
    """Further settings of the environment and of the wrappers, such as engine=native history=4 action_format=bare."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The model."""

    path: Annotated[str, tyro.conf.arg(name="model", prefix_name=False, metavar="PATH")] = ""
    """Directory or hub id of a transformers causal language model with a chat template."""
    lora_rank: int = 0
    """Rank of LoRA adapters; 0 trains all weights."""
    lora_alpha: float = 32.0
    """Scale of the adapters: they are multiplied by alpha / rank."""
    lora_targets: tuple[str, ...] = ("all-linear",)
    """Names of the modules that get an adapter."""
    device: str = "auto"
    """auto takes a GPU if there is one."""
    trust_remote_code: bool = False
    """Run Python code that lies in the model's directory. Only for authors you trust."""


@dataclass(frozen=True, kw_only=True)
class RolloutConfig:
    """What is played in one iteration."""

    groups: int = 16
    """Tasks per iteration."""
    group_size: int = 8
    """Episodes per task, all from the same start."""
    temperature: float = 1.0
    """Of sampling."""
    max_new_tokens: int = 512
    """Limit on an answer's tokens."""
    stop: tuple[str, ...] = ()
    """Strings that end an answer, beside the model's own end token."""
    max_turns: int | None = None
    """Limit on a training episode's turns, beside the environment's own. Evaluation knows the latter only."""


@dataclass(frozen=True, kw_only=True)
class RewardConfig:
    """How rewards are shaped before credit is assigned. Environments pay 1 for success; defaults as in the paper."""

    scale: float = 10.0
    """Factor on the environment's rewards."""
    invalid_penalty: float = 0.1
    """Taken off the reward of a turn whose answer is out of order."""
    penalise: Literal["format", "action"] = "format"
    """format: an answer without a command. action: also a command that the environment does not accept."""


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Evaluation during training, by which the best checkpoint is chosen. Never name a split that is to be reported."""

    split: str = ""
    """Split to evaluate on; empty for no evaluation."""
    tasks: int = 100
    """Tasks, evenly spaced over the split's list and always the same; all of them if the split has fewer."""
    every: int = 10
    """Iterations between evaluations; one more at the start and one at the end."""
    temperature: float = 0.0
    """Of sampling; 0 takes the most likely token."""


@dataclass(frozen=True, kw_only=True)
class OutputConfig:
    """What a run leaves behind, and how often."""

    save_steps: int | None = None
    """Iterations between checkpoints; by default 1 for models below 100 million weights, else 10."""
    keep: int = 2
    """Checkpoints that are kept beside the best one."""
    report_to: tuple[Report, ...] = ("tensorboard",)
    """Loggers beside metrics.jsonl. TensorBoard is left out if it is not installed; the others must be."""
    episodes: bool = True
    """Write every episode to episodes.jsonl."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A whole run."""

    env: EnvConfig = field(default_factory=EnvConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    credit: Credit = field(default_factory=Gigpo)
    loss: Loss = field(default_factory=PpoLoss)
    learner: LearnerSettings = field(default_factory=LearnerSettings)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    iterations: int = 150
    """Passes of the loop: play, assign credit, learn."""
    processes: int | None = None
    """Processes that `agent-gym train` shares the work among; by default one per core of a CPU, if each has enough."""
    seed: int = 0
    """Of everything that is drawn: tasks, their starts, tokens, the order of samples."""
    output_dir: str = "runs/latest"
    """Directory that the run writes into."""

    def __post_init__(self) -> None:
        """Refuse what can't work, before anything is loaded.

        Raises:
            BadOptionError: If a number is out of range, or a group method has groups of one.
        """
        for name, value, least in (
            ("iterations", self.iterations, 0),
            ("env.num_envs", self.env.num_envs, 1),
            ("rollout.groups", self.rollout.groups, 1),
            ("rollout.group_size", self.rollout.group_size, 1),
            ("rollout.max_new_tokens", self.rollout.max_new_tokens, 1),
            ("evaluation.every", self.evaluation.every, 1),
            ("evaluation.tasks", self.evaluation.tasks, 1),
            ("output.keep", self.output.keep, 1),
            ("model.lora_rank", self.model.lora_rank, 0),
            ("seed", self.seed, 0),
            ("evaluation.temperature", self.evaluation.temperature, 0),
            ("reward.scale", self.reward.scale, 0),
            ("reward.invalid_penalty", self.reward.invalid_penalty, 0),
        ):
            if not least <= value < float("inf"):
                raise BadOptionError(f"{name} must be {least} or more, got {value}.")
        for name, number in (("output.save_steps", self.output.save_steps), ("processes", self.processes)):
            if number is not None and number < 1:
                raise BadOptionError(f"{name} must be 1 or more, got {number}.")
        if not self.rollout.temperature > 0:
            raise BadOptionError(
                f"rollout.temperature must be above 0, got {self.rollout.temperature}: greedy episodes of one task "
                "are all the same, and a group of them teaches nothing."
            )
        if self.rollout.group_size < smallest_group(self.credit):
            raise BadOptionError(
                "rollout.group_size must be 2 or more: a group of one has nothing to compare its episode with, and "
                "every advantage would be zero."
            )
        if self.evaluation.split and self.evaluation.split == self.env.split:
            raise BadOptionError(
                f"evaluation.split must differ from the split that is trained on, got {self.env.split!r} for both."
            )


# TOML -----------------------------------------------------------------------------------------------------------------


def load_config(path: str | Path, base: TrainConfig | None = None) -> TrainConfig:
    """Read a TOML file; what it does not name is as in `base` (by default: as the dataclasses say).

    Raises:
        BadOptionError: If the file can't be read, or holds an unknown key or a value of the wrong kind.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadOptionError(f"expected a configuration file, got {str(path)!r} ({error.strerror}).") from error
    except ValueError as error:
        raise BadOptionError(f"expected TOML in {str(path)!r}: {error}.") from error
    return config_from_table(table, base)


def config_from_table(table: Mapping[str, Any], base: TrainConfig | None = None) -> TrainConfig:
    """Make a configuration from a nested table.

    Raises:
        BadOptionError: If the table holds an unknown key or a value of the wrong kind.
    """
    config: TrainConfig = _merge(base or TrainConfig(), table, "")
    return config


def _merge(base: Any, table: Any, where: str) -> Any:
    """Return the dataclass object `base` with the fields that `table` names replaced."""
    if not isinstance(table, Mapping):
        raise BadOptionError(f"{where.rstrip('.')} must be a table, got {table!r}.")
    table = dict(table)
    choices = _kinds_of(base)
    if choices and "method" in table:
        base = _of_kind(base, choices, str(table.pop("method")), f"{where}method")
    known = {one.name for one in fields(base)}
    hints = get_type_hints(type(base), include_extras=False)
    changes = {}
    for name, value in table.items():
        if name not in known:
            raise BadOptionError(
                f"unknown key {where + name!r}: expected one of {sorted(known)}.{did_you_mean(name, known)}"
            )
        current = getattr(base, name)
        if is_dataclass(current):
            changes[name] = _merge(current, value, f"{where}{name}.")
        else:
            changes[name] = _value(value, hints[name], where + name)
    try:
        return dataclasses.replace(base, **changes)
    except BadOptionError:
        raise
    except ValueError as error:
        raise BadOptionError(f"{where.rstrip('.')}: {error}") from error


def _kinds_of(value: Any) -> Mapping[str, type[Any]]:
    """The kinds that a part of a configuration is one of, by name; none if it is not a matter of choice."""
    return next((choices for choices in CHOICES.values() if type(value) in choices.values()), {})


def _of_kind(base: Any, choices: Mapping[str, type[Any]], method: str, where: str) -> Any:
    """Return `base` if it is of the kind called `method`, else one with that kind's defaults."""
    if method not in choices:
        raise BadOptionError(f"{where} must be one of {list(choices)}, got {method!r}.{did_you_mean(method, choices)}")
    return base if type(base) is choices[method] else choices[method]()


def _value(value: Any, hint: Any, where: str) -> Any:
    """Check a value against a field's type, and bring it into the form that the field has."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value == "none" or value is None:
            return None
        return _value(value, next(one for one in arguments if one is not type(None)), where)
    if origin is Literal:
        if value not in arguments:
            raise BadOptionError(
                f"{where} must be one of {list(arguments)}, got {value!r}.{did_you_mean(str(value), arguments)}"
            )
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise BadOptionError(f"{where} must be a list, got {value!r}.")
        inner = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(inner) != len(value):
            raise BadOptionError(f"{where} must have {len(inner)} entries, got {value!r}.")
        return tuple(_value(one, kind, where) for one, kind in zip(value, inner, strict=True))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise BadOptionError(f"{where} must be a table, got {value!r}.")
        return dict(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise BadOptionError(f"{where} must be of type {hint.__name__}, got {value!r}.")
    return value


def to_toml(config: TrainConfig) -> str:
    """Write a configuration out in full; `config_from_table` of the result gives it back."""
    return "\n".join(_lines(config, ())) + "\n"


def _lines(value: Any, path: tuple[str, ...]) -> Iterable[str]:
    if path:
        yield f"\n[{'.'.join(path)}]"
    if choices := _kinds_of(value):
        yield f"method = {json.dumps(next(name for name, kind in choices.items() if type(value) is kind))}"
    tables = {}
    for one in fields(value):
        entry = getattr(value, one.name)
        if is_dataclass(entry):
            tables[one.name] = entry
        else:
            yield f"{one.name} = {_toml(entry)}"
    for name, entry in tables.items():
        yield from _lines(entry, (*path, name))


def _toml(value: Any) -> str:
    if value is None:
        return '"none"'
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(name)} = {_toml(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)


# The command line -----------------------------------------------------------------------------------------------------


def take_choices(words: Iterable[str], base: TrainConfig) -> tuple[list[str], TrainConfig]:
    """Split words such as `credit:gigpo` off, and return the other words and `base` with those kinds in it.

    They may stand anywhere. A kind that `base` has already keeps its settings; another comes with its own defaults.

    Raises:
        BadOptionError: If there is no such kind.
    """
    rest = []
    for word in words:
        name, colon, method = word.partition(":")
        if colon and name in CHOICES:
            part = _of_kind(getattr(base, name), CHOICES[name], method, f"{name}:")
            base = dataclasses.replace(base, **{name: part})
        else:
            rest.append(word)
    return rest, base


def choices_help() -> str:
    """What `take_choices` takes, in one paragraph."""
    words = "; ".join(" ".join(f"{name}:{method}" for method in choices) for name, choices in CHOICES.items())
    return f"Words that choose a method, whose own settings then follow: {words}."
