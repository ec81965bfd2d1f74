"""What every test may ask for."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]


def published_games() -> Path | None:
    """Where the benchmark's games lie: ALFWORLD_DATA, else shared/data/alfworld beside the checkout, else None."""
    named = os.environ.get("ALFWORLD_DATA")
    directory = Path(named) if named else ROOT.parent / "shared" / "data" / "alfworld"
    return directory if (directory / "json_2.1.1").is_dir() else None


def published_shop() -> Path | None:
    """Where the shop's products lie: WEBSHOP_DATA, else shared/data/webshop beside the checkout, else None."""
    named = os.environ.get("WEBSHOP_DATA")
    directory = Path(named) if named else ROOT.parent / "shared" / "data" / "webshop"
    return directory if (directory / "items_shuffle_1000.json").is_file() else None


def published_questions() -> Path | None:
    """Where a file of HotpotQA's with documents lies: SEARCH_QA_DATA, else below shared/data beside the checkout."""
    named = os.environ.get("SEARCH_QA_DATA")
    shared = ROOT.parent / "shared" / "data" / "hotpotqa" / "hotpot_dev_distractor_v1.first100.json"
    path = Path(named) if named else shared
    return path if path.is_file() else None


def published_levels() -> Path | None:
    """Where Boxoban's levels lie: BOXOBAN_DATA, else shared/data/boxoban beside the checkout, else None."""
    named = os.environ.get("BOXOBAN_DATA")
    directory = Path(named) if named else ROOT.parent / "shared" / "data" / "boxoban"
    return directory if (directory / "unfiltered").is_dir() else None


# A busy machine is slow now and then; how long an example takes is no property of the code.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

PUBLISHED_GAMES, PUBLISHED_SHOP, PUBLISHED_QUESTIONS = published_games(), published_shop(), published_questions()
PUBLISHED_LEVELS = published_levels()
"""Looked up before any test runs, since none of them sees the variables."""


@pytest.fixture(autouse=True)
def no_ambient_games() -> Iterator[None]:
    """Tests see published games only where they ask for them: the same result in every shell.

    It also undoes what importing the `alfworld` package does, which is to set the variable to a folder in HOME.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("ALFWORLD_DATA", raising=False)
        patch.delenv("WEBSHOP_DATA", raising=False)
        patch.delenv("SEARCH_QA_DATA", raising=False)
        patch.delenv("CONVERSATIONAL_QA_DATA", raising=False)
        yield


@pytest.fixture(autouse=True, scope="session")
def cache_of_this_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Catalogues of shops are built once per test run, not found in the user's cache or left there."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # workers share one, as processes of a machine do
        root = root.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGENT_GYM_CACHE", str(root / "agent-gym-cache"))
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def alfworld_data() -> Path:
    """The directory of published games, in the benchmark's layout; without it the test is skipped."""
    if PUBLISHED_GAMES is None:
        pytest.skip("needs the published ALFWorld games: set ALFWORLD_DATA to the directory that holds json_2.1.1")
    return PUBLISHED_GAMES


@pytest.fixture(scope="session")
def webshop_data() -> Path:
    """The directory of WebShop's published files; without it the test is skipped."""
    if PUBLISHED_SHOP is None:
        pytest.skip("needs WebShop's published files: set WEBSHOP_DATA to the directory with items_shuffle_1000.json")
    return PUBLISHED_SHOP


@pytest.fixture(scope="session")
def hotpotqa_data() -> Path:
    """A file of HotpotQA's questions with their documents; without it the test is skipped."""
    if PUBLISHED_QUESTIONS is None:
        pytest.skip("needs HotpotQA's questions: set SEARCH_QA_DATA to hotpot_dev_distractor_v1.json or a part of it")
    return PUBLISHED_QUESTIONS


@pytest.fixture(scope="session")
def boxoban_data() -> Path:
    """The directory of Boxoban's levels, as its repository has them; without it the test is skipped."""
    if PUBLISHED_LEVELS is None:
        pytest.skip("needs Boxoban's levels: set BOXOBAN_DATA to the directory that holds unfiltered")
    return PUBLISHED_LEVELS
