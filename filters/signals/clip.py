"""How well a caption fits its picture, by any CLIP model of open_clip: the recipe's [score.clip].

    [score.clip]
    model = "ViT-B-32"                 # a name of open_clip's, hf-hub:ORG/NAME or local-dir:FOLDER
    weights = "laion2b_s34b_b79k"      # a file or URL, a tag of open_clip's, or hf-hub:ORG/NAME
    store_embeddings = "fp16"
    aesthetic_weights = "aesthetic.safetensors"

This file names what is wanted and finds it; `clip_model.py` imports torch and computes. Pictures
go through the network in batches that the unit and `batch_size` alone decide, so that a re-run
gives the same bytes whatever the number of workers; another `batch_size` may change last digits.
"""

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pyarrow as pa

from filters.bounds import Between, check_fields
from filters.signals.clip_config import FOLDER, HUB, hash_config
from filters.signals.signal import BATCH_PICTURES, Columns, Signal

CLIP_TYPES = {
    "clip_similarity": pa.float32(),
    "clip_truncated": pa.bool_(),
    "aesthetic_score": pa.float32(),
    "nsfw_score": pa.float32(),
}
"""What rules may read of it."""

EMBEDDINGS = ("clip_image_embedding", "clip_text_embedding")
EMBEDDING_TYPE = pa.list_(pa.float16())
"""As many numbers in every row; not of a fixed size by type, for Arrow cannot read nulls of such a
one back from Parquet."""

PUBLISHED_AT = (
    "open_clip's own are listed at https://github.com/mlfoundations/open_clip/blob/main/docs/"
    "PRETRAINED.md and published at https://huggingface.co/laion"
)


@dataclass(frozen=True, slots=True)
class Clip:
    """The model, its weights, and what is kept of what it says."""

    model: str = "ViT-B-32"
    """An architecture of open_clip's by name; hf-hub:ORG/NAME; or local-dir:FOLDER, which holds
    open_clip_config.json and one checkpoint. The latter two bring weights and preprocessing."""
    weights: str = ""
    """A .safetensors, or a .pt that holds nothing but tensors, at a path or fsspec URL; a
    pretrained tag of the architecture's; or hf-hub:ORG/NAME."""
    batch_size: Annotated[int, Between(1, BATCH_PICTURES)] = BATCH_PICTURES
    """Pairs that go through the network at once."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: a GPU where there is one."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Of weights and arithmetic. auto: bf16 on a GPU and on CPUs with AMX, fp32 on other CPUs."""
    store_embeddings: Literal["none", "fp16"] = "none"
    """Whether both embeddings, of length 1, become columns."""
    aesthetic_weights: str = ""
    """Head of LAION's aesthetic predictors on the image embedding, as safetensors (path or URL)."""
    nsfw_weights: str = ""
    """Head of LAION's NSFW detector on the image embedding, as safetensors (path or URL)."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.precision == "fp16" and self.device == "cpu":
            raise ValueError('precision is "fp16", which no CPU computes in; give "fp32" or "bf16"')
        if self.weights and self.model.startswith((HUB, FOLDER)):
            raise ValueError(
                f"weights is {self.weights!r}, but {self.model} brings its own; leave it out"
            )

    @property
    def columns(self) -> Columns:
        """Names and Arrow types, in order."""
        kinds = {name: CLIP_TYPES[name] for name in ("clip_similarity", "clip_truncated")}
        if self.aesthetic_weights:
            kinds["aesthetic_score"] = CLIP_TYPES["aesthetic_score"]
        if self.nsfw_weights:
            kinds["nsfw_score"] = CLIP_TYPES["nsfw_score"]
        if self.store_embeddings == "fp16":
            kinds |= dict.fromkeys(EMBEDDINGS, EMBEDDING_TYPE)
        return tuple(kinds.items())

    def find(self) -> dict[str, str]:
        """Check that everything is here and fits, and say what decides the numbers.

        Downloads what a tag or hub name stands for; reads every weights file once, and builds the
        network without memory for its weights.

        Raises:
            ValueError: in one sentence: what is missing, where it is published, which key names it.
        """
        if not (self.weights or self.model.startswith((HUB, FOLDER))):
            raise ValueError(
                f"[score.clip] names no weights for {self.model}: give weights = a file or URL, or "
                f"a pretrained tag; {PUBLISHED_AT}"
            )
        config_sha256 = hash_config(self.model)
        from filters.signals import clip_heads, clip_model  # torch: only where a recipe asks for it

        heads = {
            f"{name}_sha256": head.sha256 for name, head in clip_heads.load_heads(self).items()
        }
        return {
            "config_sha256": config_sha256,
            "weights_sha256": clip_model.check(self),
            "numerics": clip_model.numerics(self),
            "open_clip_torch": importlib.metadata.version("open_clip_torch"),
            "torch": importlib.metadata.version("torch"),
            **heads,
        }

    def load(self) -> Signal:
        """The signal over batches of captions and pictures."""
        from filters.signals.clip_model import ClipScorer

        return Signal(self.columns, "pictures", ClipScorer(self).measure)


def has_amx(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this CPU multiplies matrices of bf16 in hardware (Linux tells; others: no)."""
    return cpuinfo.is_file() and " amx_bf16" in cpuinfo.read_text("utf-8", "replace")
