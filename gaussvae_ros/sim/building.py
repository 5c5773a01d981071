"""The simulated building: a ring corridor with a lounge, a kitchen niche, doors and furniture.

The robot's loop is the centre line of the corridor, 7 x 5 m. x runs east, y north, z up, metres.
"""

import cv2
import numpy as np

from gaussvae_ros.sim import fixtures, textures
from gaussvae_ros.sim.builder import Builder
from gaussvae_ros.sim.camera import LIGHT_SCALE, World, pack_textures
from gaussvae_ros.sim.canvas import HEIGHT

GROUND = (-1.0, -1.0, 12.5, 11.0)  # x0, y0, width, depth of the drawn ground plan, m
LAMPS = np.array(
    [
        (1, 1.2),
        (3.2, 1),
        (5.8, 1),
        (8, 1.2),
        (8, 3.4),
        (8, 6),
        (5.8, 6),
        (4.5, 7.9),
        (3, 6),
        (1, 5.8),
        (1, 3.4),
        (9.8, 3.6),
    ]
)
CREAM, SAGE, SAND, BLUE = (222, 216, 200), (128, 148, 132), (196, 172, 140), (112, 132, 158)
RED, GREEN, NAVY, OAK, WHITE, STEEL = (
    (176, 44, 36),
    (34, 120, 62),
    (40, 58, 104),
    (150, 112, 74),
    (218, 216, 210),
    (148, 152, 158),
)


def build(seed: int) -> World:
    """The world of a seed: the plan is fixed; posters, stains, books and leaves follow the seed."""
    b = Builder(seed)
    _walls(b)
    _furniture(b)
    ground, light = _ground(b)
    floor = b.texture(ground, textures.GROUND_SCALE)
    lamps = LAMPS - GROUND[:2]
    ceiling = b.texture(textures.ceiling(b.rng, GROUND[2], GROUND[3], lamps), textures.GROUND_SCALE)
    texels, mips, density = pack_textures(b.textures)
    return World(
        np.array(b.solids, float),
        np.array(b.faces, np.int64),
        texels,
        mips,
        density,
        light,
        np.array([*GROUND, HEIGHT]),
        floor,
        ceiling,
    )


def _walls(b: Builder) -> None:
    d, w, p, n, r, s = (
        fixtures.door,
        fixtures.window,
        fixtures.poster,
        fixtures.board,
        fixtures.radiator,
        fixtures.sign,
    )
    # outer walls; what hangs on them is measured from the left as seen from the corridor
    b.wall(
        (-0.2, 9.2),
        (-0.2, 0.0),
        {
            3: [
                (w, 1.3, 1.5),
                (r, 1.3, 1.5),
                (p, 3.3, 0.55, "SAFETY"),
                (w, 4.3, 1.6),
                (r, 4.4, 1.4),
                (n, 6.3, 1.0),
                (d, 7.6, "104", OAK),
            ]
        },
        CREAM,
        BLUE,
    )
    b.wall(
        (-0.2, 0.0),
        (0.0, 7.0),
        {
            1: [
                (d, 0.4, "101", NAVY),
                (p, 2.2, 0.6, "ROBOTS"),
                (w, 3.1, 1.3),
                (r, 3.1, 1.3),
                (s, 4.75, "B2", NAVY),
                (d, 5.3, "102", NAVY),
            ]
        },
        CREAM,
        SAGE,
    )
    b.wall(
        (9.0, 9.2),
        (0.0, 2.4),
        {0: [(p, 0.5, 0.6, "ALPS 2019"), (d, 1.25, "105", GREEN)]},
        CREAM,
        SAND,
    )
    b.wall(
        (9.0, 9.2), (4.8, 7.0), {0: [(d, 0.2, "107", GREEN), (p, 1.65, 0.45, "JAZZ")]}, CREAM, SAND
    )
    b.wall((-0.2, 3.0), (7.0, 7.2), {2: [(n, 0.5, 1.2), (d, 1.9, "110", OAK)]}, CREAM, SAGE)
    b.wall(
        (6.0, 9.2),
        (7.0, 7.2),
        {2: [(d, 0.35, "108", OAK), (p, 1.8, 0.6, "OCEAN"), (s, 0.55, "EXIT", GREEN)]},
        CREAM,
        SAND,
    )
    # lounge north of the corridor
    b.wall((2.8, 3.0), (7.2, 9.2), {1: [(p, 0.3, 0.5, "TEA"), (p, 1.1, 0.5, "FILM")]}, SAND, OAK)
    b.wall((6.0, 6.2), (7.2, 9.2), {0: [(n, 0.4, 1.1)]}, SAND, OAK)
    b.wall((2.8, 6.2), (9.2, 9.4), {2: [(w, 0.5, 2.2), (r, 0.6, 2.0)]}, SAND, OAK)
    # kitchen niche east of it
    b.wall((10.6, 10.8), (2.4, 4.8), {0: [(w, 0.6, 1.1)]}, WHITE, WHITE)
    b.wall((9.2, 10.8), (2.2, 2.4), {3: [(p, 0.4, 0.4, "MENU")]}, WHITE, WHITE)
    b.wall((9.2, 10.8), (4.8, 5.0), {2: []}, WHITE, WHITE)
    # the core, two blocks with a passage between
    b.wall(
        (2.0, 4.0),
        (2.0, 5.0),
        {
            0: [(p, 0.4, 0.7, "ORBIT"), (d, 1.6, "121", RED)],
            1: [(s, 0.8, "LAB", RED)],
            2: [(d, 0.3, "120", RED), (p, 1.5, 0.35, "1+1")],
            3: [(n, 0.3, 1.3)],
        },
        CREAM,
        BLUE,
    )
    b.wall(
        (5.2, 7.0),
        (2.0, 5.0),
        {
            0: [(p, 1.0, 0.6, "MOON")],
            1: [(n, 0.3, 1.2), (d, 1.75, "123", NAVY)],
            2: [(p, 0.25, 0.5, "BAUHAUS"), (s, 1.0, "STAIRS", GREEN, 1.6)],
            3: [(d, 0.45, "122", NAVY)],
        },
        CREAM,
        SAGE,
    )


