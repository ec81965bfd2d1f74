from collections import Counter

import numpy as np
import pytest
import torch
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, Qwen2Config, Qwen2ForCausalLM

from trainers.policies.base import ModelError, Request, Sampling
from trainers.policies.hf import HfPolicy
from trainers.policies.tiny import TinySettings, random_model, train_tokenizer
from trainers.types import Completion

TEXTS = ["You arrive at shelf 1. On the shelf 1, you see a mug 1.", "go to shelf 1", "take mug 1 from shelf 1"] * 3
SETTINGS = TinySettings(hidden_size=64, layers=2, vocabulary=400, context=256)
TOKENIZER = train_tokenizer(TEXTS, SETTINGS)


def decided(model):
    # Random weights of the usual size give nearly uniform answers that hardly depend on the text; larger ones make them
    # depend on it. (Much larger ones would cost float32 its digits.)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "_proj" in name:
                weights.mul_(4)
        model.model.norm.weight.mul_(6)
    return model.eval()


MODEL = decided(random_model(TOKENIZER, SETTINGS))


def policy(**settings):
    return HfPolicy(MODEL, TOKENIZER, **settings)


def some_ids(rng, count):
    # 0 to 2 are the special tokens.
    return tuple(rng.integers(3, len(TOKENIZER), count).tolist())


@torch.no_grad()
def fresh_logprobs(model, ids, last, temperature=1.0):
    """Log-probabilities of the last tokens by one plain forward pass: no cache, no batch, no mask."""
    logprobs = torch.log_softmax(model(torch.tensor([ids])).logits[0].float() / temperature, -1)
    return [logprobs[place - 1, ids[place]].item() for place in range(len(ids) - last, len(ids))]


