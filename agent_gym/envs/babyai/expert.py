"""The expert of `AgentGym/BabyAI-v0`: the bot that minigrid brings, kept from its known ways to get stuck."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agent_gym.envs.babyai.commands import ACTIONS, NOTHING, possible

_NAMES = {action: command for command, action in ACTIONS.items()}
_DEEP = 100
"""Subgoals within subgoals; the bot has fewer than 20 where it gets on, and without end where it does not."""


class _LostError(Exception):
    """The bot piles up subgoals without end."""


class _Stack(list[Any]):
    """The bot's stack of subgoals, which says when it grows without end."""

    def append(self, subgoal: Any) -> None:
        """Put a subgoal on top.

        Raises:
            _LostError: If there are too many.
        """
        if len(self) >= _DEEP:
            raise _LostError
        super().append(subgoal)


class Advisor:
    """minigrid's bot in one of its games, asked for advice whoever acts.

    It sees no further than the agent does, and remembers what was seen. When it gives up (somebody opened a box, an
    assumption of its own does not hold, what it wants is not possible), a new one starts where the game stands; if that
    gives up too, the advice is to walk ahead, and to turn where that is not possible.

    Attributes:
        advice: The action to take now.
        gave_up: Whether a bot has given up in this game.
    """

    def __init__(self, game: Any) -> None:
        """Begin where the game stands; the bot looks into it, and changes nothing."""
        self._game = game
        self.gave_up = False
        self._bot = self._fresh()
        self.advice = self._ask(None)

    def after(self, action: int) -> None:
        """Take in that an action was carried out."""
        self.advice = self._ask(action)

    def _fresh(self) -> Any:
        from minigrid.utils.baby_ai_bot import BabyAIBot

        bot = BabyAIBot(self._game)
        bot.stack = _Stack(bot.stack)
        return bot

    def _ask(self, action: int | None) -> int:
        from minigrid.utils.baby_ai_bot import DisappearedBoxError

        for told in (action, None):
            try:
                advice = int(self._bot.replan(told))
            except (AssertionError, DisappearedBoxError, _LostError):
                advice = NOTHING
            if advice != NOTHING and possible(self._game, _NAMES[advice]):
                return advice
            self._bot, self.gave_up = self._fresh(), True
        return ACTIONS["go forward" if possible(self._game, "go forward") else "turn right"]


class Bot:
    """An expert for one episode: it replays the commands in a game of its own, in which minigrid's bot is asked."""

    def __init__(self, game: Any) -> None:
        """Take a game at its start."""
        self._game, self._advisor = game, Advisor(game)

    def observe(self, command: str | None, observation: str) -> None:
        """Carry the command out in the game of its own."""
        del observation
        if command is not None and possible(self._game, command):
            *_, over, _, _ = self._game.step(ACTIONS[command])
            if not over:
                self._advisor.after(ACTIONS[command])

    def act(self) -> str:
        """Return the bot's advice."""
        return _NAMES[self._advisor.advice]


def solves(game: Any, begin: Callable[[], object]) -> bool:
    """Whether the bot fulfils the mission within the game's own limit, and never gives up; `begin` starts the game."""
    begin()
    advisor, steps, over = Advisor(game), 0, False
    while not over and not advisor.gave_up and steps < game.max_steps:
        *_, over, _, _ = game.step(advisor.advice)
        steps += 1
        if not over:
            advisor.after(advisor.advice)
    return over
