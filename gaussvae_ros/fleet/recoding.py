"""An archive's records encoded again at a coarser quality, as an archive of its own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import ClassVar

import pyarrow as pa

from gaussvae_ros.bank import Frame
from gaussvae_ros.bank.bulk import Whole
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import FleetError, GaussVaeError, ModelError
from gaussvae_ros.fleet import schema
from gaussvae_ros.fleet.archive import Archive, Manifest, Part
from gaussvae_ros.fleet.units import Made, Records, Unit, note
from gaussvae_ros.maintenance.coarsening import Coarsening
from gaussvae_ros.maintenance.needed_models import model_of
from gaussvae_ros.record import unpack
from gaussvae_ros.vae.models import compact


@dataclass(frozen=True)
class Reencode:
    """The frames of a unit with coarser records; those that are coarse, or that do not decode,
    keep what they have.
    """

    quality: float
    effort: str = "fast"
    table: ClassVar[str] = "records"
    beside: ClassVar[tuple] = ("frames",)
    how: ClassVar[dict] = schema.RECORDS_HOW

    def settings(self, unit: Unit) -> dict:
        """What results of a unit depend on besides its records."""
        return {"quality": self.quality, "effort": self.effort}

    def __call__(
        self, codec: FrameCodec, source: Archive, target: Archive, records: Records
    ) -> Made:
        """Encode a unit again, and write its frames to `target`; the table has its records."""
        unit, recode = records.unit, Coarsening(codec, self.quality, self.effort)
        frames = source.read_group(unit.path("frames"), unit.group)
        rows = {row.id: row for row in schema.rows_of(frames, records.table, len(records.table))}
        failed, changed, bytes_before = [], 0, sum(len(row.data) for row in rows.values())
        for family in _families(rows.values()):
            try:
                made = recode.made([_frame(row) for row in family])
            except GaussVaeError as error:
                failed.append((family[0].id, str(error)))
                made = {}
            for row in family:
                rows[row.id] = _changed(row, made, rows) if made else _freed(row, family)
            changed += len(made)
        kept = list(rows.values())
        needed = sorted({hash_ for row in kept if (hash_ := model_of(row.data))})
        models = [hash_.hex() for hash_ in needed if _carry(source, target, codec, hash_)]
        name = unit.made("frames", kept[0].id)
        target.write(name, schema.frames_table(unit.bank, kept), **schema.FRAMES_HOW)
        size = sum(len(row.data) for row in kept)
        figures = {"reencoded": changed, "bytes_before": bytes_before, "bytes": size}
        figures |= {"first": kept[0].id, "last": kept[-1].id, "models": models}
        return Made(schema.records_table(unit.bank, kept, len(kept)), figures, failed)


def check(target: Archive) -> None:
    """Raise FleetError if an archive is there that was not made by `Reencode`."""
    for manifest in target.manifests():
        parts = (part.path("records", manifest.robot, manifest.bank) for part in manifest.parts)
        if not all(note(target, path) for path in islice(parts, 1)):
            raise FleetError(
                f"{target.url}: robots push to this archive: choose another for coarser records"
            )


def publish(
    source: Archive,
    target: Archive,
    manifests: Iterable[Manifest],
    done: Sequence[tuple[Unit, dict]],
) -> None:
    """Say in `target` which frames it has, once all that was `done` is there, and copy their
    sessions.
    """
    for manifest in manifests:
        parts, models = [], set()
        for unit, made in done:
            if (unit.robot, unit.bank) == (manifest.robot, manifest.bank) and "error" not in made:
                range_ = made["first"], made["last"], made["rows"], made["bytes"]
                parts.append(Part(unit.part.day, *range_, unit.part.version))
                models |= set(made["models"])
        sessions = f"sessions/robot={manifest.robot}/{manifest.bank}.parquet"
        target.write(sessions, source.read(sessions))
        target.publish_manifest(
            replace(manifest, parts=parts, models=sorted(models), pieces={}, state=[])
        )


def _families(rows: Iterable[Whole]) -> list[list[Whole]]:
    """Frames whose records need each other, the one that the others need first."""
    found: dict[int, list[Whole]] = {}
    root: dict[int, int] = {}
    for row in rows:
        root[row.id] = root.get(row.reference, row.id)
        found.setdefault(root[row.id], []).append(row)
    return list(found.values())


def _frame(row: Whole) -> Frame:
    return Frame(
        row.id,
        row.stamp_ns,
        row.camera,
        row.session,
        row.size,
        row.tier,
        row.label,
        None,
        row.data,
        reference=row.reference,
        needed=row.needed,
    )


def _changed(row: Whole, made: dict, rows: dict[int, Whole]) -> Whole:
    """A frame with its new record; those that it needs were changed before."""
    data, reference = made[row.id]
    needed = () if reference is None else (*rows[reference].needed, rows[reference].data)
    return row._replace(data=data, reference=reference, needed=needed, tier=unpack(data).tier)


def _freed(row: Whole, family: list[Whole]) -> Whole:
    """A frame as it is; one whose reference is not among these, and may get another record, refers
    to none of the archive: it has what it needs beside it.
    """
    outside = row.reference is not None and all(row.reference != one.id for one in family)
    return row._replace(reference=-abs(row.reference)) if outside else row


def _carry(source: Archive, target: Archive, codec: FrameCodec, hash_: bytes) -> bool:
    """Let `target` carry a model that its records need. Returns False if it is nowhere."""
    path = f"models/{hash_.hex()}.parquet"
    if target.paths(path):
        return True
    if source.paths(path):
        target.write(path, source.read(path))
        return True
    try:
        model = codec.models.get(hash_)
    except ModelError:
        return False
    row = {"hash": hash_, "name": model.name, "model": compact(model, hash_)}
    target.write(path, pa.Table.from_pylist([row], schema.MODELS))
    return True
