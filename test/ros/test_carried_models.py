"""A memory with a model of its own, from the node that writes it to the node that reads it."""

import shutil

import numpy as np
from conftest import START
from graph import until
from modelmaker import other_model, shipped
from recalling import CODEC, frame
from writing import NODE, Memory

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.maintenance.needed_models import model_of, needs
from gaussvae_ros.nodes import convert


def test_a_memory_is_recalled_where_its_model_never_was(ros, frames):
    model = other_model(ros.folder / "mine.safetensors", shipped(CODEC, frames[0]).name)
    codec = FrameCodec(device="cpu", model=model)
    memory = Memory(ros, model=str(model))
    for i in range(2):
        memory.show(frames[i], START + i * 10**8)
    with MemoryBank(memory.path, readonly=True) as bank:
        until(bank.models, says=memory.ros.logs)
    with memory.stop() as bank:
        [(hash_, name, size)] = bank.models()
        assert (hash_, name) == (model_of(bank.get(1).data), "mine") and size > 1000
        assert [(need.records, need.bytes) for need in needs(bank)] == [(2, size)]
        assert bank.verify() == []
        expected = codec.decode(bank.get(2).records)
    model.unlink()

    copy = shutil.copy(memory.path, ros.folder / "copy.db")
    ros.run("recall_node", "--ros-args", "-p", f"bank:={copy}", "-p", "autostart:=true")
    ros.until_active("visual_recall")
    answer = frame(ros, id=2)
    assert answer.success, answer.message
    assert np.array_equal(convert.image_from(answer.image), expected)


def test_a_node_that_goes_on_in_a_memory_adds_only_what_is_missing(ros, frames):
    for n, name in enumerate(["", "mine.safetensors", "mine.safetensors"]):
        path = ros.folder / name
        model = other_model(path, shipped(CODEC, frames[0]).name) if name else None
        memory = Memory(ros, **({"model": str(model)} if model else {}))
        memory.show(frames[n], START + n * 10**9)
        with MemoryBank(memory.path, readonly=True) as bank:
            until(lambda: len(bank.models()) == min(n + 1, 2), says=ros.logs)
        memory.stop().close()
        ros.forget_publishers()
    assert "does not carry" not in memory.process.log and NODE in memory.process.log
