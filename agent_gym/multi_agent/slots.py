"""Games of several agents through slots: each slot is one agent's view of a game that it shares with other slots.

To whoever plays through slots, an episode is a pair of task and agent, named `task@agent`; so groups are made per task
and role, and each episode has its agent's rewards, keys and prompts. What is new is that a slot may have to wait:

    start(slots, tasks, seeds)   a slot joins the oldest game of its task in which its agent is missing, or opens one
    step(slots, texts)           the agent's answer is carried out at once
    look(slots)                  asks again after slots that wait

Each gives one frame per slot. While it is another's turn the frame is a waiting one, with nothing but
`info["waiting"]`: no answer is asked for, and what the agent gets meanwhile is paid with its next frame. The frame that
`look` brings in the end is the answer to the agent's last step, as if that had taken so long.

Wrappers go around each view as around any environment. A step that has to wait is broken off inside them and made again
later, with the same answer; so a wrapper must change nothing of its own before the step that it passes on returns.
Those of Gymnasium and of this project do so.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import gymnasium as gym

from agent_gym import keys
from agent_gym.core import Expert, TextEnv
from agent_gym.errors import BadOptionError, EpisodeError, StateError, UnknownTaskError
from agent_gym.multi_agent.core import TextGame
from agent_gym.multi_agent.parts import TEXT
from agent_gym.vector import Frame, LocalSlots

WAITING = Frame("", 0.0, False, False, {keys.WAITING: True})
"""The frame of a slot that has nothing to do yet."""


class NotYetError(Exception):
    """It is another agent's turn: the call is to be made again."""


class SharedGame:
    """A game, and who has come to it."""

    def __init__(self, game: TextGame) -> None:
        """Wait for a task."""
        self.game = game
        self.task: str | None = None
        self.number = 0
        """The how-manieth game of all that were opened."""
        self._broken = False
        self.present: set[str] = set()
        self._left: set[str] = set()
        self._owed: dict[str, float] = {}

    def open(self, task: str, seed: int | None, number: int) -> None:
        """Start a task, for agents who come later."""
        self.game.reset(seed=seed, options={"task": task})
        self.task, self.number, self._broken = task, number, False
        self.present, self._left = set(), set()
        self._owed = dict.fromkeys(self.game.possible_agents, 0.0)

    def come(self, agent: str) -> None:
        """Take a part."""
        self.present.add(agent)

    def step(self, command: str) -> None:
        """Carry out the command of the agent whose turn it is."""
        self._play(lambda: command)

    def leave(self, agent: str) -> None:
        """Let the game's expert play an agent's part to the end, as soon as somebody looks."""
        self.present.discard(agent)
        self._left.add(agent)

    def look(self) -> None:
        """Let the expert play for those who have left, up to the turn of one who has not.

        Raises:
            EpisodeError: If there was an error in a turn before: of such a game nobody can see the end.
        """
        if self._broken:
            raise EpisodeError("The game has ended in an error, in a turn of another agent.")
        while self.game.turn in self._left:
            self._play(self.game.expert_action)

    @property
    def done(self) -> bool:
        """Whether nobody plays here any more, so that another task can be opened."""
        return self.task is None or (not self.present and self._left == set(self.game.possible_agents))

    def missing(self, agent: str) -> bool:
        """Whether an agent has not come yet."""
        return agent not in self.present and agent not in self._left

    def paid(self, agent: str) -> float:
        """Return what an agent has got since it last asked."""
        owed, self._owed[agent] = self._owed[agent], 0.0
        return owed

    def _play(self, command: Callable[[], str]) -> None:
        self._broken = True  # unless it comes back
        self.game.step(command())
        self._broken = False
        for agent, reward in self.game.rewards.items():
            self._owed[agent] += reward


