"""`gaussvae bank list`: which frames there are, by stamp, nearest to one, or by likeness, also to
those with a label.
"""

import argparse

from gaussvae_ros.bank import Frame, MemoryBank
from gaussvae_ros.bank.frame import INT64
from gaussvae_ros.bank.likeness.label_likeness import LIKE
from gaussvae_ros.cli import options
from gaussvae_ros.cli.show import show, table
from gaussvae_ros.errors import GaussVaeError

FEW = 10  # frames that are listed by nearness or likeness, unless one asks for more
NEAR_NS = 10**9  # as far from a stamp frames are looked for first


def add_verb(bank_verbs: argparse._SubParsersAction) -> None:
    """Add it, with its options."""
    about = "frames, by stamp, nearest to one, or by likeness"
    made = options.bank_verb(bank_verbs, "list", list_, about)
    options.conditions(made)
    order = made.add_mutually_exclusive_group()
    order.add_argument("--stamp", type=int, metavar="NS", help="nearest to this stamp first")
    order.add_argument(
        "--like",
        metavar="N|IMAGE",
        nargs="+",
        help="most like this frame, or an image file, first; of several in a row, of which the one "
        "asked about comes last, each votes",
    )
    order.add_argument(
        "--like-text", metavar="T", help="most showing what this text says first; needs --encoder"
    )
    options.encoder(made, "with --like-text: file of the encoder that made the frames' vectors")
    options.as_json(made)


def list_(args: argparse.Namespace) -> None:
    label = None
    if (args.label or "").startswith(LIKE):
        label, args.label = args.label[len(LIKE) :], None
        if (args.like, args.like_text, args.stamp) != (None, None, None):
            raise GaussVaeError(
                f"--label {LIKE}{label} sorts by how likely that is: give no --like, --like-text or"
                " --stamp"
            )
    if (args.like_text is None) != (args.encoder is None):
        raise GaussVaeError("--like-text and --encoder go together: give both or none")
    with MemoryBank(args.bank, readonly=True) as bank:
        given = options.given(args, bank)
        if label is not None:
            found = bank.find_labelled_alike(label, **{"limit": FEW, **given})
            frames = [{**facts(frame), "probability": score} for frame, score in found]
        elif args.like_text is not None:
            from gaussvae_ros.looking.encoder import Encoder

            given = {"limit": FEW, **given}
            found = Encoder(args.encoder).find(bank, args.like_text, **given)
            frames = [{**facts(frame), "likeness": score} for frame, score in found]
        elif args.like is not None:
            asked = [_descriptor(bank, like) for like in args.like]
            found = bank.find_like(asked, **{"limit": FEW, **given})
            frames = [{**facts(frame), "likeness": score} for frame, score in found]
        elif args.stamp is not None:
            limit = given.pop("limit", FEW)
            frames = [facts(frame) for frame in nearest(bank, args.stamp, limit, given)]
        else:
            frames = [facts(frame) for frame in (bank.find(**given) if given else bank)]
        if args.text is not None:
            frames = [{**f, "texts": [t.text for t in bank.texts(f["id"])]} for f in frames]
    if args.json:
        return show(args, frames, "")
    _print(frames)


def nearest(bank: MemoryBank, stamp_ns: int, limit: int, given: dict) -> list[Frame]:
    """The frames nearest to a stamp that meet conditions, at most `limit`; of two equally near, the
    earlier first.
    """
    begin, end = given.get("after", -INT64), given.get("before", INT64 - 1)
    reach, ids = NEAR_NS, []
    while True:
        span = {"after": max(begin, stamp_ns - reach), "before": min(end, stamp_ns + reach)}
        if span["after"] <= span["before"]:
            ids = bank.ids(**{**given, **span})
        if len(ids) >= limit or (span["after"], span["before"]) == (begin, end):
            break
        reach *= 4
    frames = sorted(bank.frames(ids), key=lambda frame: abs(frame.stamp_ns - stamp_ns))
    return frames[:limit]


def facts(frame: Frame) -> dict:
    """What is known of a frame, ready for JSON."""
    return {
        "id": frame.id,
        "stamp_ns": frame.stamp_ns,
        "camera": frame.camera,
        "session": frame.session,
        "size": list(frame.size),
        "bytes": len(frame.data),
        "label": frame.label,
        "pose": [*frame.pose.position, *frame.pose.orientation] if frame.pose else None,
        "reference": frame.pose.reference if frame.pose else None,
        "frame_id": frame.frame_id or None,
        "map_id": frame.map_id or None,
        "needs": frame.reference,
    }


def _descriptor(bank: MemoryBank, like: str) -> bytes:
    """That of a frame, by its id, or of an image file."""
    if not like.isdecimal():
        from gaussvae_ros.evaluation.images import read_image
        from gaussvae_ros.recognition.kinds import describe_for

        return describe_for(bank, read_image(like))
    descriptor = bank.descriptor(int(like))
    if descriptor is None:
        raise GaussVaeError(f"frame {like} was stored without a descriptor")
    return descriptor


def _print(frames: list[dict]) -> None:
    columns, rows = (
        [
            "id",
            "stamp (ns)",
            "camera",
            "session",
            "size",
            "bytes",
            "label",
            "x (m)",
            "y (m)",
            "z (m)",
        ],
        [],
    )
    for f in frames:
        size, place = "x".join(map(str, f["size"])), (f["pose"] or [None] * 3)[:3]
        row = [
            str(f["id"]),
            str(f["stamp_ns"]),
            f["camera"],
            f["session"],
            size,
            f["bytes"],
            f["label"],
            *place,
        ]
        row += [f[score] for score in ("likeness", "probability") if score in f]
        rows.append([*row, ", ".join(f["texts"])] if "texts" in f else row)
    extra = [name for name in ("likeness", "probability", "texts") if frames and name in frames[0]]
    table([*columns, *("read there" if name == "texts" else name for name in extra)], rows)
