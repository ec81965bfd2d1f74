"""Playing: searches, answers, what they are worth, and what info says."""

import json
import sys

import gymnasium as gym
import pytest

import agent_gym
from agent_gym import keys
from agent_gym.envs.search_qa.library import _generated_corpus, generated_questions
from agent_gym.errors import BadOptionError, DataNotFoundError, MissingExtraError, UnknownSplitError, UnknownTaskError
from wrappers import ParseAction, RenderPrompt

pytest.importorskip("bm25s", reason="needs the extra search")
TASK = "generated/300-0-2/train/00000"


def make(**settings):
    return gym.make("AgentGym/SearchQA-v0", disable_env_checker=True, **settings)


def test_the_answer_decides_score_and_reward():
    env = make()
    [reference] = env.unwrapped.question(TASK).answers
    assert reference == "Elorian Coast"
    # F1 of "the coast" is 2·1/(1 + 2); of the words in another order 1, but they are no match.
    for answer, score, f1, exact in (
        ("Elorian Coast", 1.0, 1.0, True),
        ("the elorian coast!", 1.0, 1.0, True),
        ("the coast", 2 / 3, 2 / 3, False),
        ("Coast Elorian", 0.99, 1.0, False),
        ("Sorn Vale", 0.0, 0.0, False),
        ("!", 0.0, 0.0, False),
    ):
        env.reset(options={"task": TASK})
        _, reward, terminated, truncated, info = env.step(f"<answer>{answer}</answer>")
        assert (terminated, truncated) == (True, False)
        assert reward == info[keys.SCORE] == pytest.approx(score)
        assert (info["f1"], info["exact_match"], info[keys.SUCCESS]) == (pytest.approx(f1), exact, exact)
        assert info["answers"] == (reference,)
        assert info[keys.ADMISSIBLE_ACTIONS] == ()
    env = make(reward="success")
    env.reset(options={"task": TASK})
    assert env.step("answer[the coast]")[1] == 0.0
    env.reset(options={"task": TASK})
    assert env.step("answer[Elorian Coast]")[1] == 1.0


def test_info_tells_what_was_searched_and_found():
    env = make()
    _, info = env.reset(options={"task": TASK})
    assert info["gold_titles"] == ("The Velvet Mirror", "Lower Jarvey")
    assert (info["queries"], info["documents"], info["subgoals"]) == ((), (), ())
    assert info["source"] == "generated"
    assert "answers" not in info
    *_, info = env.step("<search>Lower  Jarvey</search>")
    assert info["queries"] == ("Lower Jarvey",)
    assert len(info["documents"]) == 3
    assert info["documents"][0] == "Lower Jarvey"
    assert info["subgoals"] == ("Lower Jarvey",)
    *_, info = env.step("search[the velvet mirror]")
    assert info["subgoals"] == ("The Velvet Mirror", "Lower Jarvey")
    assert "<answer>Elorian Coast</answer>" in info[keys.ADMISSIBLE_ACTIONS]
    assert info[keys.COMMAND_FORMS] == ("<answer>your answer</answer>", "<search>your query</search>")


def test_the_state_is_the_question_and_what_has_been_seen():
    env = make()
    keys_met = []
    for queries in (("Lower Jarvey", "The Velvet Mirror"), ("velvet MIRROR the", "jarvey lower", "Jarvey Lower")):
        env.reset(options={"task": TASK})
        keys_met.append([env.step(f"<search>{query}</search>")[4][keys.STATE_KEY] for query in queries])
    assert keys_met[0][-1] == keys_met[1][1] == keys_met[1][2]
    assert keys_met[0][0] != keys_met[0][1]
    env.reset(options={"task": TASK})
    before = env.step("<search>unheard-of words</search>")
    assert before[0] == 'No document has a word of "unheard-of words".'
    assert before[4][keys.ACTION_VALID] is True
    assert before[4][keys.STATE_KEY] == f"{TASK}:"


def test_settings():
    env = make(results=1, characters=20, turns=2)
    env.reset(options={"task": TASK})
    observation, _, terminated, truncated, _ = env.step("<search>Lower Jarvey</search>")
    assert observation == 'Documents for "Lower Jarvey":\n[1] Lower Jarvey: Lower Jarvey is a to …'
    assert (terminated, truncated) == (False, False)
    assert env.step("<search>Lower Jarvey</search>")[2:4] == (False, True)
    assert len(make(hops=4, questions=7).unwrapped.question("generated/300-0-4/test/00006").titles) == 4
    for settings in (
        {"hops": 5},
        {"documents": 10},
        {"results": 0},
        {"reward": "f1"},
        {"turns": 0},
        {"questions": True},
        {"data": 3},
    ):
        with pytest.raises(BadOptionError, match=next(iter(settings))):
            make(**settings)
    with pytest.raises(BadOptionError, match="Did you mean 'documents'"):
        make(document=3)
    with pytest.raises(UnknownTaskError, match="generated/300-0-2/test/00000"):
        make().reset(options={"task": "generated/300-0-3/test/00000"})
    with pytest.raises(UnknownSplitError, match="generated_train"):
        make(split="generated-train")


