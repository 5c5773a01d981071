"""Exceptions that nobody foresaw, as a node counts them, logs them and tells of them."""

import logging

import pytest

from gaussvae_ros.nodes import faults as module
from gaussvae_ros.nodes.faults import Faults


@pytest.fixture
def faults(caplog):
    caplog.set_level(logging.ERROR)
    return Faults(lambda: True)


def fail(text="out of order"):
    raise ZeroDivisionError(text)


def test_a_callback_that_fails_returns_and_is_told_of_with_its_traceback(faults, caplog):
    call = faults.guarded("the lift", fail)
    assert call() is None and faults.count == 1
    assert (
        "internal error in the lift" in caplog.text
        and "Traceback" in caplog.text
        and "in fail" in caplog.text
    )
    assert faults.sentence() == (
        "internal error in the lift: ZeroDivisionError: out of order; 1 times;"
        " the log has the traceback; please report it"
    )


def test_what_a_callback_returns_and_takes_is_its_own(faults):
    assert faults.guarded("sum", lambda a, b: a + b)(1, 2) == 3
    assert faults.guarded("lift", fail, lambda error, text: (str(error), text))("stuck") == (
        "stuck",
        "stuck",
    )


def test_the_same_again_is_counted_and_not_logged_again(faults, caplog, monkeypatch):
    for _ in range(50):
        faults.guarded("the lift", fail)()
    assert (
        caplog.text.count("Traceback") == 1
        and faults.count == 50
        and "; 50 times;" in faults.sentence()
    )
    faults.guarded("the stairs", fail)()
    assert caplog.text.count("Traceback") == 2, "another place is another kind"
    monkeypatch.setattr(module, "AGAIN_S", 0.0)
    faults.guarded("the lift", fail)()
    assert (
        caplog.text.count("Traceback") == 2
        and "again: ZeroDivisionError: out of order; 51 times" in caplog.text
    )


def test_a_sentence_is_one_line_and_ends_being_news(faults, monkeypatch):
    faults.guarded("the lift", fail)("two\nlines")
    assert "two lines" in faults.sentence()
    monkeypatch.setattr(module, "FRESH_S", -1.0)
    assert faults.sentence() == "" and faults.count == 1


def test_after_the_end_of_the_graph_nothing_matters(caplog):
    over = Faults(lambda: False)
    over.guarded("the lift", fail)()
    assert over.count == 0 and caplog.text == ""
