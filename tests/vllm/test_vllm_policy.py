"""The real engine beside the learner's model, in float32 on a CPU: the same answers, the same probabilities."""

import math
import os
import signal
import threading
from contextlib import contextmanager, suppress

import pytest
import torch

pytest.importorskip("vllm", reason="`make test-vllm` installs it in an environment of its own")

from agent_gym.errors import BadOptionError
from tests.vllm.models import CACHE_GIB, shake, small_model
from trainers.policies.base import ModelError, Request, Sampling
from trainers.policies.hf import HfPolicy
from trainers.policies.load import load_model
from trainers.policies.vllm import vllm_beside
from trainers.settings import SamplerSettings
from trainers.types import Completion

BOUND = 2e-5
"""Nats. In float32 the two differ by about 1e-6, by the order in which sums are taken."""
CONTEXT = 512
BLOCK = 32
"""Tokens that the engine's cache holds or drops together."""


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The learner's policy and the engine's, over one model object; each test may sync, and leaves them synced."""
    path = small_model(tmp_path_factory.mktemp("models") / "small", CONTEXT)
    model, tokenizer = load_model(path, device="cpu", dtype=torch.float32)
    shake(model, seed=0)
    settings = SamplerSettings(engine="vllm", cache_gib=CACHE_GIB)
    policy = vllm_beside(model, tokenizer, str(path), settings, trust_remote_code=False)
    policy.sync()
    yield HfPolicy(model, tokenizer), policy
    policy.engine.close()


def asking(n=6, temperature=0.0, new=12, stop=(), session=None, seed=0):
    """Requests with prompts of different lengths and contents."""
    sampling = Sampling(temperature=temperature, max_new_tokens=new, stop=stop)
    return [
        Request(
            prompt_ids=tuple(5 + (7 * number + 11 * place) % 250 for place in range(10 + 9 * number)),
            sampling=sampling,
            seed=seed + number,
            session=None if session is None else session + number,
        )
        for number in range(n)
    ]


def processes_of(policy):
    """Numbers of the engine's processes."""
    manager = getattr(getattr(policy.engine.core.engine_core, "resources", None), "engine_manager", None)
    return [process.pid for process in manager.processes] if manager else []


@contextmanager
def held(policy):
    """Let the engine stand still meanwhile, so that what is submitted is not done before the last of it is."""
    policy.complete(asking(1, new=1))  # the first request of all asks the engine what it can do
    pids = processes_of(policy)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    yield
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def learner_logprobs(model, prompt, tokens, temperature):
    logits = model(torch.tensor([[*prompt, *tokens]])).logits[0, len(prompt) - 1 : -1].double() / temperature
    return logits.log_softmax(-1).gather(1, torch.tensor(tokens)[:, None])[:, 0].tolist()


def largest_difference(ours, theirs):
    pairs = [(a, b) for one, other in zip(ours, theirs, strict=True) for a, b in zip(one, other, strict=True)]
    return max(abs(a - b) for a, b in pairs)


def test_after_a_sync_the_engine_says_what_the_learner_says(both):
    hf, vllm = both
    before = vllm.complete(asking())
    shake(hf.model, seed=1)
    stale = vllm.complete(asking())
    assert [one.token_ids for one in stale] == [one.token_ids for one in before]  # it has weights of its own
    vllm.sync()
    expected, found = hf.complete(asking()), vllm.complete(asking())
    assert [one.token_ids for one in found] == [one.token_ids for one in expected]
    assert [one.finish for one in found] == [one.finish for one in expected]
    assert [one.prompt_ids for one in found] == [one.prompt_ids for one in asking()]
    assert largest_difference([one.logprobs for one in found], [one.logprobs for one in expected]) < BOUND
    # The test could fail: the weights of before say something else.
    assert [one.token_ids for one in found] != [one.token_ids for one in before]


def test_logprobs_are_of_what_was_sampled_from(both):
    hf, vllm = both
    for temperature in (1.0, 0.6):
        answers = vllm.complete(asking(temperature=temperature, new=30))
        expected = [
            learner_logprobs(hf.model, one.prompt_ids, one.token_ids, temperature) for one in answers if one.token_ids
        ]
        assert largest_difference([one.logprobs for one in answers], expected) < BOUND
    # At another temperature they would be others.
    others = [learner_logprobs(hf.model, one.prompt_ids, one.token_ids, 1.0) for one in answers]
    assert largest_difference([one.logprobs for one in answers], others) > 0.01


