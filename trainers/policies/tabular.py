"""A table instead of a network: one logit per (state, command), so that a learning curve takes seconds.

    π(command | state) = softmax(table[state])[command]        over the commands admissible in the state

For the small exact environments, where what is to be compared is the credit assignment and not the function
approximation. It plugs in where a language model does: the "prompt" is one token that names the state, the "answer" one
token that names the command, and the model maps the first to the logits of the second. So the learner, the losses and
the checkpoints are those of language models, and log-probabilities are exact. As in a language model's rollouts, the
text goes through the environment's wrappers.

    commands     0 … C − 1          in the order in which they were first admissible
    states       C … C + S − 1      in the order in which they were first met

It knows nothing that the key does not say: two states with different keys share nothing, and a key that leaves
something out is a state that the policy cannot tell apart.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Literal, get_args

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from agent_gym import keys
from agent_gym.errors import BadOptionError
from agent_gym.vector import Frame
from trainers.policies.base import Codec, Messages, ModelError, Request, random_stream
from trainers.policies.draw import draw
from trainers.policies.scripted import COMMAND_IN_TAGS
from trainers.types import Completion

MODEL_TYPE: Final = "agent_gym_tabular"
FRESH: Final = "tabular"
"""Stands for an empty table where the directory of a model is expected; "tabular:task" for one with another key, and
"tabular:state:400" for one with 400 commands, "tabular:state:400:1000" for one with 1,000 states as well."""
IMPOSSIBLE: Final = -1e9
"""Logit of a command that is not admissible: its probability is 0 in every precision, and its entropy term too."""

Key = Literal["state", "observation", "task"]
"""What tells rows of the table apart: the state key; the observation, which is all that a language model reads; or the
task alone, for a policy that does the same all the time, as one of a bandit does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TabularSettings:
    """Size of the table; it can't grow, since the optimiser's averages lie beside it."""

    states: int = 16384
    """Most states. All states of all tasks count, those of evaluation tasks too."""
    commands: int = 16
    """Most different commands in all states together."""
    key: Key = "state"
    """What tells states apart."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing."""
        if self.states < 1 or self.commands < 1:
            raise ModelError(f"expected 1 state and 1 command or more, got {self.states} and {self.commands}.")
        if self.key not in get_args(Key):
            raise ModelError(f"key must be one of {list(get_args(Key))}, got {self.key!r}.")


class _Names:
    """Which row belongs to which state, and which column to which command. Copies of a model share it."""

    def __init__(self, settings: TabularSettings) -> None:
        self.settings = settings
        self.states: dict[str, int] = {}
        self.commands: dict[str, int] = {}
        self.admissible: list[list[int]] = []  # columns, by state
        self.mask_sc = torch.zeros(settings.states, settings.commands)

    def __deepcopy__(self, memo: dict[int, Any]) -> _Names:
        return self  # a reference model meets the states that the trained one has met

    def row(self, key: str, commands: Sequence[str]) -> int:
        """Return the row of a state, a fresh one if it is new."""
        known = self.states.get(key)
        if known is not None:
            return known
        row, columns = len(self.states), [self._column(command) for command in commands]
        if row == self.settings.states:
            raise BadOptionError(
                f"expected at most {row} states, got one more ({key!r}): make the table larger "
                "(tabular:KEY:COMMANDS:STATES), or play fewer tasks."
            )
        self.states[key] = row
        self.admissible.append(columns)
        self._allow(row, columns)
        return row

    def _column(self, command: str) -> int:
        column = self.commands.setdefault(command, len(self.commands))
        if column == self.settings.commands:
            del self.commands[command]
            raise BadOptionError(
                f"expected at most {column} different commands, got one more ({command!r}): make the table wider "
                "(tabular:KEY:COMMANDS)."
            )
        return column

    def _allow(self, row: int, columns: Sequence[int]) -> None:
        self.mask_sc[row] = IMPOSSIBLE
        self.mask_sc[row, list(columns)] = 0.0

    def contents(self) -> dict[str, Any]:
        """Return all that was met, as JSON can hold it."""
        return {"commands": list(self.commands), "states": list(self.states), "admissible": self.admissible}

    def replace(self, contents: dict[str, Any]) -> None:
        """Forget all that was met, and know this instead."""
        self.commands = {command: column for column, command in enumerate(contents["commands"])}
        self.states = {key: row for row, key in enumerate(contents["states"])}
        self.admissible = [list(columns) for columns in contents["admissible"]]
        self.mask_sc.zero_()
        for row, columns in enumerate(self.admissible):
            self._allow(row, columns)


