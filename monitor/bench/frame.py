"""What a bench is given, and what it gives: figures with bounds, and all that is needed to repeat it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from monitor.settings import Settings


@dataclass(frozen=True, slots=True)
class Request:
    """One run of a bench.

    `data` is the folder to measure on (None where a bench makes its own); `seed` fixes every random choice;
    `limit` is how many items are taken at most, 0 for all; `progress` is told what is being done, how many
    items are done and how many there are. `errata` says whether known wrong labels are put right,
    `plots` whether curves are drawn. `voices` is a folder of recordings, for a bench that takes both.
    """

    settings: Settings
    data: Path | None
    seed: int
    limit: int
    progress: Callable[[str, int, int], None]
    errata: bool = True
    plots: bool = False
    voices: Path | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. `low` and `high` bound it with 95 % confidence; `n` says of how many things.

    Where there is nothing to bound (a count, a peak), `low` and `high` are the value itself.
    """

    value: float
    low: float
    high: float
    n: int
    unit: str

    @classmethod
    def exact(cls, value: float, unit: str, n: int = 1) -> Figure:
        """Give a number that has no spread."""
        return cls(value, value, value, n, unit)


@dataclass(frozen=True, slots=True)
class Result:
    """All figures of one run, and what they were measured with.

    `pack` names the model pack, where one was used. `table` is the same for people, as Markdown; `plots` are
    pictures by file name, the words for those who cannot see them beside (`NAME.txt`).
    """

    name: str
    figures: Mapping[str, Figure]
    data_set: str
    seed: int
    device: str
    model_ids: tuple[str, ...]
    date: str
    pack: str = ""
    table: str = ""
    plots: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def today(
        cls,
        name: str,
        figures: Mapping[str, Figure],
        request: Request,
        device: str,
        model_ids: tuple[str, ...],
    ) -> Result:
        """Put a result together that was measured just now."""
        data_set = request.data.resolve().name if request.data else name
        date = datetime.now(UTC).date().isoformat()
        if not request.errata:
            data_set += ", labels as they came"
        return cls(name, figures, data_set, request.seed, device, model_ids, date, request.settings.pack)

    def as_json(self) -> str:
        """Write the flat object `figures` beside what is needed to repeat it."""
        said = {name: value for name, value in asdict(self).items() if name not in {"table", "plots"}}
        return json.dumps(said, indent=2, sort_keys=True) + "\n"
