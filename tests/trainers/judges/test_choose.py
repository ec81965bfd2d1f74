import pytest

from agent_gym.errors import BadOptionError
from trainers.judges import InfoJudge, JudgeSettings, PolicyJudge, Rubric, RuleJudge, ServerJudge, make_judge
from trainers.policies.scripted import RandomPolicy


def test_every_kind_of_judge_can_be_made():
    rubric = Rubric(goals=("key",))
    assert isinstance(make_judge(JudgeSettings()), InfoJudge)
    assert isinstance(make_judge(JudgeSettings(kind="rules")), RuleJudge)
    server = make_judge(JudgeSettings(kind="server", rubric=rubric))
    assert isinstance(server, ServerJudge)
    assert server.rubric is rubric
    policy = RandomPolicy()
    judge = make_judge(JudgeSettings(kind="policy", rubric=rubric), policy)
    assert isinstance(judge, PolicyJudge)
    assert (judge.policy, judge.rubric) == (policy, rubric)


def test_what_can_not_be_made_is_named():
    with pytest.raises(BadOptionError, match="expected a policy"):
        make_judge(JudgeSettings(kind="policy"))
    with pytest.raises(BadOptionError, match="Did you mean 'server'"):
        make_judge(JudgeSettings(kind="sever"))  # type: ignore[arg-type]  # what is refused
