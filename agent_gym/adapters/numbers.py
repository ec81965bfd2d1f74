"""The expert for games in which a number is guessed and the answers are "higher" and "lower"."""

from __future__ import annotations

import re


class Bisection:
    """Halves the range that is left; it reads observations only."""

    def __init__(self, least: int, most: int, form: str) -> None:
        """Take the first range, both ends included, and how a guess is worded, with `{}` for the number."""
        self._least, self._most, self._form = least, most, form

    def observe(self, command: str | None, observation: str) -> None:
        """Take in an answer to a guess."""
        guessed = re.search(r"\d+", command or "")
        hint = re.search(r"\b(higher|lower)\b", observation)
        if guessed is None or hint is None:
            return
        if hint[1] == "higher":
            self._least = max(self._least, int(guessed[0]) + 1)
        else:
            self._most = min(self._most, int(guessed[0]) - 1)

    def act(self) -> str:
        """Return the middle of what is left."""
        return self._form.format((self._least + self._most) // 2)
