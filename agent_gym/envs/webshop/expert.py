"""An expert for WebShop that shops from what the pages say, within the benchmark's 15 steps.

It searches for the words of the instruction, opens the result whose title promises most, reads "Features" and then
"Description" as long as a word of the instruction has not been found, and goes back for another product if one promises
more. It never sees goal or catalogue, draws no random numbers, and may take over after any beginning.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agent_gym.envs.webshop.expert_pages import Page, Row, read_page
from agent_gym.envs.webshop.expert_words import SURE, Cover, Wish, choice, like_a_value, limit_of, read_wish
from agent_gym.errors import EpisodeError

STEPS = 15
"""Steps that the benchmark allows."""

_HOPES = (0.3, 0.6, 1.0)
"""Most that a word costs that has not been found, when none, one, and both of the texts have been read."""
_HOPE_OF_THE_FIRST = 0.35
"""The same for the first result when one has been read: the search knows descriptions."""
_VALUE = 0.6
"""Cost of a word that looks like an option's value, or was one of another product, before the options are seen."""
_OTHER_KIND = 1.5
"""Cost of a title without the noun that is asked for."""
_LACKS = 3.0
"""Cost of lacking something for certain, while there is time to look at another product."""
_MARGIN = 0.1
"""By how much another product must promise more before the expert leaves one that it has opened."""
_RANK = 0.1
"""Cost of each place further down among the results."""
_EXPLORE = 7
"""Least steps in which another product can be read and bought."""
_TURN = 10
"""Least steps in which the next page of results is worth a look."""
_RETURN = 3
"""Least steps, beyond those it takes to buy what is shown, to buy another product: back, open, choose once."""


@dataclass
class _Candidate:
    """A product, as far as it is known."""

    row: Row
    rank: int
    options: tuple[tuple[str, tuple[str, ...]], ...] | None = None
    """`None` until its page has been seen."""
    texts: dict[str, str] = field(default_factory=dict)
    """What has been read, by page."""
    cover: Cover | None = None
    """Judgement, until more is known."""

    @property
    def hope(self) -> float:
        """Most that a word costs that has not been found yet."""
        read = len({"features", "description"} & set(self.texts))
        return _HOPES[read] if read != 1 or self.rank else _HOPE_OF_THE_FIRST