def test_tokens_come_as_often_as_they_are_likely(both):
    hf, vllm = both
    n, prompt = 600, tuple(range(40, 60))
    sampling = Sampling(max_new_tokens=1)
    requests = [Request(prompt_ids=prompt, sampling=sampling, seed=seed) for seed in range(n)]
    drawn = [one.token_ids[0] for one in vllm.complete(requests)]
    with torch.no_grad():
        chances = hf.model(torch.tensor([prompt])).logits[0, -1].double().softmax(-1)
    for token in chances.topk(5).indices.tolist():
        chance = float(chances[token])
        spread = math.sqrt(n * chance * (1 - chance))
        assert abs(drawn.count(token) - n * chance) < 5 * spread + 1


def test_a_draw_depends_on_its_seed_and_on_nothing_else(both):
    _, vllm = both
    together = vllm.complete(asking(temperature=1.0, new=20))
    alone = [vllm.complete([one])[0] for one in asking(temperature=1.0, new=20)[::-1]][::-1]
    assert [one.token_ids for one in alone] == [one.token_ids for one in together]
    others = vllm.complete(asking(temperature=1.0, new=20, seed=1000))
    assert all(a.token_ids != b.token_ids for a, b in zip(together, others, strict=True))


def test_answers_stop_where_the_learner_s_stop(both, monkeypatch):
    hf, vllm = both
    plain = hf.complete(asking(new=30))
    # A stop string that one answer completes in its eighth token, and an end id that another has as its fifth.
    text = hf.codec.decode(plain[0].token_ids[:8])
    stop = (text[-3:], "never said by anyone")
    ends = hf.codec.end_ids | {plain[1].token_ids[4]}
    for codec in (hf.codec, vllm.codec):
        monkeypatch.setattr(codec, "end_ids", ends)
    expected, found = hf.complete(asking(new=30, stop=stop)), vllm.complete(asking(new=30, stop=stop))
    assert [one.token_ids for one in found] == [one.token_ids for one in expected]
    assert [one.finish for one in found] == [one.finish for one in expected]
    assert found[0].finish == found[1].finish == "stop"
    assert stop[0] in vllm.codec.decode(found[0].token_ids)
    assert found[1].token_ids[-1] in ends
    assert "length" in [one.finish for one in found]
    # The end as the last token that fits is an end, not a cut.
    fits = len(found[1].token_ids)
    assert [policy.complete(asking(new=fits)[1:2])[0].finish for policy in both] == ["stop", "stop"]


