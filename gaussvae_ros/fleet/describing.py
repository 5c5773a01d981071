"""Descriptors of places for the frames of an archive that have none, or an earlier kind."""

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.fleet.archive import Archive
from gaussvae_ros.fleet.units import FRAME, Made, Records, Unit, table
from gaussvae_ros.maintenance.redescribing import is_of_places
from gaussvae_ros.recognition.places import describe_record

DESCRIBED = pa.schema([*FRAME, ("descriptor", pa.binary()), ("error", pa.string())])


@dataclass(frozen=True)
class Describe:
    """A row for each of those frames: the descriptor of its record, or why there is none."""

    table: ClassVar[str] = "described"
    beside: ClassVar[tuple] = ()
    how: ClassVar[dict] = {"compression": "zstd"}

    def settings(self, unit: Unit) -> dict:
        """What results of a unit depend on besides its records."""
        return {}

    def __call__(
        self, codec: FrameCodec, source: Archive, target: Archive, records: Records
    ) -> Made:
        """Describe the frames of a unit."""
        rows, failed = [], []
        descriptors = records.table.column("descriptor").to_pylist()
        for number, chain, descriptor in zip(records.ids, records.chains, descriptors):
            if is_of_places(descriptor):
                continue
            try:
                rows.append((number, describe_record(codec, chain).tobytes(), None))
            except GaussVaeError as error:
                failed.append((number, str(error)))
                rows.append((number, None, str(error)))
        figures = {"described": len(rows) - len(failed)}
        return Made(table(records.unit, rows, DESCRIBED), figures, failed)
