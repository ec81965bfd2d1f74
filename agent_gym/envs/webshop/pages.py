"""The pages of the shop: what stands on them in the benchmark's text form, and what can be clicked.

The benchmark renders HTML and strips it again; what is left is each visible piece of text, trimmed, in the order of the
page. Those pieces are put together here without the HTML. What belongs to a product never changes, so it is worded once
per product, whichever environments show it.

Source of order and wording: princeton-nlp/WebShop, `web_agent_site/templates` and `envs/web_agent_text_env.py`.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from agent_gym.envs.webshop.product import PAGE, Catalogue, Product

SEPARATOR = " [SEP] "
SEARCH, BACK, PREV, NEXT, BUY = "Search", "Back to Search", "< Prev", "Next >", "Buy Now"
SUB_PAGES = ("Description", "Features", "Reviews")
"""The benchmark has a fourth, "Attributes", which it hides from agents."""
RATING = "Rating: N.A."
"""The benchmark loads no reviews: every rating is this, and every page of reviews is empty."""

_ITEM_BUTTONS = (BACK, PREV, *SUB_PAGES, BUY)
_SUB_BUTTONS = (BACK, PREV)
_KEPT = 4096
"""Products whose words are kept: all of a small catalogue, of a large one those seen last."""

_SPACES = " \t\n\f\r"


class Links(NamedTuple):
    """What can be clicked on a page."""

    clickables: tuple[str, ...]
    """As the benchmark lists them: lower case, buttons first, in the order of the page."""
    commands: tuple[str, ...]
    """A command for each that a command can name, in the order of the page."""
    sorted_commands: tuple[str, ...]


def make_links(clickables: Iterable[str]) -> Links:
    """Return clickables with their commands; the form `click[…]` can't name an empty text or one of several lines."""
    known = tuple(dict.fromkeys(clickables))
    commands = tuple([f"click[{text}]" for text in known if text and "\n" not in text])
    return Links(known, commands, tuple(sorted(commands)))


SEARCH_LINKS = Links((SEARCH.lower(),), (), ())
"""The benchmark lists the button beside the search bar, and ignores a click on it."""
SUB_LINKS = make_links(text.lower() for text in _SUB_BUTTONS)
DONE_LINKS = make_links(())


def pieces(texts: Iterable[str]) -> list[str]:
    """Return what is left of texts between tags, as the benchmark's HTML parser and filter leave it.

    An empty text and white space with a line break vanish; other white space becomes an empty piece.
    """
    return [text.strip() for text in texts if text.strip(_SPACES) or (text and "\n" not in text)]


class ProductPages:
    """One product as its pages show it, apart from the instruction above them."""

    def __init__(self, product: Product) -> None:
        """Take the product; words are made when they are first needed."""
        self.product = product

    @cached_property
    def row(self) -> str:
        """The product among results, after its name."""
        return _joined(pieces((self.product.title, self.product.price_text)))

    @cached_property
    def item(self) -> str:
        """The item page."""
        texts = [BACK, PREV]
        for name, values in self.product.options.items():
            texts += (name, *values)
        texts += (self.product.title, f"Price: {self.product.price_text}", RATING, *SUB_PAGES, BUY)
        return _joined(pieces(texts))

    def sub_page(self, name: str) -> str:
        """Return a page such as "Features"."""
        texts: tuple[str, ...] = ()
        if name == "Description":
            texts = (self.product.description,)
        elif name == "Features":
            texts = tuple(f" {bullet}" for bullet in self.product.bullets)  # the template has a blank before each
        return _joined([*_SUB_BUTTONS, *pieces(texts)])

    @cached_property
    def option_of(self) -> Mapping[str, str]:
        """Option that a clickable value sets, by value.

        The benchmark finds what is clicked by its text alone. So a value that several options have sets the last of
        them, and a value that is worded like a button is that button.
        """
        buttons = {text.lower() for text in _ITEM_BUTTONS}
        options = self.product.options.items()
        return {value: name for name, values in options for value in values if value not in buttons}

    @cached_property
    def links(self) -> Links:
        """What can be clicked on the item page."""
        values = (value for values in self.product.options.values() for value in values)
        return make_links([*(text.lower() for text in _ITEM_BUTTONS), *values])


