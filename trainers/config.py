"""The configuration of a run: nested dataclasses, read from TOML, overridden word by word, written back as TOML.

The configuration *is* these objects. A TOML file has one table per nested dataclass and one key per field; the command
line has the same names with dots (`--rollout.group-size 8`). `credit` and `loss` are each one of several kinds:
`method = "gigpo"` in the table `[credit]`, the word `credit:gigpo` on the command line. The fields of another kind have
other defaults, as its paper has. What stands for None here is made by its table: `[replay]`, or the word `replay:on`.
"""

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tyro

from agent_gym.errors import BadOptionError
from trainers.config_tables import Kinds, lines, merge
from trainers.credit import (
    Archer,
    BilevelGae,
    DrGrpo,
    Gae,
    Gigpo,
    Grpo,
    GrpoPassK,
    Hgpo,
    MacroGae,
    Opo,
    Rae,
    ReinforcePlusPlus,
    Remax,
    Rloo,
    Tempo,
    TempoTurns,
    TurnGae,
    smallest_group,
)
from trainers.critics.settings import CriticSettings
from trainers.dynamic_sampling import DynamicSampling
from trainers.judges.choose import JudgeSettings
from trainers.losses.cispo import CispoLoss
from trainers.losses.gspo import GspoLoss
from trainers.losses.ppo import PpoLoss
from trainers.losses.reinforce import ReinforceLoss
from trainers.named_values import NamedValues
from trainers.players import Players, SelfPlay
from trainers.replay import ReplaySettings
from trainers.samples import Context
from trainers.settings import LearnerSettings, RaySettings, SamplerSettings
from trainers.shaping import (
    Calm,
    Explors,
    Exprd,
    IntentReward,
    Ircoco,
    Lare,
    LtlProgress,
    OverlongPenalty,
    PotentialShaping,
    Renorm,
    Spa,
)
from trainers.task_filter import TaskFilter

Credit = (
    Gigpo
    | Grpo
    | DrGrpo
    | Rloo
    | ReinforcePlusPlus
    | Rae
    | Opo
    | Remax
    | GrpoPassK
    | Hgpo
    | Tempo
    | TempoTurns
    | Gae
    | TurnGae
    | BilevelGae
    | MacroGae
    | Archer
)
Loss = PpoLoss | GspoLoss | CispoLoss | ReinforceLoss


def _by_name(union: Any, ending: str = "") -> dict[str, type[Any]]:
    """The classes of a union by the name that files and the command line know them under: `DrGrpo` is `dr-grpo`."""
    return {
        re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind.__name__.removesuffix(ending)).lower(): kind
        for kind in get_args(union)
    }


CHOICES: dict[str, Mapping[str, type[Any]]] = {"credit": _by_name(Credit), "loss": _by_name(Loss, "Loss")}
"""Fields of a configuration that are one of several kinds."""

SLOTS: dict[str, Kinds] = {
    "credit": Kinds(known=CHOICES["credit"], needs=("__call__", "assign")),
    "loss": Kinds(known=CHOICES["loss"], needs=("per_token",)),
    "shaping.own": Kinds(known={}, needs=("__call__", "start")),
}
"""The same and what may be of your own, with what it must be able to do."""

Report = Literal["tensorboard", "wandb", "trackio"]


