"""What tells one map from another, read from the bytes of `nav_msgs/OccupancyGrid` or
`nav_msgs/MapMetaData`: a map has megabytes, of which the first hundred bytes say enough.
"""

import struct

_ORDER = {b"\x00\x01": "<", b"\x00\x00": ">"}  # encapsulations of plain CDR


def metadata(data: bytes, header: bool) -> bytes | None:
    """Resolution, width, height and origin of a map, as bytes; None where they cannot be read.

    When it was loaded is left out: the same map is loaded again each morning. `header`: the message
    begins with one, as OccupancyGrid does and MapMetaData does not.
    """
    order, body, at = _ORDER.get(data[:2]), data[4:], 0
    try:
        if order is None:
            return None
        if header:
            (length,) = struct.unpack_from(f"{order}I", body, 8)
            at = -(-(12 + length) // 4) * 4
        resolution, width, height = struct.unpack_from(f"{order}fII", body, at + 8)
        at = -(-(at + 20) // 8) * 8
        origin = struct.unpack_from(f"{order}7d", body, at)
        return struct.pack("<fII7d", resolution, width, height, *origin)
    except struct.error:  # it ends early
        return None
