"""The same seed gives the same transcript: twice in one process, in worker processes, and with another hash seed."""

import json
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import pytest

from agent_gym.multi_agent.games import game_names
from agent_gym.registration import IDS
from tests.transcripts import transcript

NAMES = (*IDS, *game_names())


@pytest.fixture(scope="module")
def workers():
    """Two processes that are started afresh; each has a hash seed of its own, by chance."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONHASHSEED", raising=False)
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
            yield pool


@pytest.fixture(scope="module")
def elsewhere(root):
    """Transcripts of a fresh interpreter whose hashes are others than ours, in the opposite order of names."""
    # Published data, which a test does not see, are hidden here too: this is made before any test.
    names, seen = NAMES[::-1], {name: value for name, value in os.environ.items() if not name.endswith("_DATA")}
    environment = seen | {"PYTHONHASHSEED": "12345"}
    assert os.environ.get("PYTHONHASHSEED") != "12345"
    done = subprocess.run(
        [sys.executable, "-m", "tests.transcripts", *names], cwd=root, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_transcript(name, workers, elsewhere):
    asked = [workers.submit(transcript, name) for _ in range(2)]
    here = transcript(name)
    if here[0].startswith("missing: "):
        pytest.skip(here[0])
    assert len(here) > 4  # lists of tasks, two starts and some steps
    assert transcript(name) == here
    for one in asked:
        assert one.result() == here
    assert elsewhere[name] == here


def test_a_transcript_tells_hashes_apart(root):
    """What the test above looks for would show: a set of words has another order in another interpreter."""
    program = "print([word for word in {'one', 'two', 'three', 'four', 'five', 'six', 'seven'}])"
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "12345")
    }
    assert len(told) == 2
