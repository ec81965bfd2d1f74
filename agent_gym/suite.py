"""What every environment of this package is, said once: the lists, the pages and the suite's evaluation read it here.

    from agent_gym.suite import ENVIRONMENTS, GAMES
    ENVIRONMENTS["AgentGym/Rooms-v0"].does

Settings are not said here: they are the arguments of the entry point, with its docstring. What is measured stands in
`agent_gym.suite_figures`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import load_env_creator

from agent_gym import registration as ids
from agent_gym.multi_agent.games import is_game, load_game

_SPLITS = ("train", "valid", "test")
_GENERATED = ("generated_train", "generated_valid", "generated_test")


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """What one environment, or game of several agents, is."""

    title: str
    does: str
    """What one does there, in one line."""
    page: str
    """Its page in `docs/`, with the heading."""
    reward: str
    horizon: str
    """Limit on steps with default settings; of a game, on the turns of all agents."""
    state_key: str
    """What a state is here, and what equal keys promise."""
    extra: str = ""
    """Extra of the distribution without which it can't be played."""
    splits: tuple[str, ...] = _SPLITS
    """Splits that are there without further data; the last is the one to test on."""
    published: tuple[str, ...] = ()
    """Further splits, for which published data must be there."""
    more_splits: str = ""
    """Splits that settings add, in words."""

    def split_like(self, kind: str) -> str | None:
        """Return the split that `kind` names here: itself, or of `train`, `valid` and `test` the one that is generated.

        >>> ENVIRONMENTS[ids.ALFWORLD].split_like("test"), ENVIRONMENTS[ids.ROOMS].split_like("test")
        ('generated_test', 'test')
        """
        own = [split for split in self.splits if split.removeprefix("generated_") == kind]
        return next(iter(own), kind if kind in (*self.splits, *self.published) else None)


ENVIRONMENTS: Mapping[str, About] = {
    ids.ALFWORLD: About(
        title="ALFWorld",
        does="household tasks in text: find, clean, heat, cool, place, look at things",
        page="alfworld.md",
        reward="1 in the step that solves the task",
        horizon="50 steps",
        state_key="the place of the agent, what it holds, and every fact that differs from the start; exact",
        splits=_GENERATED,
        published=("train", "valid_train", "valid_seen", "valid_unseen"),
    ),
    ids.BABYAI: About(
        title="BabyAI",
        does="missions in a grid of rooms: go to, pick up, open, put next to; minigrid's levels in words",
        page="worlds.md#babyai",
        reward="1 when the mission is fulfilled",
        horizon="64 steps",
        state_key="a hash of where everything is and of what the mission remembers; exact",
        extra="babyai",
    ),
    ids.BUSY_WORK: About(
        title="BusyWork",
        does="write a report; polishing it pleases a judge of single steps and leads nowhere",
        page="diagnostic-environments.md",
        reward="1 for submitting the complete report",
        horizon="12 steps",
        state_key="the task, how many parts are written, whether it is submitted; exact",
    ),
    ids.CONVERSATIONAL_QA: About(
        title="ConversationalQA",
        does="answer a question that leaves out what its conversation has said, by searching documents",
        page="search-qa.md",
        reward="0 to 1 for the answer, as far as it has the reference's words",
        horizon="4 turns",
        state_key="the task and which documents have been seen; exact",
        extra="search",
        splits=_GENERATED,
        published=_SPLITS,
    ),
    ids.DYNAMICAL_LINEAR_BANDIT: About(
        title="Dynamical linear bandit",
        does="six arms that pay now and later, as text or as vectors",
        page="diagnostic-environments.md",
        reward="what the arm pays, in every round; success is 98 % of the best in the second half",
        horizon="60 rounds",
        state_key="the task, the round, the hidden state; exact for what is paid, since noise belongs to the task",
    ),
    ids.FROZEN_LAKE: About(
        title="FrozenLake",
        does="cross the ice to the goal, around the holes; slippery or firm",
        page="puzzles.md#frozenlake",
        reward="1 for reaching the goal",
        horizon="100 steps",
        state_key="the task and the cell; equal keys promise equal distributions of futures, since ice is slippery",
    ),
    ids.GEM: About(
        title="GEM",
        does="any environment of GEM, by its name",
        page="adapters.md",
        reward="the library's own, at every step",
        horizon="200 steps",
        state_key="a digest of all that the game holds, turns and its random state included; exact",
        extra="gem",
    ),
    ids.GAME_2048: About(
        title="2048",
        does="slide tiles and join equal ones up to a target; new ones come by chance",
        page="puzzles.md#2048",
        reward="1 for making the target's tile",
        horizon="128 steps",
        state_key="the board; equal keys promise equal distributions of futures, since tiles come by chance",
    ),
    ids.KEY_DOOR: About(
        title="KeyDoor",
        does="fetch a key, unlock a door, reach the stairs; a map in text",
        page="diagnostic-environments.md",
        reward="1 for reaching the stairs",
        horizon="100 steps",
        state_key="the task, the player's place, where the key is, whether the door is open; exact",
    ),
    ids.MACRO_COPY: About(
        title="MacroCopy",
        does="copy a long text for one reward at the end",
        page="diagnostic-environments.md",
        reward="the share of symbols that are right, at the end",
        horizon="128 steps",
        state_key="the task, how much is written and how much of it is right; exact",
    ),
    ids.MINIHACK: About(
        title="MiniHack",
        does="NetHack's KeyRoom: fetch a key, unlock a door, reach the stairs",
        page="worlds.md#minihack",
        reward="1 for reaching the stairs",
        horizon="200 steps",
        state_key="map, inventory and attributes as NetHack shows them, and whether the door is unlocked; "
        "equal keys promise equal distributions of futures",
        extra="minihack",
    ),
    ids.REASONING_GYM: About(
        title="reasoning-gym",
        does="any dataset of reasoning-gym, by its name",
        page="adapters.md",
        reward="0 to 1, the score of the answer",
        horizon="4 steps",
        state_key="the task, and whether it is answered; exact",
        extra="reasoning-gym",
    ),
    ids.ROOMS: About(
        title="Rooms",
        does="find the way through rooms whose doors lead who knows where",
        page="diagnostic-environments.md",
        reward="1 for leaving by the exit",
        horizon="20 steps",
        state_key="the task and the room, in `tree` also whether all went right so far; exact",
    ),
    ids.SCIENCEWORLD: About(
        title="ScienceWorld",
        does="experiments of elementary science in a house: find, boil, grow, measure, connect; 30 kinds of tasks",
        page="scienceworld.md",
        reward="by how much ScienceWorld's score rises; what has failed loses what it had",
        horizon="100 steps",
        state_key="the task and the commands so far, without those that change nothing; exact, and finer than need be",
        extra="scienceworld",
    ),
    ids.SEARCH_QA: About(
        title="SearchQA",
        does="answer a question whose answer is spread over several documents, by searching them",
        page="search-qa.md",
        reward="0 to 1 for the answer, as far as it has the reference's words",
        horizon="6 turns",
        state_key="the task and which documents have been seen; exact",
        extra="search",
        splits=_GENERATED,
        published=_SPLITS,
    ),
    ids.SOKOBAN: About(
        title="Sokoban",
        does="push boxes onto goals; generated levels, or Boxoban's files",
        page="puzzles.md#sokoban",
        reward="1 when all boxes are on goals",
        horizon="100 steps",
        state_key="the task, the player's square, the set of squares with boxes; exact",
        more_splits="with files those of their folders, or `all`",
    ),
    ids.TEXT_ARENA: About(
        title="TextArena",
        does="any single-player game of TextArena, by its name",
        page="adapters.md",
        reward="the library's own, at the end of the game",
        horizon="200 steps",
        state_key="a digest of all that the game holds, turns and its random state included; exact",
        extra="textarena",
    ),
    ids.TEXTWORLD: About(
        title="TextWorld",
        does="text adventures on the real engine: find, take, unlock, cook; generated games, or files",
        page="textworld.md",
        reward="by how much the share of the game's points rises; 1 in all for a game that is won",
        horizon="50 steps",
        state_key="the task, the engine's facts, the points by quest, the order of things that lie together; exact",
        extra="textworld",
        more_splits="with game files those of their folders, or `all`",
    ),
    ids.TWENTY_QUESTIONS: About(
        title="Twenty questions",
        does="find out what thing is thought of, by questions in plain words",
        page="multi-agent.md#twenty-questions",
        reward="1 for naming the thing",
        horizon="20 questions",
        state_key="what the asker has been told; an information set, which several things may fit",
    ),
    ids.WEBSHOP: About(
        title="WebShop",
        does="search a shop, choose options, buy what an instruction asks for",
        page="webshop.md",
        reward="0 to 1 for what is bought, as far as it is what was asked for",
        horizon="15 steps",
        state_key="the task, the page and what leads back from it, the query, the item and its options; exact",
        extra="webshop",
        splits=_GENERATED,
        published=_SPLITS,
    ),
}
"""Every registered id."""

