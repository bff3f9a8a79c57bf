"""A decoding process, started by tests alone, that does to itself what a hostile picture may do."""

import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence

from pipelines.decoding.decode_frames import REPLY
from pipelines.decoding.decode_worker import run
from pipelines.decoding.picture import DecodeLimits, Picture, StoredImage
from pipelines.imaging import make_picture


def hang_in_c() -> None:
    while True:  # a thousand years inside one C call
        ctypes.CDLL(None).sleep(1_000_000)


def balloon() -> None:
    held = []
    while True:
        held.append(bytearray(2**26))


def answer(reply: bytes) -> None:
    with socket.socket(fileno=os.dup(0)) as connection:
        connection.sendall(reply)
    time.sleep(1_000)


NAN = float("nan")
DEEDS = {
    b"hang": hang_in_c,
    b"spin": lambda: next(n for n in iter(int, 1) if n),
    b"stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    b"segfault": lambda: ctypes.string_at(0),
    b"abort": os.abort,
    b"kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    b"exit": lambda: os._exit(3),
    b"raise": lambda: 1 / 0,
    b"balloon": balloon,
    b"unknown reason": lambda: answer(REPLY.pack(200, 1, 1, 1, 1, bytes(16), False, 0.0, 0, 0)),
    b"quality of 101": lambda: answer(REPLY.pack(0, 1, 1, 1, 1, bytes(16), False, 0.0, 101, 0)),
    b"no transparency": lambda: answer(REPLY.pack(0, 1, 1, 1, 1, bytes(16), False, NAN, 0, 0)),
    b"endless answer": lambda: answer(
        REPLY.pack(0, 1, 1, 1, 1, bytes(16), False, 0.0, 0, 2**32 - 1)
    ),
    b"half an answer": lambda: (
        os.write(0, REPLY.pack(0, 1, 1, 1, 1, bytes(16), False, 0.0, 0, 9)[:7]),
        os._exit(0),
    ),
    b"chatter": lambda: (os.write(1, b"x" * 10**6), os.write(2, b"x" * 10**6)),
}


def make(
    body: bytes, limits: DecodeLimits, image: StoredImage, face_boxes: Sequence[float]
) -> Picture:
    if body in DEEDS:
        DEEDS[body]()
    return make_picture(body, limits, image, face_boxes)


run(sys.argv[1], make)
