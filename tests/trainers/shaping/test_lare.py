"""LaRe: the losses' hand vectors, the decoder, and factors that a model wrote."""

import json
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from agent_gym.errors import BadOptionError
from tests.trainers.shaping.made import made_episode, made_group, rewards_of
from trainers.judges import steps_of
from trainers.shaping import Lare, ShaperState
from trainers.shaping.decoder import Decoder, decomposition_loss
from trainers.shaping.factors import CodeFactors, FactorError, plain_factors, verify_factors
from trainers.shaping.sandbox import Limits, UnsafeCodeError
from trainers.types import Episode

PATIENT = Limits(seconds=60.0)


def loss_of(outputs, total, length, loss):
    outputs = torch.tensor(outputs, dtype=torch.float64)
    owners = torch.zeros(len(outputs), dtype=torch.int64)
    one = torch.tensor([float(total)], dtype=torch.float64)
    return decomposition_loss(outputs, owners, one, one * 0 + length, loss).item()


def test_hand_vector():
    # r̂ = .5, 1, 0, .5 with R = 4, T = 4. RD: ((2 − 4)/4)² = .25.
    assert loss_of([0.5, 1.0, 0.0, 0.5], 4, 4, "rd") == pytest.approx(0.25)
    # The steps 0 and 1: mean .75, (.75 − 1)² = .0625.
    assert loss_of([0.5, 1.0], 4, 4, "rrd") == pytest.approx(0.0625)
    # Their variance is (.25² + .25²)/1 = .125, so (1 − 2/4)·.125/2 = .03125 is taken off.
    assert loss_of([0.5, 1.0], 4, 4, "rrd-u") == pytest.approx(0.03125)


def test_the_mean_over_all_subsets_is_biased_and_the_corrected_one_is_not():
    outputs = [0.5, 1.0, 0.0, 0.5]
    pairs = list(combinations(outputs, 2))
    # Means .75, .25, .5, .5, .75, .25 against 1: squares .0625, .5625, .25, .25, .0625, .5625; their mean is .291667.
    assert np.mean([loss_of(pair, 4, 4, "rrd") for pair in pairs]) == pytest.approx(0.291667, abs=1e-6)
    assert np.mean([loss_of(pair, 4, 4, "rrd-u") for pair in pairs]) == pytest.approx(0.25)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=6), st.floats(-5, 5), st.data())
def test_the_corrected_loss_is_unbiased(outputs, total, data):
    size = data.draw(st.integers(2, len(outputs)))
    losses = [loss_of(subset, total, len(outputs), "rrd-u") for subset in combinations(outputs, size)]
    assert np.mean(losses) == pytest.approx(loss_of(outputs, total, len(outputs), "rd"), abs=1e-9)


def test_episodes_in_one_batch_do_not_mix():
    outputs = torch.tensor([0.5, 1.0, 3.0, 0.5, 0.0], dtype=torch.float64)
    owners = torch.tensor([0, 0, 1, 0, 0])
    totals, lengths = torch.tensor([4.0, 1.0], dtype=torch.float64), torch.tensor([4.0, 1.0], dtype=torch.float64)
    # The first is the vector above with its steps in another order; the second is (3 − 1)².
    assert decomposition_loss(outputs, owners, totals, lengths, "rd").tolist() == pytest.approx([0.25, 4.0])


def lessons(count=40, seed=0):
    """Episodes of four answers in which every accepted one is worth 1, told at the end only."""
    rng = np.random.default_rng(seed)
    episodes = []
    for _ in range(count):
        accepted = rng.random(4) < 0.5
        episode = made_episode("abcd", [0, 0, 0, float(accepted.sum())])
        turns = [
            type(turn)(
                completion=turn.completion,
                state_key=turn.state_key,
                reward=turn.reward,
                observation="Go.",
                answer="go",
                reply=f"{number}",
                action_valid=bool(good),
            )
            for number, (turn, good) in enumerate(zip(episode.turns, accepted, strict=True))
        ]
        episodes.append(Episode(turns=tuple(turns)))
    return made_group(*episodes)


@pytest.mark.parametrize("loss", ["rd", "rrd", "rrd-u"])
def test_it_finds_the_steps_that_were_paid_at_the_end(loss):
    shaper = Lare(loss=loss, subset=3, width=16, layers=1, learning_rate=0.02, updates=300, batch=32).start()
    group = lessons()
    assert shaper(group) is group
    shaper.fit([group])
    accepted: list[float] = []
    refused: list[float] = []
    for before, after in zip(group.episodes, shaper(group).episodes, strict=True):
        for turn, reward in zip(before.turns, after.rewards, strict=True):
            (accepted if turn.action_valid else refused).append(reward)
    # The truth is 1 and 0. The biased loss prefers equal rewards, so that it finds less of the difference.
    difference = np.mean(accepted) - np.mean(refused)
    assert difference > (0.5 if loss == "rrd" else 0.8)