@dataclass(frozen=True, kw_only=True)
class EnvConfig:
    """The environment, and how much of an episode the model is shown."""

    id: Annotated[str, tyro.conf.arg(name="env", prefix_name=False, metavar="ID")] = ""
    """Registered id, such as AgentGym/ALFWorld-v0, or a game for several agents, such as kuhn_poker_v0."""
    split: str = ""
    """Split that training tasks come from; the environment's own choice if empty."""
    context: Context = "conversation"
    """conversation: the prompt grows with the episode. step: each step has a prompt of its own with the last ones."""
    num_envs: int = 64
    """Environments that are held; the model is asked for as many answers at once. Of a game: agents."""
    workers: int = 0
    """Worker processes that the environments are in, for a slow engine; 0 keeps them in this process."""
    settings: NamedValues = field(default_factory=dict)
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
    tasks: int | None = None
    """Different tasks that are trained on, evenly spaced over the split's list; by default all of them."""
    only: tuple[str, ...] = ()
    """Names of the tasks that are trained on, of the split; in a game each stands for all its agents."""
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
class ShapingConfig:
    """Shapers between the scaling of rewards and the penalty for invalid answers, at work in this order.

    A table makes a shaper, as the word `shaping:spa` does; without one there is none.
    """

    intent: IntentReward | None = None
    exprd: Exprd | None = None
    renorm: Renorm | None = None
    spa: Spa | None = None
    lare: Lare | None = None
    ircoco: Ircoco | None = None
    calm: Calm | None = None
    potential: PotentialShaping | None = None
    ltl: LtlProgress | None = None
    explors: Explors | None = None
    own: Any = None
    """A shaper of your own: `method = "my_package.my_module:MyShaper"` and its settings."""
    overlong: OverlongPenalty | None = None

    def chosen(self) -> dict[str, Any]:
        """The shapers that there are, by name, in the order in which they work."""
        parts = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        return {name: part for name, part in parts.items() if part is not None}


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
    sampler: SamplerSettings = field(default_factory=SamplerSettings)
    reward: RewardConfig = field(default_factory=RewardConfig)
    shaping: ShapingConfig = field(default_factory=ShapingConfig)
    judge: JudgeSettings = field(default_factory=JudgeSettings)
    credit: Credit | Any = field(default_factory=Gigpo)  # Any: of your own, see SLOTS
    loss: Loss | Any = field(default_factory=PpoLoss)
    task_filter: TaskFilter | None = None
    dynamic_sampling: DynamicSampling | None = None
    replay: ReplaySettings | None = None
    players: Players = field(default_factory=Players)
    self_play: SelfPlay | None = None
    learner: LearnerSettings = field(default_factory=LearnerSettings)
    critic: CriticSettings = field(default_factory=CriticSettings)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    ray: RaySettings = field(default_factory=RaySettings)
    output: OutputConfig = field(default_factory=OutputConfig)
    iterations: int = 150
    """Passes of the loop: play, assign credit, learn."""
    processes: int | None = None
    """Processes that `agent-gym train` shares the work among; by default one per core of a CPU, if each has enough."""
    max_restarts: int = 3
    """Times in a row that what was killed is started anew: a run of several processes from its last checkpoint, and
    under Ray a rollout worker. Progress in between starts the count again."""
    seed: int = 0
    """Of everything that is drawn: tasks, their starts, tokens, the order of samples."""
    output_dir: str = "runs/latest"
    """Directory that the run writes into."""

    @property
    def needs_critic(self) -> bool:
        """Whether the credit estimator asks for one, of either kind."""
        return any(getattr(self.credit, name, False) for name in ("needs_values", "needs_action_values"))

    @property
    def warmup_iterations(self) -> int:
        """First iterations in which only the critic learns; none without a critic."""
        return min(self.iterations, self.critic.warmup_iterations) if self.needs_critic else 0

    def __post_init__(self) -> None:
        """Refuse what can't work, before anything is loaded.

        Raises:
            BadOptionError: If a number is out of range, or a group method has groups of one.
        """
        for name, value, least in (
            ("iterations", self.iterations, 0),
            ("env.num_envs", self.env.num_envs, 1),
            ("env.workers", self.env.workers, 0),
            ("rollout.groups", self.rollout.groups, 1),
            ("rollout.group_size", self.rollout.group_size, 1),
            ("rollout.max_new_tokens", self.rollout.max_new_tokens, 1),
            ("evaluation.every", self.evaluation.every, 1),
            ("evaluation.tasks", self.evaluation.tasks, 1),
            ("output.keep", self.output.keep, 1),
            ("model.lora_rank", self.model.lora_rank, 0),
            ("seed", self.seed, 0),
            ("max_restarts", self.max_restarts, 0),
            ("evaluation.temperature", self.evaluation.temperature, 0),
            ("reward.scale", self.reward.scale, 0),
            ("reward.invalid_penalty", self.reward.invalid_penalty, 0),
        ):
            if not least <= value < float("inf"):
                raise BadOptionError(f"{name} must be {least} or more, got {value}.")
        for name, number in (
            ("output.save_steps", self.output.save_steps),
            ("processes", self.processes),
            ("rollout.tasks", self.rollout.tasks),
        ):
            if number is not None and number < 1:
                raise BadOptionError(f"{name} must be 1 or more, got {number}.")
        if self.rollout.only and self.rollout.tasks is not None:
            raise BadOptionError("rollout.tasks must be left out with rollout.only, which names the tasks.")
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

    def require_complete(self) -> None:
        """Refuse parts that would do nothing, since what they work with is missing.

        Raises:
            BadOptionError: If there is one.
        """
        self._require_judge()
        if self.shaping.exprd is not None and not self.shaping.exprd.table:
            raise BadOptionError(
                "shaping.exprd.table must name a file of rewards: without them this shaper changes nothing."
            )
        if self.needs_critic and 0 < self.iterations <= self.critic.warmup_iterations:
            raise BadOptionError(
                f"critic.warmup_iterations must be below iterations, got {self.critic.warmup_iterations} of "
                f"{self.iterations}: the policy would never learn."
            )

    def _require_judge(self) -> None:
        kind = self.judge.kind
        if kind == "environment":
            return
        if not any(hasattr(part, "judged_by") for part in self.shaping.chosen().values()):
            raise BadOptionError(
                f"judge.kind is {kind!r}, but no shaper asks a judge: choose one that does (shaping:renorm asks for "
                "scores, shaping:calm for subgoals), or leave the judge out."
            )
        if kind == "rules" and self.shaping.calm is not None:
            raise BadOptionError(
                "judge.kind must be environment, policy or server for shaping.calm, got 'rules': rules give scores and "
                "know no subgoals."
            )
        if kind == "server" and not self.judge.server.model:
            raise BadOptionError("judge.server.model must be the name that the server knows its model by, got ''.")


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
    config: TrainConfig = merge(base or TrainConfig(), table, SLOTS)
    return config


def to_toml(config: TrainConfig) -> str:
    """Write a configuration out in full; `config_from_table` of the result gives it back."""
    return "\n".join(lines(config, SLOTS)) + "\n"
