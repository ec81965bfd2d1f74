"""An expert that is told the game: it does what the engine's own policy says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agent_gym.envs.textworld.engine import ENGINE, Player


class WalkthroughExpert:
    """Follows the engine's winning policy, which starts as the walkthrough and is worked out anew after every action.

    Off the walkthrough the engine looks for the actions that undo what led away. Where it knows none (the quests of a
    game may be conditions without actions) the walkthrough itself is followed as long as it has been, and then anything
    possible is done.
    """

    def __init__(self, player: Callable[[], Player]) -> None:
        """Look at a player's position whenever asked."""
        self._player = player
        self._progress: Any = None
        self._done: tuple[Any, ...] = ()
        self._said: list[str] = []

    def observe(self, command: str | None, observation: str) -> None:
        """Take in a command; what it led to is seen in the position."""
        if command is not None:
            self._said.append(" ".join(command.split()))

    def act(self) -> str:
        """Return the next command of the policy."""
        player = self._player()
        with ENGINE:
            policy = self._policy(player)
            commands = player.commands
        for command in (*policy[:1], *self._walkthrough(player)):
            if command in commands:
                return command
        return next((command for command in commands if command not in ("inventory", "look")), "look")

    def _walkthrough(self, player: Player) -> tuple[str, ...]:
        steps = player.game.walkthrough
        number = len(self._said)
        return steps[number : number + 1] if list(steps[:number]) == self._said else ()

    def _policy(self, player: Player) -> list[str]:
        from textworld.generator.game import GameProgression

        actions = player.position.actions
        if self._progress is None or actions[: len(self._done)] != self._done:
            self._progress, self._done = GameProgression(player.game.game), ()
        for action in actions[len(self._done) :]:
            self._progress.update(action)
        self._done = actions
        policy = self._progress.winning_policy
        return list(player.game.inform.gen_commands_from_actions(policy)) if policy else []
