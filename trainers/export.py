"""Turn the episodes of a run into a data set of conversations, for supervised training elsewhere.

An episode becomes: the instructions as system message, then in turn what the environment said and what the model
answered. It ends with the last answer. That is the prompt itself where a run had `context = "conversation"`; in step
context, where every turn had a prompt of its own, it is the same episode told as a conversation.

    messages    JSON lines with the column `messages`, [{"role": "system" | "user" | "assistant", "content": …}, …],
                as TRL and the chat templates of transformers take it
    sharegpt    one JSON array whose entries have `conversations`, [{"from": "system" | "human" | "gpt", "value": …}, …]
                as LLaMA-Factory and Axolotl take it

Both also tell iteration, task, member, status, success, score and return, to filter by.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from agent_gym.errors import BadOptionError, DataNotFoundError, did_you_mean
from trainers.run_files import EPISODES, Json, open_run, written_whole

Format = Literal["messages", "sharegpt"]
FILES: dict[Format, str] = {"messages": "messages.jsonl", "sharegpt": "sharegpt.json"}
"""Name of the file that is written where none is named."""
COLUMNS = ("iteration", "task", "member", "status", "success", "score", "return")
SHAREGPT_NAMES = {"system": "system", "user": "human", "assistant": "gpt"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """What an export wrote."""

    path: Path
    conversations: int
    left_out: int
    """Episodes without an answer, those of players in a game that do not learn (an expert, an earlier self), and, if
    only successes were asked for, those without success."""
    damaged: int
    """Lines of the run's file that are not the JSON of an episode."""


def export(
    run_dir: str | os.PathLike[str],
    format: Format = "messages",
    output: str | os.PathLike[str] | None = None,
    *,
    successes_only: bool = False,
) -> Exported:
    """Write the episodes of a run as conversations, in the order in which they were played.

    Halves of surrogate pairs, which no file in UTF-8 can hold and byte-level models can write, become U+FFFD.

    Args:
        run_dir: Directory of the run.
        format: See the module.
        output: File to write, replaced if it exists; by default `messages.jsonl` or `sharegpt.json` in `run_dir`.
        successes_only: Leave out episodes without success, as for rejection sampling.

    Raises:
        DataNotFoundError: If `run_dir` is not the directory of a run, or the run wrote no episodes.
        BadOptionError: If there is no such format, or the file can't be written.
    """
    if format not in get_args(Format):
        raise BadOptionError(
            f"format must be one of {list(get_args(Format))}, got {format!r}.{did_you_mean(format, get_args(Format))}"
        )
    run = open_run(run_dir)
    if not run.episodes.path.is_file():
        raise DataNotFoundError(
            f"expected {EPISODES} in {str(run.directory)!r}, found none: set output.episodes to true when training."
        )
    path = Path(output) if output is not None else run.directory / FILES[format]
    count = seen = damaged = 0
    with written_whole(path) as file:
        opening, between, closing = ("[\n", ",\n", "\n]\n") if format == "sharegpt" else ("", "\n", "\n")
        for episode in run.episodes:
            turns = episode.get("turns")
            if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
                damaged += 1
                continue
            seen += 1
            messages = list(_messages(episode, turns))
            if not any(role == "assistant" for role, _ in messages) or (successes_only and not episode.get("success")):
                continue
            if episode.get("player"):
                continue
            file.write((between if count else opening) + json.dumps(_entry(episode, messages, format)))
            count += 1
        file.write(closing if count else opening.strip() + closing.strip())
    return Exported(path=path, conversations=count, left_out=seen - count, damaged=damaged + run.episodes.damaged)


def _messages(episode: Json, turns: list[Json]) -> Iterator[tuple[str, str]]:
    """Role and text of each message."""
    if episode.get("system"):
        yield "system", _text(episode["system"])
    for turn in turns:
        yield "user", _text(turn.get("observation", ""))
        yield "assistant", _text(turn.get("answer", ""))


def _entry(episode: Json, messages: list[tuple[str, str]], format: Format) -> Json:
    facts = {name: episode.get(name) for name in COLUMNS}
    if format == "messages":
        return {"messages": [{"role": role, "content": text} for role, text in messages], **facts}
    return {"conversations": [{"from": SHAREGPT_NAMES[role], "value": text} for role, text in messages], **facts}


def _text(value: object) -> str:
    return str(value).encode("utf-8", "surrogatepass").decode("utf-8", "replace")
