"""What a task sentence of ALFWorld asks for.

The benchmark's sentences come from templates of ALFWorld's `gen/goal_library.py` (MIT, 2020 Mohit Shridhar and others);
those of the six task types are understood exactly. Any other sentence, such as an annotator's, is read by its words as
far as they go.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

CLEAN, HEAT, COOL = "clean", "heat", "cool"

STATIONS = {CLEAN: "sinkbasin", HEAT: "microwave", COOL: "fridge"}
"""The kind of receptacle that each treatment is done with."""


@dataclass(frozen=True, slots=True)
class Task:
    """A goal in the words of the game, every kind in lower case without a number."""

    object: str
    """Kind of the object to bring or to look at; empty if the sentence names none."""
    target: str = ""
    """Kind of the receptacle it belongs into; empty for a task about light and if the sentence names none."""
    count: int = 1
    """How many objects belong into one and the same receptacle."""
    treatment: str = ""
    """`"clean"`, `"heat"`, `"cool"` or empty."""
    lamp: str = ""
    """Kind of the lamp to switch on while the object is held; empty for all other tasks."""


_TEMPLATES: tuple[tuple[re.Pattern[str], int, str], ...] = tuple(
    (re.compile(pattern), count, treatment)
    for pattern, count, treatment in (
        (r"(?:look at|examine the) (?P<object>\w+) (?:under|with) the (?P<lamp>\w+lamp)", 1, ""),
        (r"put a clean (?P<object>\w+) in (?P<target>\w+)", 1, CLEAN),
        (r"clean some (?P<object>\w+) and put it in (?P<target>\w+)", 1, CLEAN),
        (r"put a hot (?P<object>\w+) in (?P<target>\w+)", 1, HEAT),
        (r"heat some (?P<object>\w+) and put it in (?P<target>\w+)", 1, HEAT),
        (r"put a cool (?P<object>\w+) in (?P<target>\w+)", 1, COOL),
        (r"cool some (?P<object>\w+) and put it in (?P<target>\w+)", 1, COOL),
        (r"put two (?P<object>\w+) in (?P<target>\w+)", 2, ""),
        (r"find two (?P<object>\w+) and put them in (?P<target>\w+)", 2, ""),
        (r"put (?:a|an|some) (?P<object>\w+) (?:in|on) (?P<target>\w+)", 1, ""),
    )
)

_TREATMENT_WORDS = (
    (CLEAN, frozenset(("clean", "cleaned", "wash", "washed", "rinse", "rinsed", "wet"))),
    (HEAT, frozenset(("hot", "heat", "heated", "warm", "warmed", "cook", "cooked", "microwaved"))),
    (COOL, frozenset(("cool", "cooled", "cold", "chill", "chilled", "refrigerated"))),
)
_BESIDE = re.compile(r"\b(?:next to|beside|between|near|left of|right of|under|underneath|with)\b.*")
"""What follows such words tells one receptacle from another and is not where things go."""

_WORD = re.compile(r"[a-z]+|\d+")
_PAIR_WORDS = frozenset(("two", "both", "pair", "2"))
_LIGHT_WORDS = frozenset(("lamp", "light", "lamplight", "desklamp", "floorlamp"))
_OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "alarm": ("alarmclock",),
    "bar": ("soapbar",),
    "bin": ("garbagecan",),
    "bottle": ("soapbottle", "winebottle", "spraybottle", "glassbottle"),
    "box": ("tissuebox",),
    "can": ("garbagecan",),
    "cabbage": ("lettuce",),
    "card": ("creditcard",),
    "chair": ("armchair",),
    "clock": ("alarmclock",),
    "coffeemaker": ("coffeemachine",),
    "computer": ("laptop",),
    "couch": ("sofa",),
    "counter": ("countertop",),
    "cupboard": ("cabinet",),
    "disc": ("cd",),
    "disk": ("cd",),
    "dispenser": ("soapbottle",),
    "footstool": ("ottoman",),
    "garbage": ("garbagecan",),
    "glass": ("cup",),
    "hamper": ("laundryhamper",),
    "key": ("keychain",),
    "lotion": ("soapbottle",),
    "nightstand": ("sidetable",),
    "phone": ("cellphone",),
    "rag": ("cloth",),
    "refrigerator": ("fridge",),
    "remote": ("remotecontrol",),
    "sink": ("sinkbasin",),
    "soap": ("soapbar", "soapbottle"),
    "sponge": ("dishsponge",),
    "spray": ("spraybottle",),
    "stand": ("sidetable", "tvstand", "dresser"),
    "stove": ("stoveburner",),
    "table": ("diningtable", "coffeetable", "sidetable", "desk"),
    "trash": ("garbagecan",),
    "tub": ("bathtubbasin",),
    "tv": ("tvstand", "dresser"),
    "wine": ("winebottle",),
}
"""What people call things that the game names otherwise, the likeliest first."""


def parse_task(sentence: str, objects: Collection[str] = (), receptacles: Collection[str] = ()) -> Task:
    """Return the task that `sentence` sets.

    Args:
        sentence: The words after "Your task is to:", in any case, with or without the full stop.
        objects: Kinds of object to look for in a sentence that follows no template.
        receptacles: Kinds of receptacle in the room, likewise.
    """
    plain = " ".join(sentence.lower().split()).rstrip(". ")
    for pattern, count, treatment in _TEMPLATES:
        if match := pattern.fullmatch(plain):
            found = match.groupdict()
            return Task(found["object"], found.get("target") or "", count, treatment, found.get("lamp") or "")
    return _read_freely(plain, objects, receptacles)


def _read_freely(sentence: str, objects: Collection[str], receptacles: Collection[str]) -> Task:
    """Take the first object and the last receptacle that are named."""
    words, before = _WORD.findall(sentence), _WORD.findall(_BESIDE.sub("", sentence))
    lamp = bool(_LIGHT_WORDS & set(words))
    wanted = [kind for kind in _kinds_named(words, objects) if not kind.endswith("lamp")]
    where = _kinds_named(before, receptacles) or _kinds_named(words, receptacles)
    treatment = next((name for name, about in _TREATMENT_WORDS if about & set(words)), "")
    if treatment and len(set(where)) > 1:  # "heat it in the microwave, put it on the table" names the station, too
        where = [kind for kind in where if kind != STATIONS[treatment]]
    return Task(
        object=wanted[0] if wanted else "",
        target="" if lamp or not where else where[-1],
        count=2 if _PAIR_WORDS & set(words) else 1,
        treatment="" if lamp else treatment,
        lamp="desklamp" if lamp else "",
    )


def _kinds_named(words: Sequence[str], kinds: Collection[str]) -> list[str]:
    """Return the kinds that a sentence names, in its order; two words may make one name ("soap bottle")."""
    found: list[str] = []
    position = 0
    while position < len(words):
        for width in (2, 1):
            name = "".join(words[position : position + width])
            forms = (name, name.removesuffix("s"), name.removesuffix("es"), name.removesuffix("ves") + "fe")
            likely = [kind for form in forms for kind in (form, *_OTHER_NAMES.get(form, ())) if kind in kinds]
            if likely:
                found.append(likely[0])
                position += width - 1
                break
        position += 1
    return found
