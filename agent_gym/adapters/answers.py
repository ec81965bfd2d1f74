"""The expert for questions whose answer is known."""

from __future__ import annotations


class Answer:
    """Gives the answer that the library holds to be right."""

    def __init__(self, answer: str) -> None:
        """Take the answer as it is to be said."""
        self._answer = answer

    def observe(self, command: str | None, observation: str) -> None:
        """Nothing that is seen changes the answer."""

    def act(self) -> str:
        """Return the answer."""
        return self._answer
