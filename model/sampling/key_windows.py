"""Which keys a picture's next code reads, as tables: what decoding one by one needs of a mask.

A code sees few of those before it: of the paper's 1,024 at most 33 in a row layer, 32 in a column
layer and 61 in the convolutional one. A layer therefore keeps no longer past than its kind reaches
back, in a ring: code i stands in slot i mod slots. Where a code sees a whole ring (row, full), the
ring is read as it lies; else the slots that it sees are gathered. All tables have fixed shapes, so
that every code is drawn by the same operations (a CUDA graph can replay them).

Shapes: I image codes, N slots that one code reads at most.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from model.attention import Kind, as_bias, image_mask


@dataclass(frozen=True, slots=True)
class Window:
    """The tables of one kind of layer, a row for each raster index."""

    slots: int
    """Of the ring."""
    write_I: Tensor
    """Where a code's own key and value go."""
    read_IN: Tensor | None
    """The slots that a code reads, filled up with slot 0; None where it reads the whole ring."""
    bias_IN: Tensor
    """0 where what is read is a key that the code sees, minus infinity elsewhere."""

    @property
    def width(self) -> int:
        """Keys that are read at each code."""
        return self.bias_IN.shape[1]

    def to(self, device: torch.device, dtype: torch.dtype) -> "Window":
        read_IN = None if self.read_IN is None else self.read_IN.to(device)
        return Window(self.slots, self.write_I.to(device), read_IN, self.bias_IN.to(device, dtype))


def make_window(kind: Kind, num_codes: int, grid_width: int) -> Window:
    """The tables that read, at every code, exactly the keys that `image_mask` allows.

    >>> [make_window(kind, 1024, 32).width for kind in ("row", "column", "conv", "full")]
    [33, 32, 61, 1024]
    """
    sees_II = image_mask(kind, num_codes, grid_width)
    index = torch.arange(num_codes)
    slots = int(((index[:, None] - index) * sees_II).max()) + 1  # the farthest, and the code itself
    write_I = index % slots
    most = int(sees_II.sum(dim=1).max())
    if most == slots:
        open_IN = torch.zeros(num_codes, slots, dtype=torch.bool)
        code, seen = sees_II.nonzero(as_tuple=True)
        open_IN[code, seen % slots] = True
        return Window(slots, write_I, None, as_bias(open_IN))
    read_IN = torch.zeros(num_codes, most, dtype=torch.long)
    open_IN = torch.zeros(num_codes, most, dtype=torch.bool)
    for i, row in enumerate(sees_II):
        seen = row.nonzero().flatten()
        read_IN[i, : len(seen)], open_IN[i, : len(seen)] = seen % slots, True
    return Window(slots, write_I, read_IN, as_bias(open_IN))
