"""visual_recall and requests with anything in them: pictures, or a sentence."""

from builtin_interfaces.msg import Duration, Time
from gaussvae_ros.srv import FindFrames, RecallFrame, RecallFrames
from graph import Ros
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recalling import HUGE, NODE, near
from sensor_msgs.msg import Image, RegionOfInterest

WORDS, PIXELS = st.text(max_size=6), st.sampled_from([0, 1, 7, 200, 65536, HUGE])
IDS = st.one_of(st.integers(0, 20), st.integers(-(2**63), 2**63 - 1))
TIMES = st.builds(Time, sec=st.integers(-(2**31), 2**31 - 1), nanosec=st.integers(0, HUGE))
DURATIONS = st.builds(Duration, sec=st.integers(-(2**31), 2**31 - 1), nanosec=st.integers(0, HUGE))
ENCODINGS = st.one_of(st.sampled_from(["", "rgb8", "bgr8", "mono8", "jpeg"]), WORDS)
PARTS = st.builds(RegionOfInterest, x_offset=PIXELS, y_offset=PIXELS, width=PIXELS, height=PIXELS)
PLACES = st.builds(near, st.floats(), st.floats(), st.floats(-9, 9), WORDS)
PICTURES = st.builds(
    Image,
    width=PIXELS,
    height=PIXELS,
    step=PIXELS,
    encoding=ENCODINGS,
    data=st.binary(max_size=99).map(list),
)
FRAME = {
    "id": IDS,
    "camera": WORDS,
    "stamp": TIMES,
    "tolerance": DURATIONS,
    "width": PIXELS,
    "height": PIXELS,
}
FRAMES = {"ids": st.lists(IDS, max_size=5), "center": IDS, "radius": PIXELS, **FRAME}
WANTED = {
    "after": TIMES,
    "before": TIMES,
    "camera": WORDS,
    "session": IDS,
    "label": WORDS,
    "near": PLACES,
}
NUMBERS = {
    "radius": st.floats(),
    "yaw_tolerance": st.floats(),
    "limit": PIXELS,
    "like_id": IDS,
    "like_image": PICTURES,
}


def some_of(fields: dict, without: str = "") -> st.SearchStrategy[dict]:
    """Requests that give any of these fields."""
    return st.fixed_dictionaries(
        {}, optional={name: field for name, field in fields.items() if name != without}
    )


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.one_of(
        st.tuples(st.just("recall_frame"), some_of({**FRAME, "roi": PARTS, "encoding": ENCODINGS})),
        st.tuples(
            st.just("recall_frames"), some_of({**FRAMES, "encoding": ENCODINGS}, without="id")
        ),
        st.tuples(st.just("find_frames"), some_of({**WANTED, **NUMBERS})),
    )
)
def test_any_request_gets_pictures_or_a_sentence(recall: Ros, asked: tuple[str, dict]) -> None:
    service, request = asked
    kind = {"recall_frame": RecallFrame, "recall_frames": RecallFrames, "find_frames": FindFrames}[
        service
    ]
    answer = recall.call(kind, f"{NODE}/{service}", **request)
    assert answer.success or (answer.message and "failed: " not in answer.message), answer.message
