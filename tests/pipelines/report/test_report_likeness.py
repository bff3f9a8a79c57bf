"""Near duplicates and evaluation pictures are shown beside what they look like."""

import pyarrow.parquet as pq
import pytest

from pipelines.report.figures import collect_figures
from pipelines.report.near_duplicates import choose_members, find_largest
from pipelines.report.page import render_page
from tests.pipelines.report.report_corpus import (
    EVAL_OVERLAP,
    NEAR_DUPLICATES,
    make_row,
    write_corpus,
)
from tests.pipelines.report.report_page import Page


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("build") / "corpus"
    write_corpus(str(directory), "select")
    return directory


@pytest.fixture(scope="module")
def figures(directory):
    return collect_figures(str(directory))


def id_of(number):
    return make_row(number)["pair_id"].hex()


def test_the_largest_cluster_comes_first_with_its_keeper_first(figures):
    clusters = figures.near_duplicates.largest
    members = [[(m.example.pair_id, m.distance) for m in cluster.members] for cluster in clusters]
    assert members == [
        [(id_of(10), 0), (id_of(11), 2), (id_of(12), 3)],
        [(id_of(40), 0), (id_of(42), 1)],
    ]
    assert [cluster.rows for cluster in clusters] == [3, 2]
    assert [m.kept for m in clusters[0].members] == [True, False, False]
    assert all(m.example.thumbnail for cluster in clusters for m in cluster.members)
    assert figures.near_duplicates.figures == NEAR_DUPLICATES


def test_few_of_many_clusters_and_members_are_shown(directory):
    table = pq.read_table(directory / "decisions" / "clusters.parquet")
    many = table.take([0, 1, 2] * 5 + [3, 4] * 3)
    assert find_largest(many["cluster"]) == [(7, 15), (-9, 6)]
    members = choose_members(many, 7)
    assert len(members) == 6 and [m["kept"] for m in members] == [True] * 5 + [False]


def test_every_evaluation_picture_stands_once_beside_the_pair_nearest_to_it(figures):
    nearest = figures.eval_overlap.nearest
    told = [(n.picture, n.distance, n.similarity, n.pair.pair_id) for n in nearest]
    assert told == [("near", 0, 0.75, id_of(51)), ("<i>far</i>", 12, None, id_of(22))]
    assert all(n.thumbnail and n.pair.thumbnail for n in nearest)
    assert figures.eval_overlap.sets == tuple(EVAL_OVERLAP)


def test_the_page_marks_the_keeper_and_tells_distances(figures):
    page = Page(render_page(figures))
    badges = [text for tag, text in page.texts if tag == "span" and text == "keeper"]
    assert len(badges) == [value for _, _, value in page.attributes].count("badge keeper") == 2
    texts = [text for _, text in page.texts]
    assert "1 bit away" in texts and "3 bits away" in texts
    assert "0 bits away, similarity 0.750" in texts
    assert "<i>far</i>" in texts
    assert {"0 bits", "5 bits", "12 bits", "unreadable"} <= set(texts)


def test_nothing_alike_is_shown_as_nothing(tmp_path):
    write_corpus(str(tmp_path), "select")
    for name in ("clusters", "eval_overlap"):
        file = tmp_path / "decisions" / f"{name}.parquet"
        pq.write_table(pq.read_table(file).slice(0, 0), file)
    figures = collect_figures(str(tmp_path))
    assert figures.near_duplicates.largest == figures.eval_overlap.nearest == ()
    assert "Evaluation sets" in render_page(figures)


def test_clusters_that_nobody_listed_are_still_counted(directory, tmp_path):
    write_corpus(str(tmp_path), "select")
    (tmp_path / "decisions" / "clusters.parquet").unlink()
    found = collect_figures(str(tmp_path)).near_duplicates
    assert found.largest == () and found.figures["clusters"] == 2