def _furniture(b: Builder) -> None:
    seat, wood = b.panel(1.2, 0.1, RED), b.panel(1.2, 0.5, OAK)
    # lounge: sofa, round table, shelf, plants, pillars at the entrance
    b.box((3.1, 3.9), (7.6, 9.0), (0, 0.42), b.panel(1.4, 0.42, NAVY), b.panel(0.8, 1.4, NAVY))
    b.box((3.02, 3.2), (7.6, 9.0), (0, 0.85), b.panel(1.4, 0.85, NAVY))
    b.cylinder(4.7, 8.2, 0.45, (0.38, 0.43), wood, b.panel(0.9, 0.9, OAK))
    b.cylinder(4.7, 8.2, 0.05, (0, 0.38), b.panel(0.3, 0.4, STEEL))
    b.box((5.68, 6.0), (7.4, 8.9), (0, 1.75), textures.books(b.rng, 1.5, 1.75), wood)
    b.cylinder(3.12, 7.1, 0.14, (0, HEIGHT), b.panel(0.9, HEIGHT, WHITE))
    b.cylinder(5.88, 7.1, 0.14, (0, HEIGHT), b.panel(0.9, HEIGHT, WHITE))
    # kitchen: counter, wall cupboards, fridge
    b.box(
        (10.0, 10.6),
        (2.4, 4.1),
        (0, 0.9),
        b.panel(1.7, 0.9, WHITE, 4),
        b.panel(0.6, 1.7, (92, 92, 96)),
    )
    b.box((10.3, 10.6), (2.4, 3.0), (1.45, 2.1), b.panel(0.6, 0.65, WHITE, 2))
    b.box((10.0, 10.6), (4.12, 4.78), (0, 1.75), b.panel(0.66, 1.75, STEEL, 1))
    b.box(
        (10.15, 10.4),
        (3.3, 3.65),
        (0.9, 1.2),
        b.panel(0.35, 0.3, (40, 40, 44)),
        b.panel(0.25, 0.35, (60, 60, 64)),
    )
    # corridor
    for x, y, length in ((3.1, 0.06, 1.1), (6.4, 6.62, 1.2)):
        b.box((x, x + length), (y, y + 0.34), (0.38, 0.45), seat, wood)
        for leg in (x + 0.08, x + length - 0.14):
            b.box((leg, leg + 0.06), (y + 0.05, y + 0.3), (0, 0.38), b.panel(0.3, 0.38, STEEL))
    b.box(
        (0.02, 0.42), (2.05, 2.95), (0, 1.2), b.panel(0.9, 1.2, STEEL, 2), b.panel(0.4, 0.9, STEEL)
    )
    b.box((0.08, 0.34), (2.2, 2.6), (1.2, 1.45), b.panel(0.4, 0.25, OAK))
    b.box((8.62, 8.98), (6.2, 6.9), (0, 1.83), b.panel(0.7, 1.83, RED, 1))  # vending machine
    b.box((8.6, 8.62), (6.27, 6.83), (0.6, 1.7), textures.books(b.rng, 0.56, 1.1))
    b.box(
        (4.1, 4.5),
        (4.55, 4.95),
        (0, 0.4),
        b.panel(0.4, 0.4, (178, 140, 92)),
        b.panel(0.4, 0.4, (190, 152, 104)),
    )
    b.box(
        (4.15, 4.45),
        (4.6, 4.9),
        (0.4, 0.68),
        b.panel(0.3, 0.28, (170, 132, 86)),
        b.panel(0.3, 0.3, (186, 148, 98)),
    )
    for x, y in ((7.25, 2.2), (1.75, 4.85), (8.75, 2.2)):
        b.cylinder(
            x, y, 0.13, (0, 0.55), b.panel(0.8, 0.55, (70, 76, 84)), b.panel(0.3, 0.3, (24, 24, 26))
        )
    for x, y in ((1.88, 3.4), (7.1, 4.0)):
        b.cylinder(
            x, y, 0.075, (0.25, 0.8), b.panel(0.5, 0.55, RED), b.panel(0.2, 0.2, (30, 30, 30))
        )
    for x, y in ((0.4, 6.6), (8.6, 0.4), (5.3, 8.85), (0.4, 0.4), (9.45, 4.55)):
        b.cylinder(
            x,
            y,
            0.17,
            (0, 0.38),
            b.panel(1.0, 0.38, (168, 96, 66)),
            b.panel(0.3, 0.3, (58, 42, 32)),
        )
        green = textures.leaves(b.rng, 0.9, 1.0)
        b.box((x - 0.4, x + 0.4), (y - 0.004, y + 0.004), (0.34, 1.3), green)
        b.box((x - 0.004, x + 0.004), (y - 0.4, y + 0.4), (0.34, 1.3), green)


