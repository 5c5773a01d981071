"""What a simulated world is put together with: boxes, cylinders, walls and their pictures."""

import numpy as np

from gaussvae_ros.sim import textures
from gaussvae_ros.sim.camera import BOX, CYLINDER
from gaussvae_ros.sim.canvas import HEIGHT, SCALE


class Builder:
    """Collects solids and their textures."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.textures: list[tuple[np.ndarray, float]] = []
        self.solids: list[tuple] = []
        self.faces: list[list[int]] = []

    def texture(self, image: np.ndarray, density: float = SCALE) -> int:
        self.textures.append((image, density))
        return len(self.textures) - 1

    def box(
        self,
        x: tuple,
        y: tuple,
        z: tuple,
        sides: np.ndarray | dict[int, np.ndarray],
        top: np.ndarray | None = None,
    ) -> None:
        """A box; `sides`: one picture for all, or one each for some of -x, +x, -y, +y (0 to 3)."""
        images = sides if isinstance(sides, dict) else dict.fromkeys(range(4), sides)
        known = {id(image): self.texture(image) for image in images.values()}
        row = [
            known[id(images[i])] if i in images else next(iter(known.values())) for i in range(4)
        ]
        self.solids.append((BOX, *x, *y, *z))
        self.faces.append([*row, row[0] if top is None else self.texture(top)])

    def cylinder(
        self,
        x: float,
        y: float,
        radius: float,
        z: tuple,
        skin: np.ndarray,
        top: np.ndarray | None = None,
    ) -> None:
        side = self.texture(skin)
        self.solids.append((CYLINDER, x - radius, x + radius, y - radius, y + radius, *z))
        self.faces.append([side, side, side, side, side if top is None else self.texture(top)])

    def wall(self, x: tuple, y: tuple, faces: dict[int, list], colour: tuple, dado: tuple) -> None:
        """A wall to the ceiling; `faces` says what hangs on its sides -x, +x, -y, +y (0 to 3)."""
        length = {0: y[1] - y[0], 1: y[1] - y[0], 2: x[1] - x[0], 3: x[1] - x[0]}
        # The rest is never seen.
        faces = {i: faces.get(i, []) for i in range(4) if i in faces or length[i] < 1}
        pictures = {
            i: textures.wall(self.rng, length[i], colour, dado, things)
            for i, things in faces.items()
        }
        self.box(x, y, (0, HEIGHT), pictures)

    def panel(self, width: float, height: float, colour: tuple, seams: int = 0) -> np.ndarray:
        return textures.panel(self.rng, width, height, colour, seams)