def test_a_command_of_100_kilobytes():
    env = make()
    env.reset(options={"task": TASK})
    observation, _, _, _, info = env.step(f"<search>{'Jarvey ' * 15_000}</search>")
    assert info[keys.ACTION_VALID]
    assert len(info["queries"][0]) == 1000
    assert len(observation) < 4000
    observation, _, terminated, _, info = env.step(f"<answer>{'Coast ' * 17_000}</answer>")
    assert terminated
    # One of 17,000 tokens, and one of two: 2·1/(17,000 + 2).
    assert info[keys.SCORE] == pytest.approx(2 / 17_002)
    assert len(observation) < 300


def test_a_collection_is_shared():
    one, two = make().unwrapped, make(questions=5, hops=3).unwrapped
    assert one.shelf("generated_train").corpus is two.shelf("generated_test").corpus
    shelf = one.shelf("generated_train")
    splits = ["generated_test", "generated_train", "generated_valid"]
    assert {task: split for split in splits for task in one.tasks(split)} == shelf.split_of


def test_files(tmp_path, monkeypatch):
    with pytest.raises(DataNotFoundError, match="SEARCH_QA_DATA"):
        make(split="train").reset()
    lines = [
        {"title": "Tolby", "text": "Tolby lies in Sorn Vale."},
        {"title": "Alda Carrow", "text": "Alda Carrow was born in Tolby. " * 3},
        {"question": "Where was Alda Carrow born?", "answer": "Tolby", "split": "train"},
        {"question": "Who?", "answer": "x", "split": "test", "history": [["a", "b"]]},
    ]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    monkeypatch.setenv("SEARCH_QA_DATA", str(tmp_path))
    env = make(split="train")
    observation, info = env.reset(seed=0)
    assert observation == "Your task is to answer this question: Where was Alda Carrow born?"
    assert (info["source"], info["split"], info["gold_titles"]) == ("published", "train", ())
    *_, info = env.step(env.unwrapped.expert_action())  # nobody says which documents: it asks what it was asked
    assert info["queries"] == ("Where was Alda Carrow born?",)
    assert env.step(env.unwrapped.expert_action())[4]["success"]
    with pytest.raises(UnknownSplitError, match="no tasks"):  # the other question belongs to a conversation
        make(split="test").reset()
    monkeypatch.setenv("CONVERSATIONAL_QA_DATA", str(tmp_path / "mine.jsonl"))
    _, info = gym.make("AgentGym/ConversationalQA-v0", split="test").reset(seed=0)
    assert "rewrite" not in info


def test_without_the_extra(monkeypatch):
    """Whoever has not installed what search needs is told how; lists of tasks don't need it."""
    monkeypatch.setitem(sys.modules, "bm25s", None)
    _generated_corpus.cache_clear()
    generated_questions.cache_clear()
    env = make()
    assert len(env.unwrapped.tasks("generated_test")) == 200
    with pytest.raises(MissingExtraError, match=r"pip install 'agent-gym\[search\]'"):
        env.reset()
    monkeypatch.undo()
    env.reset()


def test_an_episode_goes_on_where_it_was_saved():
    env, other = make(), make()
    env.reset(options={"task": TASK})
    env.step("<search>Lower Jarvey</search>")
    state = agent_gym.save_state(env)
    expected = env.step("<search>The Velvet Mirror</search>")
    other.reset(seed=3)
    agent_gym.restore_state(other, state)
    assert other.unwrapped.expert_action() == "<search>The Velvet Mirror</search>"
    assert other.step("<search>The Velvet Mirror</search>") == expected


@pytest.mark.parametrize(
    ("action_format", "answer"),
    [
        ("tags", "<think>A novel.</think><action><search>the velvet mirror</search></action>"),
        ("bare", "<think>A novel.</think>\n<search>the velvet mirror</search>"),
        ("json", 'Well: {"name": "act", "arguments": {"command": "search[the velvet mirror]"}}'),
    ],
)
def test_a_model_s_answer_carries_a_command_and_its_prompt_the_question(action_format, answer):
    env = RenderPrompt(ParseAction(make(), action_format), "step")
    env.reset(options={"task": TASK})
    *_, info = env.step(answer)
    assert (info["action_valid"], info["format_valid"], info["subgoals"]) == (True, True, ("The Velvet Mirror",))
    prompt = info["messages"][-1]["content"]
    assert env.unwrapped.question(TASK).text in prompt
    assert "<search>your query</search>" in prompt
    assert "<answer>Lower Jarvey</answer>" not in prompt
