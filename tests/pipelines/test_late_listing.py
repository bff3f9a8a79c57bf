"""An object store whose listings are late: what is new is hidden, what is gone is shown (R09)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tests.pipelines.small_build import (
    build_here,
    inline_decoders,
    read_corpus,
    run_one_stage,
    settle_build,
    start_build,
    write_source,
)
from tokens.manifest import kept_pairs

__all__ = ["inline_decoders"]

pytestmark = pytest.mark.usefixtures("inline_decoders")

GHOSTS = ("00000-ffffffff.parquet", "00000-ffffffff.parquet.json", "manifest.json")


class LateFileSystem(MemoryFileSystem):
    """A file is there for whoever asks for it by name; no listing has heard of any.

    Listings show files that are gone, and that no reader may miss.
    """

    protocol = "late"
    store: dict[str, Any] = {}
    pseudo_dirs: list[str] = [""]

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.removeprefix("late://"))

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        names = [f"{self._strip_protocol(path)}/{name}" for name in GHOSTS]
        found = [{"name": name, "size": 9, "type": "file"} for name in names]
        return found if detail else names


@pytest.fixture
def store() -> Iterator[dict[str, Any]]:
    """What the file system holds, by name."""
    fsspec.register_implementation("late", LateFileSystem, clobber=True)
    yield LateFileSystem.store
    LateFileSystem.store.clear()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("source"))


def test_a_build_writes_the_same_bytes_whatever_a_listing_says(
    source: Path, tmp_path: Path, store: dict[str, Any]
) -> None:
    build_here(source, tmp_path / "corpus")

    build_here(source, "late://corpus")

    expected = read_corpus(tmp_path / "corpus")
    for name, content in expected.items():
        if not name.endswith(".json") or name.endswith("manifest.json"):
            assert store[f"/corpus/{name}"].getvalue() == content
    before = {name: id(file) for name, file in store.items()}
    build_here(source, "late://corpus")
    assert {name: id(file) for name, file in store.items()} == before


def test_a_file_that_a_manifest_names_and_that_is_not_there_is_an_error(
    source: Path, store: dict[str, Any]
) -> None:
    build = settle_build(source, "late://missing")
    done = start_build(build)
    for stage in ("fetch", "score", "select"):
        done[stage] = run_one_stage(build, stage, done)
    name = done["fetch"].files[1].name
    del store[f"/missing/pairs/{name}"]

    with pytest.raises(FileNotFoundError, match=name):
        run_one_stage(build, "encode", done)
    with pytest.raises(FileNotFoundError, match=name):
        list(kept_pairs("late://missing"))
    assert "/missing/tokens/manifest.json" not in store
