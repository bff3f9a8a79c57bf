"""Weights that were published as pickles, read without running anything that is in them.

A pickle is a program. Of its calls only the few are let through that rebuild tensors, sets and
ordered dictionaries; the classes that the published tokenizers are made of become `Inert` objects
that hold attributes and have no code; any other name is refused. Both of torch's containers are
read: the zip file of today, and the stream of pickles before version 1.6.

`torch.load(weights_only=True)` reads no stream that holds a module, and a module is what OpenAI
published.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

MAX_BYTES = 4 << 30
"""Of a file; the largest published tokenizer that we know of takes 1 GB."""
MAX_DEPTH = 64
"""Of modules inside modules."""
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001

DTYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
INERT = frozenset(
    {
        "dall_e.encoder.Encoder",
        "dall_e.encoder.EncoderBlock",
        "dall_e.decoder.Decoder",
        "dall_e.decoder.DecoderBlock",
        "dall_e.utils.Conv2d",
        "torch.nn.modules.activation.ReLU",
        "torch.nn.modules.container.Sequential",
        "torch.nn.modules.linear.Identity",
        "torch.nn.modules.pooling.MaxPool2d",
        "torch.nn.modules.upsampling.Upsample",
        "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    }
)
"""Classes of OpenAI's modules, and the one that Lightning leaves in a checkpoint of taming's."""


class Inert:
    """An object of a class that is not there: its attributes, and nothing that could run."""


class _Storage:
    """Numbers of one type in a row; of a stream they come only after the tensors that use them."""

    __slots__ = ("numbers",)

    def __init__(self, numbers: Tensor) -> None:
        self.numbers = numbers


def read_published(data: bytes, origin: str) -> Any:
    """What a published pickle holds: dictionaries, tensors on the CPU, `Inert` objects.

    Args:
        data: the whole file.
        origin: names it in messages.

    Raises:
        ValueError: it names something else than what a tokenizer is made of, or is no whole file
            of torch's; the message says which.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"{origin} has {len(data):,} bytes; no tokenizer has over {MAX_BYTES:,}")
    try:
        return _read_zip(data) if data[:2] == b"PK" else _read_stream(data)
    except _RefusedName as err:
        raise ValueError(f"{origin} names {err}, which no tokenizer needs: refused") from err
    except Exception as err:  # hostile bytes make a pickle machine raise nearly anything
        raise ValueError(f"{origin} is no whole file that torch.save wrote ({err})") from err


class _RefusedName(Exception):
    """A global that is in no list."""


def _read_zip(data: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = {name.partition("/")[2]: name for name in archive.namelist()}

        def load(key: str, dtype: torch.dtype, length: int) -> Tensor:
            entry = archive.getinfo(names[f"data/{key}"])
            if entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{entry.filename} is compressed, which torch never does")
            numbers = torch.frombuffer(bytearray(archive.read(entry)), dtype=dtype)
            if len(numbers) != length:
                raise ValueError(f"{entry.filename} holds {len(numbers)} numbers, not {length}")
            return numbers

        return _Unpickler(io.BytesIO(archive.read(names["data.pkl"])), load).load()


def _read_stream(data: bytes) -> Any:
    """Magic number, version, system, objects, keys of the storages, then each one's numbers."""
    file = io.BytesIO(data)
    storages: dict[str, Tensor] = {}

    def reserve(key: str, dtype: torch.dtype, length: int) -> Tensor:
        if not 0 <= length * dtype.itemsize <= len(data):
            raise ValueError(f"storage {key} of {length} numbers is longer than the file")
        return storages.setdefault(key, torch.zeros(length, dtype=dtype))

    magic, version, _system = (_Unpickler(file, reserve).load() for _ in range(3))
    if (magic, version) != (LEGACY_MAGIC, LEGACY_PROTOCOL):
        raise ValueError("its magic number is not torch's")
    found = _Unpickler(file, reserve).load()
    for key in _Unpickler(file, reserve).load():
        _fill(storages[key], file)
    return found


def _fill(numbers: Tensor, file: io.BytesIO) -> None:
    length = int.from_bytes(file.read(8), "little")
    body = file.read(length * numbers.dtype.itemsize)
    if length != len(numbers):
        raise ValueError(f"a storage holds {length} numbers, not {len(numbers)}")
    numbers.copy_(torch.frombuffer(bytearray(body), dtype=numbers.dtype) if length else numbers)


_Load = Callable[[str, torch.dtype, int], Tensor]


class _Unpickler(pickle.Unpickler):
    """Resolves the names of the lists above and no others; nothing is imported."""

    def __init__(self, file: io.BytesIO, load: _Load) -> None:
        super().__init__(file)
        self._load = load
        self._storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full in INERT:
            return type(name, (Inert,), {})  # a pickle may write on a class: on this one alone
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        if full not in _CALLS:
            raise _RefusedName(full)
        return _CALLS[full]

    def persistent_load(self, key: Any) -> Any:
        kind, *rest = key
        if kind == "module":  # of a stream: class, file and source text
            return rest[0]
        if kind != "storage":
            raise _RefusedName(f"a persistent {kind}")
        dtype, name, _device, length = rest[:4]
        if name not in self._storages:
            self._storages[name] = _Storage(self._load(name, dtype, length))
        return self._storages[name]


def _sealed(act: Callable[..., Any]) -> Any:
    """`act` as an object that a pickle can call and cannot change."""
    kind = type("Sealed", (), {"__slots__": (), "__call__": staticmethod(act), "__reduce__": None})
    return kind()


def _rebuild_tensor(storage: _Storage, offset: int, size: Any, stride: Any, *_: Any) -> Tensor:
    tensor = torch.as_strided(storage.numbers, size, stride, offset)
    if tensor.numel() > storage.numbers.numel():
        raise ValueError(f"a tensor of {tuple(size)} lies in {storage.numbers.numel()} numbers")
    return tensor


_CALLS = {
    "collections.OrderedDict": _sealed(OrderedDict),
    "builtins.set": _sealed(set),
    "__builtin__.set": _sealed(set),  # as Python 2 called it, and pickles of protocol 2 still do
    "torch.device": _sealed(lambda *_: None),
    "torch._utils._rebuild_tensor_v2": _sealed(_rebuild_tensor),
    "torch._utils._rebuild_parameter": _sealed(lambda data, *_: data),
}


def module_tensors(module: Any, prefix: str = "", depth: int = 0) -> dict[str, Tensor]:
    """Every parameter and buffer of an `Inert` module, named as in its state dict.

    Raises:
        ValueError: it is no module.
    """
    if not isinstance(module, Inert) or depth > MAX_DEPTH:
        raise ValueError(f"{prefix or 'the file'} is no module of torch's")
    held = vars(module)
    found: dict[str, Tensor] = {}
    for kind in ("_parameters", "_buffers"):
        own = as_tensors(held.get(kind, {}))
        found |= {f"{prefix}{name}": tensor for name, tensor in own.items()}
    for name, child in dict(held.get("_modules", {})).items():
        found |= module_tensors(child, f"{prefix}{name}.", depth + 1)
    return found


def as_tensors(held: Any) -> dict[str, Tensor]:
    """The tensors of a dictionary, each a copy of its own; what is None is left out.

    Raises:
        ValueError: it is none, or holds something else.
    """
    if not isinstance(held, Mapping):
        raise ValueError("the weights are no dictionary")
    for name, tensor in held.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor | None):
            raise ValueError(f"the weight {name!r} is no tensor")
    return {name: tensor.clone() for name, tensor in held.items() if tensor is not None}
