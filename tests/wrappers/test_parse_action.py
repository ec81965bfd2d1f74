import json
from typing import Any

import pytest
from gymnasium.utils.env_checker import check_env

from agent_gym import restore_state, save_state
from agent_gym.errors import BadOptionError
from wrappers import ParseAction, parse_answer

LOOK = ("look", True)
NONE = ("", False)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("<action>look</action>", LOOK),
        ("I think I should <action>\n look \n</action> now.", LOOK),
        ("<ACTION>look</Action>", LOOK),
        # Of several complete tags the last counts, even when another is opened after it and cut off.
        ("<action>east</action> or rather <action>look</action>", LOOK),
        ("<action>look</action> then <action>ea", LOOK),
        # Of nested tags the inner one counts.
        ("<action>east <action>look</action> west</action>", LOOK),
        ("<action>look</action></action>", LOOK),
        # No complete tag, no command.
        ("look", NONE),
        ("<action>look", NONE),
        ("look</action>", NONE),
        ("</action>look<action>", NONE),
        ("", NONE),
        # An empty tag is an answer without a command, also when a full one came before.
        ("<action></action>", NONE),
        ("<action> \n\t</action>", NONE),
        ("<action>east</action><action></action>", NONE),
        # Thoughts are not commands: what counts comes after the last </think>, and before a <think> that stays open.
        ("<think>maybe <action>east</action></think><action>look</action>", LOOK),
        ("<think>maybe <action>east</action></think>look", NONE),
        ("maybe <action>east</action></think><action>look</action>", LOOK),
        ("<think>never closed <action>east</action>", NONE),
        ("<action>look</action><think>and then <action>east</action>", LOOK),
        # Text of any script arrives as it is; only white space around it goes, Unicode's too.
        ("<action>\u00a0nimm den Löffel 🥄 から\u2003</action>", ("nimm den Löffel 🥄 から", True)),
        ("<action>look\nwest</action>", ("look\nwest", True)),
    ],
)
def test_parse_answer_tags(answer, expected):
    assert parse_answer(answer, "tags") == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (r"The answer is \boxed{look}.", LOOK),
        (r"\boxed{east} no, \boxed{look}", LOOK),
        (r"\boxed{\text{look}}", LOOK),
        (r"\boxed{ \textbf{look} }", LOOK),
        (r"\boxed {look}", LOOK),
        (r"\boxed{put {mug 1} on \{shelf\}}", (r"put {mug 1} on \{shelf\}", True)),
        (r"\boxed{east \boxed{look}}", LOOK),
        (r"\boxed{look} then \boxed{ea", LOOK),
        (r"{ } } { \boxed{look}", LOOK),
        (r"\boxed{look", NONE),
        (r"\boxed{}", NONE),
        (r"boxed{look}", NONE),
        (r"\\boxed{look}", NONE),  # an escaped backslash, as in code that writes LaTeX
        ("look", NONE),
    ],
)
def test_parse_answer_boxed(answer, expected):
    assert parse_answer(answer, "boxed") == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('{"name": "act", "arguments": {"command": "look"}}', LOOK),
        ('{"name": "act", "parameters": {"action": "look"}}', LOOK),
        ('<tool_call>\n{"name": "act", "arguments": {"command": " look "}}\n</tool_call>', LOOK),
        ('```json\n{"action": "look"}\n```', LOOK),
        # OpenAI's interface: the arguments are a string of JSON.
        (json.dumps({"name": "act", "arguments": json.dumps({"command": "look"})}), LOOK),
        ('{"command": "east"} {"command": "look"}', LOOK),
        ('{"command": "look"} {"reason": "it is dark"}', LOOK),
        ('{not json} {"command": "look"}', LOOK),
        ('{"command": "look", "why": {"command": "east"}}', LOOK),
        ('<think>{"command": "east"}</think>{"command": "look"}', LOOK),
        ('{"command": "sag \\"Grüß Gott\\""}', ('sag "Grüß Gott"', True)),
        # Malformed: cut off, single quotes, no object, no command, a command that is no string.
        ('{"command": "look"', NONE),
        ("{'command': 'look'}", NONE),
        ('"look"', NONE),
        ("[1, 2]", NONE),
        ('{"name": "look"}', NONE),
        ('{"command": ["look"]}', NONE),
        ('{"command": null}', NONE),
        ('{"command": ""}', NONE),
        ('{"arguments": "look"}', NONE),
        ('{"arguments": "[1]"}', NONE),
        ('{"arguments": 3}', NONE),
        ("look", NONE),
    ],
)
def test_parse_answer_json(answer, expected):
    assert parse_answer(answer, "json") == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("look", LOOK),
        ("\n look \n", LOOK),
        ("<think>hm</think>\nlook", LOOK),
        ("look\nwest", NONE),  # two lines: there is no telling which is the command
        (" \n ", NONE),
        ("<think>look", NONE),
    ],
)
def test_parse_answer_bare(answer, expected):
    assert parse_answer(answer, "bare") == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("<think>Where am I?</think><action>look</action>", ("look", True)),
        ("Where am I?</think><action>look</action>", ("look", True)),  # the chat template wrote <think> into the prompt
        # The command is carried out, and the answer is marked all the same.
        ("<action>look</action>", ("look", False)),
        ("<think> \n</think><action>look</action>", ("look", False)),
        ("</think><action>look</action>", ("look", False)),
        ("<think>Where am I?</think>", ("", False)),
    ],
)
def test_parse_answer_with_required_thoughts(answer, expected):
    assert parse_answer(answer, "tags", require_think=True) == expected


