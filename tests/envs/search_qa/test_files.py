"""Files of questions and documents: what is read, and what is said about those that can't be."""

import json

import gymnasium as gym
import pytest

from agent_gym.envs.search_qa.corpus import Document
from agent_gym.envs.search_qa.files import read_collection, stamps_of
from agent_gym.errors import DataFileError, DataNotFoundError
from agent_gym.testing import check_text_env

PAIRS = {
    "question": "Who is  older?",
    "answer": "Alda",
    "supporting_facts": [["Alda", 0], ["Boris", 1], ["Boris", 0]],
    "context": [["Alda", ["Born in", " 1900."]], ["Boris", ["Born in 1910."]]],
}
COLUMNS = {
    "question": "Who is  older?",
    "answer": "Alda",
    "supporting_facts": {"title": ["Alda", "Boris", "Boris"], "sent_id": [0, 1, 0]},
    "context": {"title": ["Alda", "Boris"], "sentences": [["Born in", " 1900."], ["Born in 1910."]]},
}


def written(directory, **files):
    for name, content in files.items():
        stem, _, ending = name.rpartition("_")
        text = content if isinstance(content, str) else json.dumps(content)
        (directory / f"{stem}.{ending}").write_text(text, encoding="utf-8")
    return directory


def lines(*objects):
    return "\n".join(json.dumps(one) for one in objects)


def read(path):
    return read_collection(stamps_of(str(path), "data"))


@pytest.mark.parametrize("entry", [PAIRS, COLUMNS])
def test_both_forms_of_hotpotqa(tmp_path, entry):
    collection = read(written(tmp_path, hotpot_dev_json=[entry]))
    assert collection.corpus.documents == (Document("Alda", "Born in 1900."), Document("Boris", "Born in 1910."))
    [(task, (split, question))] = collection.questions.items()
    assert (task, split) == ("published/valid/hotpot_dev.json/000000", "valid")
    assert (question.text, question.answers, question.titles) == ("Who is older?", ("Alda",), ("Alda", "Boris"))


def test_json_lines(tmp_path):
    collection = read(
        written(
            tmp_path,
            corpus_jsonl=lines(
                {"title": "Alda", "text": "Born\nin 1900."}, {"id": "7", "contents": '"Boris"\nBorn in 1910.'}
            ),
            mine_jsonl=lines(
                {
                    "question": "When was Alda born?",
                    "answers": ["1900", "in 1900"],
                    "titles": ["Alda"],
                    "split": "test",
                },
                {
                    "question": "And Boris?",
                    "golden_answers": ["1910"],
                    "history": [["When was Alda born?", "1900"]],
                    "rewrite": "When was Boris born?",
                    "split": "train",
                },
            )
            + "\n\n",
        )
    )
    assert collection.corpus.documents == (Document("Alda", "Born in 1900."), Document("Boris", "Born in 1910."))
    first, second = collection.questions.values()
    assert first[0] == "test"
    assert first[1].answers == ("1900", "in 1900")
    assert second[1].history == (("When was Alda born?", "1900"),)
    assert second[1].rewrite == "When was Boris born?"


def test_splits_share_no_question(tmp_path):
    other = PAIRS | {"question": "Who is younger?", "answer": "Boris"}
    collection = read(written(tmp_path, hotpot_train_v1_json=[PAIRS, other], hotpot_dev_v1_json=[PAIRS]))
    assert {question.text: split for split, question in collection.questions.values()} == {
        "Who is older?": "valid",
        "Who is younger?": "train",
    }
    assert len(collection.corpus.documents) == 2


def test_questions_without_a_split_are_dealt_out(tmp_path):
    questions = [{"question": f"What is {n}?", "answer": "x"} for n in range(1000)]
    collection = read(written(tmp_path, q_jsonl=lines({"title": "x", "text": "x"}, *questions)))
    splits = [split for split, _ in collection.questions.values()]
    # One in ten of 1,000, give or take three standard deviations: 100 ± 3·9.5.
    assert all(
        abs(splits.count(split) - expected) < 29 * (1 + (expected > 100))
        for split, expected in (("test", 100), ("valid", 100), ("train", 800))
    )


def test_a_conversation_is_in_one_split(tmp_path):
    turns = [
        {"question": f"And {turn}?", "answer": "x", "history": [[f"What is {n}?", "x"]] + [["And then?", "y"]] * turn}
        for n in range(50)
        for turn in range(3)
    ]
    collection = read(written(tmp_path, q_jsonl=lines({"title": "x", "text": "x"}, *turns)))
    found = {(question.history[0][0], split) for split, question in collection.questions.values()}
    assert len(found) == 50
    assert len({split for _, split in found}) == 3


def test_lists_of_questions_without_documents_are_passed_over(tmp_path):
    bare = [{"question": "Who?", "answer": "Alda"}]
    written(tmp_path, hotpot_dev_json=[PAIRS], simplified_dev_json=bare)
    assert [question.text for _, question in read(tmp_path).questions.values()] == ["Who is older?"]
    written(tmp_path, corpus_jsonl=lines({"title": "Alda", "text": "Alda."}))
    assert [question.text for _, question in read(tmp_path).questions.values()] == ["Who is older?", "Who?"]


