"""Where the tokenizers that come with the package are."""

from importlib import resources

BUNDLED = "bundled"
TEXT_FILE = "text.json"
IMAGE_FILE = "image.safetensors"


def locate(path: str, name: str) -> str:
    """`path` itself, or the package's file `name` where the path is "bundled"."""
    return str(resources.files("tokens").joinpath("data", name)) if path == BUNDLED else path
