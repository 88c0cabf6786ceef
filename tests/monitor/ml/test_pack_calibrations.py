"""Whose calibration a pack uses: the operator's own where it is of these very models, or the one shipped."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from monitor.errors import ConfigError
from monitor.ml import packs
from monitor.ml.calibration import own_path, shipped_for, thresholds_at, write_calibration
from monitor.ml.interfaces import FaceModels
from monitor.ml.packs import UNMEASURED, _calibrated, load_pack
from monitor.settings import Settings
from monitor.values import Modality, ModelId

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.ml.calibration import Calibration
    from monitor.ml.interfaces import Pack


class Models:
    """A recogniser of which only the name matters. A fake."""

    def __init__(self, model_id: str) -> None:
        """Take the name."""
        self.model_id = ModelId(model_id)


@pytest.fixture
def found(pack: Pack) -> Calibration:
    found = shipped_for(pack.faces.recogniser.model_id)
    assert found is not None
    return found


def of(calibration: Calibration, settings: Settings) -> FaceModels:
    models = FaceModels(Models("d"), Models(calibration.model_id), UNMEASURED)
    return _calibrated(models, Modality.FACE, settings)


def test_the_default_pack_brings_its_calibrations_and_thresholds(pack: Pack) -> None:
    for models in (pack.faces, pack.voices):
        assert models.calibration.model_id == models.recogniser.model_id
        assert models.thresholds == thresholds_at(models.calibration)
        assert models.thresholds.model_id == models.recogniser.model_id
    assert (pack.voices.thresholds.alert, pack.voices.thresholds.review) >= (0.62, 0.50)


def test_an_operators_own_calibration_wins(found: Calibration, tmp_path: Path) -> None:
    own = replace(found, data_set="our own people", offset=found.offset - 1, people=500)
    write_calibration(own_path(tmp_path, Modality.FACE, "registry"), own)
    assert of(found, Settings(home=tmp_path)).calibration == own
    assert of(found, Settings(home=tmp_path)).thresholds.data_set == "our own people"
    assert of(found, Settings(home=tmp_path, pack="edgeface")).calibration == found


def test_a_calibration_of_another_model_is_left_alone_with_a_warning(
    found: Calibration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []
    monkeypatch.setattr(
        packs.log, "warning", lambda event, **facts: said.append((event, facts["of"])), raising=False
    )
    own = replace(found, model_id="another@1/x", data_set="our own people")
    write_calibration(own_path(tmp_path, Modality.FACE, "registry"), own)
    assert of(found, Settings(home=tmp_path)).calibration == found
    assert said == [("calibration_of_another_model", "another@1/x")]


def test_a_calibration_of_voices_is_none_of_faces(found: Calibration, tmp_path: Path) -> None:
    write_calibration(own_path(tmp_path, Modality.FACE, "registry"), replace(found, modality=Modality.VOICE))
    assert of(found, Settings(home=tmp_path)).calibration == found


def test_a_broken_calibration_stops_the_program_rather_than_the_alerts(tmp_path: Path) -> None:
    path = own_path(tmp_path, Modality.FACE, "registry")
    path.parent.mkdir()
    path.write_text("{}")
    with pytest.raises(ConfigError, match="no calibration"):
        load_pack(Settings(home=tmp_path))


def test_models_that_nobody_measured_are_not_used_with_thresholds_from_nowhere(tmp_path: Path) -> None:
    models = FaceModels(Models("d"), Models("new@1/x"), UNMEASURED)
    with pytest.raises(ConfigError) as caught:
        _calibrated(models, Modality.FACE, Settings(home=tmp_path))
    assert "likeness calibrate faces" in caught.value.hint


def test_models_that_state_thresholds_keep_them_until_somebody_measures(
    found: Calibration, tmp_path: Path
) -> None:
    stated = replace(UNMEASURED, alert=0.5, review=0.4)
    models = FaceModels(Models("d"), Models("own@1/x"), stated)
    assert _calibrated(models, Modality.FACE, Settings(home=tmp_path)) is models
    own = replace(found, model_id="own@1/x")
    write_calibration(own_path(tmp_path, Modality.FACE, "insightface"), own)
    measured = _calibrated(models, Modality.FACE, Settings(home=tmp_path, pack="insightface"))
    assert measured.thresholds == thresholds_at(own)
