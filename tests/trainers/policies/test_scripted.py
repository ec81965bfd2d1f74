import subprocess
import sys

import pytest

from agent_gym import Frame
from agent_gym.errors import BadOptionError
from trainers.policies.base import Request, Sampling
from trainers.policies.scripted import ByteCodec, ExpertPolicy, RandomPolicy, ReplayPolicy


def request(seed=0, session=None, **info):
    frame = Frame("", 0.0, False, False, info)
    return Request(prompt_ids=(1, 2), sampling=Sampling(), seed=seed, session=session, frame=frame)


def text_of(policy, one):
    [completion] = policy.complete([one])
    assert completion.prompt_ids == one.prompt_ids
    assert completion.finish == "stop"
    assert set(completion.logprobs) == {0.0}
    assert policy.codec.ended(completion.token_ids)
    return policy.codec.decode(completion.token_ids)


def test_scripted_bytes_make_the_same_conversation_turn_by_turn():
    codec = ByteCodec()
    codec.check_prefix()
    assert codec.start([{"role": "user", "content": "é"}]) == (*b"user: \xc3\xa9", 256)
    answer = codec.encode_answer("go é")
    assert codec.decode(answer) == "go é"
    news = [{"role": "user", "content": "ok"}]
    assert codec.extend(news, codec.ended(answer)) == (*b"user: ok", 256)
    assert codec.extend(news, codec.ended(answer[:-1])) == (256, *b"user: ok", 256)


def test_scripted_random_draws_every_command_about_as_often():
    # 3,000 draws out of 3: mean 1,000 each, standard deviation √(3000·1/3·2/3) = 26; five of them are 129.
    commands = ("look", "inventory", "go to shelf 1")
    policy = RandomPolicy()
    drawn = [text_of(policy, request(seed, admissible_actions=commands)) for seed in range(3000)]
    assert set(drawn) == {f"<action>{command}</action>" for command in commands}
    assert all(abs(drawn.count(text) - 1000) < 129 for text in set(drawn))
    assert drawn[:50] == [text_of(policy, request(seed, admissible_actions=commands)) for seed in range(50)]


def test_scripted_random_needs_the_commands():
    with pytest.raises(BadOptionError, match="admissible_actions"):
        text_of(RandomPolicy(), request())
    with pytest.raises(BadOptionError, match="frame"):
        RandomPolicy().complete([Request(prompt_ids=(1,), sampling=Sampling(), seed=0)])


def test_scripted_expert_gives_the_expert_s_command_in_form():
    assert ExpertPolicy.needs_expert
    assert text_of(ExpertPolicy(), request(expert_action="look")) == "<action>look</action>"
    assert text_of(ExpertPolicy(form="{command}"), request(expert_action="look")) == "look"
    with pytest.raises(BadOptionError, match="expert_action"):
        text_of(ExpertPolicy(), request())


def test_scripted_replay_gives_each_session_the_record_from_its_start():
    policy = ReplayPolicy({"a": ["one", "two"], "b": ["three"]})
    assert [text_of(policy, request(session=s, task="a")) for s in (0, 1, 0, 1, 0)] == ["one", "one", "two", "two", ""]
    assert text_of(policy, request(session=2, task="b")) == "three"
    policy.release([0])
    assert text_of(policy, request(session=0, task="a")) == "one"
    assert text_of(policy, request(session=1, task="a")) == ""
    with pytest.raises(BadOptionError, match="recorded, got c"):
        text_of(policy, request(task="c"))


def test_scripted_policies_load_no_deep_learning_library(root):
    code = (
        "import sys, trainers.policies.chat, trainers.policies.scripted; "
        "print(sorted({'torch', 'transformers', 'peft'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
