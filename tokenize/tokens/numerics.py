"""In which arithmetic codes are made: a recipe's mode on a kind of device.

    mode           device     body of the encoder                       its head
    fp32           cpu, cuda  float32                                   float32
    fp32_compiled  cpu        float32, compiled, its weights frozen     float32
    bf16           cpu        bfloat16, compiled, its weights frozen    float32
    fp16           cuda       float16                                   float32

fp32 on a CPU is the reference, and what a recipe gets that says nothing where there is no GPU; on a
GPU it gets fp16, which is what the dVAE's authors compute in there (their `Conv2d.use_float16`; its
last layer and the argmax stay in float32). Another arithmetic may choose another code where two are
nearly as likely, so it makes tokens stale, and the manifest tells the share of equal codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["fp32", "fp32_compiled", "bf16", "fp16"]
Kind = Literal["cpu", "cuda"]

KINDS: dict[Mode, tuple[Kind, ...]] = {
    "fp32": ("cpu", "cuda"),
    "fp32_compiled": ("cpu",),
    "bf16": ("cpu",),
    "fp16": ("cuda",),
}
"""The devices that a mode is for."""


@dataclass(frozen=True, slots=True)
class Numerics:
    """A mode on a kind of device; its text, such as "fp16-cuda", stands in manifests."""

    mode: Mode = "fp32"
    device: Kind = "cpu"

    def __post_init__(self) -> None:
        if self.mode not in KINDS:
            raise ValueError(f"numerics is {self.mode!r}, must be one of {', '.join(KINDS)}")
        if self.device not in KINDS[self.mode]:
            wanted = [mode for mode, kinds in KINDS.items() if self.device in kinds]
            raise ValueError(
                f"numerics is {self.mode!r}, which is not for device {self.device!r}: give one of "
                f"{', '.join(wanted)}"
            )

    @property
    def is_compiled(self) -> bool:
        """Made of generated C++, for which a compiler must be there."""
        return self.mode in ("fp32_compiled", "bf16")

    def __str__(self) -> str:
        return f"{self.mode}-{self.device}"


REFERENCE = Numerics()
"""What every other arithmetic is compared with."""


def settle_numerics(mode: str, device: str, num_gpus: int) -> Numerics:
    """The arithmetic that a recipe's words mean on a machine.

    Args:
        mode: one of `Mode`, or "auto": fp16 on a GPU, fp32 on a CPU.
        device: "cpu", "cuda", or "auto": a GPU where there is one and the mode is for it.

    Raises:
        ValueError: there is no GPU to compute on, or the mode is not for the device.
    """
    kinds = KINDS.get(mode, ("cpu", "cuda"))  # type: ignore[call-overload]  # "auto" is none of them
    if device == "auto":
        device = "cuda" if "cuda" in kinds and (num_gpus or kinds == ("cuda",)) else "cpu"
    if device == "cuda" and not num_gpus:
        raise ValueError(
            f'[encode] numerics "{mode}" is for a GPU, and torch finds none here; give "auto"'
            if kinds == ("cuda",)
            else '[encode] device is "cuda", and torch finds no GPU here; give "auto"'
        )
    if mode == "auto":
        mode = "fp16" if device == "cuda" else "fp32"
    return Numerics(mode, device)  # type: ignore[arg-type]  # which looks at them


def count_gpus() -> int:
    """GPUs that torch can compute on."""
    import torch  # takes seconds, and whoever only names a mode needs none of it

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
