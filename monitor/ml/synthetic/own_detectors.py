"""An operator's own detectors of made media: added by a folder of manifests, without touching code.

Each becomes a signal `own:NAME`. What it says is counted as that of a weak signal (fusing.py), and only
where its manifest says what its scores mean; else it is shown beside the rest and never counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor import log as logs
from monitor.errors import DetectorInvalid
from monitor.ml.synthetic.own_inputs import pieces
from monitor.ml.synthetic.own_manifest import Graph, read_manifest
from monitor.ml.synthetic.own_runners import Away, open_graph, open_service
from monitor.values import Abstention, Signal

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.ml.sessions import Device
    from monitor.ml.synthetic.interfaces import Sighting
    from monitor.ml.synthetic.own_manifest import Manifest
    from monitor.ml.synthetic.own_runners import Runner

MOST_DETECTORS: Final = 20
"""Detectors of one folder: each takes its time with every sighting."""

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class OwnDetector:
    """A Scorer around one detector of the operator's own. Safe for threads."""

    manifest: Manifest
    runner: Runner

    @property
    def name(self) -> str:
        """Its name, marked as the operator's own."""
        return f"own:{self.manifest.name}"

    def assess(self, sighting: Sighting) -> Signal:
        """Ask it about the best pieces of a sighting, and take the middle of its answers."""
        given = pieces(sighting, self.manifest.input)
        if isinstance(given, Abstention):
            return self._silent(given)
        try:
            scores = [self.runner.score(piece) for piece in given]
            llr = float(np.median([self.manifest.scale.llr(score) for score in scores]))
        except (Away, ValueError) as exc:
            log.warning("own_detector_away", detector=self.manifest.name, why=str(exc))
            late = isinstance(exc, Away) and exc.late
            return self._silent(Abstention.TOO_LATE if late else Abstention.FAILED)
        return Signal(
            name=self.name,
            version=self.manifest.version,
            aspect=self.manifest.aspect,
            llr=llr if self.manifest.scale.counted else 0.0,
            reasons=(self._reason(scores),),
            limits=self.manifest.limits,
            shown_only=not self.manifest.scale.counted,
        )

    def _silent(self, why: Abstention) -> Signal:
        manifest = self.manifest
        return Signal(self.name, manifest.version, manifest.aspect, abstains=why, limits=manifest.limits)

    def _reason(self, scores: list[float]) -> str:
        middle, count = float(np.median(scores)), len(scores)
        way = "made by a computer" if self.manifest.scale.sign > 0 else "genuine"
        of = "one piece" if count == 1 else f"{count} pieces"
        said = f"The operator's own detector “{self.manifest.name}” gave {middle:.3g} for {of} of it"
        said += f" (higher means {way})."
        return (
            said if self.manifest.scale.counted else f"{said} What that means was not measured: not counted."
        )


def open_own_detectors(folder: Path | None, device: Device) -> tuple[OwnDetector, ...]:
    """Open every detector of a folder, in order of name. None: the operator has none.

    Raises DetectorInvalid for a folder or manifest that is wrong, DeviceMissing.
    """
    if folder is None:
        return ()
    if not folder.is_dir():
        msg = f"LIKENESS_DETECTORS: {folder} is no folder"
        raise DetectorInvalid(msg, hint="Name the folder that holds your manifests (*.toml).")
    paths = sorted(folder.glob("*.toml"))
    if len(paths) > MOST_DETECTORS:
        msg = f"LIKENESS_DETECTORS: {len(paths)} manifests are more than the {MOST_DETECTORS} that are run"
        raise DetectorInvalid(msg, hint="Each takes its time with every sighting. Keep the best.")
    found = tuple(open_own_detector(read_manifest(path), device) for path in paths)
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"LIKENESS_DETECTORS: two manifests have the name {twice[0].removeprefix('own:')!r}"
        raise DetectorInvalid(msg, hint="Give each its own name.")
    return found


def open_own_detector(manifest: Manifest, device: Device) -> OwnDetector:
    """Open one detector. Raises DetectorInvalid, DeviceMissing."""
    runs = manifest.runs
    if isinstance(runs, Graph):
        return OwnDetector(manifest, open_graph(manifest, runs, device))
    return OwnDetector(manifest, open_service(manifest, runs))
