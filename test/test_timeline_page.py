"""The page in a real browser: it draws, and answers keys, mouse and fingers."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from chromium import FOUND, Chromium, Page
from PIL import Image
from standin import JpegCodec
from timelines import FORGOTTEN, STEP, make_bank, scene, write

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.timeline.floor_map import FloorMap

pytestmark = pytest.mark.skipif(FOUND is None, reason="there is no Chromium here")
EVIL = "<img src=x onerror='window.hit=1'><script>window.hit=1</script>"
DESK, PHONE = (1280, 800), (390, 844)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tour")
    make_bank(folder / "memory.db")
    write(folder / "memory.db", folder / "page.html")
    return folder / "page.html"


def seen(page: Page) -> np.ndarray:
    """A screenshot, uint8 [H, W, 3]."""
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))


def chosen(page: Page) -> int:
    """The id of the chosen frame."""
    return int(page.evaluate("document.querySelector('#facts dd').textContent"))


def until_chosen(page: Page, frame_id: int) -> None:
    page.until(f"document.querySelector('#facts dd')?.textContent === '{frame_id}'")


def box(page: Page, selector: str) -> list[float]:
    """x, y, width and height of an element, px."""
    return page.evaluate(
        f"(r => [r.x, r.y, r.width, r.height])(document.querySelector({selector!r})"
        ".getBoundingClientRect())"
    )


def part(page: Page, selector: str) -> np.ndarray:
    x, y, w, h = map(round, box(page, selector))
    return seen(page)[y : y + h, x : x + w]


def until_drawn(page: Page) -> None:
    """The chosen frame's picture is there."""
    page.until(
        "(c => c.getContext('2d').getImageData(c.width >> 1, c.height >> 1, 1, 1).data[3] === 255)"
        "(document.querySelector('#picture'))"
    )
    page.until("document.querySelector('#alike').childElementCount > 0")


def test_it_draws_without_an_error_and_asks_for_nothing(browser, tour):
    page = browser.open(tour, DESK)
    until_drawn(page)
    assert page.evaluate("document.title") == "memory.db"
    summary = page.evaluate("document.querySelector('#summary').textContent")
    assert (
        summary == f"75 frames · 2 sessions · 2 cameras · 2023-11-14 to 2023-11-15 · {5} forgotten"
    )
    colours = len(np.unique(part(page, "#view").reshape(-1, 3), axis=0))
    assert colours > 50 and len(np.unique(part(page, "#strip").reshape(-1, 3), axis=0)) > 50
    assert page.requests == [tour.resolve().as_uri()] and not page.errors


def test_the_chosen_frame_is_shown_with_what_is_known_of_it(browser, tour):
    page = browser.open(tour, DESK, address=f"frame={FORGOTTEN.stop}")
    until_drawn(page)
    facts = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('#facts dt')]"
        ".map(e => [e.textContent, e.nextSibling.textContent]))"
    )
    assert facts["Frame"] == "36" and facts["Camera"] == "rear" and facts["Map"] == "ground floor"
    assert facts["Stamp"] == f"{1_700_000_000_000_000_000 + 35 * STEP} ns"
    assert facts["Time"] == "2023-11-14 22:13:23.500" and facts["Session"] == "morning (1)"
    assert facts["Position"] == "-4.33, -2.50, 0.50 m in map" and facts["Heading"] == "0°"
    assert facts["Before it"] == "5 frames forgotten" and "48 × 48 px" in facts["Size"]
    picture = part(page, "#picture").astype(float)
    wanted = Image.fromarray(scene(35, (48, 48))).resize(picture.shape[1::-1])
    assert np.abs(picture - np.asarray(wanted)).mean() < 40


def test_keys(browser, tour):
    page = browser.open(tour, DESK)
    until_drawn(page)
    for key, frame_id in (
        ("ArrowRight", 2),
        ("ArrowRight", 3),
        ("ArrowLeft", 2),
        ("ArrowDown", 1),
        ("End", 80),
        ("ArrowRight", 80),
        ("Home", 1),
    ):
        page.key(key)
        until_chosen(page, frame_id)
    slider = "document.querySelector('#strip').getAttribute('aria-valuetext')"
    assert page.evaluate(slider) == "22:13:20.0, frame 1, dock"
    before = part(page, "#view")
    page.key("+")
    page.until("true")
    assert not np.array_equal(part(page, "#view"), before)
    page.key("m")
    page.until("document.body.dataset.view === 'frames'")
    page.key("l")
    page.until("document.querySelector('input[value=likeness]').checked")
    page.key("/")
    for letter in "doo":
        page.key(letter)
    page.until("document.querySelector('#found button bdi')?.textContent === 'door'")
    page.key("Enter")
    until_chosen(page, 70)
    page.until("location.hash === '#frame=70&view=frames&colour=likeness'")
    page.key(" ")
    page.until("document.querySelector('#facts dd').textContent === '73'")
    page.key(" ")
    assert page.evaluate("document.querySelector('#play').getAttribute('aria-label')") == "Play"
    assert not page.errors


