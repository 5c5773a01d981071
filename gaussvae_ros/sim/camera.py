"""What the simulated camera sees: rays through boxes and cylinders, and the flaws of a sensor.

The camera stays level, so all pixels of a column look along one line of the floor plan: which
objects that line crosses is solved once a column, and a pixel only checks their heights. Textures
are sampled trilinearly from mip maps (Williams 1983).
"""

from dataclasses import dataclass
from math import log2

import cv2
import numpy as np

from gaussvae_ros.kernels import inline, kernel, parallel, prange

LEVELS = 7
MAX_HITS = 48  # objects along one line; there are fewer in the world
BOX, CYLINDER = 0, 1
LIGHT_SCALE = 10  # cells per metre of World.light
# Faces towards -x, +x, -y, +y and up, as if lit unevenly.
SIDE_LIGHT = np.array([0.90, 0.84, 1.0, 0.95, 1.06])


@dataclass(frozen=True)
class World:
    """All that the rays can meet, as arrays for the kernel."""

    solids: np.ndarray  # float64 [N, 7] kind, x0, x1, y0, y1, z0, z1 m
    # int64 [N, 5] texture of the faces towards -x, +x, -y, +y and up (cylinder: first and last).
    faces: np.ndarray
    texels: np.ndarray  # uint8 [T, 4] RGB and mask of all mip levels
    mips: np.ndarray  # int64 [K, LEVELS, 3] first texel, width, height
    density: np.ndarray  # float64 [K] texels per metre
    light: np.ndarray  # float32 [h, w] brightness over the ground plan
    # float64 [5] x0, y0, width, depth of the ground plan and height of the ceiling, m.
    ground: np.ndarray
    floor: int  # its texture
    ceiling: int


