"""Slots take turns without mixing up pictures, and say what no number can tell."""

import numpy as np
import pytest
import torch

from tokens.code_slots import NO_CODE, CpuSlot, codes_by, stream_codes
from tokens.gpu_slot import BATCH_PIXELS, batch_size


class LateSlot:
    """A slot that reads its pictures when asked for codes, as late as a GPU might."""

    size = 3

    def __init__(self, most_busy):
        self.busy, self.most_busy = 0, most_busy
        self._buffer = np.zeros((self.size, 2, 2, 3), np.uint8)

    def start(self, images):
        assert not self.busy
        self.busy, self._count = 1, len(images)
        self._buffer[: len(images)] = np.stack(images)
        self.most_busy.append(sum(slot.busy for slot in self.all))

    def finish(self):
        self.busy = 0
        return self._buffer[: self._count, :, :, 0].astype(np.int64)


def open_late_slots():
    most_busy = []
    slots = [LateSlot(most_busy), LateSlot(most_busy)]
    for slot in slots:
        slot.all = slots
    return slots, most_busy


@pytest.mark.parametrize("count", [0, 1, 3, 4, 6, 7, 20])
def test_every_picture_gets_its_own_codes_in_order(count):
    slots, _ = open_late_slots()
    images = (np.full((2, 2, 3), number, np.uint8) for number in range(count))
    found = [int(codes[0, 0]) for codes in stream_codes(slots, images)]
    assert found == list(range(count))


def test_a_slot_is_filled_while_the_other_computes():
    slots, most_busy = open_late_slots()
    list(stream_codes(slots, [np.zeros((2, 2, 3), np.uint8)] * 12))
    assert most_busy == [1, 2, 2, 2]


class Scores:
    """A network of two codes whose scores are two bytes of the picture, over a divisor."""

    def __init__(self, divisor):
        self.divisor = divisor

    def scores(self, pixels_BCHW):
        return pixels_BCHW.movedim(1, -1)[..., :2] / self.divisor


def test_a_code_is_the_first_of_the_largest_scores():
    image = np.array([[[1, 2, 0], [2, 1, 0], [2, 2, 0]]], np.uint8)
    slot = CpuSlot(codes_by(Scores(1)))
    slot.start([image])
    assert slot.finish().tolist() == [[[1, 0, 0]]]


def test_scores_beyond_all_numbers_give_no_code():
    image = np.array([[[255, 0, 0], [0, 0, 0]]], np.uint8)
    slot = CpuSlot(codes_by(Scores(0)))
    slot.start([image])
    assert slot.finish().tolist() == [[[NO_CODE, NO_CODE]]]


def test_the_first_threads_are_the_callers_again():
    before = torch.get_num_threads()
    slot = CpuSlot(codes_by(Scores(1)))
    slot.start([np.zeros((1, 1, 3), np.uint8)])
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("side_px", "count"), [(256, 32), (512, 8), (128, 128), (4096, 1)])
def test_a_batch_on_a_gpu_holds_as_many_pixels_whatever_their_side(side_px, count):
    assert batch_size(side_px, side_px) == count
    assert count == 1 or count * side_px**2 == BATCH_PIXELS
