"""What telephones, codecs, noise and rooms do to a voice is learnt from those who are not measured on."""

from __future__ import annotations

import json
import wave
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.bench import channels
from monitor.bench.channels import CHANNELS, LENT, Spoken, chosen, moved, put_together
from monitor.bench.sound import read_sound
from monitor.bench.voices_data import Recording, read_speakers
from monitor.ml.channels import read_channel_map
from monitor.values import SAMPLE_RATE

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.ml.interfaces import Pack

CLEAN = "as recorded"


def speech(data: Path, speaker: str) -> np.ndarray:
    folder = data / "voices" / "real" / "librispeech-test-other" / speaker
    return read_sound(min(folder.iterdir())).samples[: 5 * SAMPLE_RATE]


@pytest.mark.parametrize("name", CHANNELS)
def test_every_channel_changes_the_sound_and_not_its_length(data: Path, name: str) -> None:
    voice, around = speech(data, "1688"), [speech(data, who) for who in ("1998", "2033", "2414")]
    heard = CHANNELS[name](Spoken(voice, around, np.random.default_rng(1)))
    assert heard.shape == voice.shape
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()
    likeness = float(np.corrcoef(heard, voice)[0, 1])
    assert likeness == pytest.approx(1.0) if name == CLEAN else -0.9 < likeness < 0.9999


def test_chance_draws_another_channel_each_time(data: Path) -> None:
    voice, rng = speech(data, "1688"), np.random.default_rng(1)
    first, second = (CHANNELS["telephone"](Spoken(voice, [], rng)) for _ in range(2))
    assert not np.array_equal(first, second)


def test_nobody_is_learnt_from_whom_the_bench_tries_and_its_babble_is_spared(data: Path) -> None:
    everybody = read_speakers(data / "voices", 0, 0)
    single, others = chosen(data / "voices")
    tried = {one.speaker for one in everybody} - {one.speaker for one in single}
    counts = {who: sum(one.speaker == who for one in everybody) for who in tried}
    assert counts
    assert min(counts.values()) > 1
    babble = list(dict.fromkeys(one.speaker for one in everybody))[:LENT]
    assert others
    assert not {one.speaker for one in others}.intersection(babble)


def test_a_map_is_learnt_from_recordings(pack: Pack, data: Path) -> None:
    models = replace(pack.voices, recogniser=replace(pack.voices.recogniser, channels=None))
    single, others = chosen(data / "voices")
    lent = {one.speaker: read_sound(one.path).samples for one in others[:3]}
    found = list(moved([(0, single[0]), (1, single[1])], models, lent))
    assert [set(one.by) for one in found] == [set(CHANNELS)] * 2
    gone = {name: np.linalg.norm(found[0].by[name], axis=1).mean() for name in CHANNELS}
    assert gone[CLEAN] == min(gone.values())
    made = put_together(found)
    assert made.centre.shape == (192,)
    assert np.all(made.gains < 1)


def test_the_command_writes_a_map_that_is_read_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "readers"
    folder.mkdir()
    for path in sorted((data / "voices" / "real" / "librispeech-train-clean").iterdir())[:3]:
        (folder / path.name).symlink_to(path)
    monkeypatch.setattr(channels, "LENT", 1)
    channels.main(folder, tmp_path / "map.json")
    words = json.loads((tmp_path / "map.json").read_text(encoding="utf-8"))
    made = read_channel_map(tmp_path / "map.json")
    assert made.version == words["version"]
    assert made.directions.shape == (channels.KEPT, 192)
    np.testing.assert_allclose(made.directions @ made.directions.T, np.eye(channels.KEPT), atol=1e-3)
    assert words["speakers"] == 3
    assert words["of"].startswith("campplus@")
    assert set(words["pieces"].values()) == {channels.PIECES * 3}


def test_too_little_speech_teaches_nothing(pack: Pack, tmp_path: Path) -> None:
    path = tmp_path / "short.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes(bytes(2 * SAMPLE_RATE))
    assert list(moved([(0, Recording(path, 0))], pack.voices, {})) == []
