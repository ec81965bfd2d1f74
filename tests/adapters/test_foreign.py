"""What the adapters of foreign environments share."""

import logging
import random

import pytest

from agent_gym.adapters.foreign import graded, library
from agent_gym.errors import MissingExtraError


def test_a_missing_library_is_named_with_the_command_that_installs_it():
    with pytest.raises(MissingExtraError, match=r"needs the package no-such: pip install 'agent-gym\[textarena\]'"):
        library("no_such_library_at_all", "no-such", "textarena")


def test_what_a_library_misses_itself_is_its_own_affair(tmp_path, monkeypatch):
    (tmp_path / "halfway_there.py").write_text("import no_such_library_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_library_at_all") as caught:
        library("halfway_there", "halfway", "textarena")
    assert not isinstance(caught.value, MissingExtraError)


def test_a_library_that_is_loaded_leaves_chance_and_log_alone(tmp_path, monkeypatch):
    (tmp_path / "ill_mannered.py").write_text(
        "import logging, random\nrandom.seed(1)\nlogging.getLogger().addHandler(logging.NullHandler())\n"
        "logging.getLogger().setLevel(5)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    before = random.getstate(), list(logging.getLogger().handlers), logging.getLogger().level
    library("ill_mannered", "ill-mannered", "textarena")
    assert (random.getstate(), list(logging.getLogger().handlers), logging.getLogger().level) == before


@pytest.mark.parametrize(
    ("reward", "success", "score"), [(1.0, True, 1.0), (0.4, True, 1.0), (0.4, False, 0.4), (-0.1, False, 0.0)]
)
def test_a_score_is_one_exactly_for_success(reward, success, score):
    assert graded(reward, success=success) == score
    assert graded(7.0, success=False) < 1.0
