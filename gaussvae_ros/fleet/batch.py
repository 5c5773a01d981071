"""Work on all records of an archive, shared out by Ray."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.compile import warm_up
from gaussvae_ros.fleet.archive import Archive, Manifest
from gaussvae_ros.fleet.pull import memories
from gaussvae_ros.fleet.running import LOCAL, connected, mapped
from gaussvae_ros.fleet.units import Job, Unit, Work, units


@dataclass(frozen=True)
class Cluster:
    """Where work is done."""

    address: str = LOCAL  # as `running.connected` takes it
    jobs: int | None = None  # workers at a time, at most


def run(
    job: Job,
    source: Archive,
    target: Archive,
    robots: Sequence[str] | None = None,
    cluster: Cluster = Cluster(),
    progress: Callable[[int], object] = lambda frames: None,
) -> list[tuple[Unit, dict]]:
    """Do a job on the records of all robots, or of some, where it is not done yet. Results of
    frames that the archive has no more are removed.

    Returns what each unit gave (`units.Work`), in the order of the archive, whatever the number of
    workers. `progress` is called with each count of frames.

    Raises:
        FleetError: the archive cannot be read, it has no such robot or no frames, no Ray.
    """
    known = memories(source, robots)
    todo, found = list(units(known)), []
    if cluster.address == LOCAL:
        warm_up(FrameCodec(device="cpu"))  # so that not every worker compiles the same
    with connected(cluster.address, cluster.jobs):
        for unit, made in zip(todo, mapped(Work(job, source.url, target.url), todo, cluster.jobs)):
            found.append((unit, made))
            progress(unit.rows)
    for manifest in known:
        _sweep(job, target, manifest, found)
    return found


def _sweep(job: Job, target: Archive, manifest: Manifest, found: list[tuple[Unit, dict]]) -> None:
    """Remove what was made of a memory's frames that the archive has no more, if all is known."""
    made = [m for u, m in found if (u.robot, u.bank) == (manifest.robot, manifest.bank)]
    if any("error" in one for one in made):
        return
    kept = {one["path"].partition("/")[2] for one in made}
    for table in (job.table, *job.beside):
        for path in target.paths(f"{table}/robot={manifest.robot}"):
            name = path.rpartition("/")[2]
            if name.startswith(f"{manifest.bank}-") and path.partition("/")[2] not in kept:
                target.remove(path)
