"""Evaluation pictures that the corpus shows too, through the whole select stage."""

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filters.signals.clip import EMBEDDING_TYPE
from filters.signals.perceptual_hash import perceptual_hash
from filters.signals.signal import Signal
from pipelines import join
from pipelines.decoding.picture import StoredImage
from pipelines.imaging import store_image
from pipelines.selecting.duplicate_sections import EvalSet
from pipelines.selecting.eval_overlap import (
    HIT,
    NEAREST,
    counts_as_overlap,
    keep_nearest,
    plan_eval_overlap,
)
from pipelines.selecting.eval_pictures import EmbeddingModel
from pipelines.selecting.eval_sets import list_chunks
from tests.pipelines.conftest import draw_picture
from tests.pipelines.selecting.select_corpus import (
    Picture,
    plan,
    reasons,
    run,
    select,
    write_corpus,
)
from tokens.manifest import read_manifest
from tokens.pixels import read_stored


def stored_hash(data: bytes) -> int:
    """As a build hashes the picture."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    image = StoredImage()
    return perceptual_hash(
        read_stored(store_image(np.ascontiguousarray(pixels), image.side_px, "jpeg")[0])
    )


DRAWN = [draw_picture(number) for number in range(4)]
HASHES = [stored_hash(data) for data in DRAWN]


def flip(phash: int, bits: int) -> int:
    return phash ^ ((1 << bits) - 1)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Four pictures and a file that is none."""
    folder = tmp_path / "eval"
    (folder / "deep").mkdir(parents=True)
    for number, data in enumerate(DRAWN):
        (folder / "deep" / f"{number}.png").write_bytes(data)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    (folder / "captions.txt").write_text("no picture either")
    return folder


def make_section(pictures: Path, **more: object) -> dict[str, object]:
    return {"eval_sets": [{"name": "drawn", "pictures": str(pictures), **more}]}


UNITS = [
    [Picture(HASHES[0]), Picture(flip(HASHES[1], 8)), Picture(flip(HASHES[2], 9))],
    [
        Picture(flip(HASHES[1], 2)),
        Picture(HASHES[0], side_px=100),
        Picture(None, outcome="http_404"),
    ],
]


def test_what_overlaps_is_dropped_and_described(tmp_path: Path, pictures: Path):
    decided = select(tmp_path, UNITS, make_section(pictures))
    expected = ["eval_overlap", "eval_overlap", "kept", "eval_overlap", "short_side", "http_404"]
    assert reasons(decided) == expected
    details = read_manifest(str(tmp_path / "decisions")).details["eval_overlap"]
    assert details == [
        {
            "set": "drawn",
            "pictures": 5,
            "refused": 1,
            "overlapping": 2,
            "per_distance": {"0": 1, "2": 1, "9": 1},
        }
    ]


def test_the_nearest_pairs_are_listed_with_the_picture_beside_them(tmp_path: Path, pictures: Path):
    select(tmp_path, UNITS, make_section(pictures))
    table = pq.read_table(tmp_path / "decisions" / "eval_overlap.parquet")
    rows = table.drop_columns(["thumbnail", "pair_id"]).to_pylist()
    assert [(r["picture"], r["unit"], r["row"], r["distance"]) for r in rows] == [
        ("deep/0.png", 0, 0, 0),
        ("deep/1.png", 0, 1, 8),
        ("deep/2.png", 0, 2, 9),
        ("deep/1.png", 1, 0, 2),
    ]
    assert {row["set"] for row in rows} == {"drawn"}
    assert {row["similarity"] for row in rows} == {None}
    shown = cv2.imdecode(np.frombuffer(table["thumbnail"][0].as_py(), np.uint8), cv2.IMREAD_COLOR)
    assert min(shown.shape[:2]) == 128


