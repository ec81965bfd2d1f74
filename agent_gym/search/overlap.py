"""How well an answer agrees with a reference, as SQuAD and HotpotQA count it.

Texts are compared by their tokens in lower case, without punctuation (ASCII's) and without the articles a, an, the.
"""

from __future__ import annotations

import re
import string
from collections import Counter

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLE = re.compile(r"\b(a|an|the)\b")
_CLOSED = frozenset({"yes", "no", "noanswer"})
"""Answers that a longer one does not share a part of."""


def normalised(text: str) -> list[str]:
    """Return the tokens that count, in their order."""
    return _ARTICLE.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split()


def exact_match(answer: str, reference: str) -> bool:
    """Whether both have the same tokens in the same order; an answer without any token matches nothing."""
    tokens = normalised(answer)
    return bool(tokens) and tokens == normalised(reference)


def token_f1(one: str, other: str) -> float:
    """Return the harmonic mean of the shares of each text's tokens that the other has too; repeated tokens count."""
    tokens, others = normalised(one), normalised(other)
    common = sum((Counter(tokens) & Counter(others)).values())
    return 2 * common / (len(tokens) + len(others)) if common else 0.0


def answer_f1(answer: str, reference: str) -> float:
    """Return the token F1 of an answer; where either text is just yes, no or noanswer, they agree or they do not.

    That exception is HotpotQA's: "yes, both are" is not two thirds of a "yes".
    """
    tokens, others = normalised(answer), normalised(reference)
    closed = any(len(some) == 1 and some[0] in _CLOSED for some in (tokens, others))
    return float(tokens == others) if closed else token_f1(answer, reference)