class TabularModel(nn.Module):
    """The table, in the form in which the learner knows language models: ids in, logits of the next id out.

    All logits start at 0, so the fresh policy draws each admissible command with the same probability.
    """

    def __init__(self, settings: TabularSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or TabularSettings()
        self.names = _Names(self.settings)
        self.table = nn.Embedding(self.settings.states, self.settings.commands)
        nn.init.zeros_(self.table.weight)
        self.head = nn.Identity()

    def get_output_embeddings(self) -> nn.Module:
        """The layer that the learner narrows to the positions it needs."""
        return self.head

    def forward(self, input_ids: Tensor, use_cache: bool = False) -> SimpleNamespace:
        """Return an object with `logits`, shape (B, T, C); at positions of commands they mean nothing."""
        rows_bt = (input_ids - self.settings.commands).clamp_(min=0)
        return SimpleNamespace(logits=self.head(self.table(rows_bt) + self.names.mask_sc[rows_bt]))

    def get_extra_state(self) -> dict[str, Any]:
        """What belongs to the weights: the names of rows and columns."""
        return self.names.contents()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take over names with the weights that they belong to."""
        self.names.replace(state)

    def save_pretrained(self, save_directory: str, /) -> None:
        """Write the table and its names into a directory."""
        directory = Path(save_directory)
        directory.mkdir(parents=True, exist_ok=True)
        config = {"model_type": MODEL_TYPE, **asdict(self.settings)}
        (directory / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
        (directory / "names.json").write_text(json.dumps(self.names.contents()), encoding="utf-8")
        save_file({"table.weight": self.table.weight.detach()}, directory / "model.safetensors")

    @classmethod
    def from_pretrained(cls, directory: str | Path, **_: Any) -> TabularModel:
        """Read what `save_pretrained` wrote; the options of transformers' method of that name mean nothing here.

        Raises:
            ModelError: If it is not in the directory.
        """
        path = Path(directory)
        if not is_tabular(path):
            raise ModelError(f"expected a directory with a saved table, got {str(directory)!r}.")
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        model = cls(TabularSettings(states=config["states"], commands=config["commands"], key=config["key"]))
        model.names.replace(json.loads((path / "names.json").read_text(encoding="utf-8")))
        model.table.load_state_dict({"weight": load_file(path / "model.safetensors")["table.weight"]})
        return model


class TabularCodec:
    """Texts of commands by their tokens. What stands in messages is not read: the policy looks at `info`."""

    end_ids: frozenset[int]

    def __init__(self, names: _Names, form: str) -> None:
        """Take the model's names; `form` says how an answer holds its `{command}`."""
        self._names = names
        self._form = form
        self.end_ids = frozenset(range(names.settings.commands))

    def start(self, messages: Messages) -> tuple[int, ...]:
        """Return a placeholder; `TabularPolicy.complete` puts the state in its place."""
        return (0,)

    def extend(self, messages: Messages, ended: bool) -> tuple[int, ...]:
        """Return a placeholder."""
        return (0,)

    def ended(self, token_ids: Sequence[int]) -> bool:
        """Every command ends its answer."""
        return bool(token_ids)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the answer that holds the command."""
        texts = list(self._names.commands)
        return "".join(self._form.format(command=texts[token]) for token in token_ids)

    def encode_answer(self, text: str) -> tuple[int, ...]:
        """Refuse: a demonstration's prompt does not say in which state it was given.

        Raises:
            ModelError: Always.
        """
        raise ModelError("a table can't imitate: expected a language model for demonstrations, got a tabular policy.")

    def check_prefix(self) -> None:
        """Do nothing: a state's token is the same wherever it stands."""


class TabularPolicy:
    """Draws commands from a table, which the trainer trains in place; for environments that tell admissible actions.

    States and commands get their rows and columns when they are first met, and are saved with the weights. In both
    contexts a turn is two tokens; with context "conversation" an episode is one sample, which learns several times
    faster than a sample for every turn and to the same effect.

    Example:
        config = TrainConfig(env=EnvConfig(id="AgentGym/Rooms-v0"), learner=LearnerSettings(learning_rate=0.1))
        env = make_llm_vec("AgentGym/Rooms-v0", 32)
        Trainer(config, env=env, policy=TabularPolicy()).train()

    Args:
        model: A table; a fresh one by default.
        settings: Of the fresh one.
        form: How an answer holds its `{command}`; by default as the wrappers expect it by default.

    Raises:
        BadOptionError: Under `torchrun` with several ranks, which would number states in different orders.
    """

    needs_expert = False
    context_limit = 1 << 31
    tokenizer = None

    def __init__(
        self,
        model: TabularModel | None = None,
        *,
        settings: TabularSettings | None = None,
        form: str = COMMAND_IN_TAGS,
    ) -> None:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise BadOptionError("a tabular policy is trained in one process: run it without torchrun.")
        self._table = model or TabularModel(settings)
        self.model: nn.Module = self._table
        self._form = form
        self.codec: Codec = TabularCodec(self._table.names, form)
        self.tokens_processed = 0

    @classmethod
    def load(cls, path: str | Path, **options: Any) -> TabularPolicy:
        """Read a saved table, or make a fresh one: "tabular", or "tabular:KEY:COMMANDS:STATES" for one of another kind.

        KEY is what tells its states apart, COMMANDS and STATES how many it has room for; each may be left out.

        Raises:
            ModelError: If there is no table, no such key, or no such size.
        """
        word, _, rest = str(path).partition(":")
        if word != FRESH:
            return cls(TabularModel.from_pretrained(path), **options)
        settings: TabularSettings = options.pop("settings", None) or TabularSettings()
        key, *sizes = rest.split(":")
        if len(sizes) > 2 or any(size and not (size.isascii() and size.isdigit()) for size in sizes):
            raise ModelError(
                f"expected numbers of commands and of states after the key, as in {FRESH}:state:400:1000, got {path!r}."
            )
        given: dict[str, Any] = {
            name: int(size) for name, size in zip(("commands", "states"), sizes, strict=False) if size
        }
        if key:
            given["key"] = key
        return cls(settings=replace(settings, **given), **options)

    @torch.no_grad()
    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """Draw a command for every request.

        Raises:
            BadOptionError: If the environment does not tell the admissible commands, or the table is full.
        """
        if not requests:
            return []
        rows = torch.tensor([self._row(request.frame) for request in requests])
        logits = self._table.table.weight[rows] + self._table.names.mask_sc[rows]
        uniforms = torch.tensor([float(random_stream(request.seed, 1)[0]) for request in requests], dtype=torch.float64)
        ids, logprobs = draw(logits, uniforms, [request.sampling.temperature for request in requests])
        self.tokens_processed += 2 * len(requests)
        first_state = self._table.settings.commands
        return [
            Completion(prompt_ids=(first_state + row,), token_ids=(token,), logprobs=(logprob,), finish="stop")
            for row, token, logprob in zip(rows.tolist(), ids.tolist(), logprobs.tolist(), strict=True)
        ]

    def ids_of_frame(self, frame: Frame) -> tuple[int, ...]:
        """Return the token of the state that a frame shows; empty if it can't be told because the episode is over."""
        row = self._table.names.states.get(self._key(frame))
        if row is None:
            if not frame.info.get(keys.ADMISSIBLE_ACTIONS):
                return ()
            row = self._row(frame)
        return (self._table.settings.commands + row,)

    def release(self, sessions: Iterable[int]) -> None:
        """Do nothing: nothing is remembered from turn to turn."""

    def twin(self) -> TabularPolicy:
        """Return a policy with the same names and weights of its own, which change with nobody's."""
        return TabularPolicy(copy.deepcopy(self._table), form=self._form)

    def rest(self) -> None:
        """Do nothing: there is no cache."""

    def sync(self) -> None:
        """Do nothing: the weights are the learner's own."""

    def probabilities(self, key: str) -> dict[str, float]:
        """Return π(command | state) of a state that was met, by command.

        Raises:
            BadOptionError: If it was not.
        """
        names = self._table.names
        if key not in names.states:
            raise BadOptionError(f"expected the key of a state that was met, got {key!r}.")
        row = names.states[key]
        texts = list(names.commands)
        logits = self._table.table.weight[row, names.admissible[row]].detach().double()
        chances = torch.softmax(logits, dim=0).tolist()
        return {texts[column]: chance for column, chance in zip(names.admissible[row], chances, strict=True)}

    def _row(self, frame: Frame | None) -> int:
        if frame is None:
            raise BadOptionError(
                "a tabular policy looks at the environment: expected a request with its frame, got None."
            )
        commands = frame.info.get(keys.ADMISSIBLE_ACTIONS)
        if not commands:
            raise BadOptionError(
                f"a tabular policy draws from info[{keys.ADMISSIBLE_ACTIONS!r}], which this environment does not tell."
            )
        return self._table.names.row(self._key(frame), commands)

    def _key(self, frame: Frame) -> str:
        if self._table.settings.key == "observation":
            return frame.observation
        name = keys.STATE_KEY if self._table.settings.key == "state" else keys.TASK
        return str(frame.info[name])


def is_tabular(path: str | Path) -> bool:
    """Whether a model that is asked for is a table: "tabular", with or without a key, or a saved one's directory."""
    config = Path(path) / "config.json"
    if str(path).partition(":")[0] == FRESH:
        return True
    try:
        return bool(json.loads(config.read_text(encoding="utf-8")).get("model_type") == MODEL_TYPE)
    except (OSError, ValueError, AttributeError):
        return False