def _ground(b: Builder) -> tuple[np.ndarray, np.ndarray]:
    """The floor's picture with tape, mats and contact shadows, and the lamps' light on the plan."""
    x0, y0, width, depth = GROUND
    floor = textures.floor(b.rng, width, depth)
    ring = [(0.45, 0.45), (8.55, 0.45), (8.55, 6.55), (0.45, 6.55), (0.45, 0.45)]
    for (ax, ay), (bx, by) in zip(ring, ring[1:]):
        textures.stripe(floor, ax - x0, ay - y0, bx - x0, by - y0, (206, 174, 48))
    scale = textures.GROUND_SCALE
    for mx, my, mw, md, colour in (
        (7.6, 0.1, 1.0, 0.6, (70, 64, 60)),
        (3.2, 7.5, 2.4, 1.6, (120, 62, 54)),
        (9.1, 2.5, 0.8, 2.2, (176, 180, 178)),
    ):
        mat = floor[
            int((my - y0) * scale) : int((my + md - y0) * scale),
            int((mx - x0) * scale) : int((mx + mw - x0) * scale),
            :3,
        ]
        mat[:] = np.clip(np.array(colour) + b.rng.normal(0, 12, mat.shape[:2])[..., None], 0, 255)
    free = np.full(floor.shape[:2], 255, np.uint8)
    for _, ax, bx, ay, by, z0, _ in b.solids:
        if z0 < 0.5:
            corners = [
                (int((ax - x0) * scale), int((ay - y0) * scale)),
                (int((bx - x0) * scale), int((by - y0) * scale)),
            ]
            cv2.rectangle(free, *corners, 0, -1)
    distance = cv2.distanceTransform(free, cv2.DIST_L2, 5) / scale  # m to the nearest solid
    floor[..., :3] = floor[..., :3] * (1 - 0.42 * np.exp(-distance / 0.16))[..., None]

    cells = (np.mgrid[: int(depth * LIGHT_SCALE), : int(width * LIGHT_SCALE)] + 0.5) / LIGHT_SCALE
    gx, gy = cells[1] + x0, cells[0] + y0
    lamps = sum(0.5 / (1 + ((gx - lx) ** 2 + (gy - ly) ** 2) / 1.1) for lx, ly in LAMPS)
    return floor, (0.48 + 0.9 * lamps).astype(np.float32)
