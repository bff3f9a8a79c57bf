"""A table of tensors that lies in slices in several safetensors files, read by rows."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

PIECES = "pieces"
"""In a file's header: {name: [first row, *shape of the whole]} of the tensors cut in rows."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows [start, stop) of a tensor, and the file that holds them."""

    file: Path
    start: int
    stop: int


class SlicedTable:
    """Names, shapes, and any rows of the tensors in some files."""

    def __init__(self, files: list[Path]) -> None:
        """Read the headers.

        Raises:
            ValueError: a file is not safetensors, or its header is not one of ours.
        """
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._slices: dict[str, list[Slice]] = {}
        for file in files:
            try:
                self._add(file)
            except (SafetensorError, OSError, ValueError, TypeError, KeyError) as err:
                raise ValueError(f"{file} is not a table of tensors: {err}") from err

    def _add(self, file: Path) -> None:
        with safe_open(file, framework="pt") as opened:
            pieces: dict[str, list[int]] = json.loads(opened.metadata()[PIECES])
            for name in opened.keys():  # noqa: SIM118 (it is no mapping)
                held = tuple(opened.get_slice(name).get_shape())
                start, *shape = (int(number) for number in pieces.get(name, [0, *held]))
                rows = held[0] if held else 1
                if start < 0 or shape[1:] != list(held[1:]):
                    raise ValueError(f"{name} is not a slice of shape {shape} from row {start}")
                self.shapes[name] = tuple(shape)
                self._slices.setdefault(name, []).append(Slice(file, start, start + rows))

    def read(self, name: str, start: int, stop: int) -> Tensor:
        """Rows [start, stop) of a tensor; one without dimensions is its own only row.

        Raises:
            ValueError: the files do not hold them all.
        """
        slices = sorted(self._slices.get(name, ()), key=lambda piece: piece.start)
        parts, have = [], start
        for piece in slices:
            if piece.start <= have < min(piece.stop, stop):
                parts.append(_read_rows(name, piece, have, min(piece.stop, stop)))
                have = min(piece.stop, stop)
        if not slices or have < stop:
            raise ValueError(f"the checkpoint has no rows {have} to {stop} of {name}")
        if not parts:  # no rows are asked for
            return _read_rows(name, slices[0], slices[0].start, slices[0].start)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def read_all(self) -> dict[str, Tensor]:
        """Every tensor, whole."""
        return {
            name: self.read(name, 0, shape[0] if shape else 1)
            for name, shape in self.shapes.items()
        }


def _read_rows(name: str, piece: Slice, start: int, stop: int) -> Tensor:
    with safe_open(piece.file, framework="pt") as opened:
        if (start, stop) == (piece.start, piece.stop):
            whole: Tensor = opened.get_tensor(name)
            return whole
        part: Tensor = opened.get_slice(name)[start - piece.start : stop - piece.start]
        return part