@pytest.mark.parametrize("answer", [None, 3, b"<action>look</action>", ["look"]])
def test_parse_answer_of_something_else_than_text(answer):
    assert parse_answer(answer, "tags") == NONE


@pytest.mark.parametrize("action_format", ["tags", "boxed", "json", "bare"])
@pytest.mark.parametrize("piece", ["<action>", "</think>", "<think>", "\\boxed{", '{"a":', '{"', "{", "\x00é\ud800"])
def test_parse_answer_of_a_huge_answer(action_format, piece):
    command, valid = parse_answer(piece * 20_000, action_format)
    assert (valid, command) in [(False, ""), (True, piece * 20_000)]


def test_parse_answer_finds_a_tag_at_the_end_of_a_huge_answer():
    assert parse_answer("word " * 200_000 + "<action>look</action>", "tags") == LOOK
    assert parse_answer("word " * 200_000 + '{"action": "look"}', "json") == LOOK


def test_parse_action_gives_the_command_to_the_environment(corridor):
    env = ParseAction(corridor)
    _, info = env.reset(options={"task": "train/2"})
    assert info["format_valid"] is True
    assert "command" not in info
    observation, reward, *_, info = env.step("<think>On.</think><action>east</action>")
    assert (observation, reward) == ("You are in cell 1.", 0.0)
    assert (info["format_valid"], info["action_valid"], info["command"]) == (True, True, "east")


def test_parse_action_marks_an_answer_without_a_command_and_pays_nothing(corridor):
    env = ParseAction(corridor)
    env.reset(options={"task": "train/2"})
    answers: list[Any] = ["east", "<action></action>", None, 7]
    for answer in answers:
        observation, reward, terminated, truncated, info = env.step(answer)
        assert (observation, reward, terminated, truncated) == ("Nothing happens.", 0.0, False, False)
        assert (info["format_valid"], info["action_valid"], info["command"]) == (False, False, "")
    # A command in form that the environment does not know is in form.
    *_, info = env.step("<action>sing</action>")
    assert (info["format_valid"], info["action_valid"]) == (True, False)
    # Each of the five answers has cost one of six steps.
    *_, truncated, _ = env.step("east")
    assert truncated


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_parse_action_on_a_strangers_environment(echo):
    env = ParseAction(echo, "bare")
    check_env(env, skip_render_check=True)
    env.reset()
    observation, reward, *_, info = env.step("hello")
    assert (observation, reward, info) == ("HELLO", 0.5, {"format_valid": True, "command": "hello"})


def test_parse_action_accepts_more_text_than_the_environment_does(echo):
    assert "<é>" not in echo.action_space
    assert "<é>" in ParseAction(echo).action_space


def test_parse_action_tells_how_to_answer(corridor):
    assert ParseAction(corridor).answer_request == "Give exactly one command, as <action>command</action>."
    assert "\\boxed{command}" in ParseAction(corridor, "boxed").answer_request
    assert "think" in ParseAction(corridor, "bare", require_think=True).answer_request
    # The example that the request for a tool call shows is in form itself.
    assert parse_answer(ParseAction(corridor, "json").answer_request, "json") == ("the command", True)


def test_parse_action_refuses_an_unknown_format(corridor):
    with pytest.raises(BadOptionError, match=r"got 'tag'\. Did you mean 'tags'\?"):
        ParseAction(corridor, "tag")  # type: ignore[arg-type]  # refused here too


def test_parse_action_is_saved_and_restored(corridor):
    env = ParseAction(corridor)
    env.reset(options={"task": "train/2"})
    state = save_state(env)
    first = env.step("<action>east</action>")
    restore_state(env, state)
    assert env.step("<action>east</action>") == first
