"""Sessions of the memory node whose map is known late, or changes."""

import pytest

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.nodes.counters import Counters
from gaussvae_ros.nodes.session_facts import SessionFacts


@pytest.fixture
def bank(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        yield bank


def attempt(work):
    work()
    return True


def maps(bank):
    return [session["map_id"] for session in bank.info()["sessions"]]


def test_a_map_that_is_known_late_is_that_of_the_running_session(bank):
    facts = SessionFacts(bank, Counters(["camera"]), "drive", attempt)
    first = facts.id_of(0, 0)
    assert maps(bank) == [""]
    facts.name_map("attic")
    assert maps(bank) == ["attic"] and facts.id_of(0, 1, "attic") == first
    assert facts.id_of(0, 2, "cellar") == first + 1 and maps(bank) == ["attic", "cellar"]
    facts.name_map("")
    assert facts.id_of(0, 3, "") == first + 2 and maps(bank) == ["attic", "cellar", ""]
    facts.name_map("attic")
    assert maps(bank) == ["attic", "cellar", "attic"] and facts.id_of(0, 4, "attic") == first + 2


def test_frames_of_before_a_map_was_known_stay_in_its_session(bank):
    facts = SessionFacts(bank, Counters(["camera"]), "drive", attempt)
    facts.name_map("attic")  # while frames that do not know it are on their way
    facts.name_map("cellar")
    first = facts.id_of(0, 0)
    assert facts.id_of(0, 1) == facts.id_of(0, 2, "cellar") == first
    assert maps(bank) == ["cellar"]
    assert facts.id_of(0, 3) == first + 1  # once one knew it, those that do not are elsewhere


def test_a_frame_that_knows_its_map_names_its_session(bank):
    facts = SessionFacts(bank, Counters(["camera"]), "drive", attempt)
    first = facts.id_of(0, 0)
    assert facts.id_of(0, 1, "attic") == first and maps(bank) == ["attic"]
    assert facts.id_of(0, 2, "cellar") == first + 1 and maps(bank) == ["attic", "cellar"]


def test_images_count_in_the_session_of_their_map(bank):
    counters = Counters(["camera"])
    facts = SessionFacts(bank, counters, "drive", attempt)

    def see(count, map_id):
        for _ in range(count):
            counters.count("camera", 0, "received")
            facts.id_of(0, 0, map_id)
            counters.count("camera", 0, "stored")

    see(3, "attic")
    see(2, "cellar")
    facts.tally()
    assert [session["received"] for session in bank.info()["sessions"]] == [3, 2]


def test_a_bank_that_refuses_is_told_of_the_map_later(bank):
    refusing = []

    def attempt(work):
        if refusing:
            return False
        work()
        return True

    facts = SessionFacts(bank, Counters(["camera"]), "drive", attempt)
    facts.id_of(0, 0)
    refusing.append(True)
    facts.name_map("attic")
    assert maps(bank) == [""] and facts.due
    facts.write()
    assert maps(bank) == ["attic"] and not facts.due
