"""From text to search terms, as Lucene does it for English.

Words are those between Unicode's word boundaries (UAX #29, as Lucene's StandardTokenizer keeps them: "3,000", "4.5oz"
and "color:red" are one word each, "t-shirt" is two), in lower case, without a possessive 's, without 33 stop words, and
stemmed as Lucene's release of Porter's algorithm does.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from agent_gym.errors import MissingExtraError

if TYPE_CHECKING:
    from Stemmer import Stemmer

RULES = 1
"""Raised whenever a text would give other terms than before: an index of older rules is then built anew."""
INSTALL = "pip install 'agent-gym[search]' (for WebShop pip install 'agent-gym[webshop]')"
LONGEST = 255
"""Characters after which a word is cut; what follows is the next word."""

STOP_WORDS = frozenset(
    {"a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not", "of"}
    | {"on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "will"}
    | {"with"}
)

# Two patterns for the same rules (WB5 to WB13b). Most text is ASCII and is read as it is. Other text is first turned
# into a string of one class letter per character, see `_class`. Runs of underscores are taken whole or not at all
# (possessive, and never begun in their middle), so that no text takes more than time linear in its length.
_ASCII_WORD = re.compile(
    r"(?:(?<!_)_++)?(?:(?:[a-z]++(?:(?:_++|[.':])[a-z]++)*+|[0-9]++(?:(?:_++|[.',;])[0-9]++)*+)++_*+)++"
)
_LETTERS = "AX(?:(?:(?:_X)++|[LQ]X)?AX)*+"
_DIGITS = "NX(?:(?:(?:_X)++|[DQ]X)?NX)*+"
_PART = f"(?:KX(?:(?:_X)*+KX)*+|(?:{_LETTERS}|{_DIGITS})++)"
_CLASSED_WORD = re.compile(
    (
        f"(?:(?<![_xz])(?:_X)++)?{_PART}(?:(?:_X)++{_PART})*+(?:_X)*+"  # letters, digits, katakana
        "|(?:SX)++"  # Thai, Lao, Khmer, Burmese: a run, as these scripts have no spaces
        "|HX"  # ideographs and hiragana: one by one
        "|eX(?:(?<=z)eX)*+|rrX"  # emoji, joined ones, flags
    ).replace("X", "[xz]*+")
)
_KEEP_DOUBLED = frozenset("aeiouylsz")  # vowels, and what Porter leaves doubled
_AFTER_DOUBLED = frozenset({"ed", "ing", "eds", "ings"})
_POSSESSIVE = ("'s", "\u2019s", "\uff07s")


def terms(text: str) -> list[str]:
    """Return the terms of a text in their order, repeats included.

    Raises:
        MissingExtraError: Without PyStemmer.
    """
    return [term for word in words(text) if (term := _term(word))]


def words(text: str) -> list[str]:
    """Return the words of a text in lower case, before anything is left out or stemmed."""
    text = text.lower()
    if text.isascii():
        found = _ASCII_WORD.findall(text)
    else:
        found = [text[match.start() : match.end()] for match in _CLASSED_WORD.finditer(text.translate(_CLASSES))]
    if max(map(len, found), default=0) > LONGEST:
        return [word[i : i + LONGEST] for word in found for i in range(0, len(word), LONGEST)]
    return found


@lru_cache(maxsize=1 << 17)
def _term(word: str) -> str:
    """Return the term of a word; empty for a stop word."""
    if word.endswith(_POSSESSIVE):
        word = word[:-2]
    return "" if word in STOP_WORDS else stem(word)


def stem(word: str) -> str:
    """Return the stem of a word in lower case, as Lucene's Porter stemmer gives it.

    Snowball's "porter" keeps to the paper of 1980. The release by its author that Lucene carries leaves words of one
    and two letters alone, has two endings that the paper lacks (-logi becomes -log, and -bli, not only -abli, becomes
    -ble, so that "assembly" and "assemble" are one term), and makes one of any doubled consonant before -ed and -ing,
    where Snowball has a list without "kk" and the like.
    """
    if len(word) < 3:
        return word
    result: str = _stemmer().stemWord(word)
    if result.endswith("logi") and _measure(result[:-4]):
        return result[:-1]
    if result.endswith("bli") and _measure(result[:-3]):
        result = _stemmer().stemWord(result[:-1] + "e")
    elif result[-1] == result[-2:-1] and result[-1] not in _KEEP_DOUBLED and word[len(result) :] in _AFTER_DOUBLED:
        return result[:-1]
    return result


def _measure(start: str) -> bool:
    """Whether a consonant follows a vowel somewhere: Porter's m > 0. A y is a vowel after a consonant."""
    vowel = seen = False
    for i, letter in enumerate(start):
        vowel = letter in "aeiou" or (letter == "y" and i > 0 and not vowel)
        if seen and not vowel:
            return True
        seen = seen or vowel
    return False


@cache
def _stemmer() -> Stemmer:
    try:
        import Stemmer
    except ImportError as error:
        raise MissingExtraError(f"search needs PyStemmer: {INSTALL}") from error
    return Stemmer.Stemmer("porter", 0)  # without its cache: ours keeps more


# --- word-break classes of characters beyond ASCII -------------------------------------------------------------------