def test_frames_like_the_chosen_one_are_those_of_the_bank(browser, tour):
    page = browser.open(tour, DESK, address="frame=11")
    until_drawn(page)
    shown = page.evaluate(
        "[...document.querySelectorAll('#alike button')]"
        ".map(e => [Number(e.dataset.id), e.querySelector('b').textContent])"
    )
    assert shown[0][0] == 66 and float(shown[0][1]) > 0.9  # the same scene in the evening
    with MemoryBank(tour.with_name("memory.db"), readonly=True) as bank:
        scores = {f.id: s for f, s in bank.find_like(bank.descriptor(11), limit=100)}
    for frame_id, score in shown:
        if frame_id in scores:
            assert float(score) == pytest.approx(scores[frame_id], abs=0.006)
    page.evaluate("document.querySelector('#alike button').click()")
    until_chosen(page, 66)


def test_a_click_on_the_map_or_on_time_chooses(browser, tour):
    page = browser.open(tour, DESK)
    until_drawn(page)
    x, y, w, h = box(page, "#view")
    # The circle fits between the margins of the map: its top is the frame at 90 degrees, 16.
    page.click(x + w / 2, y + 65)
    until_chosen(page, 16)
    x, y, w, h = box(page, "#strip")
    page.click(x + w - 8, y + 60)
    until_chosen(page, 80)
    page.mouse("mouseMoved", x + w / 2, y + 40)
    page.until("!document.querySelector('#peek').hidden")
    page.mouse("mouseWheel", x + w / 2, y + 40, deltaX=0, deltaY=-400)
    page.until("document.querySelector('#strip').width > 0")
    assert not page.errors


def test_filters(browser, tour):
    page = browser.open(tour, DESK)
    until_drawn(page)
    page.evaluate("document.querySelector('#cameras input').click()")  # front, off
    until_chosen(page, 2)
    page.key("ArrowRight")
    until_chosen(page, 4)
    filtered = page.evaluate("document.querySelector('#filtered').textContent")
    assert filtered == " (1 off)"
    page.evaluate("document.querySelector('#sessions input').click()")  # nothing is left
    page.key("ArrowRight")
    assert chosen(page) == 4 and not page.errors


def test_on_a_phone(browser, tour):
    page = browser.open(tour, PHONE, ratio=2, touch=True)
    until_drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    for selector in ("#picture", "#view", "#strip"):
        x, y, w, h = box(page, selector)
        assert 0 <= x and x + w <= PHONE[0] and 0 <= y and y + h <= PHONE[1] and w > 200 and h > 80
    x, y, w, h = box(page, "#view")
    before = page.screenshot()
    middle = x + w / 2, y + h / 2
    page.touch("touchStart", (middle[0] - 30, middle[1]), (middle[0] + 30, middle[1]))
    page.touch("touchMove", (middle[0] - 90, middle[1]), (middle[0] + 90, middle[1]))
    page.touch("touchEnd")
    page.until("true")
    assert page.screenshot() != before and chosen(page) == 1 and not page.errors


def test_everything_that_is_used_has_a_name(browser, tour):
    page = browser.open(tour, DESK)
    until_drawn(page)
    page.ask("Accessibility.enable")
    nodes = page.ask("Accessibility.getFullAXTree")["nodes"]
    used = ("button", "slider", "radio", "searchbox", "checkbox", "image", "combobox", "canvas")
    found = {}
    for node in nodes:
        role = node.get("role", {}).get("value", "").lower()
        if not node["ignored"] and role in used:
            found.setdefault(role, []).append(node.get("name", {}).get("value"))
    assert {"button", "slider", "radio", "searchbox"} <= found.keys()
    assert all(all(names) for names in found.values()), found


