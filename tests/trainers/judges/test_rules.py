import pytest

from tests.trainers.shaping.made import made_episode, made_group, made_turn
from trainers.judges import InfoJudge, RuleJudge, Step, steps_of


def test_steps_of_a_group_know_what_was_before_them():
    group = made_group(made_episode("AB", [0, 1]), made_episode("C", [0]))
    steps = steps_of(group)
    assert [(step.task, step.turn.state_key) for step in steps] == [("toy/0", "A"), ("toy/0", "B"), ("toy/0", "C")]
    assert [[turn.state_key for turn in step.before] for step in steps] == [[], ["A"], []]


def test_the_environment_as_judge():
    judge = InfoJudge()
    told = Step(task="t", turn=made_turn(info={"process_score": 0.25, "subgoals": ("key",)}))
    silent = Step(task="t", turn=made_turn())
    assert judge.score(told) == 0.25
    assert judge.scores([told, silent]) == [0.25, 0.0]
    assert judge.goals([told, silent]) == [{"key"}, set()]
    assert judge.counts == {"asked": 3, "unparsable": 1}


def test_rules():
    first = made_turn(observation="Find the red mug", answer="find mug now", reply="Nothing happens.")
    again = made_turn(observation="Nothing happens.", answer="look", reply="Nothing happens.", action_valid=False)
    silent = made_turn(answer="", format_valid=False, reply="What?")
    # Carried a command, accepted, new reply, and 2 of 3 words known: (1 + 1 + 1 + 2/3)/4.
    judge = RuleJudge()
    assert judge.score(Step(task="t", turn=first)) == pytest.approx((3 + 2 / 3) / 4)
    # Only the form is right.
    assert judge.score(Step(task="t", turn=again, before=(first,))) == 0.25
    # Only the reply is new.
    assert judge.score(Step(task="t", turn=silent, before=(first, again))) == 0.25
    weighted = RuleJudge(form=3.0, accepted=1.0, novelty=0.0, overlap=0.0)
    assert weighted.scores([Step(task="t", turn=again)]) == [0.75]
    with pytest.raises(ValueError, match="weights of 0 or more that are not all 0"):
        RuleJudge(form=0, accepted=0, novelty=0, overlap=0)
