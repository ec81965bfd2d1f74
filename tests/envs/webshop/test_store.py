"""Products in files: what is written is read, what is damaged is named, and the published texts are indexed exactly."""

import dataclasses
import json
import pickle

import pytest

from agent_gym.envs.webshop import store
from agent_gym.envs.webshop.product import PAGE, RESULTS, Product
from agent_gym.envs.webshop.published import find_files, read_products
from agent_gym.envs.webshop.store import build, indexed_text, open_catalogue
from agent_gym.errors import CatalogueError

for package in ("Stemmer", "bm25s"):
    pytest.importorskip(package, reason="needs the extra webshop")

SHOE = Product(
    asin="B00SHOE",
    title="Red Shoe",
    price=9.99,
    price_text="$9.99 to $12.50",
    description="For Walking",
    bullets=("Rubber Sole", "Wide"),
    categories=("Clothing", "Shoes"),
    category="fashion",
    query="walking shoes",
    options={"size": ("8", "8 | wide"), "color": ("red", "blue")},
    attributes=("rubber sole", "wide fit"),
    image="https://example.com/shoe.jpg",
    instruction="i want red shoes",
    instruction_attributes=("rubber sole",),
)
HAT = dataclasses.replace(
    SHOE,
    asin="A00HAT",
    title='Hat — "Ça va" <b>\u2028',
    bullets=(),
    options={},
    query="sun hats",
    attributes=("wide fit",),
)
CUP = dataclasses.replace(HAT, asin="B0CUP", title="Cup", category="garden", query="cups", attributes=())


@pytest.fixture
def shop(tmp_path):
    build(tmp_path, [SHOE, HAT, CUP], source="generated")
    return tmp_path


@pytest.fixture(scope="module")
def published(webshop_data, tmp_path_factory):
    """The published 1,000 products."""
    directory = tmp_path_factory.mktemp("published")
    files = find_files(webshop_data, 1000)
    build(directory, read_products(files.products, files.attributes))
    return open_catalogue(directory)


def test_products_are_read_as_they_were_written(shop):
    catalogue = open_catalogue(shop)
    assert [catalogue.product(i) for i in range(len(catalogue))] == [SHOE, HAT, CUP]
    assert list(catalogue.product(0).options.items()) == list(SHOE.options.items())
    assert catalogue.source == "generated"
    assert catalogue.product(1) is catalogue.product(1)


@pytest.mark.parametrize("position", [-1, 3, 10**9])
def test_there_is_no_product_beyond_the_catalogue(shop, position):
    with pytest.raises(IndexError, match=f"from 0 to 2, got {position}"):
        open_catalogue(shop).product(position)


def test_positions_by_asin(shop):
    catalogue = open_catalogue(shop)
    assert [catalogue.position(asin) for asin in ("B00SHOE", "A00HAT", "B0CUP")] == [0, 1, 2]
    for unknown in ("", "A", "B00SHO", "B00SHOEX", "b00shoe", "ZZZ", "B0CUP\0", "é", "\ud800", "B" * 100_000):
        assert catalogue.position(unknown) is None


def test_the_text_that_is_indexed():
    assert indexed_text(SHOE) == "red shoe for walking rubber sole size: 8, 8 | wide, and color: red, blue"
    assert indexed_text(CUP) == "cup for walking  "  # neither bullet point nor options


def test_search_finds_words_of_title_description_first_point_and_options(shop):
    catalogue = open_catalogue(shop)
    for query, found in {
        "red": (0,),
        "soles": (0,),
        "blue": (0,),
        "va": (1,),
        "clothing": (),  # categories, second points, attributes and asins are not looked at
        "wide fit": (0,),  # of the option, not of the attribute
        "b00shoe": (),
    }.items():
        assert catalogue.search(query) == found
    # All three say "walk"; the hat has 5 terms (hat ça va b walk), the cup 2, the shoe 11.
    assert catalogue.search("walking") == (2, 1, 0)


def test_prefixes_look_around_as_in_the_benchmark(shop):
    catalogue = open_catalogue(shop)
    for query, found in {
        "<c> fashion": (0, 1),
        "<c> garden of eden": (2,),  # one word
        "<q> sun hats": (1,),
        "<q>  cups ": (2,),
        "<a> wide fit": (0, 1),
        "<a> wide": (),
        "<a>": (),
        "<c>": (),
        "<x> red": (0,),  # no prefix: words as any
        "red <c> fashion": (0,),
    }.items():
        assert catalogue.search(query) == found


def test_random_products_are_the_same_for_the_same_words(tmp_path):
    build(tmp_path, [dataclasses.replace(SHOE, asin=f"B{i:03}") for i in range(200)])
    catalogue = open_catalogue(tmp_path)
    found = catalogue.search("<r>")
    assert len(found) == len(set(found)) == RESULTS
    assert set(found) <= set(range(200))
    assert sorted(found) != list(found)
    assert catalogue.search("<r>") == found != catalogue.search("<r> again")
    assert len(catalogue.search("<c> fashion")) == 200  # all of them, as in the benchmark
    assert len(catalogue.search("shoe")) == RESULTS == 5 * PAGE


def test_a_small_shop_has_fewer_random_products_than_a_page(shop):
    assert sorted(open_catalogue(shop).search("<r>")) == [0, 1, 2]


