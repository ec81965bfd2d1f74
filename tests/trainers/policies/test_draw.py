import math

import pytest
import torch

from trainers.policies.base import random_stream
from trainers.policies.draw import draw

# P = 1/2, 1/4, 0, 1/4: the sums are 1/2, 3/4, 3/4, 1.
LOGITS = torch.tensor([math.log(2.0), 0.0, -math.inf, 0.0], dtype=torch.float64)


def draw_at(u, temperature=1.0, logits=LOGITS):
    ids, logprobs = draw(logits[None], torch.tensor([u], dtype=torch.float64), [temperature])
    return ids.item(), logprobs.item()


def test_draw_inverts_the_distribution_function():
    assert [draw_at(u)[0] for u in (0.0, 0.25, 0.4999, 0.5001, 0.7499, 0.7501, 0.9999)] == [0, 0, 0, 1, 1, 3, 3]
    assert draw_at(0.1)[1] == pytest.approx(math.log(0.5))
    assert draw_at(0.6)[1] == pytest.approx(math.log(0.25))


def test_draw_never_takes_a_token_of_probability_zero():
    assert draw_at(0.75)[0] == 3
    just_below_one = math.nextafter(1.0, 0.0)
    assert draw_at(just_below_one)[0] == 3
    # The last tokens have none, and the target rounds to the total.
    assert draw_at(just_below_one, logits=torch.tensor([0.0, 0.0, 0.0, -math.inf, -math.inf]))[0] == 2


def test_draw_divides_by_the_temperature():
    # Temperature 1/2 squares the probabilities: 1/4, 1/16, 0, 1/16 over 3/8 are 2/3, 1/6, 0, 1/6.
    assert draw_at(0.6, 0.5) == (0, pytest.approx(math.log(2 / 3)))
    assert draw_at(0.7, 0.5) == (1, pytest.approx(math.log(1 / 6)))


def test_draw_at_temperature_zero_takes_the_largest_and_reports_it_at_one():
    assert draw_at(0.9, 0.0) == (0, pytest.approx(math.log(0.5)))
    assert draw_at(0.9, 0.0, torch.tensor([0.0, 3.0, 3.0]))[0] == 1


def test_draw_rows_do_not_touch_each_other(monkeypatch):
    uniforms, temperatures = torch.tensor([0.6, 0.9, 0.6], dtype=torch.float64), [1.0, 0.0, 0.5]
    ids, logprobs = draw(LOGITS.repeat(3, 1), uniforms, temperatures)
    assert ids.tolist() == [1, 0, 0]
    assert logprobs.tolist() == pytest.approx([math.log(0.25), math.log(0.5), math.log(2 / 3)])
    monkeypatch.setattr("trainers.policies.draw._AT_ONCE", 4)  # a row at a time
    again = draw(LOGITS.repeat(3, 1), uniforms, temperatures)
    assert torch.equal(again[0], ids)
    assert torch.equal(again[1], logprobs)


def test_draw_says_nan_where_the_logits_are_none():
    assert math.isnan(draw_at(0.5, logits=torch.tensor([0.0, math.nan]))[1])


def test_random_streams_are_their_seed_s_alone():
    assert random_stream(5, 3).tolist() == random_stream(5, 10)[:3].tolist()
    assert random_stream(5, 3).tolist() != random_stream(6, 3).tolist()
    first = [random_stream(seed, 1)[0] for seed in range(2000)]
    # The mean of 2,000 uniform numbers is 1/2 with standard deviation √(1/12/2000) = 0.0065.
    assert abs(sum(first) / 2000 - 0.5) < 5 * 0.0065
    with pytest.raises(ValueError, match="seed"):
        random_stream(-1, 1)
