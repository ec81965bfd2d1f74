"""Scores and their order, against the formula written out by hand and against bm25s as it is shipped."""

import math
import random
import sys

import numpy as np
import pytest

from agent_gym.errors import MissingExtraError
from agent_gym.search import bm25
from agent_gym.search.analysis import terms
from agent_gym.search.bm25 import Index, IndexBuilder, lucene_length

pytest.importorskip("Stemmer", reason="needs the extra search")
bm25s = pytest.importorskip("bm25s", reason="needs the extra search")


def index_of(directory, texts, ranks=None):
    builder = IndexBuilder(directory)
    for text in texts:
        builder.add(terms(text))
    builder.finish()
    return Index(directory, np.arange(len(texts), dtype=np.int32) if ranks is None else np.array(ranks, np.int32))


def scores_of(index, query, products):
    return index._exact(np.arange(products), *index._columns(terms(query)))


def test_a_score_worked_out_by_hand(tmp_path):
    index = index_of(tmp_path, ["red red shoe", "the blue shoe", "a green hat with a red brim and a feather"])
    # Terms: 3 (red twice), 2 ("the" is a stop word), 5 (green hat red brim feather); avgdl = 10/3.
    # idf(red) = ln(1 + (3 - 2 + .5)/(2 + .5)) = ln 1.6 = .4700036, and shoe has the same; idf(blue) = ln(1 + 2.5/1.5).
    # Product 0, red: norm = .9·(.6 + .4·3/(10/3)) = .9·.96 = .864; 2/(2 + .864) = .6983240 -> .3282148
    # Product 2, red: norm = .9·(.6 + .4·5/(10/3)) = .9·1.2 = 1.08; 1/(1 + 1.08) = .4807692 -> .2259633
    assert scores_of(index, "Red!", 3) == pytest.approx([0.3282148, 0, 0.2259633], abs=1e-6)
    # Product 1: norm = .9·(.6 + .4·2/(10/3)) = .756; blue: .9808293/1.756 = .5585588, shoe: .4700036/1.756 = .2676558
    # Product 0, shoe: .4700036/1.864 = .2521479
    assert scores_of(index, "blue shoes", 3) == pytest.approx([0.2521479, 0.5585588 + 0.2676558, 0], abs=1e-6)
    assert index.search("blue shoes", 50) == (1, 0)
    assert index.search("red shoes", 50) == (0, 1, 2)  # .5803627, .2676558, .2259633
    assert index.search("red shoes", 1) == (0,)


def test_a_length_keeps_four_binary_digits_of_what_exceeds_24():
    # 24 + 17 (10001b) -> 24 + 16; 24 + 31 (11111b) -> 24 + 30; 24 + 76 (1001100b) -> 24 + 72; 976 (1111010000b) -> 960
    exact, lengths = [0, 1, 23, 24, 39, 40], [41, 54, 55, 56, 59, 60, 100, 1000]
    assert lucene_length(np.array(exact)).tolist() == exact
    assert lucene_length(np.array(lengths)).tolist() == [40, 54, 54, 56, 56, 60, 96, 984]


def test_only_the_lengths_differ_from_bm25s_as_it_is_shipped(tmp_path):
    draw = random.Random(0)
    texts = [" ".join(f"w{int(draw.paretovariate(0.7))}" for _ in range(draw.randint(1, 39))) for _ in range(300)]
    ours = index_of(tmp_path, texts)
    shipped = bm25s.BM25(k1=0.9, b=0.4, method="lucene")
    shipped.index([terms(text) for text in texts], show_progress=False)
    for query in ("w1", "w1 w2 w3", "w4 w9 w1", "w17"):
        expected = shipped.get_scores(terms(query))
        assert scores_of(ours, query, 300) == pytest.approx(expected, rel=1e-5)
        found = ours.search(query, 50)
        assert expected[list(found)] == pytest.approx(np.sort(expected)[::-1][: len(found)], rel=1e-5)
        assert len(found) == min(50, (expected > 0).sum())


def test_equal_scores_come_in_the_order_of_asins(tmp_path):
    ranks = [3, 0, 4, 1, 2]  # of the asins
    index = index_of(tmp_path, ["red shoe", "red shoe", "red hat", "red shoe", "red red"], ranks)
    # "red red" has the higher frequency; the others have equal lengths and frequencies
    assert index.search("red", 50) == (4, 1, 3, 0, 2)
    assert index.search("red", 3) == (4, 1, 3)


