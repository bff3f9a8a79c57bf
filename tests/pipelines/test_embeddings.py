"""Embeddings out of a build's folder, in the layouts of other programs."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filters.signals.clip import EMBEDDING_TYPE, EMBEDDINGS
from pipelines.commit import Output, Written, commit_table, publish
from pipelines.embeddings import main
from tokens.manifest import Manifest

WIDTH = 4
UNITS = ((True, True, False), (False, False), (True,))
"""Whether each row of each unit has an embedding."""


def write_stage(folder: Path, stage: str, units: list[pa.Table], signals: list[str]) -> None:
    files = tuple(
        commit_table(Output(str(folder), f"{n}.parquet", index=n), unit, Written(len(unit)))
        for n, unit in enumerate(units)
    )
    recipe = {"score": {"signals": signals}}
    publish(str(folder), Manifest(stage, 0, files, {}, recipe, "", {}))


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A build of six rows in three units; the first row of each unit is dropped by select."""
    draws = np.random.default_rng(0)
    pairs, signals, decisions = [], [], []
    for number, present in enumerate(UNITS):
        names = [f"{number}{row}" for row in range(len(present))]
        pairs.append(
            pa.table(
                {
                    "url": [f"http://{name}" for name in names],
                    "caption": [f"caption {name}" for name in names],
                    "license": pa.array([None] * len(names), pa.string()),
                }
            )
        )
        vectors = [draws.random(WIDTH).astype(np.float16) if it else None for it in present]
        ids = pa.array([name.encode().ljust(16) for name in names], pa.binary(16))
        embeddings = {name: pa.array(vectors, EMBEDDING_TYPE) for name in EMBEDDINGS}
        signals.append(pa.table({"pair_id": ids} | embeddings))
        reasons = ["short_side"] + ["kept"] * (len(names) - 1)
        decisions.append(pa.table({"reason": reasons}))
    write_stage(tmp_path / "pairs", "fetch", pairs, [])
    write_stage(tmp_path / "signals", "score", signals, list(EMBEDDINGS))
    write_stage(tmp_path / "decisions", "select", decisions, list(EMBEDDINGS))
    return tmp_path


def read_stored(build: Path) -> list[list[float]]:
    tables = [pq.read_table(path) for path in sorted((build / "signals").glob("*.parquet"))]
    return pa.concat_tables(tables)[EMBEDDINGS[0]].drop_null().to_pylist()


def test_npy_is_laid_out_as_clip_retrieval_does_it(
    build: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(build), "--out", str(build / "out")]) == 0

    found = sorted(path.relative_to(build / "out").as_posix() for path in build.glob("out/*/*"))
    assert found == [
        *("img_emb/img_emb_00000.npy", "img_emb/img_emb_00001.npy"),
        *("metadata/metadata_00000.parquet", "metadata/metadata_00001.parquet"),
        *("text_emb/text_emb_00000.npy", "text_emb/text_emb_00001.npy"),
    ]
    arrays = [np.load(build / "out" / f"img_emb/img_emb_0000{n}.npy") for n in (0, 1)]
    assert [array.shape for array in arrays] == [(2, WIDTH), (1, WIDTH)]
    assert {array.dtype for array in arrays} == {np.dtype(np.float16)}
    assert np.concatenate(arrays).tolist() == read_stored(build)
    metadata = pq.read_table(build / "out" / "metadata" / "metadata_00000.parquet")
    assert metadata["url"].to_pylist() == ["http://00", "http://01"]
    assert metadata["image_path"].to_pylist() == [name.ljust(16).hex() for name in (b"00", b"01")]
    assert "3 embeddings of pictures and captions, 2 units" in capsys.readouterr().out


def test_parquet_holds_the_same(build: Path) -> None:
    assert main([str(build), "--out", str(build / "out"), "--format", "parquet"]) == 0

    tables = [pq.read_table(path) for path in sorted((build / "out").iterdir())]
    table = pa.concat_tables(tables)
    assert table["caption"].to_pylist() == ["caption 00", "caption 01", "caption 20"]
    assert table["clip_image_embedding"].to_pylist() == read_stored(build)


def test_dropped_pairs_are_left_out_on_request(build: Path) -> None:
    assert main([str(build), "--out", str(build / "out"), "--format", "parquet", "--kept"]) == 0

    (path,) = (build / "out").iterdir()
    assert pq.read_table(path)["url"].to_pylist() == ["http://01"]


def test_an_export_can_go_to_an_object_store(build: Path) -> None:
    import fsspec

    assert main([str(build), "--out", "memory://exported"]) == 0
    with fsspec.open("memory://exported/text_emb/text_emb_00000.npy", "rb") as file:
        assert np.load(file).shape == (2, WIDTH)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(
            lambda build: write_stage(build / "signals", "score", [], ["phash"]),
            'stores no embeddings: give its recipe a table [score.clip] with store_embeddings = "f',
            id="no embeddings",
        ),
        pytest.param(
            lambda build: (build / "signals" / "manifest.json").unlink(),
            "the stage has not finished in that folder",
            id="not scored",
        ),
        pytest.param(
            lambda build: ((build / "out").mkdir(), (build / "out" / "old.npy").touch()),
            "out is not empty",
            id="files of an earlier one",
        ),
    ],
)
def test_bad_input_is_one_sentence(
    build: Path, spoil: object, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(build)
    assert main([str(build), "--out", str(build / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