class RoleView(TextEnv):
    """One agent's part in a game that others share. Made by `GameSlots`, which seats it."""

    def __init__(self, game: TextGame) -> None:
        """Stand by; `game` is any of the kind, to ask for tasks and rules."""
        self.splits = tuple(game.splits)
        super().__init__(split=game.split)
        self.agent = game.possible_agents[0]
        self._kind = game
        self._shared: SharedGame | None = None
        self._sent = False
        self._cut = False

    @property
    def agents(self) -> Sequence[str]:
        """All that it can be."""
        return tuple(self._kind.possible_agents)

    @property
    def instructions(self) -> str:
        """The rules and commands of the agent that it is."""
        return self._kind.instructions(self.agent)

    def tasks(self, split: str) -> Sequence[str]:
        """Return `task@agent` for all tasks of a split and all agents."""
        return sorted(f"{task}@{agent}" for task, agent in product(self._kind.tasks(split), self.agents))

    def make_expert(self) -> Expert:
        """Return the game's own player of the agent."""
        return self._sits_at.game.make_expert(self.agent)

    def sit(self, shared: SharedGame, agent: str) -> None:
        """Take an agent's seat."""
        self._shared, self.agent, self._sent, self._cut = shared, agent, False, False
        shared.come(agent)

    def stand_up(self) -> None:
        """Leave the game; the expert plays on for those who stay."""
        if self._shared is not None:
            self._shared.leave(self.agent)
            self._shared = None

    @property
    def _sits_at(self) -> SharedGame:
        if self._shared is None:
            raise EpisodeError("The slot takes part in no game: call start() first.")
        return self._shared

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Carry out one command; the game's own limit on turns truncates the episode.

        Raises:
            NotYetError: While another agent has to act; the command is carried out, and the same call will tell.
        """
        observation, reward, over, _, info = super().step(action)
        return observation, reward, over and not self._cut, self._cut, info

    def collect(self) -> tuple[float, bool, bool]:
        """Return what was paid before the agent's first turn, and whether the game was over by then, or cut off."""
        shared = self._sits_at
        if shared.game.turn is not None:
            return 0.0, False, False
        reward = shared.paid(self.agent)
        self._end()
        return reward, not self._cut, self._cut

    def _start(self, task: str) -> tuple[str, dict[str, Any]]:
        return self._seen()

    def _act(self, command: str) -> tuple[str, float, bool, dict[str, Any]]:
        shared = self._sits_at
        if not self._sent:
            shared.step(command)
            self._sent = True
        observation, info = self._seen()
        self._sent = False
        reward, over = shared.paid(self.agent), shared.game.turn is None
        if over:
            self._end()
        return observation, reward, over, info

    def _seen(self) -> tuple[str, dict[str, Any]]:
        self._sits_at.look()
        game = self._sits_at.game
        if game.turn not in (self.agent, None):
            raise NotYetError
        return game.observe(self.agent)[TEXT], dict(game.infos[self.agent])

    def _end(self) -> None:
        self._cut = any(self._sits_at.game.truncations.values())
        self.stand_up()

    def _get_state(self) -> Any:
        raise StateError("A part in a shared game can't be saved alone: save the game itself.")

    def _set_state(self, state: Any) -> None:
        raise StateError("A part in a shared game can't be restored alone: restore the game itself.")


