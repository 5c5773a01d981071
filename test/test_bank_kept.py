"""Records that a memory file keeps for others only, and how long they last."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import record

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.errors import BankError

BYTES = 3000  # of each record: a few fill the pages that a full disk left
KEYS = [record(0, n=BYTES), record(1, n=BYTES)]
NEAR = [record(2 + i, key, n=BYTES) for key in KEYS for i in range(2)]
FAR = [record(6 + i, near, n=BYTES) for near in NEAR for i in range(2)]
CHAINS = [
    *((key,) for key in KEYS),
    *((KEYS[i // 2], near) for i, near in enumerate(NEAR)),
    *((KEYS[i // 4], NEAR[i // 2], far) for i, far in enumerate(FAR)),
]
STEPS = st.tuples(
    st.sampled_from(["add", "add", "remove", "replace", "flush", "fill"]),
    st.sampled_from(CHAINS),
    st.sampled_from(CHAINS),
    st.sampled_from(["records", "frame", "kept"]),
    st.integers(0, 99),
)


@pytest.fixture
def bank(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        yield bank


def test_a_record_that_went_with_the_last_that_needed_it_is_stored_again(bank):
    key, near, far = CHAINS[6]
    first = bank.add(near, stamp_ns=0, reference=[key])
    bank.remove([first])
    second = bank.add(record(99, key), stamp_ns=1, reference=[key])
    assert bank.get(second).needed == (key,)
    bank.replace({second: (key, None)})
    third = bank.add(far, stamp_ns=2, reference=[key, near])
    bank.flush()
    assert bank.get(third).records == [key, near, far] and bank.verify() == []


def test_a_record_that_went_holds_up_nothing(bank):
    key, near, far = CHAINS[6]
    first = bank.add(key, stamp_ns=0)
    bank.remove([bank.add(far, stamp_ns=1, reference=[key, near])])
    bank.replace({first: (KEYS[1], None)})
    assert bank.get(first).data == KEYS[1] and bank.verify() == []


def test_a_record_is_not_given_to_the_next_by_the_only_one_that_needs_it(bank):
    key, near = CHAINS[2]
    first = bank.add(near, stamp_ns=0, reference=[key])
    other, kept = bank.add(KEYS[1], stamp_ns=1), bank.get(first).reference
    with pytest.raises(BankError, match=f"that of frame {kept}: no such frame"):
        bank.replace({first: (KEYS[1], None), other: (near, kept)})
    bank.replace({first: (record(98, key), kept), other: (near, kept)})
    assert [frame.needed for frame in bank] == [(key,), (key,)] and bank.verify() == []


class Model:
    """What a memory file is to hold, of which each frame's records are known."""

    def __init__(self, bank: MemoryBank):
        self.bank, self.frames, self.full = bank, {}, False
        self.room(True)

    def room(self, there: bool):
        """Let the disk be full, or no longer."""
        self.full = not there
        self.bank._db.execute(f"PRAGMA max_page_count={100_000 if there else 1}")

    def reference(self, chain: tuple[bytes, ...], how: str, number: int):
        """A way to say what the last of these records needs."""
        needed = list(chain[:-1])
        if not needed or how == "records":
            return needed or None
        same = [i for i, own in self.frames.items() if own == needed]
        if how == "kept":
            same = [i for i, own in self.frames.items() if own[:-1] == needed]
            same = [self.bank.get(i).reference for i in same]
        return same[number % len(same)] if same else needed

    def add(self, chain, _, how: str, number: int):
        reference = self.reference(chain, how, number)
        added = self.bank.add(chain[-1], stamp_ns=number, reference=reference)
        self.frames[added] = list(chain)

    def remove(self, _, __, how: str, number: int):
        for frame_id in self.some(1 + (how == "kept"), number):
            self.bank.remove([frame_id])
            del self.frames[frame_id]

    def replace(self, chain, other, how: str, number: int):
        new = dict(zip(self.some(2 - (how == "frame"), number), (chain, other)))
        given = {}
        for frame_id, (*needed, last) in new.items():
            reference = self.reference((*needed, last), "kept" if number % 2 else "frame", number)
            given[frame_id] = last, None if isinstance(reference, list) else reference
        try:
            self.bank.replace(given)
        except BankError:
            if not self.full:  # it is refused as well where nothing waits
                self.bank.flush()
                with pytest.raises(BankError):
                    self.bank.replace(given)
            raise
        self.frames |= {frame_id: list(records) for frame_id, records in new.items()}

    def flush(self, *_):
        self.room(True)
        self.bank.flush()

    def fill(self, *_):
        self.room(False)
        self.bank.flush()

    def some(self, count: int, number: int) -> list[int]:
        """So many of the frames, or less."""
        ids = sorted(self.frames)
        at = number % len(ids) if ids else 0
        return ids[at : at + count]

    def check(self):
        """The file holds that, and nothing beside it that nobody needs."""
        assert {frame.id: frame.records for frame in self.bank} == self.frames
        assert self.bank.verify() == []


@settings(max_examples=100)
@given(steps=st.lists(STEPS, max_size=25))
def test_every_frame_has_what_it_needs_whatever_else_comes_and_goes(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("kept") / "m.db"
    with MemoryBank(path) as bank:
        model = Model(bank)
        for step, *how in steps:
            try:
                getattr(model, step)(*how)
            except BankError:
                assert model.full or step == "replace"
        model.room(True)
        bank.flush()
        model.check()
    with MemoryBank(path, readonly=True) as model.bank:
        model.check()