class WebshopExpert:
    """Plays one episode; told observations only.

    Args:
        steps: In which it means to have bought. Towards the end it buys what it has; with few it hardly reads.
    """

    def __init__(self, steps: int = STEPS) -> None:
        self._most = steps
        self._page: Page | None = None
        self._wish = Wish((), 0, "", ())
        self._limit = float("inf")
        self._known: dict[str, _Candidate] = {}
        self._offered: set[str] = set()
        self._found: list[str] = []
        self._here = ""
        self._chosen: dict[str, str] = {}
        self._steps = 0
        self._searches = 0

    def observe(self, command: str | None, observation: str) -> None:
        """Take in one observation and the command that led to it."""
        before, page = self._page, read_page(observation)
        clicked = command[6:-1] if command is not None and command.startswith("click[") else ""
        self._steps += command is not None
        self._page = page
        if before is None:
            self._wish, self._limit = read_wish(page.instruction), limit_of(page.instruction)
        if page.kind == "results":
            self._see_results(page, new=command is not None and command.startswith("search["))
        elif page.kind == "item":
            if before is not None and before.kind == "results":
                self._here, self._chosen = clicked.lower(), {}
            self._see_item(page, clicked)
        elif page.kind == "about" and before is not None and before.kind == "item" and self._here in self._known:
            self._known[self._here].texts[clicked] = page.text
            self._known[self._here].cover = None

    def act(self) -> str:
        """Return the command it would play now.

        Raises:
            EpisodeError: Before the first observation.
        """
        if self._page is None:
            raise EpisodeError("The expert was asked before it had seen anything: call observe() first.")
        if self._page.kind == "search":
            return f"search[{self._query()}]"
        if self._page.kind == "results":
            return self._open()
        if self._page.kind == "item":
            return self._shop()
        return "click[< prev]"

    def _see_results(self, page: Page, *, new: bool) -> None:
        if new:
            self._found, self._searches = [], self._searches + 1
            if any(" " in row.name for row in page.rows):  # "item 3" is another product now
                self._known = {}
        for row in page.rows:
            if row.name not in self._found:
                self._found.append(row.name)
            self._known.setdefault(row.name, _Candidate(row, len(self._found) - 1))
        self._here, self._chosen = "", {}

    def _see_item(self, page: Page, clicked: str) -> None:
        row = Row(self._here, page.text, page.low, page.high)
        candidate = self._known.setdefault(self._here, _Candidate(row, 0))
        candidate.options = page.options
        candidate.cover = None
        self._offered |= self._cover(candidate).offered & set(self._wish.words)
        for name, values in page.options:
            if clicked in values:
                self._chosen[name] = clicked

    def _query(self) -> str:
        """Return words to search for: the instruction's, and if those have been searched for without luck, fewer.

        The last words of the product's name are said twice, so that its kind counts for more than what else is asked
        for. Where options are asked for by name, their values are the rarer words, and nothing is said twice.

        In a hurry it says the instruction in its own words, without price and named options: whoever imitates it has
        only to copy.
        """
        wish = self._wish
        if self._most < _EXPLORE and self._searches == 0:
            return " ".join(wish.text.split()).rstrip(" ,.;") or "gift"
        words = wish.words
        if self._searches % 2:
            words = [word for word in words if not like_a_value(word)] or words
        if not wish.pairs:
            words = [*words, *wish.name]
        return " ".join(words) or "gift"

    def _open(self) -> str:
        """On a page of results: open what promises most, or turn to the page where it is, or to one not seen yet."""
        assert self._page is not None
        if not self._found:
            return "click[back to search]"
        best = min(self._found, key=self._cost)
        if any(row.name == best for row in self._page.rows):
            last = self._page.rows[-1].name == self._found[-1]
            if last and self._cost(best) >= _LACKS and self._most - self._steps >= _TURN:
                return "click[next >]"
            return f"click[{best}]"
        shown = self._found.index(self._page.rows[0].name) if self._page.rows else len(self._found)
        return "click[< prev]" if self._found.index(best) < shown else "click[next >]"

    def _shop(self) -> str:
        """On an item page: read, choose, buy, or leave for another product."""
        here = self._known[self._here]
        choices = self._choices(here)
        cover = self._cover(here)
        unsure = cover.unsure
        left = self._most - self._steps - len(choices) - 1
        if unsure or cover.missed or here.row.high > self._limit:
            others = [self._cost(name) for name in self._found if name != self._here]
            if left >= _RETURN and min(others, default=float("inf")) < self._cost(self._here) - _MARGIN:
                return "click[< prev]"
            for page in ("features", "description"):
                if unsure and page not in here.texts and left >= 2:
                    return f"click[{page}]"
        return f"click[{choices[0]}]" if choices else "click[buy now]"

    def _choices(self, candidate: _Candidate) -> list[str]:
        """Values that are asked for and not yet chosen."""
        found = []
        for name, values in candidate.options or ():
            value = choice(self._wish, name, values)
            if value is not None and self._chosen.get(name) != value:
                found.append(value)
        return found

    def _cover(self, candidate: _Candidate) -> Cover:
        if candidate.cover is None:
            values = None if candidate.options is None else [each for _, some in candidate.options for each in some]
            candidate.cover = Cover(self._wish, candidate.row.title, values, candidate.texts.values())
        return candidate.cover

    def _cost(self, name: str) -> float:
        """Return how far a product is from what is wanted, hoping for what has not been read.

        While there is time for other products, one that is known to lack something counts as worse than any of these.
        Where options are asked for by name, the words for the product are search words, which no page need have.
        """
        candidate = self._known[name]
        cover = self._cover(candidate)
        cost = candidate.rank * _RANK + (0.0 if cover.named else _OTHER_KIND) + self._price_risk(candidate.row)
        if candidate.options is None:
            cost += _VALUE * len(self._wish.pairs)
        lacks = cover.missed > 0
        cost += cover.missed
        for word, price in cover.costs:
            if candidate.options is None:
                cost += min(price, _VALUE if word in self._offered or like_a_value(word) else candidate.hope)
            elif like_a_value(word) or candidate.hope == 1.0:
                cost += price
                lacks = lacks or (price > SURE and not (self._wish.pairs and word in self._wish.name))
            else:
                cost += min(price, candidate.hope)
        return cost + (_LACKS if lacks and self._most - self._steps >= _EXPLORE else 0.0)

    def _price_risk(self, row: Row) -> float:
        """Return the chance that a product costs more than the limit, where the page names a range."""
        if row.high <= self._limit:
            return 0.0
        return 2.0 if row.low > self._limit else (row.high - self._limit) / (row.high - row.low)
