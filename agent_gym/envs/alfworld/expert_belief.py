"""What a player of ALFWorld can know from the text it has read and the commands it has played."""

from __future__ import annotations

import re

NOTHING = "Nothing happens."

_THING = re.compile(r"[a-z]+ \d+")
_CONTENTS = re.compile(r"\b(?:(?:On|In) (?:the )?([a-z]+ \d+)|The ([a-z]+ \d+) is open\. In it), you see ([^.]*)\.")
_CLOSED = re.compile(r"\b([a-z]+ \d+) is closed\.")
_ARRIVED = re.compile(r"You arrive at (?:the )?([a-z]+ \d+)\.")
_TOOK = re.compile(r"You (?:pick up|take) (?:the )?([a-z]+ \d+) from (?:the )?([a-z]+ \d+)\.")
_PLACED = re.compile(r"You (put|move) (?:the )?([a-z]+ \d+) (?:in/on|to) (?:the )?([a-z]+ \d+)\.")
_SHUT = re.compile(r"You close (?:the )?([a-z]+ \d+)\.")
_TREATED = re.compile(r"You (clean|heat|cool) (?:the )?([a-z]+ \d+) using ")
_CARRYING = re.compile(r"You are carrying: (?:an? )?([a-z]+ \d+)")
_TASK = re.compile(r"Your task is to: ([^\n]*)")


def kind_of(name: str) -> str:
    """Return the kind of a numbered thing: `"drawer"` for `"drawer 3"`."""
    return name.partition(" ")[0]


class Belief:
    """Everything that follows from one episode's text so far; a function of the history and of nothing else.

    Attributes:
        sentence: The task sentence.
        receptacles: Names of all receptacles, as the room lists them.
        contents: For each receptacle whose inside or top has been seen, the objects believed to be there.
        closed: Whether a receptacle is closed, where that is known.
        place: A name for the place where each visited receptacle is; several may share one ("loc 5" in the wording of
            2020, else the name of one of them).
        at: The receptacle last gone to, or `None` in the middle of the room.
        held: The object in hand, or `None`.
        treated: For each object, what has been done to it (`"clean"`, `"heat"`, `"cool"`).
        failed: Commands that changed nothing although they should have.
        moves: Whether objects are put down with "move … to …" (the wheel's wording) and not with "put … in/on …";
            `None` before that is known.
    """

    __slots__ = ("at", "closed", "contents", "failed", "held", "moves", "place", "receptacles", "sentence", "treated")

    def __init__(self, observation: str = "") -> None:
        """Read an episode's first observation."""
        room, _, _ = observation.partition("Your task is to:")
        _, _, listing = room.rpartition("you see ")
        self.receptacles: tuple[str, ...] = tuple(dict.fromkeys(_THING.findall(listing or room)))
        task = _TASK.search(observation)
        self.sentence: str = task[1] if task else ""
        self.contents: dict[str, list[str]] = {}
        self.closed: dict[str, bool] = {}
        self.place: dict[str, str] = {}
        self.at: str | None = None
        self.held: str | None = None
        self.treated: dict[str, set[str]] = {}
        self.failed: set[str] = set()
        self.moves: bool | None = None

    def here(self, receptacle: str) -> bool:
        """Return whether `receptacle` is known to be in reach."""
        if self.at is None:
            return False
        return receptacle == self.at or self.place.get(receptacle, receptacle) == self.place[self.at]

    def update(self, command: str, observation: str) -> None:
        """Take in the answer to a command."""
        if observation == NOTHING:
            self._refused(command)
        elif observation.startswith("You "):
            self._happened(command, observation)
        for on, inside, listing in _CONTENTS.findall(observation):
            receptacle = on or inside
            self.contents[receptacle] = _THING.findall(listing)
            self.closed[receptacle] = False
        for receptacle in _CLOSED.findall(observation):
            self.closed[receptacle] = True

    def _happened(self, command: str, observation: str) -> None:
        if match := _ARRIVED.match(observation):
            self.at = command.strip().removeprefix("go to ")
            self.moves = not match[1].startswith("loc ")
            if not self.moves or self.at not in self.place:
                self.place[self.at] = match[1]
        elif match := _TOOK.match(observation):
            self.held = match[1]
            there = self.contents.get(match[2], [])
            if match[1] in there:
                there.remove(match[1])
        elif match := _PLACED.match(observation):
            self.held = None
            self.moves = match[1] == "move"
            self.contents.setdefault(match[3], []).append(match[2])
        elif match := _SHUT.match(observation):
            self.closed[match[1]] = True
        elif match := _TREATED.match(observation):
            done = self.treated.setdefault(match[2], set())
            done.discard({"heat": "cool", "cool": "heat"}.get(match[1], ""))
            done.add(match[1])
        elif match := _CARRYING.match(observation):
            self.held = match[1]

    def _refused(self, command: str) -> None:
        """Note a failure that says something about the game; one that the player should have foreseen says nothing."""
        words = command.split()
        names = _THING.findall(command)
        if not words or not names:
            return
        verb, last = words[0], names[-1]
        if verb == "go":  # one can't go where one is: the receptacle is within reach already
            if last in self.receptacles and not self.here(last):
                self.at = self.at or last
                self.place[last] = self.place.setdefault(self.at, self.at)
            return
        foreseen = {
            "open": not self.here(last),
            "take": self.held is not None or not self.here(last) or names[0] not in self.contents.get(last, ()),
            "put": self.held != names[0] or not self.here(last) or self.closed.get(last, False),
            "move": self.held != names[0] or not self.here(last) or self.closed.get(last, False),
            "use": not any(last in there and self.here(r) for r, there in self.contents.items()),
        }.get(verb, self.held != names[0] or not self.here(last))
        if not foreseen:
            self.failed.add(" ".join(words))
