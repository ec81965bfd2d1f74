"""One episode of `AgentGym/MiniHack-v0`: which commands there are, what they do, and what is said."""

from __future__ import annotations

from collections.abc import Iterator

from agent_gym.envs.minihack.game import CLOSED, FLOOR, KEY, MOVES, OPEN, PICK_UP, STAIRS, UNLOCK, Cell, Game

SUBGOALS = (PICK_UP, UNLOCK)
CARRIED, ON_KEY, IN_DOORWAY = "You carry the key.", "You stand on the key.", "You stand in a doorway."
_PASSABLE = (FLOOR, OPEN, KEY, STAIRS, "<")
_UNLOCKED = "You succeed in unlocking"
_LOOK_HERE = ":"


class Session:
    """A game from its start, with what NetHack does not show: where the key lies, whether a door is unlocked.

    Attributes:
        view: What is shown now.
        reached: The subgoals reached so far.
        admissible: The commands that may do something now, sorted.
        played: Commands and the seeds of their chance, which lead here from the start.
    """

    def __init__(self, game: Game, seed: int) -> None:
        """Start the game of a seed."""
        self._game, self._seed = game, seed
        self.begin()

    def begin(self) -> None:
        """Go back to the start."""
        self.view = self._game.start(self._seed, self._seed)
        self.reached: tuple[str, ...] = ()
        self.played: tuple[tuple[str, int], ...] = ()
        here = self._game.press([_LOOK_HERE], self._seed).message  # the map hides a key on which the player starts
        self._key_at: Cell | None = self.view.at if "key" in here.lower() else None
        self._doors: set[Cell] = set()
        self._notice()

    def play(self, command: str, chance: int) -> None:
        """Carry out an admissible command; what NetHack decides by chance follows from `chance`."""
        if command in MOVES:
            pressed = [MOVES[command][0]]
        elif command == PICK_UP:
            pressed = [","]
        else:
            pressed = ["a", self.view.key_letter, self._beside(), "y"]
        self.view = self._game.press(pressed, chance)
        self.played = (*self.played, (command, chance))
        done = {PICK_UP: bool(self.view.key_letter), UNLOCK: self.view.message.startswith(_UNLOCKED)}
        if done.get(command) and command not in self.reached:
            self.reached = (*self.reached, command)
        self._notice()

    @property
    def key(self) -> str:
        """All that decides what can happen, chance apart, and what is told."""
        return f"{self.view.digest}:{'unlocked' if UNLOCK in self.reached else 'locked'}"

    def look(self) -> str:
        """Return map, place and hands in words."""
        lines = list(self.view.rows)
        if self._on_key:
            lines.append(ON_KEY)
        if self.view.at in self._doors:
            lines.append(IN_DOORWAY)
        return "\n".join([*lines, CARRIED if self.view.key_letter else "You have no key."])

    @property
    def _on_key(self) -> bool:
        return self.view.at == self._key_at and not self.view.key_letter

    def _notice(self) -> None:
        """Look around: remember what will be hidden when the player stands there, and see what can be done."""
        self._signs = self.view.signs()
        for cell, sign in self._signs.items():
            if sign in (CLOSED, OPEN):
                self._doors.add(cell)
            elif sign == KEY:
                self._key_at = cell
        self.admissible = () if self.view.on_stairs else tuple(sorted(self._possible()))

    def _possible(self) -> Iterator[str]:
        yield from (command for command in MOVES if self._may_go(command))
        if self._on_key:
            yield PICK_UP
        if self.view.key_letter and UNLOCK not in self.reached and self._beside():
            yield UNLOCK

    def _beside(self) -> str:
        """Return the direction of a closed door beside the player, as the key for NetHack; "" if there is none."""
        row, column = self.view.at
        for key, down, right in MOVES.values():
            if not (down and right) and self._signs.get((row + down, column + right)) == CLOSED:
                return key
        return ""

    def _may_go(self, command: str) -> bool:
        _, down, right = MOVES[command]
        to = (self.view.at[0] + down, self.view.at[1] + right)
        if down and right and (to in self._doors or self.view.at in self._doors):
            return False
        sign = self._signs.get(to, " ")
        return UNLOCK in self.reached if sign == CLOSED else sign in _PASSABLE