GOOD = {"title": "Alda", "text": "Alda."}
QUESTION = {"question": "Who?", "answer": "Alda"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lines(GOOD) + "\n{", r"q\.jsonl, line 2, column 2: expected JSON"),
        (lines(GOOD, [1]), r"q\.jsonl, line 2: expected an object, got \[1\]"),
        (lines(GOOD, {"title": "Boris"}), r"q\.jsonl, line 2: expected a text in 'text', got None"),
        (lines(GOOD, {"title": 7, "text": "x"}), r"line 2: expected a text in 'title', got 7"),
        (lines(GOOD, {"question": "Who?"}), r"line 2: expected a text in 'answer', got None"),
        (lines(GOOD, {"question": "", "answer": "x"}), r"line 2: expected a text in 'question', got ''"),
        (lines(GOOD, {"question": "Who?", "answers": []}), r"line 2: expected an answer in 'answers', got \[\]"),
        (lines(GOOD, {"question": "Who?", "answers": "x"}), r"line 2: expected a list of texts in 'answers', got 'x'"),
        (lines(GOOD, QUESTION | {"titles": [1]}), r"line 2: expected a list of texts in 'titles'"),
        (lines(GOOD, QUESTION | {"split": "exam"}), r"line 2: expected one of \['train', .*\] in 'split', got 'exam'"),
        (lines(GOOD, QUESTION | {"split": ["train"]}), r"line 2: expected one of .* in 'split', got \['train'\]"),
        (lines(GOOD, QUESTION | {"history": [["Who?"]]}), r"line 2: expected a list of \[question, answer\] pairs"),
        (lines(GOOD, QUESTION | {"rewrite": ""}), r"line 2: expected a text in 'rewrite', got ''"),
        (lines(GOOD, QUESTION | {"context": "Alda"}), r"line 2: expected a list of \[title, …\] pairs in 'context'"),
        (lines(GOOD, QUESTION | {"context": [["Alda", "x"]]}), r"line 2: expected a list of sentences"),
        (lines(GOOD, QUESTION | {"context": {"title": ["A"], "sentences": []}}), r"expected a title for each entry"),
        (lines(GOOD, QUESTION | {"supporting_facts": [[1, 2]]}), r"expected a title for each entry of 'supporting_f"),
        (lines(GOOD), r"expected documents and questions in .*, got no questions"),
        (lines(QUESTION), r"got no documents"),
        ("", r"got no documents"),
        ("[" * 100_000, r"line 1: expected questions, got JSON that is nested too deep"),
    ],
)
def test_a_malformed_file_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(DataFileError, match=message):
        read(written(tmp_path, q_jsonl=text))


def test_a_malformed_list_is_named_with_its_entry(tmp_path):
    with pytest.raises(DataFileError, match=r"q_dev\.json, entry 1: expected a text in 'answer'"):
        read(written(tmp_path, q_dev_json=[PAIRS, {"question": "Who?", "context": []}]))
    with pytest.raises(DataFileError, match=r"expected a list of questions, got dict"):
        read(written(tmp_path, q_dev_json={}))
    with pytest.raises(DataFileError, match=r"q_dev\.json, line 2, column 1: expected JSON"):
        read(written(tmp_path, q_dev_json="[\n"))
    (tmp_path / "q_dev.json").write_bytes(b"[\xff]")
    with pytest.raises(DataFileError, match=r"expected text, got byte 1"):
        read(tmp_path)


def test_nothing_there(tmp_path):
    with pytest.raises(DataNotFoundError, match="which is not there"):
        stamps_of(str(tmp_path / "nowhere"), "data")
    with pytest.raises(DataNotFoundError, match=r"SEARCH_QA_DATA must be a directory with \.json"):
        stamps_of(str(tmp_path), "SEARCH_QA_DATA")
    (tmp_path / "folder.json").mkdir()  # is no file, whatever its name
    with pytest.raises(DataNotFoundError, match="without any"):
        stamps_of(str(tmp_path), "data")


def test_the_published_questions(hotpotqa_data):
    """Of real questions, those with their documents can be played, and the suggestions reach most of the answers."""
    env = gym.make("AgentGym/SearchQA-v0", split="valid", data=hotpotqa_data, disable_env_checker=True)
    base = env.unwrapped
    tasks = base.tasks("valid")
    assert len(tasks) == 100
    assert not base.tasks("train")
    entries = json.loads(hotpotqa_data.read_text(encoding="utf-8"))
    paragraphs = {
        (title, "".join(sentences))
        for entry in entries
        for title, sentences in zip(entry["context"]["title"], entry["context"]["sentences"], strict=True)
    }
    assert len(base.shelf("valid").corpus.documents) == len(paragraphs)
    reached = 0
    for task in tasks:
        _, info = env.reset(options={"task": task})
        assert info["source"] == "published"
        over = False
        while not over:
            command = base.expert_action()
            reached += command in info["admissible_actions"] and command.startswith("<answer>")
            _, _, terminated, truncated, info = env.step(command)
            over = terminated or truncated
        assert info["success"]
        assert info["subgoals"] == info["gold_titles"]
    assert reached >= 60


def test_the_contract_with_published_questions(hotpotqa_data):
    check_text_env("AgentGym/SearchQA-v0", split="valid", data=hotpotqa_data, episodes=2)
