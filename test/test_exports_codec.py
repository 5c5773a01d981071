"""Exports of real records: the pictures that were stored, and what they share is decoded once."""

import os

import numpy as np
from exporting import START, STEP, write
from moving import drive, sequence
from PIL import Image

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.cli.bank_copies import REMEMBER
from gaussvae_ros.codec import FrameCodec


def test_what_frames_share_is_decoded_once(tmp_path, monkeypatch):
    codec = FrameCodec(device="cpu", remember=REMEMBER)
    images = drive(8)
    ids: dict[tuple[bytes, ...], int] = {}
    with MemoryBank(tmp_path / "memory.db") as bank:
        for i, chain in enumerate(sequence(codec, images)):
            *needed, data = chain
            reference = ids[tuple(needed)] if needed else None
            ids[tuple(chain)] = bank.add(data, stamp_ns=START + i * STEP, reference=reference)
    alone = sum(len(chain) == 1 for chain in ids)
    assert alone < len(images), "none was predicted"
    codec = FrameCodec(device="cpu", remember=REMEMBER)
    latent, count = codec._latent(), {"decode": 0, "apply": 0}

    def counted(name: str):
        work = getattr(latent, name)

        def made(*arguments: object) -> object:
            count[name] += 1
            return work(*arguments)

        return made

    for name in count:
        monkeypatch.setattr(latent, name, counted(name))
    done = write(tmp_path / "memory.db", tmp_path / "out", "topomap", codec)
    assert done.frames == len(images) == len(os.listdir(tmp_path / "out"))
    # A record alone once to be drawn, and once for all that were predicted from it.
    assert count["apply"] == len(images) - alone and count["decode"] <= 2 * alone
    for i, image in enumerate(images):
        shown = np.asarray(Image.open(tmp_path / "out" / f"{i}.png")).astype(int)
        assert np.abs(shown - image).mean() < 25