class Results(NamedTuple):
    """One page of results."""

    number: int
    """From 1. As in the benchmark there is always a next page; behind the last result it is empty."""
    total: int
    rows: tuple[ProductPages, ...]
    names: tuple[str, ...]
    """What each row is called: the product's code, or "Item 12" for the twelfth of what was found."""
    positions: Mapping[str, int]
    """By what is clicked."""
    links: Links

    @property
    def buttons(self) -> tuple[str, ...]:
        """The buttons, in the order of the page, with "Back to Search" before the heading."""
        return (BACK, PREV, NEXT) if self.number > 1 else (BACK, NEXT)

    @property
    def heading(self) -> str:
        """What stands above the rows."""
        return f"Page {self.number} (Total results: {self.total})"


class Pages:
    """The pages of a catalogue; one object serves all environments of a process that show the catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Take the catalogue; nothing is read yet."""
        self.catalogue = catalogue
        self._kept: OrderedDict[int, ProductPages] = OrderedDict()

    def of(self, position: int) -> ProductPages:
        """Return the pages of the product at a position."""
        kept = self._kept
        if position in kept:
            kept.move_to_end(position)
            return kept[position]
        found = kept[position] = ProductPages(self.catalogue.product(position))
        if len(kept) > _KEPT:
            kept.popitem(last=False)
        return found

    def results(self, found: Sequence[int], number: int, *, numbered: bool = False) -> Results:
        """Return page `number` of what a search has found; `numbered` calls products by their place in it."""
        before = (number - 1) * PAGE
        shown = found[before : before + PAGE]
        rows = tuple([self.of(position) for position in shown])
        if numbered:
            names = tuple([f"Item {place}" for place in range(before + 1, before + 1 + len(rows))])
        else:
            names = tuple([row.product.asin for row in rows])
        positions = {name.lower(): position for name, position in zip(names, shown, strict=True)}
        page = Results(number, len(found), rows, names, positions, DONE_LINKS)
        return page._replace(links=make_links([button.lower() for button in page.buttons] + list(positions)))


def search_page(instruction: str) -> str:
    """Return the first page as the benchmark's text."""
    return SEPARATOR.join(("WebShop", "Instruction:", *pieces((instruction,)), SEARCH))


def results_page(instruction: str, page: Results) -> str:
    """Return a page of results as the benchmark's text."""
    back, *others = page.buttons
    rows = "".join([f"{SEPARATOR}{name}{row.row}" for name, row in zip(page.names, page.rows, strict=True)])
    return _below(instruction, _joined((back, page.heading, *others)) + rows)


def item_page(instruction: str, pages: ProductPages) -> str:
    """Return an item page as the benchmark's text; it does not tell which options are chosen."""
    return _below(instruction, pages.item)


def sub_page(instruction: str, pages: ProductPages, name: str) -> str:
    """Return one of `SUB_PAGES` as the benchmark's text."""
    return _below(instruction, pages.sub_page(name))


def done_page(asin: str, options: Mapping[str, str], score: float) -> str:
    """Return the page after the purchase as the benchmark's text.

    It is the benchmark's form for crowd workers with most places left empty, among them those for the goal.
    """
    chosen = json.dumps(options, sort_keys=True)
    for sign in "<>&'":  # flask's filter makes JSON safe for HTML in this way
        chosen = chosen.replace(sign, f"\\u{ord(sign):04x}")
    told = ("Thank you for shopping with us!", "Your code:", "None", "(Paste it in your MTurk interface.)")
    bought = ("Purchased", "asin", asin, "options", chosen, "attrs", "None", "category", "None", "query", "None")
    wanted = ("Target", "asin", "options", "attrs", "price upper", "instuction text", "category", "product category")
    scored = ("Reward", "Your score (min 0.0, max 1.0)", repr(score), "Reward Details", "None")
    return SEPARATOR.join((*told, *bought, "product category", "None", *wanted, "query", "Goal", "None", *scored))


def _below(instruction: str, rest: str) -> str:
    return SEPARATOR.join(("Instruction:", *pieces((instruction,)))) + rest


def _joined(parts: Iterable[str]) -> str:
    return "".join([SEPARATOR + part for part in parts])