GAMES: Mapping[str, About] = {
    "household_v0": About(
        title="Household",
        does="a team of robots in one house, told its task in temporal logic on several levels",
        page="multi-agent.md#household",
        reward="1 for each robot when the team's specification is satisfied",
        horizon="120 turns",
        state_key="the state of the whole team, house and specification; exact",
    ),
    "kuhn_poker_v0": About(
        title="Kuhn poker",
        does="bet on one card out of three; exact exploitability",
        page="multi-agent.md#kuhn-poker",
        reward="chips won, −2 to 2; they sum to zero",
        horizon="none: a game has three turns at most",
        state_key="the own card and the bets: one of twelve information sets",
        splits=("train", "test"),
    ),
    "negotiation_v0": About(
        title="Negotiation",
        does="deal or no deal: divide items whose worth to the other is hidden",
        page="multi-agent.md#negotiation",
        reward="own points, a tenth each, if there is a deal",
        horizon="20 turns",
        state_key="the own values, the table and what was proposed",
    ),
    "twenty_questions_v0": About(
        title="Twenty questions",
        does="an asker finds out what thing an answerer thinks of",
        page="multi-agent.md#twenty-questions",
        reward="1 to the asker for naming the thing; the answerer −1/20 for each false answer",
        horizon="40 turns",
        state_key="the asker's: what it has been told; the answerer's: thing and question",
    ),
}
"""Every game of `agent_gym.multi_agent`."""


def about(name: str) -> About:
    """Return what an environment or a game of this package is.

    Raises:
        KeyError: If it is none.
    """
    return GAMES[name] if is_game(name) else ENVIRONMENTS[name]


def creator_of(name: str) -> Callable[..., Any]:
    """Return what makes an environment or a game, the class or function whose arguments are its settings."""
    if is_game(name):
        make: Callable[..., Any] = load_game(name).raw_env
        return make
    entry_point = gym.spec(name).entry_point
    creator = load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point
    assert creator is not None  # all ids of this package have one
    return creator


def settings_of(name: str) -> dict[str, Any]:
    """Return the settings of an environment or a game with their defaults, without `split` and `render_mode`."""
    parameters = inspect.signature(creator_of(name)).parameters.values()
    return {one.name: one.default for one in parameters if one.name not in ("split", "render_mode")}