class GameSlots(LocalSlots):
    """Slots over games of one kind; see the module.

    It is a `SlotEnv`, with `look` and `leave` beside. Games are made as they are needed. So that nobody waits for an
    agent that finds no slot, there must be as many slots as the groups of one task have episodes together (two roles in
    groups of eight: 16), and those groups must be started one after the other.

    Attributes:
        agents: Who plays in each game. Tasks of a split come in runs of this length, one of each agent.
        roles: The role of each agent.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        num_slots: int,
        wrap: Callable[[gym.Env[str, str]], gym.Env[Any, Any]] = lambda env: env,
    ) -> None:
        """Create the views.

        Args:
            make: Makes a game, wrapped or not.
            num_slots: Agents that play at the same time, of all games together.
            wrap: Puts wrappers around each agent's view.

        Raises:
            BadOptionError: If there is to be no slot, or the game is none of ours.
        """
        game = make().unwrapped
        if not isinstance(game, TextGame):
            raise BadOptionError(f"expected games of agent_gym.multi_agent, got {type(game).__name__}.")
        if num_slots < len(game.possible_agents):
            raise BadOptionError(f"num_slots must be {len(game.possible_agents)} or more, got {num_slots}.")
        self.agents = tuple(game.possible_agents)
        self.roles = dict(game.roles)
        self._make = make
        self._opened = 0
        self._games = [SharedGame(game)]
        self._views = [RoleView(game) for _ in range(num_slots)]
        self._waits: dict[int, Callable[[], Frame]] = {}
        super().__init__([wrap(view) for view in self._views])

    def start(self, slots: Sequence[int], tasks: Sequence[str | None], seeds: Sequence[int | None]) -> list[Frame]:
        """Seat each slot in a game of its task.

        Raises:
            UnknownTaskError: If a task is not of the form `task@agent`.
            BadOptionError: If no task is named.
        """
        frames = []
        for slot, task, seed in zip(slots, tasks, seeds, strict=True):
            if task is None:
                raise BadOptionError("expected a task for every slot, got none: agents of a game can't draw it alone.")
            name, _, agent = task.rpartition("@")
            view = self._views[slot]
            if agent not in view.agents:
                raise UnknownTaskError(f"expected 'task@agent', the agent one of {view.agents}, got {task!r}.")
            view.stand_up()
            view.sit(self._game_for(name, agent, seed), agent)
            self._waits.pop(slot, None)
            frames.append(self._try(slot, functools.partial(self._reset, slot, task, seed)))
        return frames

    def step(self, slots: Sequence[int], texts: Sequence[str]) -> list[Frame]:
        """Carry out each slot's answer.

        Raises:
            EpisodeError: If a slot has to wait for others.
        """
        for slot in slots:
            if slot in self._waits:
                raise EpisodeError(f"Slot {slot} waits for another agent: look() again before the next step().")
        return [
            self._try(slot, functools.partial(self._answer, slot, text))
            for slot, text in zip(slots, texts, strict=True)
        ]

    def look(self, slots: Sequence[int]) -> list[Frame]:
        """Return the frame that a waiting slot waits for, or another waiting one."""
        return [self._try(slot, self._waits.pop(slot)) if slot in self._waits else WAITING for slot in slots]

    def leave(self, slots: Sequence[int]) -> None:
        """Take slots out of their games before the end; the games' experts play on for those who stay."""
        for slot in slots:
            self._waits.pop(slot, None)
            self._views[slot].stand_up()

    def _game_for(self, task: str, agent: str, seed: int | None) -> SharedGame:
        open_games = [
            shared for shared in self._games if shared.task == task and not shared.done and shared.missing(agent)
        ]
        if open_games:  # the oldest: who meets whom does not depend on the number of slots
            return min(open_games, key=lambda shared: shared.number)
        if not any(shared.done for shared in self._games):
            self._games.append(SharedGame(self._make().unwrapped))
        free = next(shared for shared in self._games if shared.done)
        self._opened += 1
        free.open(task, seed, self._opened)
        return free

    def _reset(self, slot: int, task: str, seed: int | None) -> Frame:
        observation, info = self.envs[slot].reset(seed=seed, options={"task": task})
        return Frame(observation, *self._views[slot].collect(), info)

    def _answer(self, slot: int, text: str) -> Frame:
        return super().step([slot], [text])[0]

    def _try(self, slot: int, call: Callable[[], Frame]) -> Frame:
        """Return the frame of a call, or a waiting one and remember the call."""
        try:
            return call()
        except NotYetError:
            self._waits[slot] = call
            return WAITING
