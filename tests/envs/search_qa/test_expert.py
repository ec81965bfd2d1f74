import gymnasium as gym
import pytest

from agent_gym.envs.search_qa.corpus import Corpus, Document, Question
from agent_gym.envs.search_qa.expert import Librarian

pytest.importorskip("bm25s", reason="needs the extra search")


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("SearchQA", {"documents": 300, "hops": 2}),
        ("SearchQA", {"documents": 60, "hops": 4, "results": 1}),
        ("ConversationalQA", {"documents": 300}),
        ("ConversationalQA", {"documents": 300, "hops": 2, "results": 1}),
    ],
)
def test_it_answers_every_question_from_the_documents(name, settings):
    env = gym.make(f"AgentGym/{name}-v0", disable_env_checker=True, **settings)
    for split in ("generated_train", "generated_test"):
        for task in env.unwrapped.tasks(split)[:60]:
            _, info = env.reset(options={"task": task})
            over = False
            while not over:
                command = env.unwrapped.expert_action()
                assert command in info["admissible_actions"]
                _, _, terminated, truncated, info = env.step(command)
                over = terminated or truncated
            assert info["success"]
            assert info["subgoals"] == info["gold_titles"]


def test_it_looks_for_what_it_has_not_seen():
    corpus = Corpus([Document("A", "a document"), Document("B", "another document")])
    expert = Librarian(corpus, Question("?", ("x",), ("A", "B")))
    expert.observe(None, "Your task is …")
    assert expert.act() == expert.act() == "<search>A</search>"
    expert.observe("<search>other words</search>", 'Documents for "other words":\n[1] A: a document')
    assert expert.act() == "<search>B</search>"
    expert.observe("<search>B</search>", 'Documents for "B":\n[1] A: a document')
    assert expert.act() == "<search>B another document</search>"
    expert.observe("<search>B another document</search>", 'No document has a word of "…".')
    assert expert.act() == "<answer>x</answer>"