def ragged(rng, count, temperature=1.0, **more):
    return [
        Request(
            prompt_ids=some_ids(rng, int(rng.integers(1, 60))),
            sampling=Sampling(temperature=temperature, max_new_tokens=int(rng.integers(1, 25))),
            seed=int(rng.integers(1 << 40)),
            **more,
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_hf_step_context_logprobs_are_those_of_a_fresh_forward_pass(temperature):
    requests = ragged(np.random.default_rng(0), 30, temperature)
    completions = policy(max_batch=11, prefill_tokens=100).complete(requests)
    lengths = {len(completion.token_ids) for completion in completions}
    assert len(lengths) > 5  # ragged
    for request, completion in zip(requests, completions, strict=True):
        ids = request.prompt_ids + completion.token_ids
        expected = fresh_logprobs(MODEL, ids, len(completion.token_ids), temperature)
        assert completion.logprobs == pytest.approx(expected, abs=1e-5)


def converse(one, seed, turns=12, seats=9, temperature=0.7):
    """Conversations that come, pause and go at random; the ids of each, and where its answers lie."""
    rng = np.random.default_rng(seed)
    texts: dict[int, tuple[int, ...]] = {}
    answers: dict[int, list[tuple[int, Completion]]] = {}
    live: list[int] = []
    for _ in range(turns):
        while len(live) < seats:
            live.append(len(texts))
            texts[live[-1]], answers[live[-1]] = (), []
        asked = [session for session in live if rng.random() < 0.8]
        rng.shuffle(asked)
        requests = [ragged(rng, 1, temperature, session=session)[0] for session in asked]
        for request, completion in zip(requests, one.complete(requests), strict=True):
            if completion.finish == "overflow":  # the session stays as it was
                continue
            texts[request.session] += request.prompt_ids
            begin = len(texts[request.session])
            texts[request.session] += completion.token_ids
            answers[request.session].append((begin, completion))
        gone = [session for session in live if rng.random() < 0.2]
        one.release(gone)
        live = [session for session in live if session not in gone]
    return texts, answers


@pytest.mark.parametrize("max_batch", [256, 4])
def test_hf_conversation_logprobs_are_those_of_a_fresh_forward_pass(max_batch):
    texts, answers = converse(policy(max_batch=max_batch, prefill_tokens=100), seed=1)
    assert max(map(len, answers.values())) > 5
    for session, turns in answers.items():
        for begin, completion in turns:
            ids = texts[session][: begin + len(completion.token_ids)]
            expected = fresh_logprobs(MODEL, ids, len(completion.token_ids), 0.7)
            assert completion.logprobs == pytest.approx(expected, abs=1e-5)


def test_hf_conversation_never_processes_a_token_twice():
    one = policy()
    texts, answers = converse(one, seed=2)
    # Every token of a conversation goes through the model once, except its last sampled one, which nothing follows yet.
    assert one.tokens_processed == sum(len(ids) - 1 for session, ids in texts.items() if answers[session])
    prompts = sum(begin for turns in answers.values() for begin, _ in turns)
    assert one.tokens_processed < prompts / 2  # what rendering the history anew at each turn would come to


def test_hf_prompts_that_begin_alike_share_that_part():
    rng = np.random.default_rng(3)
    rules = some_ids(rng, 40)
    greedy = Sampling(temperature=0, max_new_tokens=1)
    tails = [(7, 8, 9), (7, 8, 9), (10,), (11, 12)]
    one = policy()
    requests = [Request(prompt_ids=rules + tail, sampling=greedy, seed=0) for tail in tails]
    completions = one.complete(requests)
    # The beginning once, the first two tails once (they are the same), and the other tails.
    assert one.tokens_processed == 40 + 3 + 1 + 2
    for request, completion in zip(requests, completions, strict=True):
        ids = request.prompt_ids + completion.token_ids
        assert completion.logprobs == pytest.approx(fresh_logprobs(MODEL, ids, 1), abs=1e-5)


def test_hf_greedy_is_what_generate_gives():
    rng = np.random.default_rng(4)
    prompts = [some_ids(rng, int(count)) for count in rng.integers(1, 50, 12)]
    sampling = Sampling(temperature=0, max_new_tokens=30)
    ours = policy().complete([Request(prompt_ids=ids, sampling=sampling, seed=0) for ids in prompts])
    for prompt, completion in zip(prompts, ours, strict=True):
        theirs = MODEL.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=30)[0, len(prompt) :].tolist()
        assert list(completion.token_ids) == theirs


def test_hf_tokens_do_not_depend_on_who_else_is_in_the_batch():
    requests = ragged(np.random.default_rng(5), 40)
    together = policy().complete(requests)
    in_fives = [answer for i in range(0, 40, 5) for answer in policy().complete(requests[i : i + 5])]
    alone = [policy().complete([request])[0] for request in requests]
    backwards = policy(max_batch=7).complete(requests[::-1])[::-1]
    tokens = [completion.token_ids for completion in together]
    for other in (in_fives, alone, backwards):
        assert [completion.token_ids for completion in other] == tokens


def test_hf_tokens_are_drawn_with_the_model_s_probabilities():
    # 4,000 draws of one token after the same prompt, against the probabilities of the forward pass: Pearson's χ² over
    # tokens expected 20 times or more and the rest together. With k cells, χ² has mean k-1 and variance 2(k-1).
    prompt, n = (5, 6, 7), 4000
    sampling = Sampling(max_new_tokens=1)
    drawn = policy().complete([Request(prompt_ids=prompt, sampling=sampling, seed=i) for i in range(n)])
    with torch.no_grad():
        expected = n * torch.softmax(MODEL(torch.tensor([prompt])).logits[0, -1].double(), -1).numpy()
    counts = Counter(completion.token_ids[0] for completion in drawn)
    cells = [token for token in range(len(expected)) if expected[token] >= 20]
    seen = np.array([*(counts[token] for token in cells), n - sum(counts[token] for token in cells)])
    due = np.array([*expected[cells], n - expected[cells].sum()])
    chi2 = ((seen - due) ** 2 / due).sum()
    assert len(cells) > 10
    assert abs(chi2 - len(cells)) < 4 * np.sqrt(2 * len(cells))


def test_hf_a_model_with_grouped_heads_and_the_eager_attention_agree():
    def build(attention):
        config = Qwen2Config(
            vocab_size=len(TOKENIZER),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=128,
        )
        config._attn_implementation = attention
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return decided(Qwen2ForCausalLM(config))

    requests = ragged(np.random.default_rng(6), 10)
    for attention in ("sdpa", "eager"):
        model = build(attention)
        for request, completion in zip(requests, HfPolicy(model, TOKENIZER).complete(requests), strict=True):
            ids = request.prompt_ids + completion.token_ids
            expected = fresh_logprobs(model, ids, len(completion.token_ids))
            assert completion.logprobs == pytest.approx(expected, abs=1e-5)


def test_hf_a_model_with_sliding_windows_is_used_within_its_window():
    config = Gemma3TextConfig(
        vocab_size=len(TOKENIZER),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        sliding_window=64,
        layer_types=["sliding_attention", "full_attention"],
        max_position_embeddings=128,
    )
    config._attn_implementation = "sdpa"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Gemma3ForCausalLM(config).eval()
    one = HfPolicy(model, TOKENIZER)
    assert one.context_limit == 64
    [completion] = one.complete([Request(prompt_ids=(5,) * 50, sampling=Sampling(max_new_tokens=40), seed=0)])
    assert len(completion.token_ids) <= 14
    ids = (5,) * 50 + completion.token_ids
    assert completion.logprobs == pytest.approx(fresh_logprobs(model, ids, len(completion.token_ids)), abs=1e-5)


def test_hf_a_prompt_that_fills_the_context_overflows_and_leaves_its_session_alone():
    one = policy(context_limit=20)
    sampling = Sampling(temperature=0, max_new_tokens=5)

    def ask(*ids, session=0):
        return one.complete([Request(prompt_ids=ids, sampling=sampling, seed=0, session=session)])[0]

    assert ask(*range(3, 23), session=1).finish == "overflow"  # 20 tokens, no room for another
    first = ask(*range(3, 15))
    assert 12 + len(first.token_ids) <= 20
    processed = one.tokens_processed
    too_much = ask(*range(3, 15))
    assert too_much.finish == "overflow"
    assert too_much.token_ids == too_much.logprobs == ()
    assert one.tokens_processed == processed
    # What the session held is still there: one more token fits, and is the one that a fresh pass would choose.
    fits = 20 - 12 - len(first.token_ids) - 1
    second = ask(*([3] * fits))
    assert len(second.token_ids) == 1
    assert second.finish in ("length", "stop")
    ids = (*range(3, 15), *first.token_ids, *[3] * fits, *second.token_ids)
    assert second.logprobs == pytest.approx(fresh_logprobs(MODEL, ids, 1), abs=1e-5)


def test_hf_an_answer_ends_at_the_end_token_at_a_stop_string_or_at_the_limit():
    requests = ragged(np.random.default_rng(7), 60)
    one = policy()
    for request, completion in zip(requests, one.complete(requests), strict=True):
        assert not set(completion.token_ids[:-1]) & one.codec.end_ids
        if one.codec.ended(completion.token_ids):
            assert completion.finish == "stop"
        else:
            assert completion.finish == "length"
            assert len(completion.token_ids) == request.sampling.max_new_tokens


def test_hf_a_stop_string_ends_an_answer_with_the_token_that_completes_it():
    one = policy()
    request = Request(prompt_ids=(5, 6, 7), sampling=Sampling(max_new_tokens=40), seed=11)
    [free] = one.complete([request])
    text = one.codec.decode(free.token_ids)
    stop = next(text[i : i + 4] for i in range(8, len(text)) if text[i : i + 4].isascii() and len(text[i : i + 4]) == 4)
    sampling = Sampling(max_new_tokens=40, stop=("never to be seen", stop))
    [stopped] = one.complete([Request(prompt_ids=(5, 6, 7), sampling=sampling, seed=11)])
    kept = len(stopped.token_ids)
    assert stopped.finish == "stop"
    assert stopped.token_ids == free.token_ids[:kept]
    assert stop in one.codec.decode(stopped.token_ids)
    assert stop not in one.codec.decode(stopped.token_ids[:-1])


def test_hf_a_released_session_starts_anew():
    one = policy()
    request = Request(prompt_ids=(5, 6, 7), sampling=Sampling(max_new_tokens=8), seed=1, session=3)
    [first] = one.complete([request])
    one.release([3, 99])
    assert one.complete([request]) == [first]


def test_hf_bad_requests_are_refused():
    one = policy()
    twice = Request(prompt_ids=(5,), sampling=Sampling(), seed=0, session=1)
    with pytest.raises(ValueError, match="each session once"):
        one.complete([twice, twice])
    with pytest.raises(ValueError, match="one token or more"):
        one.complete([Request(prompt_ids=(), sampling=Sampling(), seed=0)])
    with pytest.raises(ValueError, match="seed"):
        one.complete([Request(prompt_ids=(5,), sampling=Sampling(), seed=-1)])
    assert one.complete([]) == []


def test_hf_a_diverged_model_is_an_error_and_its_sessions_are_forgotten():
    model = random_model(TOKENIZER, SETTINGS)
    one = HfPolicy(model, TOKENIZER)
    request = Request(prompt_ids=(5, 6), sampling=Sampling(max_new_tokens=3), seed=0, session=0)
    good = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="NaN"):
        one.complete([request])
    model.load_state_dict(good)
    assert one.complete([request]) == HfPolicy(model, TOKENIZER).complete([request])


def test_hf_sampling_leaves_the_model_in_training_mode_and_the_generators_alone():
    model = random_model(TOKENIZER, SETTINGS).train()
    before, numbers = torch.get_rng_state(), repr(np.random.get_state())
    HfPolicy(model, TOKENIZER).complete([Request(prompt_ids=(5,), sampling=Sampling(), seed=0)])
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)
    assert repr(np.random.get_state()) == numbers
    assert all(parameter.requires_grad for parameter in model.parameters())
