"""Memory files sent to archives, and made again of them, for tests that have what it takes."""

from fleets import everything

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.fleet.pull import Wanted, pull
from gaussvae_ros.fleet.push import push


def pushed(path, archive, robot="r1", **how):
    with MemoryBank(path, readonly=True) as bank:
        return push(bank, archive, robot, **how)


def pulled(archive, path, robots=None):
    with MemoryBank(path) as target:
        pull(archive, target, Wanted(robots))
    return MemoryBank(path, readonly=True)


def same(one: MemoryBank, other: MemoryBank) -> bool:
    """Whether two memories hold the same."""
    infos = one.info(), other.info()
    facts = [{k: v for k, v in info.items() if k not in ("path", "bytes")} for info in infos]
    cameras = [
        [bank.calibration(s["id"], c) for s in info["sessions"] for c in info["cameras"]]
        for bank, info in zip((one, other), infos)
    ]
    models = [[(*m, bank.model(m[0])) for m in bank.models()] for bank in (one, other)]
    return (
        facts[0] == facts[1]
        and everything(one) == everything(other)
        and list(one) == list(other)
        and models[0] == models[1]
        and cameras[0] == cameras[1]
    )
