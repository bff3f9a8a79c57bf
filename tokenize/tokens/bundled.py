"""Where the tokenizers that come with the package are."""

from importlib import resources

BUNDLED = "bundled"
TEXT_FILE = "text.json"
TEXT_SHA256 = "c7ab16e3871d20106603fed118f736abf473c4cbcf6ed0f0c904f0f263e20937"
"""Of the text vocabulary in this package: other bytes under its name are refused."""
DVAE_FILE = "dvae.safetensors"

IMAGE_FILE = "image.safetensors"
"""What the image tokenizer of a corpus is called in its folder, whatever its kind."""


def locate(path: str, name: str) -> str:
    """`path` itself, or the package's file `name` where the path is "bundled"."""
    return str(resources.files("tokens").joinpath("data", name)) if path == BUNDLED else path
