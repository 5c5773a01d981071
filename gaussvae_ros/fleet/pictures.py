"""Pictures that an archive's records show, as files to learn from."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.files import write_file, write_image
from gaussvae_ros.fleet.archive import Archive
from gaussvae_ros.fleet.running import mapped
from gaussvae_ros.fleet.units import Unit, codec_of, opened, read, units

PROBLEMS = "problems.json"


@dataclass(frozen=True)
class Draw:
    """Draws frames of a unit into a folder of its own, which appears when it is whole: of each
    camera one in `every`, or one in `interval` seconds where that is None.
    """

    source: str  # URL
    folder: Path
    every: int | None
    interval: float  # s

    def __call__(self, unit: Unit) -> list[tuple[str, str]]:
        """Draw them, unless they are there. Returns what failed, (what, why)."""
        name = f"{unit.bank}-{unit.part.first:012d}-{unit.group:05d}"
        place = self.folder / unit.robot / unit.part.day / name
        if not place.exists():
            draft = place.with_name(f".{name}")
            shutil.rmtree(draft, ignore_errors=True)  # of a worker that was lost
            draft.mkdir(parents=True)
            problems = self._draw(unit, draft)
            write_file(draft / PROBLEMS, json.dumps(problems).encode())
            draft.rename(place)
        return [tuple(problem) for problem in json.loads((place / PROBLEMS).read_text())]

    def _draw(self, unit: Unit, folder: Path) -> list[tuple[str, str]]:
        problems, source = [], opened(self.source)
        try:
            records = read(source, unit)
            facts = source.read_group(
                unit.path("frames"), unit.group, ["id", "stamp_ns", "camera"]
            ).to_pylist()
        except GaussVaeError as error:
            return [(f"{unit.robot}: {unit.rows} frames", str(error))]
        chains = dict(zip(records.ids, records.chains))
        for frame in self._chosen([frame for frame in facts if frame["id"] in chains]):
            number = frame["id"]
            try:
                image = codec_of(self.source).decode(chains[number])
            except GaussVaeError as error:
                problems.append((f"{unit.robot}: frame {number} of {unit.bank}", str(error)))
            else:
                camera = folder / quote(frame["camera"], safe="")
                camera.mkdir(exist_ok=True)
                write_image(camera / f"{number:012d}.png", image)
        return problems

    def _chosen(self, frames: list[dict]) -> list[dict]:
        found, numbers, kept_ns = [], {}, {}
        for frame in frames:
            camera, stamp = frame["camera"], frame["stamp_ns"]
            number = numbers[camera] = numbers.get(camera, -1) + 1
            late = abs(stamp - kept_ns.get(camera, stamp)) >= self.interval * 1e9
            if number % self.every == 0 if self.every else late or camera not in kept_ns:
                kept_ns[camera] = stamp
                found.append(frame)
        return found


def draw(
    source: Archive,
    manifests: list,
    folder: Path,
    every: int | None,
    interval: float,
    jobs: int | None = None,
    progress: Callable[[int], object] = lambda frames: None,
) -> list[tuple[str, str]]:
    """Draw frames of memories into a folder that all workers reach, robot by robot. Returns what
    failed, (what, why).
    """
    todo, problems = list(units(manifests)), []
    for unit, failed in zip(todo, mapped(Draw(source.url, folder, every, interval), todo, jobs)):
        problems += failed
        progress(unit.rows)
    return problems
