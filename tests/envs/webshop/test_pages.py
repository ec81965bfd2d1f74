from agent_gym.envs.webshop.pages import (
    Pages,
    ProductPages,
    done_page,
    item_page,
    make_links,
    pieces,
    results_page,
    search_page,
    sub_page,
)
from tests.envs.webshop.small_shop import CHAIR, LAMP, SmallShop, make_product


def test_pieces_are_what_the_benchmarks_parser_leaves():
    # Nothing, and white space with a line break, vanish. A blank stays as an empty piece, for the parser makes one
    # blank of white space and the filter only drops a lone line break. A no-break space is trimmed like any other.
    assert pieces(["a ", "", " ", "\n", " \n ", "\t", "\u00a0", " b\n"]) == ["a", "", "", "", "b"]


def test_links_have_commands_where_a_command_can_name_them():
    links = make_links(["next >", "b01", "", "a\nb", "b01"])
    assert links.clickables == ("next >", "b01", "", "a\nb")
    assert links.commands == ("click[next >]", "click[b01]")
    assert links.sorted_commands == ("click[b01]", "click[next >]")


def test_search_page():
    assert search_page(" buy me ") == "WebShop [SEP] Instruction: [SEP] buy me [SEP] Search"


def test_results_page_shows_ten_products():
    pages = Pages(SmallShop(*(make_product(f"B{number:09}") for number in range(23))))
    first = pages.results(range(23), 1)
    assert results_page("buy me", first) == (
        "Instruction: [SEP] buy me [SEP] Back to Search [SEP] Page 1 (Total results: 23) [SEP] Next >"
        + "".join(f" [SEP] B00000000{n} [SEP] Lamp B00000000{n} [SEP] $9.5" for n in range(10))
    )
    assert first.links.clickables == ("back to search", "next >", *(f"b00000000{n}" for n in range(10)))
    last = pages.results(range(23), 3)
    assert results_page("buy me", last) == (
        "Instruction: [SEP] buy me [SEP] Back to Search [SEP] Page 3 (Total results: 23) [SEP] < Prev [SEP] Next >"
        + "".join(f" [SEP] B00000002{n} [SEP] Lamp B00000002{n} [SEP] $9.5" for n in range(3))
    )
    assert last.positions == {"b000000020": 20, "b000000021": 21, "b000000022": 22}
    assert last.links.sorted_commands == (
        *("click[< prev]", "click[b000000020]", "click[b000000021]", "click[b000000022]"),
        *("click[back to search]", "click[next >]"),
    )
    behind = pages.results(range(23), 4)
    assert results_page("x", behind).endswith("Page 4 (Total results: 23) [SEP] < Prev [SEP] Next >")


def test_products_can_be_called_by_their_place():
    """The numbers go on from page to page, and are no part of what is known of a product: the 21st of 23 is found."""
    pages = Pages(SmallShop(*(make_product(f"B{number:09}") for number in range(23))))
    last = pages.results(range(23), 3, numbered=True)
    assert results_page("buy me", last).endswith(
        "[SEP] Next > [SEP] Item 21 [SEP] Lamp B000000020 [SEP] $9.5 [SEP] Item 22 [SEP] Lamp B000000021 [SEP] $9.5 "
        "[SEP] Item 23 [SEP] Lamp B000000022 [SEP] $9.5"
    )
    assert last.positions == {"item 21": 20, "item 22": 21, "item 23": 22}
    assert last.links.clickables == ("back to search", "< prev", "next >", "item 21", "item 22", "item 23")
    # The same products found by a search that finds no others are its first three.
    assert pages.results([20, 21, 22], 1, numbered=True).names == ("Item 1", "Item 2", "Item 3")


def test_item_page_has_options_in_the_order_of_the_file():
    pages = ProductPages(LAMP)
    assert item_page("buy me", pages) == (
        "Instruction: [SEP] buy me [SEP] Back to Search [SEP] < Prev [SEP] size [SEP] small [SEP] large [SEP] color "
        "[SEP] red [SEP] blue [SEP] small [SEP] Desk Lamp [SEP] Price: $9.5 [SEP] Rating: N.A. [SEP] Description [SEP] "
        "Features [SEP] Reviews [SEP] Buy Now"
    )
    assert pages.links.clickables == (
        *("back to search", "< prev", "description", "features", "reviews", "buy now"),
        *("small", "large", "red", "blue"),
    )


def test_a_value_sets_the_last_option_that_has_it_and_never_hides_a_button():
    assert ProductPages(LAMP).option_of == {"small": "color", "large": "size", "red": "color", "blue": "color"}
    odd = ProductPages(make_product(options={"kind": ("features", "buy now", "plain")}))
    assert odd.option_of == {"plain": "kind"}
    assert odd.links.clickables.count("features") == 1


def test_sub_pages():
    pages = ProductPages(LAMP)
    top = "Instruction: [SEP] buy me [SEP] Back to Search [SEP] < Prev"
    assert sub_page("buy me", pages, "Description") == f"{top} [SEP] A lamp <b>for</b> desks."
    assert sub_page("buy me", pages, "Features") == f"{top} [SEP] it shines [SEP] it stands"
    assert sub_page("buy me", pages, "Reviews") == top
    # The template sets a blank before each point, so an empty one leaves an empty piece; an empty description nothing.
    bare = ProductPages(make_product(description="", bullets=("",)))
    assert sub_page("buy me", bare, "Features") == f"{top} [SEP] "
    assert sub_page("buy me", bare, "Description") == top


def test_done_page_names_the_purchase_and_nothing_of_the_goal():
    text = done_page("B01", {"size": "<m> & l", "color": "'red'"}, 0.5)
    assert text.startswith("Thank you for shopping with us! [SEP] Your code: [SEP] None [SEP] (Paste it in your MTurk")
    assert '[SEP] asin [SEP] B01 [SEP] options [SEP] {"color": "\\u0027red\\u0027", "size": "\\u003cm\\u003e ' in text
    assert text.endswith("[SEP] Your score (min 0.0, max 1.0) [SEP] 0.5 [SEP] Reward Details [SEP] None")


def test_words_are_made_once_per_product_and_kept_for_those_seen_last(monkeypatch):
    shop = SmallShop(LAMP, CHAIR, make_product("B000000003"))
    pages = Pages(shop)
    assert pages.of(0) is pages.of(0)
    monkeypatch.setattr("agent_gym.envs.webshop.pages._KEPT", 2)
    first, second = pages.of(0), pages.of(1)
    assert pages.of(0) is first
    pages.of(2)  # the second was not looked at for longest
    assert pages.of(0) is first
    assert pages.of(1) is not second