def test_the_ground_lies_under_the_route(browser, tmp_path):
    """Turned and scaled as its origin says: a wall of one cell at (3, 4) m, seen at its place."""
    codec = JpegCodec()
    with MemoryBank(tmp_path / "memory.db") as bank:
        for x, y in ((0, 0), (4, 0), (4, 8), (0, 8)):
            bank.add(codec.encode(scene(0)), stamp_ns=x + y, pose=Pose(x, y, 0))
    cells = np.full((4, 8), 0, np.uint8)
    cells[3, 4] = 100  # 2 to 2.5 m along x of the map, 0 to 0.5 m along y, before it is turned
    origin = (3.25, 1.75, np.pi / 2)  # so the cell is at x = 3.25 - 0.25, y = 1.75 + 2.25
    write(tmp_path / "memory.db", tmp_path / "p.html", floor_map=FloorMap(cells, 0.5, origin))
    page = browser.open(tmp_path / "p.html", DESK)
    until_drawn(page)
    x, y, w, h = box(page, "#view")
    scale = (h - 130) / 8
    wall = seen(page)[round(y + h / 2), round(x + w / 2 + scale)]
    beside = seen(page)[round(y + h / 2 + 0.6 * scale), round(x + w / 2 + scale)]
    paper = seen(page)[round(y + h / 2), round(x + w / 2 - 1.5 * scale)]
    assert wall.tolist() == [0x85, 0x8B, 0x96] and beside.tolist() == [0xFF, 0xFF, 0xFF]
    assert paper.tolist() == [0xF3, 0xF2, 0xEE]


def test_names_run_nothing_and_no_pose_is_needed(browser, tmp_path):
    codec = JpegCodec()
    with MemoryBank(tmp_path / "memory.db") as bank:
        bank.begin_session(EVIL, start_ns=0, map_id=EVIL)
        for i in range(5):
            data = codec.encode(scene(i))
            bank.add(data, stamp_ns=i * STEP, camera=EVIL, label=EVIL, frame_id=EVIL)
    write(tmp_path / "memory.db", tmp_path / "page.html")
    page = browser.open(tmp_path / "page.html", DESK, dark=True)
    until_drawn(page)
    page.key("/")
    page.until("document.querySelectorAll('#found li').length === 5")
    assert page.evaluate("window.hit") is None and not page.errors
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    assert page.evaluate("document.querySelector('#views').hidden")
    assert page.evaluate("document.body.dataset.view") == "frames"
    assert seen(page).mean() < 90  # dark
    assert page.evaluate("document.querySelector('#facts').textContent.includes('onerror')")
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'),"
        "{textContent: 'window.hit = 1'}))"
    )
    assert page.evaluate("window.hit") is None  # by the page's policy
    assert page.evaluate("fetch('https://example.com').then(() => 'sent', () => 'not')") == "not"


def test_odd_stamps_and_places(browser, tmp_path):
    codec = JpegCodec()
    for name, stamps in (("one", [0]), ("far", [-(2**63), -5, 0, 0, 10**18, 2**63 - 1])):
        with MemoryBank(tmp_path / f"{name}.db") as bank:
            for i, stamp in enumerate(stamps):
                bank.add(codec.encode(scene(i)), stamp_ns=stamp, pose=Pose(1e9, -1e9, 0))
        write(tmp_path / f"{name}.db", tmp_path / f"{name}.html")
        page = browser.open(tmp_path / f"{name}.html", DESK)
        until_drawn(page)
        for key in ("End", "+", "-", "0", "m", "+", "0", "l", "ArrowLeft"):
            page.key(key)
        stamp = "[...document.querySelectorAll('#facts dd')].map(e => e.textContent)"
        until_chosen(page, max(len(stamps) - 1, 1))
        assert f"{stamps[max(len(stamps) - 2, 0)]} ns" in page.evaluate(stamp)
        assert not page.errors


def test_frames_at_one_spot_are_chosen_in_turn(browser, tmp_path):
    codec = JpegCodec()
    with MemoryBank(tmp_path / "memory.db") as bank:
        for i in range(3):
            bank.add(codec.encode(scene(i)), stamp_ns=i, pose=Pose(5, 5, 0))
    write(tmp_path / "memory.db", tmp_path / "page.html")
    page = browser.open(tmp_path / "page.html", DESK)
    until_drawn(page)
    x, y, w, h = box(page, "#view")
    for frame_id in (2, 3, 1):
        page.click(x + w / 2, y + h / 2)
        until_chosen(page, frame_id)
