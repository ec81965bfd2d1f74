import pytest

from trainers.shaping import PenaliseInvalid, ScaleRewards
from trainers.types import Completion, Episode, Group, Turn


def group(*turns):
    return Group(task="t", episodes=(Episode(turns=turns), Episode(turns=())))


def turn(reward, *, action=True, form=True):
    completion = Completion(prompt_ids=(1,), token_ids=(2,), logprobs=(0.0,))
    return Turn(completion=completion, state_key="s", reward=reward, action_valid=action, format_valid=form)


def rewards(shaped):
    return [list(episode.rewards) for episode in shaped.episodes]


def test_scale():
    assert rewards(ScaleRewards(factor=10)(group(turn(0.0), turn(0.5)))) == [[0.0, 5.0], []]
    with pytest.raises(ValueError, match="finite"):
        ScaleRewards(factor=float("inf"))


def test_penalty():
    played = group(turn(0.0), turn(0.0, action=False), turn(1.0, action=False, form=False))
    assert rewards(PenaliseInvalid(amount=0.25)(played)) == [[0.0, 0.0, 0.75], []]
    assert rewards(PenaliseInvalid(amount=0.25, charge="action")(played)) == [[0.0, -0.25, 0.75], []]
    with pytest.raises(ValueError, match="0 or more"):
        PenaliseInvalid(amount=-1)
    with pytest.raises(ValueError, match="charge"):
        PenaliseInvalid(charge="both")  # type: ignore[arg-type]  # what is refused
