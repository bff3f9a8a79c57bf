"""The pictures that a dVAE is trained on: a build's kept pairs, in RAM, cut into batches.

A batch is a pure function of the seed and the step: each epoch visits every picture once in an
order of its own, and each crop has its own generator. A resumed run therefore needs no state of the
loader.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from tokens.crops import centre_crop, listing1_crop
from tokens.draw import keyed_generator
from tokens.manifest import kept_pairs
from tokens.pixels import read_stored

Pixels = npt.NDArray[np.uint8]

LISTING1_ZOOM = 1.5
"""Listing 1 zooms to 384 / 256 of the side at most, so nothing larger needs to be kept."""

HELD_OUT_SHARE = 32
"""One picture in so many is held out where the build has no validation split."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures in input order, as stored bytes or as pixels, none below the side of the crops."""

    items: tuple[bytes | Pixels, ...]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Pixels:
        item = self.items[index]
        return read_stored(item) if isinstance(item, bytes) else item


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a run trains on and what it is measured on."""

    train: Pictures
    held_out: Pictures
    too_small: int
    """Kept pairs left out because a side is below `side_px`."""

    sha256: str
    """Of all pictures to train on, as they are kept, in order: which pictures a run belongs to."""


def load_corpus(directory: str, side_px: int, max_decoded_bytes: int) -> Corpus:
    """The kept pairs of a build, their pictures decoded once while they fit `max_decoded_bytes`.

    Decoded pictures are shrunk to what Listing 1 can use; past the limit pictures stay as stored
    bytes and are decoded for each crop. Where the build has no validation split, every 32nd picture
    is held out.

    Raises:
        ValueError: no picture is large enough, or none is left to hold out.
    """
    train, small_train = _load_split(directory, "train", side_px, max_decoded_bytes)
    held_out, small_held_out = _load_split(directory, "val", side_px, max_decoded_bytes // 8)
    if not held_out:
        held_out, train = train[::HELD_OUT_SHARE], _without_every(train, HELD_OUT_SHARE)
    too_small = small_train + small_held_out
    if not train or not held_out:
        raise ValueError(
            f"{directory} keeps {len(train) + len(held_out)} pictures with a short side of at "
            f"least {side_px} px ({too_small} are smaller): training needs 2 or more; take a "
            "smaller --side_px or a recipe that keeps more"
        )
    digest = hashlib.sha256()
    for item in train:
        digest.update(item if isinstance(item, bytes) else item.tobytes())
    return Corpus(Pictures(tuple(train)), Pictures(tuple(held_out)), too_small, digest.hexdigest())


def _load_split(
    directory: str, split: str, side_px: int, max_decoded_bytes: int
) -> tuple[list[bytes | Pixels], int]:
    """The pictures of a split and how many were too small."""
    items: list[bytes | Pixels] = []
    too_small = decoded_bytes = 0
    for table in kept_pairs(directory, split, ("image", "width", "height")):
        columns = (table.column(name).to_pylist() for name in ("image", "width", "height"))
        for image, width, height in zip(*columns, strict=True):
            if min(width, height) < side_px:
                too_small += 1
            elif decoded_bytes < max_decoded_bytes:
                pixels = _shrink(read_stored(image), int(side_px * LISTING1_ZOOM))
                decoded_bytes += pixels.nbytes
                items.append(pixels)
            else:
                items.append(bytes(image))
    return items, too_small


def _shrink(pixels: Pixels, short_px: int) -> Pixels:
    height, width = pixels.shape[:2]
    ratio = short_px / min(height, width)
    if ratio >= 1:
        return pixels
    size = (max(short_px, round(width * ratio)), max(short_px, round(height * ratio)))
    shrunk: Pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return shrunk


def _without_every(items: list[bytes | Pixels], share: int) -> list[bytes | Pixels]:
    return [item for position, item in enumerate(items) if position % share]


class Batches:
    """Batches of Listing 1 crops, uint8 [B, side, side, 3]."""

    def __init__(self, pictures: Pictures, side_px: int, batch_size: int, seed: int) -> None:
        self._pictures = pictures
        self._side_px = side_px
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = -1
        self._order = np.empty(0, np.int64)

    def batch(self, step: int) -> Pixels:
        """The batch of a step: the same for the same seed, whatever was asked for before."""
        first = step * self._batch_size
        return np.stack([self._crop(number) for number in range(first, first + self._batch_size)])

    def from_step(self, step: int, stop: int, ahead: int = 4) -> Iterator[Pixels]:
        """The batches of steps `step` to `stop` - 1, made by a thread up to `ahead` in advance."""
        ready: queue.Queue[Pixels | BaseException] = queue.Queue(ahead)
        closed = threading.Event()

        def offer(item: Pixels | BaseException) -> None:
            while not closed.is_set():
                try:
                    return ready.put(item, timeout=0.1)
                except queue.Full:
                    continue

        def produce() -> None:
            try:
                for number in range(step, stop):
                    if closed.is_set():
                        return
                    offer(self.batch(number))
            except BaseException as err:  # raised again below, in the thread that trains
                offer(err)

        thread = threading.Thread(target=produce, name="batches", daemon=True)
        thread.start()
        try:
            for _ in range(step, stop):
                item = ready.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            closed.set()
            thread.join()

    def _crop(self, number: int) -> Pixels:
        epoch, position = divmod(number, len(self._pictures))
        if epoch != self._epoch:
            generator = keyed_generator(epoch.to_bytes(8, "big"), "dvae_order", self._seed)
            self._order, self._epoch = generator.permutation(len(self._pictures)), epoch
        pixels = self._pictures[int(self._order[position])]
        generator = keyed_generator(number.to_bytes(8, "big"), "listing1", self._seed)
        return listing1_crop(pixels, self._side_px, generator)


def held_out_crops(pictures: Pictures, side_px: int, limit: int) -> Pixels:
    """The centre crops of up to `limit` pictures, spread evenly: uint8 [N, side, side, 3]."""
    count = min(limit, len(pictures))
    indices = (position * len(pictures) // count for position in range(count))
    return np.stack([centre_crop(pictures[index], side_px) for index in indices])