_SINGLE = {
    ":\u00b7\u0387\u2027\ufe13\ufe55\uff1a": "L",  # MidLetter: inside a word between letters
    ",;\u037e\u0589\u060c\u060d\u066c\u07f8\u2044\ufe10\ufe14\ufe50\ufe54\uff0c\uff1b": "D",  # MidNum: between digits
    ".'\u2018\u2019\u2024\ufe52\uff07\uff0e": "Q",  # MidNumLet and Single_Quote: between either
    "_\u202f\u203f\u2040\u2054\ufe33\ufe34\ufe4d\ufe4e\ufe4f\uff3f": "_",  # ExtendNumLet
    "\u00a9\u00ae\u2122": " ",  # emoji by their properties, but not to Lucene
    "\u200b": " ",
    "\u200d": "z",
    "\u200c\uff9e\uff9f": "x",
    "\u066b": "N",
    "\u05f3": "A",
}
# First and last code point, class. In order; whatever is in no range goes by its general category.
_RANGES = (
    (0x0E00, 0x0EFF, "S"),
    (0x1000, 0x109F, "S"),
    (0x1780, 0x17FF, "S"),
    (0x1950, 0x19DF, "S"),
    (0x1A20, 0x1AAF, "S"),
    (0x231A, 0x231B, "e"),
    (0x2328, 0x2328, "e"),
    (0x23CF, 0x23CF, "e"),
    (0x23E9, 0x23FA, "e"),
    (0x24B6, 0x24E9, "A"),
    (0x25AA, 0x25AB, "e"),
    (0x25B6, 0x25B6, "e"),
    (0x25C0, 0x25C0, "e"),
    (0x25FB, 0x25FE, "e"),
    (0x2600, 0x2605, "e"),
    (0x2607, 0x2612, "e"),
    (0x2614, 0x2685, "e"),
    (0x2690, 0x2705, "e"),
    (0x2708, 0x2712, "e"),
    (0x2714, 0x2714, "e"),
    (0x2716, 0x2716, "e"),
    (0x271D, 0x271D, "e"),
    (0x2721, 0x2721, "e"),
    (0x2728, 0x2728, "e"),
    (0x2733, 0x2734, "e"),
    (0x2744, 0x2744, "e"),
    (0x2747, 0x2747, "e"),
    (0x274C, 0x274C, "e"),
    (0x274E, 0x274E, "e"),
    (0x2753, 0x2755, "e"),
    (0x2757, 0x2757, "e"),
    (0x2763, 0x2767, "e"),
    (0x2795, 0x2797, "e"),
    (0x27A1, 0x27A1, "e"),
    (0x27B0, 0x27B0, "e"),
    (0x27BF, 0x27BF, "e"),
    (0x2934, 0x2935, "e"),
    (0x2B05, 0x2B07, "e"),
    (0x2B1B, 0x2B1C, "e"),
    (0x2B50, 0x2B50, "e"),
    (0x2B55, 0x2B55, "e"),
    (0x2E80, 0x2FD5, "H"),
    (0x3005, 0x3005, "H"),
    (0x3007, 0x3007, "H"),
    (0x3021, 0x3029, "H"),
    (0x3031, 0x3035, "K"),
    (0x3038, 0x303B, "H"),
    (0x3041, 0x3096, "H"),
    (0x309B, 0x309C, "K"),
    (0x309D, 0x309F, "H"),
    (0x30A0, 0x30FA, "K"),
    (0x30FC, 0x30FF, "K"),
    (0x31F0, 0x31FF, "K"),
    (0x32D0, 0x32FE, "K"),
    (0x3300, 0x3357, "K"),
    (0x3400, 0x4DBF, "H"),
    (0x4E00, 0x9FFF, "H"),
    (0xA9E0, 0xA9FE, "S"),
    (0xAA60, 0xAADF, "S"),
    (0xF900, 0xFAFF, "H"),
    (0xFF66, 0xFF9D, "K"),
    (0x1F000, 0x1F0FF, "e"),
    (0x1F10D, 0x1F10F, "e"),
    (0x1F12F, 0x1F12F, "e"),
    (0x1F16C, 0x1F171, "e"),
    (0x1F17E, 0x1F17F, "e"),
    (0x1F18E, 0x1F18E, "e"),
    (0x1F191, 0x1F19A, "e"),
    (0x1F1E6, 0x1F1FF, "r"),
    (0x1F201, 0x1F3FA, "e"),
    (0x1F3FB, 0x1F3FF, "x"),
    (0x1F400, 0x1F64F, "e"),
    (0x1F680, 0x1F6FF, "e"),
    (0x1F90C, 0x1FAFF, "e"),
    (0x20000, 0x3FFFD, "H"),
)
_FIRSTS = [first for first, _, _ in _RANGES]


class _Classes(dict[int, str]):
    """Class letter by code point, worked out when a character is met for the first time."""

    def __missing__(self, code: int) -> str:
        self[code] = _class(code)
        return self[code]


_CLASSES = _Classes({ord(character): letter for characters, letter in _SINGLE.items() for character in characters})


def _class(code: int) -> str:
    category = unicodedata.category(chr(code))
    at = bisect_right(_FIRSTS, code) - 1
    if at >= 0 and code <= _RANGES[at][1]:
        letter = _RANGES[at][2]
        if letter != "S":
            return letter
        if category[0] in "LM":  # of these scripts only letters and their marks; they have digits of their own
            return letter
    if category == "Nd":
        return "N"
    if category[0] == "L" or category == "Nl":
        return "A"
    return "x" if category[0] == "M" or category == "Cf" else " "
