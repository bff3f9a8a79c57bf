"""What a decoding process and its parent say to each other; nothing in it is ever unpickled.

    parent -> child   lengths, face boxes, body
    child  -> parent  one greeting byte, once; then for each body: REPLY, payload

The payload is the stored picture, or the signal of a refusal. The parent believes no length and no
reason that it does not know: a hostile picture may speak through the child.
"""

import socket
import struct
from collections.abc import Sequence
from dataclasses import replace

from pipelines.decoding.picture import Picture
from pipelines.fetching.refused import Refused

GREETING = b"\x01"
REQUEST = struct.Struct("<II")
"""Bytes of the body, and how many numbers of face boxes stand before it."""
NUMBER_BYTES = 4
"""Of a face box's number, a float."""
REPLY = struct.Struct("<BIIII16s?fBI")
"""Index of the reason or OK, width, height, original width and height, hash, animated, transparency
ratio, JPEG quality (0: none), length."""

OK = 0
REASONS = (
    "",
    "empty_body",
    "not_an_image",
    "format_refused",
    "too_many_pixels",
    "too_small",
    "decode_oom",
    "decode_error",
)
"""What `make_picture` may refuse with; a reason's index stands for it."""


def send_body(connection: socket.socket, body: bytes, face_boxes: Sequence[float] = ()) -> None:
    boxes = struct.pack(f"<{len(face_boxes)}f", *face_boxes)
    send(connection, REQUEST.pack(len(body), len(face_boxes)) + boxes, body)


def receive_body(connection: socket.socket) -> tuple[bytes, tuple[float, ...]]:
    """A body and its face boxes; raises EOFError when the parent has gone."""
    length, numbers = REQUEST.unpack(receive(connection, REQUEST.size))
    boxes = receive(connection, numbers * NUMBER_BYTES)
    return receive(connection, length), struct.unpack(f"<{numbers}f", boxes)


def pack_picture(picture: Picture) -> tuple[bytes, bytes]:
    """Header and payload."""
    header = REPLY.pack(
        OK,
        picture.width,
        picture.height,
        picture.original_width,
        picture.original_height,
        picture.pixel_hash,
        picture.animated,
        picture.transparency_ratio,
        picture.jpeg_quality or 0,
        len(picture.image),
    )
    return header, picture.image


def pack_refusal(refused: Refused) -> tuple[bytes, bytes]:
    """Header and payload."""
    payload = (refused.signal or "").encode()
    return REPLY.pack(
        REASONS.index(refused.reason), 0, 0, 0, 0, bytes(16), False, 0.0, 0, len(payload)
    ), payload


def receive_picture(connection: socket.socket, max_bytes: int) -> Picture:
    """The picture that a child has made.

    Raises:
        Refused: the child refused the body.
        EOFError: the child has gone.
        ValueError: it said what no child says.
    """
    reason, *about, length = REPLY.unpack(receive(connection, REPLY.size))
    if reason >= len(REASONS) or length > max_bytes:
        raise ValueError(f"a reply of {length} bytes with reason {reason}")
    payload = receive(connection, length)
    if reason != OK:
        raise Refused(REASONS[reason], payload.decode(errors="replace") or None)
    picture = Picture(payload, *about)
    if not 0 <= picture.transparency_ratio <= 1 or about[-1] > 100:
        raise ValueError(f"a reply of transparency and quality {about[-2:]}")
    return replace(picture, jpeg_quality=picture.jpeg_quality or None)


def send(connection: socket.socket, header: bytes, payload: bytes) -> None:
    """Both at once: the other side wakes up once, and nothing is copied together."""
    sent = connection.sendmsg((header, payload)) - len(header)
    if sent < 0:
        connection.sendall(header[sent:])
    if sent < len(payload):
        connection.sendall(memoryview(payload)[max(0, sent) :])


def receive(connection: socket.socket, length: int) -> bytes:
    """Exactly `length` bytes; raises EOFError when the other side closes before."""
    parts = []
    while length:
        part = connection.recv(length, socket.MSG_WAITALL)
        if not part:
            raise EOFError
        parts.append(part)
        length -= len(part)
    return b"".join(parts)  # of one part: that part itself, not copied