def test_a_conversation_is_continued_from_the_cache(both):
    _, vllm = both
    first = [asking(3, session=0, new=12), asking(3, session=0, new=12)]
    answers = [policy.complete(requests) for policy, requests in zip(both, first, strict=True)]
    length = [len(one.prompt_ids) + len(one.token_ids) for one in answers[1]]
    cached, prompts = vllm.cached_tokens, vllm.prompt_tokens
    again = [policy.complete(asking(3, session=0, new=12, seed=9)) for policy in both]
    for expected, found in zip(*answers, strict=True):
        assert found.token_ids == expected.token_ids
    for expected, found in zip(*again, strict=True):
        assert found.token_ids == expected.token_ids
        assert found.logprobs == pytest.approx(expected.logprobs, abs=BOUND)
    # Of what was there before, all whole blocks were still in the cache; the last token of an answer never is.
    held = sum((one - 1) // BLOCK * BLOCK for one in length)
    assert vllm.cached_tokens - cached == held > 0
    assert vllm.prompt_tokens - prompts == sum(length) + sum(len(one.prompt_ids) for one in again[1])
    for policy in both:
        policy.release([0, 1, 2])
    restarted = vllm.complete(asking(3, session=0, new=12))
    assert [one.token_ids for one in restarted] == [one.token_ids for one in answers[1]]
    vllm.release([0, 1, 2])


def test_new_weights_are_not_answered_from_the_old_ones_cache(both):
    hf, vllm = both
    [request] = asking(6)[5:]
    vllm.complete([request])
    shake(hf.model, seed=2)
    vllm.sync()
    cached = vllm.cached_tokens
    assert vllm.complete([request])[0].token_ids == hf.complete([request])[0].token_ids
    assert vllm.cached_tokens == cached


def test_the_context_is_as_long_as_the_learner_s(both):
    hf, vllm = both
    assert vllm.context_limit == hf.context_limit == CONTEXT
    for length, room in ((CONTEXT - 1, 1), (CONTEXT - 3, 3), (CONTEXT, 0)):
        prompt = tuple(5 + place % 200 for place in range(length))
        request = Request(prompt_ids=prompt, sampling=Sampling(temperature=0.0), seed=0, session=7)
        answers = [policy.complete([request])[0] for policy in both]
        assert answers[1].token_ids == answers[0].token_ids
        assert len(answers[1].token_ids) == room
        assert answers[1].finish == answers[0].finish == ("length" if room else "overflow")
        for policy in both:
            policy.release([7])


def test_answers_are_given_when_they_are_ready(both, monkeypatch):
    _, vllm = both
    # So long that it is not done when the others are, and never ended by itself.
    [long], short = asking(1, new=480), asking(2, new=2)
    monkeypatch.setattr(vllm.codec, "end_ids", frozenset())
    with held(vllm):
        tickets = vllm.submit([long, short[1]])
    first = vllm.collect()
    assert list(first) == [tickets[1]]
    more = vllm.submit(short[:1])  # while the long one goes on
    assert list(vllm.collect()) == more
    [(ticket, answer)] = vllm.collect().items()
    assert (ticket, len(answer.token_ids)) == (tickets[0], 480)
    assert vllm.collect() == {}


def test_what_is_given_up_leaves_nothing_behind(both):
    _, vllm = both
    requests = asking(2, new=60, session=0)
    vllm.submit(requests)
    with pytest.raises(ValueError, match="each session once at a time"):
        vllm.submit(requests[:1])
    vllm.cancel()
    assert vllm.collect() == {}
    expected = vllm.complete(asking(2, new=5))
    assert [one.token_ids for one in vllm.complete(asking(2, new=5, session=0))] == [one.token_ids for one in expected]
    vllm.release([0, 1])
    vllm.sync()  # which is refused while anything is going on


def test_mistakes_are_named(both):
    _, vllm = both
    with pytest.raises(ValueError, match="one token or more"):
        vllm.complete([Request(prompt_ids=(), sampling=Sampling(), seed=0)])
    with pytest.raises(BadOptionError, match=r"temperature 0 or 0\.01 and above, got 0\.005"):
        vllm.complete(asking(1, temperature=0.005))


@pytest.mark.skipif(os.environ.get("VLLM_ENABLE_V1_MULTIPROCESSING") == "0", reason="the engine has no process")
def test_an_engine_that_is_killed_is_started_anew_and_nothing_is_lost(both):
    hf, vllm = both
    expected = vllm.complete(asking(temperature=1.0, new=40))
    pids = processes_of(vllm)
    with held(vllm):
        tickets = vllm.submit(asking(temperature=1.0, new=40))
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    done: dict[str, Completion] = {}
    while len(done) < len(tickets):
        done |= vllm.collect()
    assert [done[ticket].token_ids for ticket in tickets] == [one.token_ids for one in expected]
    assert vllm.complete(asking())[0].token_ids == hf.complete(asking())[0].token_ids
    assert not set(pids) & set(processes_of(vllm))


@pytest.mark.skipif(os.environ.get("VLLM_ENABLE_V1_MULTIPROCESSING") == "0", reason="the engine has no process")
def test_an_engine_that_is_killed_when_it_is_about_to_do_something_is_started_anew(both, monkeypatch):
    """As when a learner takes the memory that it was in."""
    hf, vllm = both

    def kill():
        for pid in processes_of(vllm):
            os.kill(pid, signal.SIGKILL)

    shake(hf.model, seed=4)
    with held(vllm):
        threading.Timer(1.0, kill).start()
        with monkeypatch.context() as patch:
            patch.setattr(vllm.engine, "sleeps", True)
            vllm.rest()  # waits for an answer, and takes its death for one
    vllm.sync()
    assert vllm.complete(asking())[0].token_ids == hf.complete(asking())[0].token_ids


@pytest.mark.skipif(not torch.cuda.is_available(), reason="an engine sleeps on a GPU only")
def test_an_engine_that_has_slept_says_the_same(both):
    _, vllm = both
    expected = vllm.complete(asking())
    free, _ = torch.cuda.mem_get_info()
    vllm.rest()
    assert torch.cuda.mem_get_info()[0] > free
    vllm.sync()
    assert [one.token_ids for one in vllm.complete(asking())] == [one.token_ids for one in expected]


def test_weights_that_have_diverged_are_noticed(both):
    """Last, since what the engine has cached of such weights spoils what comes after."""
    hf, vllm = both
    with torch.no_grad():
        next(hf.model.parameters()).fill_(float("nan"))
    vllm.sync()
    with pytest.raises(ModelError, match="not a number"):
        vllm.complete(asking(2, temperature=1.0))
