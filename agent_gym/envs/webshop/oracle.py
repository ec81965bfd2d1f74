"""A planner that sees goal and catalogue: how to buy the wanted product with the wanted options in the fewest steps.

It proves that a goal can be reached, and is the upper line of plots. A plan has a search, a click on the product, one
click for each option that is needed and the purchase, so no plan that buys this product is shorter, unless one chosen
value stands for several wanted ones, which is tried too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from agent_gym.envs.webshop.matching import matched_options
from agent_gym.envs.webshop.pages import ProductPages
from agent_gym.envs.webshop.product import PAGE, Catalogue, Goal, Product
from agent_gym.envs.webshop.score import score
from agent_gym.envs.webshop.titles import Nouns, light_nouns


def plan(catalogue: Catalogue, goal: Goal, nouns: Nouns = light_nouns, *, numbered: bool = False) -> list[str] | None:
    """Return the commands that lead from the search bar to a score of 1, or `None` if the wanted product can't have it.

    Args:
        catalogue: Has the wanted product.
        goal: What is wanted.
        nouns: Finds the nouns of titles, as in the score.
        numbered: Whether results are called by their place and not by the product's code.
    """
    position = catalogue.position(goal.asin)
    assert position is not None  # a goal is made from a product of its catalogue
    product = catalogue.product(position)
    choices = _choices(goal, product)
    if choices is None or score(goal, product, product, dict(choices), nouns).total < 1.0:
        return None
    found = _search(catalogue, position, product, goal)
    if found is None:
        return None
    query, place = found
    return [
        f"search[{query}]",
        *["click[next >]"] * (place // PAGE),
        f"click[item {place + 1}]" if numbered else f"click[{product.asin.lower()}]",
        *(f"click[{value}]" for _, value in choices),
        "click[buy now]",
    ]


def _choices(goal: Goal, product: Product) -> Sequence[tuple[str, str]] | None:
    """The fewest names and values that have all wanted options; values that are worded as wanted come first."""
    clicks = ProductPages(product).option_of
    useful = [
        (name, value) for value, name in clicks.items() if matched_options(goal.options, goal.option_names, [value])
    ]
    useful.sort(key=lambda pair: pair[1] not in goal.options)
    for number in range(len(goal.options) + 1):
        for chosen in combinations(useful, number):
            values = [value for _, value in chosen]
            if len(dict(chosen)) == number and matched_options(goal.options, goal.option_names, values) == len(
                goal.options
            ):
                return chosen
    return None


def _search(catalogue: Catalogue, position: int, product: Product, goal: Goal) -> tuple[str, int] | None:
    """The words that bring the product nearest to the first place, and its place from 0; the first page is enough."""
    best: tuple[str, int] | None = None
    for query in _queries(product, goal):
        found = list(catalogue.search(query.lower()))
        if position in found:
            place = found.index(position)
            if best is None or place < best[1]:
                best = query, place
            if place < PAGE:
                return best
    return best


def _queries(product: Product, goal: Goal) -> Iterator[str]:
    """Words to search for, the likeliest first: the title, and what else the search knows of the product."""
    title = " ".join(product.title.split())
    values = " ".join(value for values in product.options.values() for value in values)
    for query in (title, f"{title} {values}", f"{title} {product.description}", goal.instruction):
        words = " ".join(query.split())
        if words:
            yield words
