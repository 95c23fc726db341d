"""Mutated offers never act, genuine ones act once: the bench itself, in small."""

from __future__ import annotations

import random

import pytest

from voiceagent.bench.webhook import measure, mutated, new_offer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.loopback
async def test_thousands_of_mutations_never_act_and_every_genuine_offer_acts_once() -> None:
    figures = await measure(5000, over_http=200, offers=20, seed=3)
    assert figures["mutations_taken"] == 0
    assert figures["requests_to_the_provider_by_mutations"] == 0
    assert (figures["accepts"], figures["accepted_twice"]) == (20, 0)
    assert set(figures["over_http_answers"]) <= {"400", "401"}
    assert sum(figures["refusals"].values()) == 5000


def test_a_mutation_is_never_the_offer_itself_and_runs_repeat() -> None:
    offer = new_offer(SECRET, 1, 1_750_287_018.0)
    first, second = random.Random(1), random.Random(1)
    made = [mutated(offer, first) for _ in range(2000)]
    assert made == [mutated(offer, second) for _ in range(2000)]
    assert offer not in [each for _, each in made]
    assert len({kind for kind, _ in made}) == 9
