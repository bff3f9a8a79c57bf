"""A machine with GPUs has an encoding process for each, fed by threads, and writes the same."""

import threading

import numpy as np
import pyarrow as pa
import pytest

from pipelines import encode
from pipelines.encode import EncodeSettings, EncodeUnit, encode_rows
from pipelines.encoding import read_ahead
from pipelines.encoding.read_ahead import feeding_threads, map_ahead
from pipelines.running.local import LocalEngine, Worker
from pipelines.steps import Step
from tests.pipelines.inputs.picture_files import saved, smooth
from tokens import image
from tokens.bundled import BUNDLED
from tokens.code_slots import CpuSlot
from tokens.image import load_image_tokenizer
from tokens.numerics import Numerics
from tokens.sequence import SequenceLayout
from tokens.shards import PROVENANCE
from tokens.text import load_text_tokenizer

SIDE_PX = 32
ROWS = 11


class LateSlot:
    """A GPU's slot that computes when its codes are asked for, of what its buffer holds then."""

    size = 4

    def __init__(self, make):
        self._slot, self._buffer = CpuSlot(make), np.zeros((4, SIDE_PX, SIDE_PX, 3), np.uint8)

    def start(self, images):
        self._count = len(images)
        self._buffer[: len(images)] = np.stack(images)

    def finish(self):
        codes = []
        for picture in self._buffer[: self._count]:
            self._slot.start([picture])
            codes.extend(self._slot.finish())
        return np.stack(codes)


@pytest.fixture
def gpu_tokenizer(monkeypatch):
    """The bundled tokenizer on a device that is told to be a GPU, of a machine with two."""
    moved = []
    monkeypatch.setattr(read_ahead, "count_gpus", lambda: 2)
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    monkeypatch.setattr("tokens.dvae.Dvae.on", lambda model, device: moved.append(device) or model)
    monkeypatch.setattr(
        image, "open_gpu_slots", lambda make, device, *size: (LateSlot(make), LateSlot(make))
    )
    tokenizer = load_image_tokenizer(BUNDLED, Numerics("fp32", "cuda"), gpu=1)
    assert [str(device) for device in moved] == ["cuda:1"]
    return tokenizer


def make_kept():
    columns = {field.name: pa.nulls(ROWS, field.type) for field in PROVENANCE}
    kept = {
        "pair_id": pa.array([bytes([n]) * 16 for n in range(ROWS)], pa.binary(16)),
        "caption": [f"picture {n}" for n in range(ROWS)],
        "image": [saved(smooth(60, 50, 7 * n + 1), "PNG") for n in range(ROWS)],
    }
    return pa.table(kept | columns)


def test_writes_what_a_cpu_writes(gpu_tokenizer):
    side = SIDE_PX // 8
    layout = SequenceLayout(text_slots=16, grid_height=side, grid_width=side, image_vocab_size=1024)
    settings = EncodeSettings(layout, SIDE_PX, 2, 0.1, 0, BUNDLED, BUNDLED)
    text, kept = load_text_tokenizer(BUNDLED), make_kept()
    on_cpu = load_image_tokenizer(BUNDLED)
    for split, view in (("train", 0), ("train", 1), ("val", 0)):
        expected = encode_rows(kept, split, view, settings, text, on_cpu)
        assert encode_rows(kept, split, view, settings, text, gpu_tokenizer).equals(expected)
    assert len(set(expected["image_codes"].combine_chunks().flatten().to_pylist())) > 20


def test_a_gpus_share_of_the_cores_decodes_for_it(gpu_tokenizer):
    assert feeding_threads("fp16-cuda") == 3
    assert feeding_threads("bf16-cpu") == 0


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_reading_ahead_keeps_the_order_and_goes_no_further_than_told(threads):
    asked, begun = [], threading.Lock()

    def square(number):
        with begun:
            asked.append(number)
        return number * number

    squares = map_ahead(square, range(100), threads, ahead=5)
    assert [next(squares) for _ in range(3)] == [0, 1, 4]
    assert max(asked) <= 2 + 5
    assert list(squares) == [n * n for n in range(3, 100)]


def test_reading_ahead_raises_what_an_item_raised():
    with pytest.raises(ZeroDivisionError):
        list(map_ahead(lambda number: 1 // number, [1, 0, 1], threads=2))


def test_there_is_a_process_for_each_gpu_and_none_more(monkeypatch):
    monkeypatch.setattr(encode, "count_gpus", lambda: 2)
    assert encode._max_processes(Numerics("fp16", "cuda")) == 2
    assert encode._max_processes(Numerics("bf16")) is None


def test_each_process_takes_a_gpu_of_its_own():
    unit = EncodeUnit("kept", "folder", "section", "settings", "cuts")
    step = Step("Encode Pairs", unit, ())
    assert [step.work_of(number).gpu for number in (0, 1, 3)] == [0, 1, 3]


class Told:
    """In the place of a worker's connection: keeps what it is told."""

    def __init__(self):
        self.shares = []

    def send(self, share):
        self.shares.append(share)


@pytest.mark.parametrize(
    ("max_processes", "expected"),
    [
        (2, {0: (0, 2, 4), 1: (1, 3)}),
        (1, {0: (0, 1, 2, 3, 4)}),
        (None, {0: (0, 3), 1: (1, 4), 2: (2,)}),
        (8, {0: (0, 3), 1: (1, 4), 2: (2,)}),
    ],
)
def test_the_local_engine_hands_out_to_no_more_processes_than_a_step_wants(
    monkeypatch, max_processes, expected
):
    """Though it may have more of them, from another step; each hears its number."""
    monkeypatch.setattr(Worker, "start", classmethod(lambda cls: cls(None, Told())))
    engine = LocalEngine(3)
    engine._hand_out(Step("Score Pairs", "any work", (0, 1, 2)), (0, 1, 2))
    before = [worker.connection.shares.pop() for worker in engine._workers]
    assert before == [("any work", (0,)), ("any work", (1,)), ("any work", (2,))]
    unit = EncodeUnit("kept", "folder", "section", "settings", "cuts")
    engine._hand_out(Step("Encode Pairs", unit, (), max_processes), tuple(range(5)))
    told = [share for worker in engine._workers for share in worker.connection.shares]
    assert {work.gpu: items for work, items in told} == expected