def pack_textures(
    textures: list[tuple[np.ndarray, float]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Textures (uint8 [h, w, 4], texels per metre) as `texels`, `mips` and `density` of a World."""
    texels, mips, start = [], np.zeros((len(textures), LEVELS, 3), np.int64), 0
    for k, (image, _) in enumerate(textures):
        for level in range(LEVELS):
            h, w = image.shape[:2]
            mips[k, level] = start, w, h
            texels.append(image.reshape(-1, 4))
            start += h * w
            image = cv2.resize(
                image, (max(w // 2, 1), max(h // 2, 1)), interpolation=cv2.INTER_AREA
            )
    return np.concatenate(texels), mips, np.array([density for _, density in textures])


def render(
    world: World, x: float, y: float, z: float, yaw: float, size: tuple[int, int], focal: float
) -> np.ndarray:
    """A view without noise, float32 [h, w, 3] RGB 0 to 255, from x, y, z (m) along `yaw` (rad).

    `size` is (w, h) px, `focal` px; the principal point is the image's centre.
    """
    w, h = size
    out = np.empty((w, h, 3), np.float32)
    _cast(
        float(x),
        float(y),
        float(z),
        float(yaw),
        float(focal),
        world.solids,
        world.faces,
        world.texels,
        world.mips,
        world.density,
        world.light,
        world.ground,
        world.floor,
        world.ceiling,
        out,
    )
    return np.ascontiguousarray(out.transpose(1, 0, 2))


class Sensor:
    """Vignetting, motion blur in turns, shot and read noise; the same for the same seed."""

    def __init__(self, size: tuple[int, int], focal: float, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._noise = self._rng.standard_normal((size[1] + 256, size[0] + 256, 3), np.float32)
        col, row = np.arange(size[0]) - size[0] / 2, np.arange(size[1]) - size[1] / 2
        cos2 = focal**2 / (focal**2 + col**2 + row[:, None] ** 2)
        self._vignette = np.float32(0.55 + 0.45 * cos2)[..., None]

    def expose(self, light: np.ndarray, turned: float) -> np.ndarray:
        """A frame, uint8 [h, w, 3], of a view [h, w, 3] that moves sideways by `turned` px."""
        image = light * self._vignette
        if turned > 1.5:
            image = cv2.blur(image, (int(round(turned)), 1))
        h, w = image.shape[:2]
        top, left = self._rng.integers(0, 256, 2)
        image += (1.1 + 0.014 * image) * self._noise[top : top + h, left : left + w]
        return np.clip(image, 0, 255, out=image).astype(np.uint8)


@parallel(fastmath=True)
def _cast(
    cx, cy, cz, yaw, focal, solids, faces, texels, mips, density, light, ground, floor, ceiling, out
):
    width, height = out.shape[:2]
    for col in prange(width):
        right = (col + 0.5 - width / 2) / focal
        # 1 m ahead at t = 1.
        dx, dy = np.cos(yaw) + right * np.sin(yaw), np.sin(yaw) - right * np.cos(yaw)
        ids, near, far = np.empty(MAX_HITS, np.int64), np.empty(MAX_HITS), np.empty(MAX_HITS)
        side, across = np.empty(MAX_HITS, np.int64), np.empty(MAX_HITS)
        count = 0
        for i in range(len(solids)):
            t0, t1, face, u = _cross(solids, i, cx, cy, dx, dy)
            if t0 > 0.02 and t1 > t0 and count < MAX_HITS:
                k = count
                while k > 0 and near[k - 1] > t0:  # insertion sort, nearest first
                    near[k], far[k], ids[k], side[k], across[k] = (
                        near[k - 1],
                        far[k - 1],
                        ids[k - 1],
                        side[k - 1],
                        across[k - 1],
                    )
                    k -= 1
                near[k], far[k], ids[k], side[k], across[k] = t0, t1, i, face, u
                count += 1
        for row in range(height):
            dz = -(row + 0.5 - height / 2) / focal
            flat = floor if dz < 0 else ceiling
            end = -cz / dz if dz < 0 else (ground[4] - cz) / max(dz, 1e-9)
            shade, on = 1.0, -1
            for k in range(count):
                if near[k] >= end:
                    break
                i = ids[k]
                z = cz + near[k] * dz
                if solids[i, 5] <= z <= solids[i, 6]:
                    texture = faces[i, side[k]]
                    v = (solids[i, 6] - z) / (solids[i, 6] - solids[i, 5])
                    lod = log2(max(near[k] / focal * density[texture], 1e-6)) + 0.35
                    r, g, b, a = _sample(texels, mips, texture, across[k], v, lod)
                    if a > 0.5:
                        low = 1 - 0.3 * np.exp(-z / 0.12) - 0.22 * np.exp(-(ground[4] - z) / 0.25)
                        lit = _lit(light, ground, cx + near[k] * dx, cy + near[k] * dy)
                        shade = (
                            low
                            * lit
                            * (
                                SIDE_LIGHT[side[k]]
                                if solids[i, 0] == BOX
                                else 0.8 + 0.2 * np.sin(2 * np.pi * across[k])
                            )
                        )
                        out[col, row, 0], out[col, row, 1], out[col, row, 2] = (
                            shade * r,
                            shade * g,
                            shade * b,
                        )
                        on, end = -2, near[k]
                        break
                elif z > solids[i, 6] and dz < 0:
                    t = (solids[i, 6] - cz) / dz
                    if near[k] < t < far[k] and t < end:
                        on, end = ids[k], t
            if on == -2:
                continue
            x, y = cx + end * dx, cy + end * dy
            if on >= 0:
                i = on
                u, v, texture = (
                    (x - solids[i, 1]) / (solids[i, 2] - solids[i, 1]),
                    (y - solids[i, 3]) / (solids[i, 4] - solids[i, 3]),
                    faces[on, 4],
                )
                shade = SIDE_LIGHT[4] * _lit(light, ground, x, y)
            else:
                u, v, texture = (x - ground[0]) / ground[2], (y - ground[1]) / ground[3], flat
                shade = _lit(light, ground, x, y) if dz < 0 else 1.0
            # A grazing view stretches the pixel: between its long and its short side.
            slope = max(abs(dz), 0.02)
            lod = log2(max(end / focal * density[texture] / np.sqrt(slope), 1e-6))
            r, g, b, a = _sample(texels, mips, texture, u, v, lod)
            out[col, row, 0], out[col, row, 1], out[col, row, 2] = shade * r, shade * g, shade * b


@inline
def _cross(solids, i, cx, cy, dx, dy):
    """Where a line of the plan enters and leaves a solid: sides, and fractions of their widths."""
    if solids[i, 0] == CYLINDER:
        radius = (solids[i, 2] - solids[i, 1]) / 2
        ox, oy = cx - (solids[i, 1] + solids[i, 2]) / 2, cy - (solids[i, 3] + solids[i, 4]) / 2
        a, b, c = dx * dx + dy * dy, ox * dx + oy * dy, ox * ox + oy * oy - radius * radius
        root = b * b - a * c
        if root <= 0:
            return 1.0, 0.0, 0, 0.0
        t0, t1 = (-b - np.sqrt(root)) / a, (-b + np.sqrt(root)) / a
        return t0, t1, 0, (np.arctan2(oy + t0 * dy, ox + t0 * dx) / (2 * np.pi)) % 1.0
    ix, iy = 1 / (dx if abs(dx) > 1e-12 else 1e-12), 1 / (dy if abs(dy) > 1e-12 else 1e-12)
    ax, bx = (solids[i, 1] - cx) * ix, (solids[i, 2] - cx) * ix
    ay, by = (solids[i, 3] - cy) * iy, (solids[i, 4] - cy) * iy
    in_x, out_x, in_y, out_y = min(ax, bx), max(ax, bx), min(ay, by), max(ay, by)
    if in_x > in_y:
        u = (cy + in_x * dy - solids[i, 3]) / (solids[i, 4] - solids[i, 3])
        return in_x, min(out_x, out_y), 0 if dx > 0 else 1, 1 - u if dx > 0 else u
    u = (cx + in_y * dx - solids[i, 1]) / (solids[i, 2] - solids[i, 1])
    return in_y, min(out_x, out_y), 2 if dy > 0 else 3, u if dy > 0 else 1 - u


@inline
def _lit(light, ground, x, y):
    u = min(max((x - ground[0]) * LIGHT_SCALE - 0.5, 0.0), light.shape[1] - 1.001)
    v = min(max((y - ground[1]) * LIGHT_SCALE - 0.5, 0.0), light.shape[0] - 1.001)
    col, row = int(u), int(v)
    fx, fy = u - col, v - row
    upper = (1 - fx) * light[row, col] + fx * light[row, col + 1]
    lower = (1 - fx) * light[row + 1, col] + fx * light[row + 1, col + 1]
    return (1 - fy) * upper + fy * lower


@kernel(fastmath=True)
def _sample(texels, mips, texture, u, v, lod):
    """RGB 0 to 255 and mask 0 to 1 of a texture at fractions u, v of its width and height."""
    lod = min(max(lod, 0.0), LEVELS - 1.001)
    level = int(lod)
    r = g = b = a = 0.0
    for step in range(2):
        part = lod - level if step else 1 - (lod - level)
        start, w, h = (
            mips[texture, level + step, 0],
            mips[texture, level + step, 1],
            mips[texture, level + step, 2],
        )
        x, y = min(max(u * w - 0.5, 0.0), w - 1.0), min(max(v * h - 0.5, 0.0), h - 1.0)
        x0, y0 = int(x), int(y)
        x1, y1 = min(x0 + 1, w - 1), min(y0 + 1, h - 1)
        fx, fy = x - x0, y - y0
        for tx, ty, weight in (
            (x0, y0, (1 - fx) * (1 - fy)),
            (x1, y0, fx * (1 - fy)),
            (x0, y1, (1 - fx) * fy),
            (x1, y1, fx * fy),
        ):
            texel = start + ty * w + tx
            weight *= part
            r += weight * texels[texel, 0]
            g += weight * texels[texel, 1]
            b += weight * texels[texel, 2]
            a += weight * texels[texel, 3]
    full = 255 / max(a, 1.0)  # colours without the holes' share
    return r * full, g * full, b * full, a / 255
