"""Random programs of well-formed events keep every promise, and each promise has been seen broken.

A thousand programs, always the same; ``VOICEAGENT_SIP_PROGRAMS`` runs as many others beside them.
"""

from __future__ import annotations

import os

import pytest

from voiceagent.bench.programs import ProgramBroken, run_program, run_programs
from voiceagent.bench.sip_planted import DEFECTS, Defect, Patches, catch
from voiceagent.bench.sip_promises import PROMISES, PromiseBroken

MORE = int(os.environ.get("VOICEAGENT_SIP_PROGRAMS", "0"))
PARTS = 5


@pytest.mark.parametrize("part", range(PARTS))
def test_programs_keep_their_promises(part: int) -> None:
    figures = run_programs(1_000 // PARTS, seed=part)
    assert figures["legs"] > 400
    # They get far enough to break something: calls end in every way that there is.
    assert set(figures["ended_by"]) >= {"us", "peer", "rejected", "cancelled", "timeout", "no_ack"}


@pytest.mark.skipif(not MORE, reason="VOICEAGENT_SIP_PROGRAMS names no number")
def test_more_programs() -> None:
    run_programs(MORE, seed=4028)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_planted_defect_breaks_its_promise(defect: Defect) -> None:
    caught = catch(defect)
    assert caught.promise == defect.promise, f"{defect.what}: {caught}"


def test_every_promise_has_been_seen_broken() -> None:
    assert {defect.promise for defect in DEFECTS} == set(PROMISES)


def test_a_defect_leaves_nothing_behind() -> None:
    for defect in DEFECTS:
        with Patches() as patches:
            defect.plant(patches)
    run_programs(20, seed=7)


def test_a_broken_program_names_its_seed_and_what_was_done() -> None:
    with Patches() as patches:
        next(defect for defect in DEFECTS if defect.promise == "P12").plant(patches)
        with pytest.raises(ProgramBroken) as raised:
            for seed in range(50):
                run_program(seed)
    assert isinstance(raised.value.broken, PromiseBroken)
    assert f"program {raised.value.seed}: " in str(raised.value)
    assert "peer: " in str(raised.value)
