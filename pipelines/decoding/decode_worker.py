"""A process that decodes strangers' pictures for its parent, so that a hostile one kills no more.

It has no file open but its connection, no environment worth stealing, a limit of address space,
and for each picture an alarm that nobody catches: the kernel ends a decoder that hangs, even deep
inside C. It ends with its parent, whose death closes the connection.
"""

import json
import os
import resource
import signal
import socket
from collections.abc import Callable, Sequence

import cv2

from pipelines.decoding.decode_frames import (
    GREETING,
    pack_picture,
    pack_refusal,
    receive_body,
    send,
)
from pipelines.decoding.picture import DecodeLimits, Picture, StoredImage
from pipelines.fetching.refused import Refused
from pipelines.imaging import make_picture

Make = Callable[[bytes, DecodeLimits, StoredImage, Sequence[float]], Picture]
"""Of a body, limits, how it is stored and its face boxes."""


def run(settings: str, make: Make = make_picture) -> None:
    """Serve the parent at the other end of file descriptor 0 until it closes it.

    Args:
        settings: JSON of `limits`, `image`, `timeout_s` and `memory_bytes`.
    """
    told = json.loads(settings)
    limits, image = DecodeLimits(**told["limits"]), StoredImage(**told["image"])
    confine(told["memory_bytes"])
    with socket.socket(fileno=0) as connection:
        connection.sendall(GREETING)
        try:
            serve(
                connection, lambda body, boxes: make(body, limits, image, boxes), told["timeout_s"]
            )
        except (EOFError, OSError):
            return  # the parent has gone


def confine(memory_bytes: int) -> None:
    """Limit what this process may take, and let its alarm kill it."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent ends
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    cv2.setNumThreads(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)  # what went wrong before is the parent's to see; from here on pictures talk
    os.close(nowhere)


def serve(
    connection: socket.socket,
    make: Callable[[bytes, Sequence[float]], Picture],
    timeout_s: float,
) -> None:
    """Answer bodies with pictures; raises EOFError or OSError when the parent has gone."""
    while True:
        body, face_boxes = receive_body(connection)
        signal.setitimer(signal.ITIMER_REAL, timeout_s)
        try:
            header, payload = pack_picture(make(body, face_boxes))
        except Refused as refused:
            header, payload = pack_refusal(refused)
        except MemoryError:
            header, payload = pack_refusal(Refused("decode_oom"))
        signal.setitimer(signal.ITIMER_REAL, 0)
        send(connection, header, payload)
