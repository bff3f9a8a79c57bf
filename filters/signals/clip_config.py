"""What a CLIP model of open_clip is, out of its configuration: read before open_clip is imported,
which takes seconds, so that a wrong name is told at once.
"""

import hashlib
import json
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HUB = "hf-hub:"
FOLDER = "local-dir:"
CONFIG_NAME = "open_clip_config.json"

INSTALL = "pip install 'pairmill[clip]'"


def embedding_width(model: str) -> int:
    """Numbers in one embedding; raises ValueError for a model that there is not."""
    return int(_read_config(model)["embed_dim"])


def hash_config(model: str) -> str:
    """SHA-256 (hex) of the model's configuration; raises ValueError as `embedding_width`."""
    return hashlib.sha256(json.dumps(_read_config(model), sort_keys=True).encode()).hexdigest()


@cache
def _read_config(model: str) -> dict[str, Any]:
    path = _find_config(model)
    try:
        document = json.loads(path.read_text("utf-8"))
        config = document.get("model_cfg", document)
        return {**document, "embed_dim": int(config["embed_dim"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise ValueError(
            f"[score.clip] model {model!r}: {path} is no configuration of open_clip's ({err!r})"
        ) from err


def _find_config(model: str) -> Path:
    if model.startswith(FOLDER):
        return Path(model.removeprefix(FOLDER)) / CONFIG_NAME
    package = find_spec("open_clip")
    if package is None:
        raise ValueError(f"[score.clip] needs the package open_clip_torch: {INSTALL}")
    if model.startswith(HUB):
        return _download_config(model)
    folder = Path(*(package.submodule_search_locations or ())) / "model_configs"
    path = folder / (model.replace("/", "-") + ".json")
    if not path.is_file():
        known = [found.stem for found in folder.glob("*.json")]
        nearest = get_close_matches(model, known, n=1, cutoff=0.0)[0]
        raise ValueError(
            f"[score.clip] model {model!r} is none of open_clip's; the nearest is {nearest!r}"
        )
    return path


def _download_config(model: str) -> Path:
    from open_clip.pretrained import download_pretrained_from_hf  # slow to import

    try:
        return Path(download_pretrained_from_hf(model.removeprefix(HUB), CONFIG_NAME))
    except Exception as err:
        raise ValueError(f"[score.clip] model {model!r} cannot be had: {err}") from err