def test_the_papers_way_keeps_the_pairs_and_shortens_the_set(tmp_path: Path, pictures: Path):
    decided = select(tmp_path, UNITS, make_section(pictures, action="list", max_distance=3))
    assert reasons(decided) == ["kept", "kept", "kept", "kept", "short_side", "http_404"]
    left = (tmp_path / "decisions" / "eval_drawn.txt").read_text().splitlines()
    assert left == ["broken.jpg", "deep/2.png", "deep/3.png"]


def test_an_overlapping_row_is_no_keeper(tmp_path: Path, pictures: Path):
    units = [[Picture(HASHES[0], 400), Picture(flip(HASHES[0], 9)), Picture(flip(HASHES[0], 10))]]
    section = make_section(pictures) | {"near_duplicates": {}}
    decided = select(tmp_path, units, section)
    assert reasons(decided) == ["eval_overlap", "kept", "near_duplicate"]


def test_limits_of_either_kind_count():
    hits = np.zeros(4, HIT)
    hits["distance"] = [8, 9, 30, 30]
    hits["similarity"] = [np.nan, np.nan, 0.9, 0.89]
    by_hash = EvalSet("a", "x")
    assert counts_as_overlap(hits, [by_hash]).tolist() == [True, False, False, False]
    by_both = EvalSet("a", "x", min_similarity=0.9)
    assert counts_as_overlap(hits, [by_both]).tolist() == [True, False, True, False]


def test_the_nearest_of_a_hot_picture_are_kept_whatever_the_order():
    hits = np.zeros(5_000, HIT)
    hits["row"] = np.random.default_rng(0).permutation(5_000)
    hits["distance"] = hits["row"] % 13
    hits["picture"] = hits["row"] % 2
    kept = keep_nearest(hits, [EvalSet("a", "x")])
    assert len(kept) == 2 * NEAREST
    assert kept["row"].tolist() == [*range(0, 260, 26), *range(13, 273, 26)]
    assert keep_nearest(kept, [EvalSet("a", "x")]).tolist() == kept.tolist()


def as_table(folder: Path, kind: str) -> Path:
    names = [f"deep/{number}.png" for number in range(4)]
    path = folder / f"set.{kind}"
    if kind == "csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([["id", "path"], *enumerate(names)])
    elif kind == "jsonl":
        path.write_text("".join(f'{{"file_name": "{name}"}}\n' for name in names))
    else:
        table = pa.table(
            {"image": [{"bytes": d, "path": n} for d, n in zip(DRAWN, names, strict=True)]}
        )
        pq.write_table(table, path, row_group_size=3)
    return path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_set_may_be_a_table(tmp_path: Path, pictures: Path, kind: str):
    decided = select(tmp_path, UNITS[:1], make_section(as_table(pictures, kind)))
    assert reasons(decided) == ["eval_overlap", "eval_overlap", "kept"]
    listed = pq.read_table(tmp_path / "decisions" / "eval_overlap.parquet")["picture"].to_pylist()
    assert listed == ["deep/0.png", "deep/1.png", "deep/2.png"]


def test_a_builds_own_pairs_may_be_the_set(tmp_path: Path):
    (tmp_path / "other" / "pairs").mkdir(parents=True)
    for number in (0, 1):
        rows = {"url": [f"a{number}", "gone"], "image": [DRAWN[number], None]}
        pq.write_table(pa.table(rows), tmp_path / "other" / "pairs" / f"{number}.parquet")
    pattern = tmp_path / "other" / "pairs" / "*.parquet"
    decided = select(tmp_path, UNITS[:1], make_section(pattern))
    assert reasons(decided) == ["eval_overlap", "eval_overlap", "kept"]
    (details,) = read_manifest(str(tmp_path / "decisions")).details["eval_overlap"]
    assert (details["pictures"], details["refused"]) == (2, 0)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("nowhere", None, "nowhere is not there"),
        ("x.csv", "id\n1\n", "has none of the columns path, url, image, file_name"),
        ("x.csv", "url\nhttps://example.org/1.jpg\n", "which is on the web: give files, or build"),
        ("x.csv", "path\n", "has none of the columns"),
        ("x.[c]sv", None, "holds no pictures"),
    ],
)
def test_a_set_that_cannot_be_read_is_refused_in_one_sentence(tmp_path, name, text, complaint):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=complaint) as failure:
        list_chunks(EvalSet("a", str(tmp_path / name)))
    assert str(failure.value).startswith("eval set 'a'") and "\n" not in str(failure.value)


