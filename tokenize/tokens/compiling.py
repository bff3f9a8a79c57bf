"""Networks compiled by TorchInductor: fused, and with weights packed for this processor.

Freezing turns weights into constants, so that oneDNN lays each out once as its convolution wants
it. The first pictures wait for the compiler, minutes for a large network; what it made is kept in
torch's cache (TORCHINDUCTOR_CACHE_DIR) and serves every later process.
"""

from __future__ import annotations

import shutil
import sysconfig
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

OPTIONS = {
    "freezing": True,
    # A worker of the local engine is one of many already, and leaves no children behind.
    "compile_threads": 1,
}


def compile_frozen(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The same function of a tensor of one shape, made of C++; call it without gradients."""
    # torch.fx draws a bar; tqdm's own lock is one between processes, and outlives one that is ended
    tqdm.set_lock(threading.RLock())
    return torch.compile(function, dynamic=False, fullgraph=True, options=OPTIONS)  # type: ignore[arg-type]  # any option's value


def require_compiler(names: Sequence[str] = ()) -> None:
    """See that there is what TorchInductor needs for a CPU.

    Args:
        names: of compilers, one of which must be there; those that it looks for by default.

    Raises:
        ValueError: it is not there.
    """
    header = Path(sysconfig.get_path("include"), "Python.h")
    missing = ""
    if not any(map(shutil.which, names or _compilers())):
        missing = "a C++ compiler (Debian's package g++; CXX may name another)"
    elif not header.is_file():
        missing = f"Python's headers ({header}; Debian's package python3-dev)"
    if missing:
        raise ValueError(
            f'[encode] numerics "bf16" and "fp32_compiled" need {missing}, which is not here; '
            'install it, or give numerics "fp32"'
        )


def _compilers() -> list[str]:
    from torch._inductor import config  # takes seconds

    return [name for name in config.cpp.cxx if name]
