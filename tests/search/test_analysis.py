"""Words and terms. The expected ones are those that Lucene's own tests of its standard and English analysers state."""

import sys

import pytest

from agent_gym.errors import MissingExtraError
from agent_gym.search import analysis
from agent_gym.search.analysis import stem, terms, words

pytest.importorskip("Stemmer", reason="needs the extra search")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AT&T ac/dc some-dashed-phrase", ["at", "t", "ac", "dc", "some", "dashed", "phrase"]),
        ("O'Reilly's don't dogs,chase,cats", ["o'reilly's", "don't", "dogs", "chase", "cats"]),
        ("www.nutch.org test@example.com", ["www.nutch.org", "test", "example.com"]),
        ("21.35 3,000 216.239.63.104 R2D2 4.5oz", ["21.35", "3,000", "216.239.63.104", "r2d2", "4.5oz"]),
        # between letters : . ' join, between digits , ; . ' do, and only one of them
        ("A:B A::B A.B A..B A,B", ["a:b", "a", "b", "a.b", "a", "b", "a", "b"]),
        ("1:2 1,2 1,,2 1.2 1..2 1'2", ["1", "2", "1,2", "1", "2", "1.2", "1", "2", "1'2"]),
        ("a.5 5.a .5 5. $9.99", ["a", "5", "5", "a", "5", "5", "9.99"]),
        # an underscore joins anything, but is no word without a letter or digit
        ("A:B_A:B A:B_A::B __x__ ___ 1_a", ["a:b_a:b", "a:b_a", "b", "__x__", "1_a"]),
        ("color:red, size: xx-large", ["color:red", "size", "xx", "large"]),
        ("", []),
        (" -[]()*&% \n\t", []),
        # beyond ASCII: signs end words, a typographic apostrophe does not, and an accent belongs to its letter
        (
            "Brand® “quoted” 5½ don’t café cafe\u0301 20° ½",
            ["brand", "quoted", "5", "don’t", "café", "cafe\u0301", "20"],
        ),
        ("A_B’s É:é 1;2 é_1", ["a_b’s", "é:é", "1;2", "é_1"]),
        # ideographs and hiragana stand alone, katakana and Thai are taken in runs, Hangul are letters
        ("我是 ひら カタカナ ภาษา 안녕", ["我", "是", "ひ", "ら", "カタカナ", "ภาษา", "안녕"]),
        ("♥ ★👍🏽 👩‍👩‍👧x 🇫🇷🇩🇪 ✓", ["♥", "★", "👍🏽", "👩‍👩‍👧", "x", "🇫🇷", "🇩🇪"]),
    ],
)
def test_words_end_where_unicode_says(text, expected):
    assert words(text) == expected


@pytest.mark.parametrize("text", ["it's women's shoes", "IT'S Women’s SHOES", "its women's shoe"])
def test_stop_words_possessives_and_endings_do_not_count(text):
    # "it's" loses its 's and is then a stop word; "its" is none, and its stem is "it"
    assert terms(text) == (["it", "women", "shoe"] if text.startswith("its") else ["women", "shoe"])


def test_the_33_stop_words_have_no_terms():
    assert len(analysis.STOP_WORDS) == 33
    assert terms(" ".join(sorted(analysis.STOP_WORDS))) == []


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("caresses", "caress"),
        ("ponies", "poni"),
        ("relational", "relat"),
        ("hopping", "hop"),
        ("xs", "xs"),  # one and two letters stay: Snowball's gives "x"
        ("is", "is"),
        ("technology", "technolog"),  # -logi becomes -log: Snowball's gives "technologi"
        ("logi", "logi"),  # but not without a vowel and a consonant before it
        ("eulogy", "eulogi"),
        ("assembly", "assembl"),  # -bli becomes -ble, of which the e goes: Snowball's gives "assembli"
        ("assemble", "assembl"),
        ("possibly", "possibl"),
        ("doubly", "doubli"),  # "dou" has no consonant after its vowels
        ("probably", "probabl"),  # -abli is in the paper too
        ("trekking", "trek"),  # any doubled consonant before -ing: Snowball's gives "trekk"
        ("falling", "fall"),  # but l, s and z stay
        ("trekk", "trekk"),
        ("3,000", "3,000"),
    ],
)
def test_stems_are_those_of_lucenes_porter(word, expected):
    assert stem(word) == expected


def test_a_long_word_is_cut_every_255_characters():
    assert [len(word) for word in words("a" * 600 + " b")] == [255, 255, 90, 1]
    assert [len(word) for word in words("é" * 300)] == [255, 45]


@pytest.mark.parametrize(
    ("text", "characters"),
    [
        ("_" * 100_000, 0),  # nothing but underscores is no word
        ("_" * 100_000 + "é", 100_001),
        ("a" + "_" * 100_000, 100_001),
        ("a_" * 50_000, 100_000),
        ("é_" * 50_000, 100_000),
        ("a." * 50_000, 99_999),  # a sign joins what is on both sides: not the last one
        ("1," * 50_000 + "é", 100_001 - 1),  # and no letter to a digit
        ("[(" * 50_000, 0),
        ("\u0301" * 100_000, 0),  # an accent without a letter
    ],
)
def test_a_text_that_a_pattern_could_go_back_and_forth_in(text, characters):
    assert sum(map(len, words(text))) == characters


def test_without_the_extra_the_message_says_what_to_install(monkeypatch):
    analysis._stemmer.cache_clear()
    monkeypatch.setitem(sys.modules, "Stemmer", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'agent-gym\[search\]'"):
        stem("shoes")
    monkeypatch.undo()
    assert stem("shoes") == "shoe"