def test_the_best_of_many_products_are_those_of_a_full_sort(tmp_path):
    draw = random.Random(1)
    products = 60 * bm25._BLOCK + 17  # more blocks than results, and a rest
    texts = [
        " ".join(draw.choices(("red", "blue", "hat", "shoe", "cap"), k=draw.randint(1, 9))) for _ in range(products)
    ]
    ranks = draw.sample(range(products), products)
    index = index_of(tmp_path, texts, ranks)
    for query in ("red", "red hat", "cap shoe shoe", "blue blue blue hat"):
        scores = scores_of(index, query, products)
        expected = sorted(np.flatnonzero(scores).tolist(), key=lambda i: (-scores[i], ranks[i]))[:50]
        assert index.search(query, 50) == tuple(expected)


def test_a_term_counts_as_often_as_the_query_says_it(tmp_path):
    index = index_of(tmp_path, ["red shoe", "blue hat", "blue shoe sole"])
    once, thrice = scores_of(index, "red", 3), scores_of(index, "red red reds", 3)
    assert thrice == pytest.approx(3 * once)
    # idf: red ln(1+2.5/1.5) = .98, blue ln 1.6 = .47: one red outweighs one blue, three blues outweigh one red
    assert index.search("red blue", 50)[0] == 0
    assert index.search("red blue blue blue", 50)[0] == 1


def test_an_index_built_in_chunks_is_the_same(tmp_path, monkeypatch):
    draw = random.Random(2)
    texts = [" ".join(draw.choices([f"w{i}" for i in range(50)], k=draw.randint(0, 30))) for _ in range(200)]
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    index_of(tmp_path / "one", texts)
    monkeypatch.setattr(bm25, "_CHUNK", 100)
    index_of(tmp_path / "many", texts)
    assert sorted(path.name for path in (tmp_path / "many").iterdir()) == sorted(bm25.FILES)
    for name in bm25.FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "many" / name).read_bytes()


@pytest.mark.parametrize("query", ["", "   ", "the of and", "[](){}<>", "unheard-of", "\ud800", "\0"])
def test_a_query_without_a_known_term_finds_nothing(tmp_path, query):
    assert index_of(tmp_path, ["red shoe", "blue hat"]).search(query, 50) == ()


def test_brackets_and_signs_do_not_matter(tmp_path):
    index = index_of(tmp_path, ["red shoe", "blue hat"])
    assert index.search("search[red] [[shoe", 50) == (0,)


def test_of_a_very_long_query_the_first_1024_terms_count(tmp_path):
    index = index_of(tmp_path, ["red shoe", "blue hat"])
    assert index.search("red " * 25_000 + "blue", 50) == (0,)  # 100 kB
    assert index.search("red " * 1023 + "blue", 50) == (0, 1)
    assert index.search(" ".join(f"word{i}" for i in range(12_000)) + " red", 50) == ()


def test_products_without_a_word_are_never_found_and_do_not_count(tmp_path):
    index = index_of(tmp_path, ["", "red shoe", "the", "red hat"])
    # two products with words: idf = ln(1 + .5/2.5) = ln 1.2; both of average length: 1/(1 + .9)
    assert scores_of(index, "red", 4) == pytest.approx([0, math.log(1.2) / 1.9, 0, math.log(1.2) / 1.9])
    assert index.search("red the", 50) == (1, 3)


def test_a_shop_without_any_word_can_be_searched(tmp_path):
    assert index_of(tmp_path, ["", "the"]).search("red", 50) == ()


def test_without_the_extra_the_message_says_what_to_install(tmp_path, monkeypatch):
    index_of(tmp_path, ["red"])
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'agent-gym\[search\]'"):
        Index(tmp_path, np.zeros(1, np.int32))


def test_an_index_in_memory_finds_what_one_on_disk_finds(tmp_path):
    texts = ["red red shoe", "the blue shoe", "a green hat with a red brim", "red shoe red"]
    in_memory = bm25.index_of(texts)
    on_disk = index_of(tmp_path, texts)
    for query in ("red", "shoe red", "brim", "nothing"):
        assert in_memory.search(query, 3) == on_disk.search(query, 3)
    assert in_memory.search("red", 1) == (0,)  # of equal scores the first
    assert bm25.index_of([]).search("red", 3) == ()
