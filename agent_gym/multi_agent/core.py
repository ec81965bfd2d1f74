"""The environment contract for several agents: PettingZoo games in which observations and actions are text.

What `agent_gym.core.TextEnv` promises for one agent holds here for each: named tasks, chance from `np_random` only,
`info` under the names of `agent_gym.keys`, saving and restoring, an expert. New is that agents know different things.
"""

from __future__ import annotations

import abc
import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from pettingzoo import AECEnv

from agent_gym import keys
from agent_gym.core import Expert
from agent_gym.errors import (
    BadOptionError,
    EpisodeError,
    StateError,
    UnknownSplitError,
    UnknownTaskError,
    did_you_mean,
)
from agent_gym.multi_agent.parts import TEXT, Seat, Transcript, View
from agent_gym.spaces import FreeText


class TextGame(AECEnv[str, dict[str, str], str], abc.ABC):  # type: ignore[misc]  # PettingZoo ships no types
    """Base class of the games: agents take turns, one command each.

    An observation is `{"text": …}`: all that the agent has come to know since it last acted. `observe` may be asked at
    any time and forgets nothing.

    `infos[agent]["state_key"]` names the agent's **information set**: everything it knows that bears on what is to
    come, its own secrets and what all have seen, and nothing that it can't know. Equal keys mean that the agent can do
    the same, and that no experience of its own tells the two moments apart in a way that matters. They don't mean
    equal futures, since others may hold different secrets. For the same reason the key does not hold the task, whose
    name may spell out every secret: it is for the one who runs the game, and never for a prompt.

    `admissible_actions` is empty while it is another's turn; `action_valid` is about the agent's own last command. A
    command that is not understood costs the turn; each game says what a lost turn is.

    Attributes:
        roles: The role of each agent, in the order of `possible_agents`.
        split: Split that tasks are drawn from when `reset` names none.
        splits: Names of all splits.
        np_random: Where all chance comes from.
        dice: For each agent a number drawn at the start, for an expert that mixes its actions.
        example_task: A task id to show in error messages.
        costs_turn: Whether a command that is not understood uses up the turn. If not, nothing but words comes of it.
    """

    metadata: dict[str, Any] = {"name": "", "render_modes": ["ansi"], "is_parallelizable": False}  # noqa: RUF012  as in every PettingZoo environment
    roles: ClassVar[Mapping[str, str]]
    splits: ClassVar[tuple[str, ...]]
    example_task: ClassVar[str]
    costs_turn: ClassVar[bool] = True

    agents: list[str]
    agent_selection: str
    rewards: dict[str, float]
    _cumulative_rewards: dict[str, float]
    terminations: dict[str, bool]
    truncations: dict[str, bool]
    infos: dict[str, dict[str, Any]]
    _valid: dict[str, bool]
    _last: tuple[str, str] | None
    """The last command and whose it was."""
    _heard: dict[str, tuple[str, ...]]
    """What each agent has come to know since it last acted."""
    _commands: dict[str, str | None]
    """Each agent's last command."""

    def __init__(
        self,
        *,
        tasks: Mapping[str, Sequence[str]],
        split: str,
        max_turns: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Set up spaces and tasks.

        Args:
            tasks: The sorted task ids of each split.
            split: Split to draw from.
            max_turns: Commands of all agents together after which an episode is truncated.
            render_mode: `"ansi"` or `None`.

        Raises:
            UnknownSplitError: If `split` is none of `splits`.
            BadOptionError: If `render_mode` is not offered, or `max_turns` is no number above 0.
        """
        super().__init__()
        self._tasks = {name: tuple(ids) for name, ids in tasks.items()}
        self._split_of = {task: name for name, ids in self._tasks.items() for task in ids}
        self.tasks(split)
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise BadOptionError(
                f"render_mode must be one of {self.metadata['render_modes']} or None, got {render_mode!r}."
            )
        if max_turns is not None and (isinstance(max_turns, bool) or not isinstance(max_turns, int) or max_turns < 1):
            raise BadOptionError(f"the limit on turns must be a whole number from 1, or None, got {max_turns!r}.")
        self.split, self.render_mode, self.max_turns = split, render_mode, max_turns
        self.possible_agents = list(self.roles)
        self._observation_spaces = {agent: gym.spaces.Dict({TEXT: FreeText()}) for agent in self.roles}
        self._action_spaces = {agent: FreeText() for agent in self.roles}
        self._np_random: np.random.Generator | None = None
        self._task: str | None = None
        self.dice: dict[str, int] = {}

    # What a game provides ---------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def instructions(self, agent: str) -> str:
        """The rules and commands, told to an agent that has never seen the game."""

    @abc.abstractmethod
    def make_expert(self, agent: str) -> Expert:
        """Return a fresh player of this agent's role for the running episode; it is told observations only."""

    @abc.abstractmethod
    def _start(self, task: str) -> None:
        """Set up a task, and `_tell` the agents what they know at the start."""

    @abc.abstractmethod
    def _turn(self) -> str | None:
        """Return the agent whose turn it is; `None` when the game is over."""

    @abc.abstractmethod
    def _understands(self, agent: str, command: str) -> bool:
        """Return whether the command means something and is allowed now."""

    @abc.abstractmethod
    def _play(self, agent: str, command: str | None) -> None:
        """Carry out a command that is understood, `None` for one that is not; `_tell` and `_pay` the agents."""

    @abc.abstractmethod
    def _view(self, agent: str) -> View:
        """Return what the game is to an agent now."""

    @abc.abstractmethod
    def _get_state(self) -> Any:
        """Return what `_set_state` needs; it must pickle and must not change afterwards."""

    @abc.abstractmethod
    def _set_state(self, state: Any) -> None:
        """Restore the simulator."""

    def _is_asked(self, agent: str) -> bool:
        """Return whether a command of this agent is waited for, and it knows all that it will know by then."""
        return agent == self.turn

    def _cut(self) -> None:
        """Be told that the limit on turns ends the episode; may still `_tell` and `_pay`."""

    def _tell(self, agent: str, text: str) -> None:
        """Let an agent know something."""
        self._heard[agent] = (*self._heard[agent], text)

    def _pay(self, agent: str, reward: float) -> None:
        self.rewards[agent] += reward

    # The contract -----------------------------------------------------------------------------------------------------

    def observation_space(self, agent: str) -> gym.spaces.Dict:
        """Return the space of observations, the same object each time."""
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> FreeText:
        """Return the space of commands, the same object each time."""
        return self._action_spaces[agent]

    @property
    def np_random(self) -> np.random.Generator:
        """The generator; seeded by `reset`, or by chance before."""
        if self._np_random is None:
            self._np_random, _ = seeding.np_random()
        return self._np_random

    def tasks(self, split: str) -> Sequence[str]:
        """Return the sorted task ids of a split; splits share none.

        Raises:
            UnknownSplitError: If there is no such split.
        """
        if not isinstance(split, str) or split not in self._tasks:
            raise UnknownSplitError(
                f"split must be one of {list(self.splits)}, got {split!r}.{did_you_mean(str(split), self.splits)}"
            )
        return self._tasks[split]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Start an episode.

        Args:
            seed: Seeds `np_random`.
            options: `{"task": id}` plays that task, of whatever split. Names that are nothing like it are passed over,
                as PettingZoo's own tests ask.

        Raises:
            BadOptionError: If an option seems to be a misspelt `task`, or the task is no string.
            UnknownTaskError: If there is no such task.
        """
        if seed is not None:
            self._np_random, _ = seeding.np_random(seed)
        task = _wanted_task(options)
        if task is None:
            ids = self._tasks[self.split]
            task = ids[int(self.np_random.integers(len(ids)))]
        self._enter(task, {agent: int(self.np_random.integers(2**62)) for agent in self.possible_agents})

    def step(self, action: str | None) -> None:
        """Carry out the command of the agent whose turn it is; `None` for an agent that is done.

        Raises:
            EpisodeError: Before the first `reset`, and when all agents are done.
        """
        if self._task is None or not self.agents:
            when = "before reset()" if self._task is None else "after the last agent was done"
            raise EpisodeError(f"step() was called {when}: call reset() to start an episode.")
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        command = action if isinstance(action, str) else ""
        self._clear_rewards()
        self._cumulative_rewards[agent] = 0.0
        self._transcripts[agent].append((self._commands[agent], self._text(agent)))
        self._commands[agent], self._heard[agent] = command, ()
        self._valid[agent] = self._understands(agent, command)
        self._last = (agent, command)
        self._play(agent, command if self._valid[agent] else None)
        self._turns += 1
        self._go_on()
        self._accumulate_rewards()

    def observe(self, agent: str) -> dict[str, str]:
        """Return what an agent has come to know since it last acted."""
        return {TEXT: self._text(agent)}

    def expert_action(self, agent: str | None = None) -> str:
        """Return what the expert would do in the place of the agent whose turn it is.

        Where agents act at the same time it may be any whose command is still to come.

        Raises:
            EpisodeError: If it is not this agent's turn.
        """
        agent = self.turn if agent is None else agent
        if agent is None or not self._is_asked(agent):
            raise EpisodeError(f"expert_action() is for the agent whose turn it is, {self.turn}, got {agent}.")
        if agent not in self._experts:
            self._experts[agent] = Seat(self.make_expert(agent))
        return self._experts[agent].act(self.transcript(agent))

    def understands(self, command: str) -> bool:
        """Return whether a command of the agent whose turn it is would be valid.

        Raises:
            EpisodeError: If it is nobody's turn.
        """
        if self.turn is None:
            raise EpisodeError("understands() is about the agent whose turn it is, and it is nobody's: call reset().")
        return self._understands(self.turn, command)

    @property
    def turn(self) -> str | None:
        """The agent whose command is waited for; `None` before the start and at the end."""
        if self._task is None or not self.agents or any(self.terminations.values()) or any(self.truncations.values()):
            return None
        return str(self.agent_selection)

    def transcript(self, agent: str) -> Transcript:
        """Return what an agent did and saw, up to now."""
        return [*self._transcripts[agent], (self._commands[agent], self._text(agent))]

    def get_state(self) -> dict[str, Any]:
        """Return the whole episode so far; it pickles, and later steps do not change it.

        Raises:
            EpisodeError: Before the first `reset`.
        """
        if self._task is None:
            raise EpisodeError("get_state() was called before reset(): there is no episode to save.")
        kept = {name: copy.deepcopy(getattr(self, name)) for name in _KEPT}
        return kept | {"random": copy.deepcopy(self.np_random.bit_generator.state), "simulator": self._get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to a saved episode, of any task of this game.

        Raises:
            StateError: If `state` was not made by `get_state`.
        """
        missing = {*_KEPT, "random", "simulator"} - (set(state) if isinstance(state, dict) else set())
        if missing:
            raise StateError(f"Expected a state made by get_state(), got one without {sorted(missing)}.")
        self._enter(state["_task"], state["dice"])
        for name in _KEPT:
            setattr(self, name, copy.deepcopy(state[name]))
        self._set_state(state["simulator"])
        self.np_random.bit_generator.state = copy.deepcopy(state["random"])
        self.infos = {agent: self._info(agent) for agent in self.agents}

    def render(self) -> str | None:
        """Return the last command, and what the next agent reads, in render mode `"ansi"`, else `None`."""
        if self.render_mode != "ansi" or self._task is None:
            return None
        said = [f"{self._last[0]}> {self._last[1]}"] if self._last is not None else []
        return "\n".join([*said, *(f"{agent}: {self._text(agent)}" for agent in self.agents if self._text(agent))])

    def close(self) -> None:
        """Do nothing: a game holds no resources."""

    def _enter(self, task: str, dice: dict[str, int]) -> None:
        if task not in self._split_of:
            raise UnknownTaskError(
                f"expected a task id such as {self.example_task!r}, got {task!r}; tasks(split) lists them."
            )
        self._task, self.dice = task, dice
        self._turns = 0
        self._last = None
        self._heard = dict.fromkeys(self.possible_agents, ())
        self._commands = dict.fromkeys(self.possible_agents)
        self._valid = dict.fromkeys(self.possible_agents, True)
        self._transcripts: dict[str, list[tuple[str | None, str]]] = {agent: [] for agent in self.possible_agents}
        self._experts: dict[str, Seat] = {}
        self.agents = list(self.possible_agents)
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self._skip_agent_selection: str | None = None
        self._start(task)
        self._go_on()

    def _go_on(self) -> None:
        """Pass the turn on, or end the episode, and say so in `infos`."""
        turn = self._turn()
        if turn is None:
            self.terminations = dict.fromkeys(self.agents, True)
        elif self.max_turns is not None and self._turns >= self.max_turns:
            self.truncations = dict.fromkeys(self.agents, True)
            self._cut()
        self.agent_selection = turn or self.agents[0]
        self.infos = {agent: self._info(agent) for agent in self.agents}

    def _text(self, agent: str) -> str:
        return "\n".join(self._heard[agent])

    def _info(self, agent: str) -> dict[str, Any]:
        assert self._task is not None, "an episode is running"
        view = self._view(agent)
        commands = view.commands if self.turn == agent else ()
        return {
            keys.STATE_KEY: view.key,
            keys.ADMISSIBLE_ACTIONS: commands,
            keys.ALIASES[keys.ADMISSIBLE_ACTIONS]: commands,
            keys.ACTION_VALID: self._valid[agent],
            keys.SUCCESS: view.score == 1.0,
            keys.ALIASES[keys.SUCCESS]: view.score == 1.0,
            keys.SCORE: view.score,
            keys.TASK: self._task,
            keys.SPLIT: self._split_of[self._task],
            keys.SOURCE: "generated",
            keys.ROLE: self.roles[agent],
            **view.more,
        }


_KEPT = (
    "_task",
    "dice",
    "_turns",
    "_last",
    "_heard",
    "_commands",
    "_valid",
    "_transcripts",
    "agents",
    "agent_selection",
    "_skip_agent_selection",
    "rewards",
    "_cumulative_rewards",
    "terminations",
    "truncations",
)
"""The attributes that, beside the simulator's and the generator's state, are an episode."""


def _wanted_task(options: dict[str, Any] | None) -> str | None:
    for name in options or {}:
        hint = did_you_mean(str(name), ["task"])
        if name != "task" and hint:
            raise BadOptionError(f"reset(options=…) knows 'task', got {name!r}.{hint}")
    task = (options or {}).get("task")
    if task is not None and not isinstance(task, str):
        raise BadOptionError(f"options['task'] must be a task id (a string), got {task!r}; tasks(split) lists them.")
    return task
