"""The pages as lines for a reader: what the benchmark's text form says, what it hides, and which words are buttons.

Unlike the benchmark's form these pages tell the query, and which options are chosen.
"""

from __future__ import annotations

from agent_gym.envs.webshop.pages import BACK, BUY, PREV, RATING, SUB_PAGES
from agent_gym.envs.webshop.product import PAGE
from agent_gym.envs.webshop.shop import AT_ITEM, AT_RESULTS, AT_SEARCH, DONE, Visit

_SHOWN = 200
"""Characters of a query that are repeated."""


def readable(visit: Visit) -> str:
    """Return the page where the customer is."""
    page = visit.place.page
    if page == DONE:
        return _done(visit)
    if page == AT_SEARCH:
        lines = ["The search bar is empty."]
    elif page == AT_RESULTS:
        lines = _results(visit)
    elif page == AT_ITEM:
        lines = _item(visit)
    else:
        lines = _sub_page(visit, page)
    return "\n".join([f"Instruction: {_line(visit.goal.instruction)}", "", *lines])


def shown_query(visit: Visit) -> str:
    """Return the query, cut where it is very long."""
    query = visit.place.query
    return query if len(query) <= _SHOWN else f"{query[:_SHOWN]}…"


def shown_range(visit: Visit) -> str:
    """Return which results the page shows, such as "Results 11 to 20 of 50"."""
    results = visit.results
    assert results is not None
    if not results.total:
        return "Nothing was found"
    if not results.rows:
        return f"No more results: there were {results.total}"
    first = (results.number - 1) * PAGE + 1
    return f"Results {first} to {first + len(results.rows) - 1} of {results.total}"


def _results(visit: Visit) -> list[str]:
    results = visit.results
    assert results is not None
    lines = [f'{shown_range(visit)} for "{shown_query(visit)}", page {results.number}']
    lines.append(" ".join([f"[{button}]" for button in results.buttons]))
    for name, row in zip(results.names, results.rows, strict=True):
        lines.append(f"[{name}] {_line(row.product.price_text)}: {_line(row.product.title)}")
    return lines


def _item(visit: Visit) -> list[str]:
    product = visit.item.product
    chosen = dict(visit.place.options)
    lines = [f"[{BACK}] [{PREV}]", _line(product.title), f"Price: {_line(product.price_text)}", RATING]
    for name, values in product.options.items():
        choice = f"chosen: {_line(chosen[name])}" if name in chosen else "none chosen"
        lines.append(f"{_line(name)} ({choice}): " + " ".join([f"[{_line(value)}]" for value in values]))
    return [*lines, " ".join([f"[{button}]" for button in (*SUB_PAGES, BUY)])]


def _sub_page(visit: Visit, name: str) -> list[str]:
    product = visit.item.product
    lines = [f"[{BACK}] [{PREV}]", f"{name} of {_line(product.title)}"]
    if name == "Description":
        lines.append(product.description.strip() or "There is no description.")
    elif name == "Features":
        lines += [f"- {_line(bullet)}" for bullet in product.bullets if bullet.strip()] or ["There are no features."]
    else:
        lines.append("There are no reviews.")
    return lines


def _done(visit: Visit) -> str:
    product, score = visit.item.product, visit.place.score
    assert score is not None
    options = "".join([f", {_line(name)}: {_line(value)}" for name, value in visit.place.options])
    return f"You have bought {product.asin}: {_line(product.title)}{options}\nYour score (0 to 1): {score.total!r}"


def _line(text: str) -> str:
    """Return a text on one line."""
    return " ".join(text.split()) if "\n" in text else text.strip()
