"""One customer in the shop: the commands, where each leads, and what a purchase is worth.

The dynamics are those of princeton-nlp/WebShop, `web_agent_site/envs/web_agent_text_env.py`:

- A search starts on the first page of its results, and forgets item and options.
- "< Prev" leads from a page of results to the page before, from an item to the page of results it was opened on, and
  from a page such as "Features" back to the item.
- Chosen options last while the customer stays with the item and its pages; going back to the results forgets them. A
  later choice replaces an earlier one of the same option, and nothing can be chosen to be left open again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from agent_gym.envs.webshop.pages import (
    BACK,
    BUY,
    DONE_LINKS,
    NEXT,
    PREV,
    SEARCH_LINKS,
    SUB_LINKS,
    SUB_PAGES,
    Links,
    Pages,
    ProductPages,
    Results,
)
from agent_gym.envs.webshop.product import Goal, Product
from agent_gym.envs.webshop.score import Score

AT_SEARCH, AT_RESULTS, AT_ITEM, DONE = "search", "results", "item", "done"
"""Where a customer can be, beside the names in `SUB_PAGES`."""

_BACK, _PREV, _NEXT, _BUY = BACK.lower(), PREV.lower(), NEXT.lower(), BUY.lower()
_SUB_PAGE_OF = {name.lower(): name for name in SUB_PAGES}
_LONG = 80
"""A query of more characters stands in a state key as its hash."""

Judge = Callable[[Goal, Product, Mapping[str, str]], Score]
"""Tells what buying a product with some options is worth."""


class Place(NamedTuple):
    """Where a customer is: all that can change during an episode."""

    page: str
    query: str = ""
    """In lower case, with single blanks; "" at the search bar."""
    number: int = 0
    """Page of results, also the one to which "< Prev" leads from an item."""
    position: int = -1
    """Position of the item in the catalogue."""
    options: tuple[tuple[str, str], ...] = ()
    """Chosen (name, value) pairs, sorted."""
    score: Score | None = None
    """What the purchase was worth, once there was one."""


START = Place(AT_SEARCH)


def parse(command: str) -> tuple[str, str]:
    """Return what a command says to do, `"search"` or `"click"`, and its text in lower case; ("", "") for all else.

    As in the benchmark the form is `search[…]` or `click[…]` at the beginning of the command's first line, what follows
    the last bracket does not matter, and an empty text is none. Unlike there, the text may contain brackets: the
    benchmark does not understand those.
    """
    line = command.partition("\n")[0]
    verb, opened, rest = line.partition("[")
    text, closed, _ = rest.rpartition("]")
    if not opened or not closed or not text or verb not in ("search", "click"):
        return "", ""
    return verb, text.lower()


class Visit:
    """One customer with a goal.

    Attributes:
        place: Where the customer is.
        found: Positions of the products that the last search found; empty at the search bar.
        results: The page of results that is shown, or to which "< Prev" leads.
        links: What can be clicked.
    """

    def __init__(
        self, pages: Pages, goal: Goal, judge: Judge, *, search_anywhere: bool = False, numbered: bool = False
    ) -> None:
        """Start at the search bar.

        Args:
            pages: Pages of the catalogue.
            goal: What the customer wants.
            judge: Tells what a purchase is worth.
            search_anywhere: Whether `search[…]` works where there is no search bar, as the benchmark lets it.
            numbered: Whether results are called by their place, such as "Item 3", and not by the product's code.
        """
        self.pages = pages
        self.goal = goal
        self.place = START
        self.found: Sequence[int] = ()
        self.results: Results | None = None
        self.links: Links = SEARCH_LINKS
        self._judge = judge
        self._search_anywhere = search_anywhere
        self._numbered = numbered

    @property
    def can_search(self) -> bool:
        """Whether `search[…]` works here."""
        return self.place.page == AT_SEARCH or (self._search_anywhere and self.place.page != DONE)

    @property
    def item(self) -> ProductPages:
        """The product the customer looks at or has bought."""
        return self.pages.of(self.place.position)

    def act(self, command: str) -> bool:
        """Carry out a command and return whether it was possible; if not, nothing has changed."""
        verb, text = parse(command)
        if verb == "search" and self.can_search:
            self._search(" ".join(text.split()), 1)
            return True
        return verb == "click" and text in self.links.clickables and self._click(text)

    def go_to(self, place: Place) -> None:
        """Go to a place of the same goal and catalogue."""
        self._search(place.query, place.number) if place.number else self._leave()
        self._stand(place)

    def key(self) -> str:
        """Return the canonical text of the state: what can make a difference from here on, and nothing else.

        An option and its value are named by their numbers on the item page.
        """
        page, query, number, _, options, _ = self.place
        if page == AT_SEARCH:
            return f"{self.goal.task}#search"
        asked = f"={query}" if len(query) <= _LONG else f"~{_digest(query)}"
        if page == AT_RESULTS:
            return f"{self.goal.task}#results {number}{asked}"
        product = self.item.product
        names = list(product.options)
        chosen = ",".join([f"{names.index(name)}.{product.options[name].index(value)}" for name, value in options])
        shown = f"{self.goal.task}#{page.lower()} {product.asin}({chosen})"
        return shown if page == DONE else f"{shown} {number}{asked}"

    def _click(self, text: str) -> bool:
        """Follow a link; return whether it leads anywhere, as the button beside the search bar does not."""
        place = self.place
        if text == _BACK:
            self._leave()
        elif text == _BUY:
            score = self._judge(self.goal, self.item.product, dict(place.options))
            self._leave()
            self._stand(Place(DONE, position=place.position, options=place.options, score=score))
        elif place.page == AT_RESULTS:
            assert self.results is not None
            if text in (_NEXT, _PREV):
                self._turn_to(place.query, place.number + (1 if text == _NEXT else -1))
            else:
                position = self.results.positions[text]
                self._stand(place._replace(page=AT_ITEM, position=position))
        elif text == _PREV:
            if place.page == AT_ITEM:
                self._turn_to(place.query, place.number)
            else:
                self._stand(place._replace(page=AT_ITEM))
        elif place.page == AT_ITEM:
            self._stand(self._with_choice(text))
        else:
            return False
        return True

    def _with_choice(self, text: str) -> Place:
        """Return where a click on the item page leads that is no way back."""
        if text in _SUB_PAGE_OF:
            return self.place._replace(page=_SUB_PAGE_OF[text])
        options = dict(self.place.options) | {self.item.option_of[text]: text}
        return self.place._replace(options=tuple(sorted(options.items())))

    def _search(self, query: str, number: int) -> None:
        self.found = self.pages.catalogue.search(query)
        self._turn_to(query, number)

    def _turn_to(self, query: str, number: int) -> None:
        self.results = self.pages.results(self.found, number, numbered=self._numbered)
        self._stand(Place(AT_RESULTS, query, number))

    def _leave(self) -> None:
        """Go to the search bar; what was found is forgotten."""
        self.found, self.results = (), None
        self._stand(START)

    def _stand(self, place: Place) -> None:
        """Be at a place, whose results are there already."""
        self.place = place
        if place.page == AT_SEARCH:
            self.links = SEARCH_LINKS
        elif place.page == AT_RESULTS:
            assert self.results is not None
            self.links = self.results.links
        elif place.page == AT_ITEM:
            self.links = self.item.links
        else:
            self.links = DONE_LINKS if place.page == DONE else SUB_LINKS


def _digest(query: str) -> str:
    return hashlib.blake2b(query.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