def test_an_empty_folder_is_no_set(tmp_path):
    with pytest.raises(ValueError, match="holds no pictures"):
        list_chunks(EvalSet("a", str(tmp_path)))


def test_another_picture_in_the_set_makes_the_stage_stale(tmp_path: Path, pictures: Path):
    done = write_corpus(tmp_path, UNITS[:1])
    before = plan(tmp_path, done, make_section(pictures)).publish.generation.section_sha256
    (pictures / "deep" / "3.png").write_bytes(draw_picture(9))
    list_chunks.cache_clear()
    after = plan(tmp_path, done, make_section(pictures)).publish.generation.section_sha256
    assert before != after


def test_the_same_bytes_in_any_order_of_items(tmp_path: Path, pictures: Path):
    files = []
    for name in ("forwards", "backwards"):
        folder = tmp_path / name
        run(plan(folder, write_corpus(folder, UNITS), make_section(pictures)), name == "backwards")
        files.append({p.name: p.read_bytes() for p in (folder / "decisions").glob("*[!.json]")})
    assert files[0] == files[1] and len(files[0]) == 3


@dataclass(frozen=True)
class MeanColour:
    """A model whose embedding of a picture is its mean colour."""

    columns = (("clip_image_embedding", EMBEDDING_TYPE),)

    def find(self):
        return {"version": "1"}

    def load(self):
        def measure(captions, pictures):
            assert len(captions) == len(pictures)
            return ([one.mean((0, 1)).astype(np.float16) for one in pictures],)

        return Signal(self.columns, "pictures", measure)


def solid(*colour: int) -> bytes:
    return cv2.imencode(".png", np.full((300, 300, 3), colour[::-1], np.uint8))[1].tobytes()


def test_embeddings_find_what_hashes_do_not(tmp_path: Path):
    folder = tmp_path / "eval"
    folder.mkdir()
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "red.png").write_bytes(solid(200, 0, 0))
    far = stored_hash(solid(200, 0, 0)) ^ (2**30 - 1)
    rows = [Picture(far), Picture(far), Picture(far), Picture(far, side_px=100)]
    colours = [[180, 2, 0], [0, 180, 0], None, [180, 2, 0]]
    columns = {"clip_image_embedding": lambda _: pa.array(colours, EMBEDDING_TYPE)}
    done = write_corpus(tmp_path, [rows], columns)
    section = make_section(folder)
    job = plan(tmp_path, done, section)
    by_hash = {step.label: step.work for step in job.steps}
    one = EvalSet("colours", str(folder), min_similarity=0.95)
    model = EmbeddingModel("colour", MeanColour(), (("version", "1"),))
    hashing = replace(by_hash["Hash Evaluation Pictures"], model=model)
    compare = by_hash["Compare With Evaluation"]
    units = job.steps[-2].items[0]

    steps, overlap = plan_eval_overlap(compare.corpus, units, (one,), [list_chunks(one)], hashing)
    for step in (*job.steps[:3], *steps):
        for item in step.items:
            step.work(item)

    assert join.read_slice(overlap.answers[0], 0, join.ROW).tolist() == [0]
    (hit,) = join.read_slice(overlap.answers[0], 1, HIT)
    assert (hit["picture"], hit["row"], hit["distance"]) == (1, 0, 30)
    assert hit["similarity"] == pytest.approx(0.9999, abs=1e-3)


def test_without_the_embeddings_that_a_set_asks_for_the_recipe_is_refused(pictures: Path):
    section = make_section(pictures, min_similarity=0.9)
    with pytest.raises(ValueError, match="lacks 'clip_image_embedding', which eval_sets min_simil"):
        plan("memory://none", {}, section)
