"""A policy that learns, with what it learns by."""

import copy
from types import SimpleNamespace

from trainers import reference
from trainers.config import TrainConfig
from trainers.parallel import Ranks
from trainers.policies.hf import HfPolicy
from trainers.policies.tiny import TinySettings, random_model, train_tokenizer
from trainers.students import Student

SETTINGS = TinySettings(hidden_size=32, vocabulary=300, context=64)
TOKENIZER = train_tokenizer(["go left", "go right"] * 3, SETTINGS)


class Sleeper(HfPolicy):
    """Remembers whether it has left the device to the learner."""

    rests = False

    def rest(self) -> None:
        self.rests = True


def test_the_device_is_the_learners_before_the_model_is_copied(monkeypatch):
    # An engine takes its share of a GPU when it starts. Of 7 billion weights one copy in float32 is 28 GiB.
    policy = Sleeper(random_model(TOKENIZER, SETTINGS), TOKENIZER)
    rested = []

    def copied(model):
        rested.append(policy.rests)
        return copy.deepcopy(model)

    monkeypatch.setattr(reference, "copy", SimpleNamespace(deepcopy=copied))
    Student("", policy, TrainConfig(), Ranks())
    assert rested == [True]  # the reference
