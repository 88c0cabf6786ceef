"""The bench of enrolment counts what it says: rates by kind and over all, and tables of the figures."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from monitor.bench import page
from monitor.bench.challenge_attacks import ATTACKS
from monitor.bench.enrollment import Counted, rates, trials_of
from monitor.bench.enrollment_cast import GLASSES, Guest, machine
from monitor.bench.enrollment_tables import name_of, tables
from monitor.bench.enrollment_trials import ATTACK_KINDS, GENUINE_KINDS, GLASSES_KIND, drawn_for

CAST = [Guest(name, (), (), b"") for name in ("one", "two", "three", GLASSES)]


def counted() -> Counted:
    """Two attacks of each kind, one of which got in with one kind; one genuine person was refused."""
    found = Counted()
    for kind in ATTACK_KINDS:
        found.of[True, kind, "refused"] += 2
    found.of[True, "silence", "refused"] -= 1
    found.of[True, "silence", "active"] += 1
    for kind in GENUINE_KINDS:
        found.of[False, kind, "active"] += 1
    found.of[False, "dark", "held"] += 1
    found.of[False, "slow", "refused"] += 1
    return found


def test_there_are_twenty_of_each_and_every_kind_has_its_name() -> None:
    assert len(ATTACK_KINDS) >= 20
    assert len(GENUINE_KINDS) >= 20
    assert set(ATTACKS) <= set(ATTACK_KINDS)
    names = [name_of(kind, "held", is_attack=True) for kind in ATTACK_KINDS]
    names += [name_of(kind, "held", is_attack=False) for kind in GENUINE_KINDS]
    assert len(set(names)) == len(names)


def test_rates_are_over_all_and_by_kind_and_bounded() -> None:
    figures = rates(counted())
    attacks, genuine = 2 * len(ATTACK_KINDS), len(GENUINE_KINDS) + 2
    assert figures["enrollment.attacks"].value == attacks
    assert figures["enrollment.apcer"].value == pytest.approx(1 / attacks)
    assert figures["enrollment.apcer_worst"].value == pytest.approx(0.5)
    assert figures["enrollment.bpcer"].value == pytest.approx(1 / genuine)
    assert figures["enrollment.bona_fide_held"].value == pytest.approx(1 / genuine)
    assert 0 < figures["enrollment.apcer"].low < 1 / attacks < figures["enrollment.apcer"].high


def test_tables_give_counts_back_and_say_how_small_a_test_it_is() -> None:
    text = tables(rates(counted()))
    assert "| silence | 2 | 1 | 0 | 1 |" in text
    assert "| dark | 2 | 1 | 1 | 0 |" in text
    assert "small test, simulated by those who made the checks" in text
    figures = {name: asdict(one) for name, one in rates(counted()).items()}
    kept = {"name": "enrollment", "figures": figures, "data_set": "data", "seed": 0, "device": "cpu"}
    shown = page.enrolment([{**kept, "model_ids": ["m"], "date": "2026-11-23"}])
    assert "| silence | 2 | 1 | 0 | 1 |" in shown
    assert "likeness bench enrollment" in shown
    assert "Not measured yet" in page.enrolment([])


def test_a_seed_draws_the_same_and_rounds_change_the_person() -> None:
    trials = list(trials_of(CAST, 2, 5))
    again = list(trials_of(CAST, 2, 5))
    assert [drawn_for(one) for one in trials] == [drawn_for(one) for one in again]
    assert len({drawn_for(one) for one in trials}) > len(trials) * 0.9
    by_kind = {kind: {one.victim.name for one in trials if one.kind == kind} for kind in GENUINE_KINDS}
    assert by_kind[GLASSES_KIND] == {GLASSES}
    assert all(len(names) == 2 for kind, names in by_kind.items() if kind != GLASSES_KIND)
    assert all(one.actor is not one.victim for one in trials)


def test_a_machines_voice_is_as_loud_and_long_but_not_the_same() -> None:
    tone = 0.5 * np.sin(2 * np.pi * 220 * np.arange(16_000) / 16_000)
    made = machine(tone.astype(np.float32))
    assert len(made) <= len(tone)
    assert np.abs(made).max() == pytest.approx(0.5, rel=0.05)
    assert abs(float(np.corrcoef(made, tone[: len(made)])[0, 1])) < 0.99
