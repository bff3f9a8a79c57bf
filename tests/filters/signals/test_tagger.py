import json
import shutil
import sys

import pyarrow as pa
import pytest

from filters.signals.tagger import TAGGER_COLUMNS, Tagger

pytest.importorskip("spacy")

SENTENCES = (
    ("a dog sits on the mat", "DET NOUN VERB ADP DET NOUN"),
    ("The old cat in Paris", "DET ADJ NOUN ADP PROPN"),
    ("Red car , blue boat !", "ADJ NOUN PUNCT ADJ NOUN PUNCT"),
)
SMALL = {
    "@architectures": "spacy.HashEmbedCNN.v2",
    "pretrained_vectors": None,
    "width": 16,
    "depth": 1,
    "embed_size": 64,
    "window_size": 1,
    "maxout_pieces": 2,
    "subword_features": True,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A pipeline that has learnt three sentences by heart."""
    import spacy
    from spacy.training import Example

    spacy.util.fix_random_seed(0)
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    model = {"@architectures": "spacy.Tagger.v2", "tok2vec": SMALL}
    nlp.add_pipe("morphologizer", config={"model": model})
    examples = [
        Example.from_dict(
            nlp.make_doc(text), {"pos": tags.split(), "morphs": [""] * len(tags.split())}
        )
        for text, tags in SENTENCES
    ]
    nlp.initialize(lambda: examples)
    for _ in range(40):
        nlp.update(examples)
    folder = tmp_path_factory.mktemp("pipeline") / "tiny"
    nlp.to_disk(folder)
    return folder


@pytest.fixture
def pipeline(trained, tmp_path):
    """A copy of the trained pipeline, for tests that break it."""
    return shutil.copytree(trained, tmp_path / "tiny")


def change_config(folder, old, new):
    path = folder / "config.cfg"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def test_counts_words_by_their_part_of_speech(trained):
    signal = Tagger(str(trained)).load()
    captions = pa.array([text for text, _ in SENTENCES] + [""])
    names = [name for name, _ in TAGGER_COLUMNS]
    measured = dict(zip(names, (c.to_pylist() for c in signal.measure(captions)), strict=True))
    assert signal.columns == TAGGER_COLUMNS and signal.needs == "caption"
    assert measured["tagged_words"] == [6, 5, 4, 0]
    assert measured["nouns"] == [2, 2, 2, 0]
    assert measured["proper_nouns"] == [0, 1, 0, 0]
    assert measured["verbs"] == [1, 0, 0, 0]
    assert measured["adjectives"] == [0, 1, 2, 0]
    assert measured["determiners"] == [2, 1, 0, 0]
    assert measured["prepositions"] == [1, 1, 0, 0]
    assert measured["noun_ratio"] == pytest.approx([2 / 6, 2 / 5, 2 / 4, 0])


def test_runs_nothing_but_what_gives_parts_of_speech(pipeline):
    change_config(pipeline, 'factory = "sentencizer"', 'factory = "unheard_of"')
    (words, *_) = Tagger(str(pipeline)).load().measure(pa.array(["a dog"]))
    assert words.to_pylist() == [2]


def test_a_package_is_found_and_not_imported(trained, tmp_path, monkeypatch):
    package = tmp_path / "xx_tiny"
    shutil.copytree(trained, package / "xx_tiny-1.0.0")
    (package / "__init__.py").write_text("raise AssertionError('imported')", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert Tagger("xx_tiny").find() == Tagger(str(trained)).find()
    assert Tagger("xx_tiny").load().columns == TAGGER_COLUMNS
    assert "xx_tiny" not in sys.modules


def test_what_is_found_changes_with_every_file(pipeline):
    before = Tagger(str(pipeline)).find()
    assert Tagger(str(pipeline)).find() == before and len(before["pipeline_sha256"]) == 64
    (pipeline / "vocab" / "strings.json").write_text(json.dumps(["a"]), "utf-8")
    changed = Tagger(str(pipeline)).find()
    assert changed["pipeline_sha256"] != before["pipeline_sha256"]
    (pipeline / "vocab" / "strings.json").rename(pipeline / "vocab" / "other.json")
    assert Tagger(str(pipeline)).find() != changed


@pytest.mark.parametrize("name", ["en_core_web_none", "no/such/folder", "json"])
def test_a_missing_pipeline_is_answered_with_where_it_is_published(name):
    with pytest.raises(ValueError, match=f"'{name}' is no installed package .*explosion/spacy"):
        Tagger(name).find()


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('"morphologizer"', '"attribute_ruler"', "which gives no parts of speech"),
        ('"morphologizer"', '"tagger"', "which gives no parts of speech"),
        ('"sentencizer"\n', '"transformer"\n', "needs a transformer"),
        ('factory = "sentencizer"', 'source = "another"', "is no spaCy pipeline's"),
        ("[nlp]", "[nlq]", "is no spaCy pipeline's"),
        ("[nlp]", "nlp]", "is no spaCy pipeline's"),
    ],
)
def test_a_pipeline_that_cannot_serve_is_refused(pipeline, old, new, match):
    if old == '"morphologizer"':
        old, new = f"factory = {old}", f"factory = {new}"
    change_config(pipeline, old, new)
    with pytest.raises(ValueError, match=match):
        Tagger(str(pipeline)).find()


def test_never_unpickles(pipeline, monkeypatch):
    """numpy.load would, of a vectors file made of objects, if spaCy let it."""
    import pickle

    def refuse(*_args, **_kwargs):
        raise AssertionError("unpickled")

    monkeypatch.setattr(pickle, "load", refuse)
    monkeypatch.setattr(pickle, "loads", refuse)
    assert Tagger(str(pipeline)).load().columns == TAGGER_COLUMNS
    (pipeline / "vocab" / "key2row").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(Exception, match=r"(?i)unpack|msgpack|extra data"):
        Tagger(str(pipeline)).load()
