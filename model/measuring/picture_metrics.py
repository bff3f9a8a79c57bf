"""FID, KID and Inception Score of pictures beside others, sharp and blurred, by torch-fidelity.

The paper blurs drawn and real pictures alike before it compares them: fine detail is what its codes
cannot hold (Ramesh et al. 2021, section 3.1 and figure 9, radii 0 to 8). Numbers compare only where
extractor, resizing, number and blur are the same; all four stand in the output.

torch-fidelity opens weights with an unrestricted unpickler, so it is only ever given a file that
was written here, of tensors that were read through an allow-list.
"""

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import Dataset

from tokens.crops import centre_crop

INCEPTION = "inception-v3-compat"
"""torch-fidelity's name of the network of the original FID, ported with its own resizing."""
PUBLISHED_AT = "https://github.com/toshas/torch-fidelity/releases (weights-inception-2015-12-05)"
RADII = (0, 1, 2, 4, 8)
ENDINGS = frozenset((".png", ".jpg", ".jpeg", ".webp"))
KID_SUBSET = 1000
"""Pictures of each of KID's 100 subsets; fewer where there are fewer (torch-fidelity's default)."""
NAMES = {
    "fid": "frechet_inception_distance",
    "kid": "kernel_inception_distance_mean",
    "kid_std": "kernel_inception_distance_std",
    "inception_score": "inception_score_mean",
    "inception_score_std": "inception_score_std",
}


class Blurred(Dataset[Tensor]):
    """Pictures as uint8 [3, side, side], their middle square shrunk to the side, then blurred."""

    def __init__(self, paths: Sequence[Path], side_px: int, radius_px: float) -> None:
        self.paths, self.side_px, self.radius_px = paths, side_px, radius_px

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        with Image.open(self.paths[index]) as opened:
            pixels = np.asarray(opened.convert("RGB"))
        picture = Image.fromarray(centre_crop(pixels, self.side_px))
        if self.radius_px:
            picture = picture.filter(ImageFilter.GaussianBlur(self.radius_px))
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


def list_pictures(folder: str | Path) -> list[Path]:
    """Every picture below a folder, by name; raises ValueError where there are fewer than two."""
    found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in ENDINGS)
    if len(found) < 2:
        raise ValueError(f"{folder} holds {len(found)} pictures; at least 2 are compared")
    return found


def measure_pictures(
    drawn: Sequence[Path],
    real: Sequence[Path],
    weights: str | Path,
    radii: Sequence[float] = RADII,
    extractor: str = INCEPTION,
) -> dict[str, Any]:
    """The metrics at each radius of blur, with all that they depend on.

    Both sides are brought to the side of the first drawn picture.

    Raises:
        ValueError: torch-fidelity is not installed, the weights hold more than tensors or do not
            fit, or a picture is smaller than the drawn ones.
    """
    try:
        import torch_fidelity  # an extra of its own
    except ImportError as err:
        raise ValueError(
            "FID, KID and Inception Score need torch-fidelity: pip install 'pairmill[evaluation]'"
        ) from err
    with Image.open(drawn[0]) as first:
        side_px = min(first.size)
    found: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "weights.pth"
        torch.save(read_tensors(weights), plain)
        for radius_px in radii:
            sides = [Blurred(paths, side_px, radius_px) for paths in (drawn, real)]
            values = _calculate(torch_fidelity, sides, extractor, plain)
            found.append(
                {"blur_radius_px": radius_px} | {key: values[name] for key, name in NAMES.items()}
            )
    return {
        "num_drawn": len(drawn),
        "num_real": len(real),
        "side_px": side_px,
        "extractor": extractor,
        "extractor_sha256": hash_file(weights),
        "resizer": "middle square by area to side_px; then the extractor's own, TensorFlow 1's "
        "bilinear to 299 px",
        "torch_fidelity": torch_fidelity.__version__,
        "kid_subset_size": _kid_subset(drawn, real),
        "by_blur": found,
    }


def _calculate(
    torch_fidelity: Any, sides: Sequence[Blurred], extractor: str, weights: Path
) -> dict[str, float]:
    try:
        values: dict[str, float] = torch_fidelity.calculate_metrics(
            input1=sides[0],
            input2=sides[1],
            isc=True,
            fid=True,
            kid=True,
            cuda=torch.cuda.is_available(),
            feature_extractor=extractor,
            feature_extractor_weights_path=str(weights),
            kid_subset_size=_kid_subset(*(side.paths for side in sides)),
            save_cpu_ram=True,  # pictures are read by this process alone
            cache=False,
            verbose=False,
        )
    except RuntimeError as err:
        if "state_dict" not in str(err):
            raise
        said = " ".join(str(err).split())[:200]
        raise ValueError(f"the weights do not fit {extractor}: {said}") from err
    return values


def _kid_subset(drawn: Sequence[Path], real: Sequence[Path]) -> int:
    return min(KID_SUBSET, len(drawn), len(real))


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """A checkpoint's tensors; nothing but tensors is ever unpickled.

    Raises:
        ValueError: there is no such file, or it holds something else.
    """
    if not Path(path).is_file():
        raise ValueError(f"there is no file {path}; the weights are published at {PUBLISHED_AT}")
    try:
        if Path(path).suffix == ".safetensors":
            read: dict[str, Tensor] = load_file(path)
            return read
        tensors = torch.load(path, "cpu", weights_only=True)
        return {str(name): one.detach() for name, one in tensors.items()}
    except Exception as err:  # hostile bytes make it raise nearly anything
        said = " ".join(str(err).split())[:200]
        raise ValueError(f"{path} is no checkpoint that holds tensors alone: {said}") from err


def hash_file(path: str | Path) -> str:
    """SHA-256 (hex)."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
