"""Documents and questions from files: HotpotQA's own, and JSON lines of anybody's.

HotpotQA's files (`hotpot_train_v1.1.json`, `hotpot_dev_distractor_v1.json` …) are one list of questions, each with the
paragraphs among which its answer stands; all paragraphs of all questions together are the collection. Both forms of
`context` and `supporting_facts` are read: lists of pairs as in the original files, and records of lists as in the
copies on model hubs.

JSON lines (`.jsonl`): a line with a `question` is a question, with the same entries; any other is a document.

    {"title": "Tolby", "text": "Tolby is a town …"}
    {"question": "In which province does it lie?", "answer": "Sorn Vale", "titles": ["Tolby"],
     "history": [["Where was she born?", "Tolby"]], "rewrite": "In which province does Tolby lie?", "split": "test"}
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_gym.envs.diagnostic import digest
from agent_gym.envs.search_qa.corpus import Corpus, Document, Question, on_one_line
from agent_gym.errors import DataFileError, DataNotFoundError

Stamp = tuple[Path, int, int]
"""A file, its size and the time of its last change, so that nothing old is remembered of it."""
_SPLIT_WORDS = {"train": "train", "dev": "valid", "valid": "valid", "validation": "valid", "test": "test"}
_PRECEDENCE = ("test", "valid", "train")
"""Which split keeps a question that stands in several."""
_ANSWERS = ("answer", "answers", "golden_answers")
_TEXTS = ("text", "contents")


@dataclass(frozen=True)
class Collection:
    """What files hold: documents, and split and question by task."""

    corpus: Corpus
    questions: dict[str, tuple[str, Question]]


def stamps_of(path: str, name: str) -> tuple[Stamp, ...]:
    """Return the files at a path: itself, or the .json and .jsonl files of a directory, in the order of their names.

    Args:
        path: A file or a directory.
        name: Of the setting that named it, for messages.

    Raises:
        DataNotFoundError: If there are none.
    """
    root = Path(path).expanduser().absolute()
    if not root.exists():
        raise DataNotFoundError(f"{name} must be a file or directory with questions, got {path!r}, which is not there.")
    files = [root]
    if root.is_dir():
        files = sorted(one for one in root.iterdir() if one.suffix in (".json", ".jsonl") and not one.is_dir())
    if not files:
        raise DataNotFoundError(f"{name} must be a directory with .json or .jsonl files, got {path!r} without any.")
    return tuple((file, file.stat().st_size, file.stat().st_mtime_ns) for file in files)


def read_collection(stamps: tuple[Stamp, ...]) -> Collection:
    """Read files.

    A question's split is what its entry `split` says, else what the file's name says (train; dev or valid; test), else
    a hash of its text, or of its conversation's first question, decides: of ten eight are in `train`. The same question
    in several splits counts for `test`, else for `valid`: splits share none. Files without a document of their own
    (such as HotpotQA's full-wiki test file, or lists of questions and answers) are passed over, unless there are
    documents as JSON lines.

    Raises:
        DataFileError: If a file is malformed, with its line or the number of its entry; if there is no document or no
            question.
    """
    documents: dict[Document, None] = {}
    read: list[tuple[Path, list[_Entry]]] = []
    shared = False
    for file, _, _ in stamps:
        entries = [_Entry(where, value) for where, value in _values(file)]
        questions = [entry for entry in entries if "question" in entry.value]
        lone = [entry for entry in entries if "question" not in entry.value]
        shared = shared or bool(lone)
        documents.update(dict.fromkeys(entry.document() for entry in lone))
        read.append((file, questions))
    kept = [(file, some) for file, some in read if shared or any("context" in entry.value for entry in some)]
    found: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[str, str, Question]] = {}
    for file, some in kept:
        for number, entry in enumerate(some):
            documents.update(dict.fromkeys(entry.paragraphs()))
            question, split = entry.question(), entry.split(file)
            task = f"published/{split}/{file.name}/{number:06d}"
            before = found.get((question.text, question.history))
            if before is None or _PRECEDENCE.index(split) < _PRECEDENCE.index(before[0]):
                found[question.text, question.history] = (split, task, question)
    if not documents or not found:
        what = "documents" if not documents else "questions"
        raise DataFileError(
            f"expected documents and questions in {', '.join(str(file) for file, _, _ in stamps)}, got no {what}: "
            'HotpotQA\'s questions have them in "context", JSON lines are {"title": …, "text": …} and {"question": …}.'
        )
    return Collection(Corpus(tuple(documents)), {task: (split, question) for split, task, question in found.values()})


@dataclass(frozen=True, slots=True)
class _Entry:
    """An object of a file, and where it stands."""

    where: str
    value: dict[str, Any]

    def document(self) -> Document:
        name = next((name for name in _TEXTS if name in self.value), _TEXTS[0])
        text = self._text(name)
        if name == "contents" and "title" not in self.value:  # the first line is the title, in quotation marks or not
            title, _, text = text.partition("\n")
            return Document(on_one_line(title.strip().strip('"')), on_one_line(text))
        return Document(on_one_line(self._text("title")), on_one_line(text))

    def question(self) -> Question:
        name = next((name for name in _ANSWERS if name in self.value), _ANSWERS[0])
        answers = [self._text(name)] if name == "answer" else self._texts(name)
        if not answers or not all(answer.strip() for answer in answers):
            raise self._error(f"an answer in {name!r}", answers)
        titles = self._texts("titles") if "titles" in self.value else self._columns("supporting_facts", "title", "")[0]
        history = tuple((on_one_line(asked), on_one_line(said)) for asked, said in self._history())
        return Question(
            on_one_line(self._text("question")),
            tuple(on_one_line(answer) for answer in answers),
            tuple(dict.fromkeys(on_one_line(title) for title in titles)),
            history,
            on_one_line(self._text("rewrite")) if "rewrite" in self.value else "",
        )

    def paragraphs(self) -> Iterator[Document]:
        titles, texts = self._columns("context", "title", "sentences")
        for title, sentences in zip(titles, texts, strict=True):
            if not isinstance(sentences, list) or not all(isinstance(sentence, str) for sentence in sentences):
                raise self._error("a list of sentences for each title in 'context'", sentences)
            yield Document(on_one_line(title), on_one_line("".join(sentences)))

    def split(self, file: Path) -> str:
        if "split" in self.value:
            word = self.value["split"]
            if not isinstance(word, str) or word not in _SPLIT_WORDS:
                raise self._error(f"one of {list(_SPLIT_WORDS)} in 'split'", word)
            return _SPLIT_WORDS[word]
        words = file.stem.lower().replace("-", "_").replace(".", "_").split("_")
        named = [_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS]
        # By the first question of a conversation, so that no split has in its histories what another asks.
        first = next((asked for asked, _ in self._history()), self._text("question"))
        return named[0] if named else (("test", "valid", *["train"] * 8)[digest("split", on_one_line(first)) % 10])

    def _text(self, name: str) -> str:
        text = self.value.get(name)
        if not isinstance(text, str) or not text.strip():
            raise self._error(f"a text in {name!r}", text)
        return text

    def _texts(self, name: str) -> list[str]:
        texts = self.value[name]
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise self._error(f"a list of texts in {name!r}", texts)
        return texts

    def _history(self) -> list[tuple[str, str]]:
        pairs = self.value.get("history", [])
        if not isinstance(pairs, list) or not all(
            isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair) for pair in pairs
        ):
            raise self._error("a list of [question, answer] pairs in 'history'", pairs)
        return [(asked, said) for asked, said in pairs]

    def _columns(self, name: str, first: str, second: str) -> tuple[list[str], list[Any]]:
        """Return the titles of an entry, and what goes with each, from either form; nothing if it is not there."""
        value = self.value.get(name, [])
        if isinstance(value, dict):
            titles, others = value.get(first), value.get(second, value.get(first))
        elif isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in value):
            titles, others = [pair[0] for pair in value], [pair[1] for pair in value]
        else:
            raise self._error(f"a list of [title, …] pairs in {name!r}", value)
        if (
            not isinstance(titles, list)
            or not isinstance(others, list)
            or len(titles) != len(others)
            or not all(isinstance(title, str) for title in titles)
        ):
            raise self._error(f"a title for each entry of {name!r}", value)
        return titles, others

    def _error(self, expected: str, got: object) -> DataFileError:
        return DataFileError(f"{self.where}: expected {expected}, got {got!r:.80}.")


def _values(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read the objects of a file, each with where it stands."""
    try:
        if file.suffix == ".jsonl":
            with file.open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, start=1):
                    if line.strip():
                        yield _object(f"{file}, line {number}", _parsed(file, line, number))
            return
        entries = _parsed(file, file.read_text(encoding="utf-8"), 1)
    except UnicodeDecodeError as error:
        raise DataFileError(f"{file}: expected text, got byte {error.start} that is no UTF-8.") from error
    if not isinstance(entries, list):
        raise DataFileError(f"{file}: expected a list of questions, got {type(entries).__name__}.")
    for number, entry in enumerate(entries):
        yield _object(f"{file}, entry {number}", entry)


def _parsed(file: Path, text: str, first_line: int) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise DataFileError(
            f"{file}, line {first_line}: expected questions, got JSON that is nested too deep."
        ) from error
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise DataFileError(f"{file}, line {line}, column {error.colno}: expected JSON, got {error.msg}.") from error


def _object(where: str, value: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(value, dict):
        raise DataFileError(f"{where}: expected an object, got {value!r:.80}.")
    return where, value
