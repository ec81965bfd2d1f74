import copy

import pytest

from trainers.policies.base import ModelError
from trainers.policies.chat import ChatCodec
from trainers.policies.tiny import TinySettings, train_tokenizer

TOKENIZER = train_tokenizer(["You see a mug 1 on the shelf 1.", "go to shelf 1"] * 3, TinySettings(vocabulary=400))
RULES = [{"role": "system", "content": "Rules."}, {"role": "user", "content": "You are in a room."}]
REPLY = [{"role": "user", "content": "Nothing happens."}]


def with_template(template, **changes):
    tokenizer = copy.deepcopy(TOKENIZER)
    tokenizer.chat_template = template
    for name, value in changes.items():
        setattr(tokenizer, name, value)
    return tokenizer


def ids_of(text):
    return tuple(TOKENIZER.encode(text, add_special_tokens=False))


def test_chat_start_is_the_template_with_the_answer_begun():
    text = (
        "<|im_start|>system\nRules.<|im_end|>\n<|im_start|>user\nYou are in a room.<|im_end|>\n<|im_start|>assistant\n"
    )
    assert ChatCodec(TOKENIZER).start(RULES) == ids_of(text)


def test_chat_extend_gives_what_stands_between_two_answers():
    codec = ChatCodec(TOKENIZER)
    after = "\n<|im_start|>user\nNothing happens.<|im_end|>\n<|im_start|>assistant\n"
    assert codec.extend(REPLY, ended=True) == ids_of(after)
    assert codec.extend(REPLY, ended=False) == ids_of("<|im_end|>" + after)


def test_chat_a_conversation_built_turn_by_turn_is_the_whole_one():
    codec = ChatCodec(TOKENIZER)
    answer = codec.encode_answer("<action>go to shelf 1</action>")
    whole = codec.start([*RULES, {"role": "assistant", "content": "<action>go to shelf 1</action>"}, *REPLY])
    assert (*codec.start(RULES), *answer, *codec.extend(REPLY, codec.ended(answer))) == whole
    cut = answer[:-1]
    assert not codec.ended(cut)
    assert (*codec.start(RULES), *cut, *codec.extend(REPLY, codec.ended(cut))) == whole


@pytest.mark.parametrize(
    "text", ["<action>go to shelf 1</action>", "", " two  spaces\n", "é 猫 🐈", "<think>a</think>b"]
)
def test_chat_an_answer_is_read_back_as_it_was_written(text):
    codec = ChatCodec(TOKENIZER)
    ids = codec.encode_answer(text)
    assert codec.ended(ids)
    assert ids[-1] in codec.end_ids
    assert codec.decode(ids) == codec.decode(ids[:-1]) == text


def test_chat_special_tokens_are_no_text():
    codec = ChatCodec(TOKENIZER)
    assert codec.decode((*ids_of("go"), *ids_of("<|im_start|>"), *ids_of(" to"))) == "go to"


def test_chat_the_template_s_own_end_counts_beside_the_tokenizer_s():
    # As in base models: the template closes a turn with <|im_end|>, and eos_token is another.
    codec = ChatCodec(with_template(TOKENIZER.chat_template, eos_token="<|endoftext|>"), end_ids=[7])
    assert codec.end_ids == {7, *ids_of("<|im_end|>"), *ids_of("<|endoftext|>")}
    assert codec.encode_answer("go")[-1:] == ids_of("<|im_end|>")


def test_chat_a_tokenizer_without_template_is_refused():
    with pytest.raises(ModelError, match="chat template"):
        ChatCodec(with_template(None))


def test_chat_a_tokenizer_with_nothing_to_end_an_answer_is_refused():
    with pytest.raises(ModelError, match="eos_token"):
        ChatCodec(with_template("{% for m in messages %}{{ m.content }}\n{% endfor %}", eos_token=None))


def test_chat_a_template_that_does_not_take_the_roles_says_so():
    template = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + str(
        TOKENIZER.chat_template
    )
    with pytest.raises(ModelError, match="no system"):
        ChatCodec(with_template(template)).start(RULES)


def test_chat_a_template_that_keeps_earlier_turns_may_be_used_in_conversations():
    ChatCodec(TOKENIZER).check_prefix()


@pytest.mark.parametrize(
    "content",
    [
        "{{ message.content.split('</think>')[-1] }}",  # thoughts are taken out of every answer
        "{{ message.content }}{% if loop.last %} /last{% endif %}",  # the last message looks different
        "{{ message.content.strip() }} {{ messages | length }}",  # earlier text depends on what follows
    ],
)
def test_chat_a_template_that_changes_earlier_turns_is_refused_in_conversations(content):
    template = str(TOKENIZER.chat_template).replace("{{ message.content }}", content)
    with pytest.raises(ModelError, match="conversation context"):
        ChatCodec(with_template(template)).check_prefix()