def test_a_factor_that_never_varied_before_does_not_blow_up():
    decoder = Decoder(2, width=4, layers=1, learning_rate=1e-3, seed=0)
    factors = np.array([[0.0, 1.0], [1.0, 1.0]])
    decoder.fit([(factors, 1.0)], loss="rd", subset=2, updates=1, batch=1, rng=np.random.default_rng(0))
    # The second was always 1; a step of 1 away from it is no more than a step.
    assert abs(decoder.predict(np.array([[0.0, 2.0]]))[0]) < 5


def test_it_can_conserve_what_an_episode_is_worth():
    shaper = Lare(conserve=True, updates=2, width=4, layers=1).start()
    group = lessons(5)
    shaper.fit([group])
    for before, after in zip(group.episodes, shaper(group).episodes, strict=True):
        assert after.rewards.sum() == pytest.approx(before.rewards.sum())
        assert after.rewards.tolist() != before.rewards.tolist()


def test_fitting_depends_on_the_seed_alone_and_leaves_the_global_generator_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    results = []
    for seed in (0, 0, 1):
        shaper = Lare(updates=3, width=4, layers=1, seed=seed).start()
        shaper.fit([lessons()])
        results.append(rewards_of(shaper(lessons())))
    assert results[0] == results[1] != results[2]
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("code", ["", "def factors(accepted, **rest):\n    return [1.0 * accepted]"])
def test_a_saved_shaper_goes_on_as_before(code, tmp_path):
    path = tmp_path / "factors.py"
    path.write_text(code)
    settings = Lare(factors=str(path) if code else "", loss="rrd-u", subset=2, updates=4, width=4, layers=1)
    shaper = settings.start()
    shaper.fit([lessons()])
    state = shaper.state()
    again = settings.start()
    again.load_state(ShaperState(arrays=state.arrays, values=json.loads(json.dumps(state.values))))
    for one in (shaper, again):
        one.fit([lessons(seed=1)])
    assert rewards_of(again(lessons())) == rewards_of(shaper(lessons()))

    fresh = settings.start()
    fresh.load_state(settings.start().state())
    assert fresh(lessons()) == lessons()


def test_plain_factors():
    group = made_group(made_episode("AA", [0, 1], answers=["at A", "at A"]))
    # The first reply ("at A") is the first observation; both words of the answer are known; then it comes again.
    assert plain_factors(steps_of(group)).tolist() == [[1, 1, 0, 0, 1, 1], [1, 1, 1, 1, 1, 0]]
    assert plain_factors([]).shape == (0, 6)


def test_factors_that_fail_are_zero_and_counted():
    code = (
        "def factors(action, earlier_actions, **rest):\n"
        "    return [1 / len(earlier_actions), 2.0] if action != 'b' else [1.0]"
    )
    factors = CodeFactors(code, PATIENT)
    steps = steps_of(made_group(made_episode("AAAA", [0] * 4, answers="aaba")))
    # The first divides by zero, the third gives one factor instead of two.
    rows = factors(steps)
    assert rows is not None
    assert rows.tolist() == [[0, 0], [1, 2], [0, 0], [pytest.approx(1 / 3), 2]]
    assert (factors.steps_failed, factors.batches_failed) == (2, 0)


def test_a_batch_that_is_stopped_leaves_rewards_as_they_were():
    factors = CodeFactors("def factors(**step):\n    while True: pass", Limits(seconds=0.3))
    settings = Lare(updates=1, width=4, layers=1)
    shaper = type(settings.start())(settings, factors)
    assert shaper.fit([lessons()]) == {"steps_failed": 0.0, "batches_failed": 1.0}
    assert shaper(lessons()) == lessons()


def test_code_is_verified_on_steps():
    steps = steps_of(made_group(made_episode("AB", [0, 1])))
    assert verify_factors("def factors(**step): return [1, step['accepted']]", steps, PATIENT) == 2
    with pytest.raises(FactorError, match=r"for step 1: ZeroDivisionError"):
        verify_factors("def factors(earlier_actions, **s): return [1 / (1 - len(earlier_actions))]", steps, PATIENT)
    with pytest.raises(FactorError, match=r"the same number of factors for every step, 1 or more, got \[1, 2\]"):
        verify_factors("def factors(earlier_actions, **s): return [1, *earlier_actions] and [1.0] * (1 + len("
                       "earlier_actions))", steps, PATIENT)  # fmt: skip
    with pytest.raises(FactorError, match="1 or more"):
        verify_factors("def factors(**s): return []", steps, PATIENT)


def test_bad_settings_are_named(tmp_path):
    with pytest.raises(ValueError, match="subset of 2 or more"):
        Lare(subset=1)
    with pytest.raises(ValueError, match="learning_rate above 0"):
        Lare(learning_rate=0)
    with pytest.raises(BadOptionError, match="file with the code of factors"):
        Lare(factors=str(tmp_path / "none.py")).start()
    (tmp_path / "evil.py").write_text("import os\ndef factors(**step): return [1]")
    with pytest.raises(UnsafeCodeError, match="Import"):
        Lare(factors=str(tmp_path / "evil.py")).start()
