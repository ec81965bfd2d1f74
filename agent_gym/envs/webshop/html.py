"""The pages as a browser shows them: `render_mode="html"`.

Each page is one document that loads nothing: pictures of products are left out, and the design is ours, not the
benchmark's. Whoever serves a page gets its commands back as form fields: the field `command` is a command, and the
fields `part`, joined in the order of the page, are one too.

All text of products and goals is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from zlib import crc32

from agent_gym.envs.webshop.pages import BACK, BUY, PREV, SUB_PAGES, ProductPages
from agent_gym.envs.webshop.readable import shown_query, shown_range
from agent_gym.envs.webshop.score import Score
from agent_gym.envs.webshop.shop import AT_ITEM, AT_RESULTS, AT_SEARCH, DONE, Visit

_STYLE = """
:root { color-scheme: light; --ink: #1d2733; --soft: #5c6b7a; --line: #dde3ea; --accent: #0b63b8; --paper: #fff; }
* { box-sizing: border-box; }
body { margin: 0; background: #f3f5f8; color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
form { margin: 0; }
button, input { font: inherit; color: inherit; }
.page { max-width: 60rem; margin: 0 auto; padding: 1.25rem 1rem 3rem; }
.shop { display: flex; gap: .75rem; align-items: baseline; margin: 0 0 1rem; }
.shop b { font-size: 1.35rem; letter-spacing: -.02em; }
.shop span, .soft { color: var(--soft); }
.wanted { border-left: 4px solid #e2a400; background: #fff8e3; padding: .7rem 1rem; border-radius: 0 8px 8px 0; }
.wanted small { display: block; color: #765a00; text-transform: uppercase; letter-spacing: .06em; font-size: .72rem; }
.wanted, h1, p, li, .chip, .row { overflow-wrap: anywhere; }
.bar { display: flex; flex-wrap: wrap; gap: .5rem; margin: 1rem 0; align-items: center; }
.bar .soft { margin-left: auto; }
.button { border: 1px solid #c3ccd6; background: var(--paper); border-radius: 8px; padding: .4rem .9rem;
  cursor: pointer; }
.button:hover, .row:hover { border-color: var(--accent); }
.strong { background: var(--accent); border-color: var(--accent); color: #fff; }
.buy { background: #ffc83d; border-color: #e0a800; font-weight: 600; padding: .6rem 1.6rem; }
.search { display: flex; gap: .5rem; margin: 2.5rem auto; max-width: 40rem; }
.search input { flex: 1; min-width: 0; padding: .6rem .9rem; border: 1px solid #c3ccd6; border-radius: 8px; }
.row { display: grid; grid-template-columns: 3.5rem 1fr auto; gap: 1rem; align-items: center; width: 100%;
  text-align: left; background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: .7rem 1rem;
  margin: 0 0 .6rem; cursor: pointer; }
.row .title { color: var(--accent); }
.row .code { display: block; font-size: .8rem; color: var(--soft); }
.price { font-weight: 600; white-space: nowrap; }
.tile { display: grid; place-items: center; border-radius: 10px; color: #fff; font-weight: 600; aspect-ratio: 1; }
.card { background: var(--paper); border: 1px solid var(--line); border-radius: 12px; padding: 1.25rem; }
.item { display: grid; grid-template-columns: 11rem 1fr; gap: 1.5rem; }
.item .tile { font-size: 3rem; width: 100%; align-self: start; }
.card > p:first-child { margin-top: 0; }
h1 { font-size: 1.3rem; line-height: 1.35; margin: 0 0 .5rem; }
fieldset.option { border: 0; padding: 0; margin: 1rem 0 0; }
.option legend { padding: 0; color: var(--soft); margin-bottom: .35rem; }
.chips { display: flex; flex-wrap: wrap; gap: .4rem; }
.chip { border: 1px solid #c3ccd6; background: var(--paper); border-radius: 999px; padding: .2rem .8rem;
  cursor: pointer; text-align: left; }
.chip[aria-pressed=true] { background: var(--accent); border-color: var(--accent); color: #fff; }
.text { white-space: pre-line; }
.score { font-size: 3rem; font-weight: 700; line-height: 1.1; margin: .2rem 0 .8rem; }
table { border-collapse: collapse; width: 100%; }
td { padding: .35rem .5rem .35rem 0; border-top: 1px solid var(--line); vertical-align: top; }
td:last-child { text-align: right; white-space: nowrap; }
:disabled { opacity: .55; cursor: default; }
@media (max-width: 36rem) { .item { grid-template-columns: 1fr; } .item .tile { max-width: 7rem; }
  .row { grid-template-columns: 1fr auto; } .row .tile { display: none; } }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'"


def html_page(visit: Visit) -> str:
    """Return the page where the customer is."""
    page = visit.place.page
    if page == AT_SEARCH:
        where, body = "Search", _SEARCH_FORM
    elif page == AT_RESULTS:
        where, body = "Results", _results(visit)
    elif page == AT_ITEM:
        where, body = "Product", _item(visit)
    elif page == DONE:
        where, body = "Thank you", _done(visit)
    else:
        where, body = page, _sub_page(visit, page)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>WebShop: {escape(where)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<main class="page" data-page="{escape(page)}">\n'
        f'<p class="shop"><b>WebShop</b> <span>{escape(where)}</span></p>\n'
        f'<div class="wanted"><small>Instruction</small>{escape(visit.goal.instruction)}</div>\n'
        f"{body}\n</main>\n</body>\n</html>\n"
    )


_SEARCH_FORM = """<form method="post" class="search">
<input type="hidden" name="part" value="search[">
<input name="part" aria-label="Search words" placeholder="What are you looking for?"
  required autofocus autocomplete="off">
<input type="hidden" name="part" value="]">
<button class="button strong">Search</button>
</form>"""


def _results(visit: Visit) -> str:
    results = visit.results
    assert results is not None
    told = f"{shown_range(visit)} for “{shown_query(visit)}”"
    rows = "\n".join(_row(name, row) for name, row in zip(results.names, results.rows, strict=True))
    return f'<form method="post">\n{_bar(results.buttons, told)}\n{rows}\n</form>'


def _row(name: str, row: ProductPages) -> str:
    product = row.product
    return (
        f'<button class="row" name="command" value="click[{escape(name.lower())}]">{_tile(row)}'
        f'<span><span class="title">{escape(product.title)}</span>'
        f'<span class="code">{escape(name)}</span></span>'
        f'<span class="price">{escape(product.price_text)}</span></button>'
    )


def _item(visit: Visit) -> str:
    pages = visit.item
    product, chosen = pages.product, dict(visit.place.options)
    options = "\n".join(_option(pages, name, values, chosen.get(name)) for name, values in product.options.items())
    more = "".join(_button(name) for name in SUB_PAGES)
    return (
        f'<form method="post">\n{_bar((BACK, PREV))}\n<div class="card item">\n{_tile(pages)}\n<div>\n'
        f'<h1>{escape(product.title)}</h1>\n<p class="price">{escape(product.price_text)}</p>\n'
        f'<p class="soft">{escape(product.asin)} · not rated</p>\n{options}\n<div class="bar">{more}</div>\n'
        f"{_button(BUY, 'buy')}\n</div>\n</div>\n</form>"
    )


def _option(pages: ProductPages, name: str, values: Iterable[str], chosen: str | None) -> str:
    chips = "".join(_chip(pages, value, pressed=value == chosen) for value in values)
    told = f": <b>{escape(chosen)}</b>" if chosen is not None else ""
    legend = f"<legend>{escape(name)}{told}</legend>"
    return f'<fieldset class="option">{legend}<div class="chips">{chips}</div></fieldset>'


def _chip(pages: ProductPages, value: str, *, pressed: bool) -> str:
    """One value; it can't be clicked where no command can name it."""
    command = f"click[{value}]"
    able = "" if command in pages.links.commands else " disabled"
    state = str(pressed).lower()
    return (
        f'<button class="chip" name="command" value="{escape(command)}" aria-pressed="{state}"{able}>'
        f"{escape(value)}</button>"
    )


def _sub_page(visit: Visit, name: str) -> str:
    product = visit.item.product
    if name == "Description" and product.description.strip():
        body = f'<p class="text">{escape(product.description.strip())}</p>'
    elif name == "Features" and any(bullet.strip() for bullet in product.bullets):
        body = f"<ul>{''.join(f'<li>{escape(bullet)}</li>' for bullet in product.bullets if bullet.strip())}</ul>"
    else:
        body = f'<p class="soft">There {"is" if name == "Description" else "are"} no {escape(name.lower())}.</p>'
    return (
        f'<form method="post">{_bar((BACK, PREV))}</form>\n'
        f'<div class="card"><p class="soft">{escape(product.title)}</p>\n<h1>{escape(name)}</h1>\n{body}</div>'
    )


def _done(visit: Visit) -> str:
    product, score = visit.item.product, visit.place.score
    assert score is not None
    chosen = "".join(f"<br>{escape(name)}: {escape(value)}" for name, value in visit.place.options)
    rows = "".join(f"<tr><td>{escape(what)}</td><td>{escape(result)}</td></tr>" for what, result in _parts(score))
    return (
        '<div class="bar"></div><div class="card">\n<p class="soft">Your score</p>\n'
        f'<p class="score" id="score">{score.total:.3g}</p>\n'
        f"<p>You have bought <b>{escape(product.title)}</b> for {escape(product.price_text)}.{chosen}</p>\n"
        f"<table>{rows}</table>\n</div>"
    )


def _parts(score: Score) -> list[tuple[str, str]]:
    """What the score is made of, for a reader."""
    rows = [("The right kind of product (the rest is multiplied by this)", f"{score.type:g}")]
    rows.append(("Wanted properties that it has", f"{score.attributes_found} of {score.attributes_wanted}"))
    if score.options_wanted:
        rows.append(("Wanted options that were chosen", f"{score.options_found} of {score.options_wanted}"))
    rows.append(("Within the price limit", "yes" if score.price_ok else "no"))
    return rows


def _bar(buttons: Iterable[str], told: str = "") -> str:
    note = f'<span class="soft">{escape(told)}</span>' if told else ""
    return f'<div class="bar">{"".join(_button(button) for button in buttons)}{note}</div>'


def _button(text: str, kind: str = "") -> str:
    classes, command = f"button {kind}".strip(), escape(f"click[{text.lower()}]")
    return f'<button class="{classes}" name="command" value="{command}">{escape(text)}</button>'


def _tile(pages: ProductPages) -> str:
    """A square of a color that belongs to the product, in the place of its picture."""
    product = pages.product
    letter = next((sign for sign in product.title if sign.isalnum()), "·").upper()
    hue = crc32(product.query.encode("utf-8", "replace")) % 360
    return f'<span class="tile" style="background: hsl({hue} 42% 48%)" aria-hidden="true">{escape(letter)}</span>'