def test_the_fingerprint_is_that_of_the_products(shop, tmp_path):
    same, other = tmp_path / "same", tmp_path / "other"
    same.mkdir()
    other.mkdir()
    build(same, [SHOE, HAT, CUP])
    build(other, [SHOE, CUP, HAT])
    assert open_catalogue(same).fingerprint == open_catalogue(shop).fingerprint != open_catalogue(other).fingerprint


def test_a_catalogue_travels_to_another_process_by_name(shop):
    catalogue = open_catalogue(shop)
    pickled = pickle.dumps(catalogue)
    assert len(pickled) < 1000
    assert pickle.loads(pickled).search("red") == catalogue.search("red")


def test_two_products_of_one_asin_are_refused(tmp_path):
    with pytest.raises(ValueError, match="'B00SHOE' is there twice"):
        build(tmp_path, [SHOE, HAT, SHOE])
    with pytest.raises(CatalogueError, match=r"no finished catalogue"):
        open_catalogue(tmp_path)


def test_an_empty_catalogue_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one product"):
        build(tmp_path, [])


def test_a_build_says_how_far_it_is(tmp_path):
    said = []
    build(tmp_path, [SHOE, HAT], 2, progress=lambda *what: said.append(what))
    assert said == [("reading products", 0, 2), ("indexing", 0, 1)]


def written_files():
    return [*store._FILES, *store.bm25.FILES]


@pytest.mark.parametrize("name", written_files())
def test_a_truncated_file_is_named(shop, name):
    path = shop / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CatalogueError, match=rf"{name} has [\d,]+ bytes instead of [\d,]+; delete .* and build"):
        open_catalogue(shop)
    path.unlink()
    with pytest.raises(CatalogueError, match=f"{name} is missing"):
        open_catalogue(shop)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"rules": 1, "sizes": []}'])
def test_a_damaged_summary_is_named(shop, text):
    (shop / "catalogue.json").write_text(text)
    with pytest.raises(CatalogueError, match=r"catalogue\.json|rules 1"):
        open_catalogue(shop)


def test_a_catalogue_of_other_rules_is_refused(shop, monkeypatch):
    monkeypatch.setattr(store, "RULES", "99.9.9")
    with pytest.raises(CatalogueError, match=r"these are 99\.9\.9"):
        open_catalogue(shop)


def test_a_damaged_record_is_named_when_it_is_read(shop):
    path = shop / "records.json"
    content = path.read_bytes()
    path.write_bytes(content[:5] + b'"' + content[6:])  # of the same size
    catalogue = open_catalogue(shop)
    with pytest.raises(CatalogueError, match=r"records\.json is damaged at byte 0"):
        catalogue.product(0)
    assert catalogue.product(1) == HAT


LOGGED = {
    ("eco friendly fleece throw blanket tortoisegoo9511 39x49in under 60", 1): (
        *("B09DG3YTHY", "B0836D6CW4", "B09KTB1VG6", "B08FGWZZ8J", "B08SKH3LTM"),
        *("B07SXRVKZ2", "B09BNCFGLY", "B09C1YWG8W", "B08WKMHTGH", "B09MYFGDY5"),
    ),
    ("tempered glass screen protector under $40", 1): (
        *("B083ZK4NRS", "B088LZPNG6", "B095PF5BXT", "B07YCGBPRD", "B07ZYVWCZ7"),
        *("B07JMXLXNY", "B0982W8RKZ", "B07GZLDJMC", "B083HXHG75", "B08CV7M1HV"),
    ),
    ("men's sweater polyester cotton 5x-large under $60 machine wash", 1): ("B09PBPZ24Z", "B09QQP3356"),
    ("men's sweater polyester cotton 5x-large under $60 machine wash", 2): ("B09ND8P2QR", "B09ND9DP7J"),
    ("men's sweater polyester cotton 5x-large under $60 machine wash", 3): ("B09P7H5YK7", "B07JVVDJ6L", "B09P39QN2W"),
    ("men's sweater polyester cotton 5x-large under $60 machine wash", 4): (
        *("B07FD13LP1", "B09J95S478", "B09476F64C", "B09T756KQ5", "B09GVJBPRR"),
        *("B09QCVCYVY", "B085WQKRRJ", "B09R9YCM6R", "B09HGFV91W", "B07WX8FPGG"),
    ),
    ("men sweater polyester cotton machine wash cold tumble dry 5x-large", 1): (
        "B01HQTWL6S",
        "B09Q8RD8YN",
        "B09M63B87V",
    ),
    ("men sweater polyester cotton machine wash cold tumble dry 5x-large", 2): ("B09HY9XB8P", "B09QQP3356"),
}
"""First results of some pages by query and number, as a published log of an agent in the original with the 1,000
products shows them; most pages are cut off there. With exact lengths two of these pages come out differently."""


def test_searches_find_what_the_original_found(published):
    for (query, page), expected in LOGGED.items():
        found = published.search(query)[(page - 1) * PAGE : page * PAGE]
        assert tuple(published.product(position).asin for position in found[: len(expected)]) == expected


def test_the_published_products_are_indexed_by_the_published_texts(webshop_data, published):
    documents = [json.loads(line) for line in (webshop_data / "search_engine/documents_1k.jsonl").open()]
    assert len(published) == len(documents) == 1000
    for position, document in enumerate(documents):
        product = published.product(position)
        assert (product.asin, indexed_text(product)) == (document["id"], document["contents"])
        assert published.position(product.asin) == position
        if position % 20 == 0:  # its own title finds a product
            assert position in published.search(product.title)
