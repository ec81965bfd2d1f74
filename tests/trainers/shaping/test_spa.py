"""SPA's hand vector, what it conserves, and what it may look at."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainers.shaping.made import drawn_episodes, drawn_groups, made_episode, made_group, rewards_of
from trainers.shaping import ShaperState, Spa
from trainers.shaping.linear import SparseRidge
from trainers.shaping.spa import conserved
from trainers.shaping.spa_estimators import NetworkEstimator
from trainers.types import Episode

# Actions a, b, c in five episodes with the counts 110, 101, 011, 111, 001 and rewards 1, .6, .4, 1, 0.
# c alone earns 0, so c = 0; then a = .6 from 101, b = .4 from 011, and 110 and 111 both give 1: no error is left.
EPISODES = [
    made_episode("ss", [0, 1], answers="ab"),
    made_episode("ss", [0, 0.6], answers="ca"),
    made_episode("ss", [0, 0.4], answers="bc"),
    made_episode("sss", [0, 0, 1], answers="bac"),
    made_episode("s", [0], answers="c"),
]


def fitted(spa, episodes=EPISODES):
    shaper = spa.start()
    shaper.fit([made_group(*episodes)])
    return shaper


def test_hand_vector():
    ridge = SparseRidge(0.0)
    rows = [{"a": 1, "b": 1}, {"a": 1, "c": 1}, {"b": 1, "c": 1}, {"a": 1, "b": 1, "c": 1}, {"c": 1}]
    assert ridge.fit(rows, np.array([1, 0.6, 0.4, 1, 0])) == pytest.approx(0.0, abs=1e-20)
    assert [ridge.weight(name) for name in "abcd"] == pytest.approx([0.6, 0.4, 0.0, 0.0], abs=1e-12)

    shaper = Spa(see="action", penalty=0.0, grounding=0.0).start()
    assert shaper.fit([made_group(*EPISODES)]) == {"explained": pytest.approx(1.0), "episodes": 5}
    assert rewards_of(shaper(made_group(*EPISODES))) == [
        pytest.approx(expected, abs=1e-9) for expected in ([0.6, 0.4], [0, 0.6], [0.4, 0], [0.4, 0.6, 0], [0])
    ]


def test_ridge_with_a_penalty():
    # One feature, twice 1 with targets 1 and 2: w = (1 + 2)/(2 + λ) = 1 for λ = 1; errors 0 and 1.
    ridge = SparseRidge(1.0)
    assert ridge.fit([{"a": 1}, {"a": 1}], np.array([1.0, 2.0])) == pytest.approx(0.5)
    assert ridge.predict({"a": 3, "unknown": 5}) == pytest.approx(3.0)
    with pytest.raises(ValueError, match="penalty of 0 or more"):
        SparseRidge(-1.0)


@given(st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=8), st.sampled_from([0.1, 1]))
def test_ridge_is_what_the_normal_equations_say(counts, penalty):
    targets = np.arange(len(counts), dtype=float)
    ridge = SparseRidge(penalty)
    ridge.fit([dict(zip("abcd", row, strict=True)) for row in counts], targets)
    x = np.array(counts, dtype=float)
    expected = np.linalg.solve(x.T @ x + penalty * np.eye(4), x.T @ targets)
    np.testing.assert_allclose([ridge.weight(name) for name in "abcd"], expected, atol=1e-8)


def test_grounding_pays_what_was_carried_out():
    episode = made_episode("ss", [0, 1], answers="ab")
    first, last = episode.turns
    played = made_group(
        replace(episode, turns=(replace(first, action_valid=False), last)),
        replace(episode, turns=(first, replace(last, format_valid=False))),
    )
    # ĉ = .6 and .4 as above, times α = 2; β = .5 where the action was carried out.
    shaper = fitted(Spa(see="action", penalty=0.0, contribution=2.0))
    assert rewards_of(shaper(played)) == [pytest.approx([1.2, 1.3]), pytest.approx([1.7, 0.8])]


def test_what_is_missing_is_spread_evenly():
    # .1 + .2 lack .7 to 1: .35 for each.
    np.testing.assert_allclose(conserved(np.array([0.1, 0.2]), 1.0), [0.45, 0.55])


@given(drawn_groups, drawn_groups, st.sampled_from(["state_action", "action", "words"]), st.sampled_from([0.0, 0.5]))
def test_an_episode_is_worth_what_it_was_worth(learnt_from, played, see, grounding):
    shaper = Spa(see=see, grounding=grounding, history=1).start()
    shaper.fit([learnt_from])
    for before, after in zip(played.episodes, shaper(played).episodes, strict=True):
        # Σ r̃ = α·R + β·Σ g; every made-up turn is carried out.
        assert after.rewards.sum() == pytest.approx(before.rewards.sum() + grounding * len(before.turns), abs=1e-8)


@pytest.mark.parametrize("estimator", ["linear", "network"])
@settings(max_examples=20)
@given(drawn_groups, drawn_episodes, drawn_episodes, st.sampled_from(["state_action", "words"]), st.integers(0, 2))
def test_contributions_do_not_depend_on_what_comes_later(estimator, learnt_from, episode, other, see, history):
    shaper = Spa(see=see, history=history, estimator=estimator).start()
    if estimator == "network":
        shaper.estimator = NetworkEstimator(width=4, updates=1)
    shaper.fit([learnt_from])
    whole = shaper.contributions(episode)
    for t in range(1, len(episode.turns) + 1):
        changed = Episode(turns=episode.turns[:t] + other.turns)
        np.testing.assert_allclose(shaper.contributions(changed)[:t], whole[:t], atol=1e-6)


def test_history_tells_orders_apart():
    # "a" pays 1 only after "b": with counts of single actions both orders are the same.
    episodes = [made_episode("ss", [0, 1], answers="ba"), made_episode("ss", [0, 0], answers="ab")]
    blind = fitted(Spa(see="action", penalty=1e-6), episodes).contributions(episodes[0]).sum()
    seeing = fitted(Spa(see="action", penalty=1e-6, history=1), episodes).contributions(episodes[0]).sum()
    assert blind == pytest.approx(0.5, abs=1e-3)
    assert seeing == pytest.approx(1.0, abs=1e-3)


def test_it_starts_by_changing_nothing_and_refits_when_due():
    played = made_group(*EPISODES)
    shaper = Spa(every=2, buffer=3).start()
    assert shaper(played) is played
    assert shaper.fit([played]) == {}
    assert shaper(played) is played
    assert shaper.fit([played])["episodes"] == 3
    assert rewards_of(shaper(played)) != rewards_of(played)
    unlucky = made_group(Episode(turns=EPISODES[0].turns, status="failed"), Episode(turns=()))
    assert Spa().start().fit([unlucky]) == {}


def test_a_network_tells_what_came_before():
    # "b" pays 1 only after "a" in the same state; each of them alone is as frequent in failures.
    episodes = [
        made_episode("ss", [0, 1], answers="ab"),
        made_episode("ss", [0, 0], answers="ba"),
        made_episode("ss", [0, 0], answers="bb"),
        made_episode("ss", [0, 0], answers="aa"),
    ]
    shaper = Spa(see="action", estimator="network").start()
    for _ in range(3):
        metrics = shaper.fit([made_group(*episodes)])
    assert metrics["explained"] > 0.9
    totals = [shaper.contributions(episode).sum() for episode in episodes]
    assert totals == pytest.approx([1, 0, 0, 0], abs=0.2)
    # Counts of single actions can't tell the first two apart.
    assert fitted(Spa(see="action"), episodes).fit([made_group()])["explained"] < 0.6


@pytest.mark.parametrize("estimator", ["linear", "network"])
def test_a_saved_shaper_goes_on_as_before(estimator):
    spa = Spa(history=1, estimator=estimator)
    shaper = fitted(spa)
    state = shaper.state()
    again = spa.start()
    again.load_state(ShaperState(arrays=state.arrays, values=json.loads(json.dumps(state.values))))
    for one in (shaper, again):
        one.fit([made_group(made_episode("st", [0, 2], answers="ba"))])
    played = made_group(*EPISODES)
    assert rewards_of(again(played)) == rewards_of(shaper(played))
    fresh = spa.start()
    fresh.load_state(spa.start().state())
    assert fresh(played) is played


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="history of 0 or more"):
        Spa(every=0)
    with pytest.raises(ValueError, match="finite weights"):
        Spa(grounding=float("nan"))
    with pytest.raises(ValueError, match="see"):
        Spa(see="all")  # type: ignore[arg-type]  # what is refused
    with pytest.raises(ValueError, match="estimator"):
        Spa(estimator="tree")  # type: ignore[arg-type]  # what is refused
