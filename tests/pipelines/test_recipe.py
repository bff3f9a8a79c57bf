import pytest

from filters.caption_length import CaptionLength
from filters.short_side import ShortSide
from pipelines.recipe import SECTIONS, load_recipe, read_recipe

SHORT_SIDE = {"filter": "short_side", "min_side_px": 256}
SMALLEST = {"select": {"rules": [SHORT_SIDE]}}


def test_the_papers_recipe_says_what_the_paper_says():
    recipe = load_recipe("dalle")
    reasons = [rule.reason for rule in recipe.select.rules]
    assert reasons == ["caption_length", "language", "boilerplate", "aspect_ratio", "short_side"]
    language, aspect = recipe.select.rules[1], recipe.select.rules[3]
    assert (language.policy, language.min_probability) == ("cld3_strict", 0.7)
    assert (aspect.min_ratio, aspect.max_ratio) == (0.5, 2.0)
    assert recipe.select.validation_share == pytest.approx(606_000 / 250e6, rel=0.01)
    encode = recipe.encode
    assert (encode.side_px, encode.text_slots, encode.bpe_dropout) == (256, 256, 0.1)
    assert encode.image_tokenizer is None


def test_the_demos_recipe_leaves_room_to_train_a_dvae():
    recipe = load_recipe("demo")
    assert recipe.fetch.stored_side_px == 384 * recipe.encode.side_px // 256
    assert recipe.encode.image_tokenizer == "bundled"


@pytest.mark.parametrize("name", ["demo", "demo.toml", "recipes/demo.toml"])
def test_a_bundled_recipe_is_found_from_any_directory(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_recipe(name).name == "demo"


def test_a_file_is_found_by_its_path_and_as_a_url(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[[select.rules]]\nfilter = "short_side"\n', encoding="utf-8")
    assert load_recipe(str(path)) == load_recipe(f"file://{path}")
    assert load_recipe(str(path)).name == "mine"


def test_a_file_of_ones_own_goes_before_a_bundled_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo.toml").write_text('[[select.rules]]\nfilter = "short_side"\n', "utf-8")
    assert load_recipe("demo.toml").encode.side_px == 256
    assert load_recipe("demo").encode.side_px == 128


@pytest.mark.parametrize("name", ["dale", "nowhere/dalle.toml", "/", "recipes"])
def test_an_unknown_name_is_answered_with_the_known_ones(name):
    with pytest.raises(
        ValueError, match=f"recipe '{name}' is no TOML file .* dalle, datacomp-basic, demo"
    ):
        load_recipe(name)


def test_a_file_that_is_not_toml_is_named(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[fetch\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"mine\.toml is not TOML: .*line 1"):
        load_recipe(str(path))


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"fetc": {}}, "r.toml has no key 'fetc'; the nearest is 'fetch'"),
        ({"fetch": {"unit_row": 1}}, r"r.toml \[fetch\] has no key 'unit_row'.*'unit_rows'"),
        ({"fetch": []}, r"r.toml \[fetch\] is \[\]; give a table"),
        ({"fetch": {"unit_rows": 0}}, r"\[fetch\] unit_rows is 0; give a number from 1"),
        ({"fetch": {"total_timeout_s": float("nan")}}, "total_timeout_s is nan; give a number"),
        ({"fetch": {"connect_timeout_s": 30}}, "connect_timeout_s is 30.0; give at most the 20.0"),
        ({"fetch": {"image_format": "gif"}}, "image_format is 'gif'; give one of 'jpeg', 'png'"),
        ({"score": {"signals": ["phas"]}}, "'phas', which is no signal; the nearest is 'phash'"),
        ({"score": {"signals": ["phash"] * 2}}, "signals names a column twice"),
        ({"encode": {"side_px": 100}}, "side_px is 100; give a multiple of 8.* such as 96"),
        ({"select": {"seed": -1}}, r"\[select\] seed is -1; give a number from 0"),
        ({"select": {"rules": 3}}, r"\[select\] rules is 3; give \[\[select.rules\]\] tables"),
        ({"select": {"rules": ["x"]}}, r"\[select\] rule 1 is 'x'; give a table"),
        ({"select": {"rules": [{}]}}, "rule 1 names no filter; give filter = one of caption_len"),
        (
            {"select": {"rules": [SHORT_SIDE, {"filter": "langauge"}]}},
            "rule 2 names the filter 'langauge', which there is not; the nearest is 'language'",
        ),
        (
            {"select": {"rules": [{"filter": "short_side", "min_side": 9}]}},
            r"rule 1 \(short_side\) has no key 'min_side'; the nearest is 'min_side_px'",
        ),
        (
            {"select": {"rules": [{"filter": "short_side", "min_side_px": 0}]}},
            r"rule 1 \(short_side\) min_side_px is 0; give a number from 1",
        ),
        ({"select": {"rules": [SHORT_SIDE] * 2}}, "rules name 'short_side' more than once"),
        ({"select": {"exact_duplicates": ["byte"]}}, "names 'byte'; give some of 'bytes', 'pix"),
        ({"select": {"exact_duplicates": ["bytes"] * 2}}, "exact_duplicates names one twice"),
        (
            {"select": {"near_duplicates": {"max_distance": 8}}},
            r"\[select\] near_duplicates max_distance is 8; give a number from 0 to 7",
        ),
        (
            {"select": {"near_duplicates": {"distance": 3}}},
            "near_duplicates has no key 'distance'; the nearest is 'max_distance'",
        ),
        ({"select": {"split_by": "cluster"}}, r"no clusters are made; give \[select.near_dupl"),
        ({"select": {"eval_sets": [{"pictures": "x"}]}}, "eval_sets name is ''; give letters"),
        ({"select": {"eval_sets": [{"name": "../x"}]}}, r"eval_sets name is '\.\./x'; give lett"),
        ({"select": {"eval_sets": [{"name": "coco"}]}}, "pictures of 'coco' is missing; give a f"),
        (
            {"select": {"eval_sets": [{"name": "coco", "pictures": "x"}] * 2}},
            "eval_sets names 'coco' more than once",
        ),
    ],
)
def test_a_wrong_recipe_is_refused_in_one_sentence(document, complaint):
    with pytest.raises(ValueError, match=complaint) as failure:
        read_recipe(document, "r.toml")
    assert str(failure.value).startswith("r.toml") and "\n" not in str(failure.value)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"score": {"signals": ["width"]}},
            r"\[score\] signals lacks 'short_side_px', which short_side in \[select\] reads; add",
        ),
        (
            {
                "score": {"signals": ["short_side_px"]},
                "select": {"rules": [SHORT_SIDE], "split_by": "phash"},
            },
            "signals lacks 'phash', which split_by = \"phash\"",
        ),
        *(
            (
                {
                    "score": {"signals": ["short_side_px"]},
                    "select": {"rules": [SHORT_SIDE], **duplicates},
                },
                f"signals lacks '{column}', which {reader}",
            )
            for duplicates, column, reader in (
                ({"near_duplicates": {}}, "phash", "near_duplicates"),
                ({"exact_duplicates": ["phash_caption"]}, "phash", "exact_duplicates"),
                ({"eval_sets": [{"name": "a", "pictures": "b"}]}, "phash", "eval_sets"),
                ({"semantic_duplicates": {}}, "clip_image_embedding", "semantic_duplicates"),
            )
        ),
        (
            {"fetch": {"stored_side_px": 255}},
            r"stored_side_px is 255, less than the crop's \[encode\] side_px of 256; store at lea",
        ),
        ({"encode": {"side_px": 264}}, r"\[select\] keeps pictures smaller than .* of 264; give"),
        ({"select": {"rules": []}}, "give a rule short_side with min_side_px = 256 or more"),
    ],
)
def test_sections_that_do_not_fit_each_other_are_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint) as failure:
        read_recipe(SMALLEST | changes, "r.toml")
    assert str(failure.value).startswith("r.toml ")


@pytest.mark.parametrize("name", ["dalle", "demo"])
def test_a_manifests_copy_reads_back_as_the_recipe(name):
    document = load_recipe(name).to_dict()
    assert read_recipe(document, name).to_dict() == document


def test_a_manifests_copy_keeps_duplicates_and_evaluation_sets():
    select = {
        "rules": [SHORT_SIDE],
        "exact_duplicates": ["pixels", "phash_caption"],
        "near_duplicates": {"max_distance": 5, "action": "list"},
        "eval_sets": [{"name": "coco", "pictures": "coco/val2014", "action": "list"}],
        "split_by": "cluster",
    }
    document = read_recipe({"select": select}).to_dict()
    assert read_recipe(document).to_dict() == document
    assert document["select"]["near_duplicates"] == select["near_duplicates"]
    assert document["select"]["semantic_duplicates"] is None
    assert document["select"]["eval_sets"][0]["max_distance"] == 8


def test_the_copy_in_a_manifest_is_whole():
    document = read_recipe(SMALLEST).to_dict()
    assert tuple(document) == SECTIONS
    assert document["fetch"]["unit_rows"] == 10_000
    assert document["select"]["rules"] == [SHORT_SIDE]
    assert "phash" in document["score"]["signals"]
    assert document["encode"]["image_tokenizer"] is None


def test_the_hash_is_of_the_content_alone():
    one = read_recipe(SMALLEST, "one.toml")
    spelled_out = read_recipe(SMALLEST | {"fetch": {"retries": 2, "total_timeout_s": 20}}, "two")
    assert (one.name, spelled_out.name) == ("one", "two")
    assert one.sha256 == spelled_out.sha256


@pytest.mark.parametrize("section", SECTIONS)
def test_a_sections_hash_changes_with_that_section_alone(section):
    changes = {
        "fetch": {"retries": 1},
        "score": {"signals": ["short_side_px", "phash"]},
        "select": {"rules": [SHORT_SIDE], "seed": 1},
        "encode": {"views": 3},
    }
    before = read_recipe(SMALLEST)
    after = read_recipe(SMALLEST | {section: changes[section]})
    changed = {
        name for name in SECTIONS if before.section_sha256(name) != after.section_sha256(name)
    }
    assert changed == {section}
    assert before.sha256 != after.sha256


def test_the_hash_of_two_sections_does_not_depend_on_their_order():
    recipe = load_recipe("demo")
    assert recipe.section_sha256("fetch", "encode") == recipe.section_sha256("encode", "fetch")


def test_rules_stand_in_the_order_of_the_file():
    rules = [SHORT_SIDE, {"filter": "caption_length", "min_words": 2}]
    recipe = read_recipe({"select": {"rules": rules}})
    assert recipe.select.rules == (ShortSide(256), CaptionLength(min_words=2))


@pytest.mark.parametrize(
    ("rule", "score", "match"),
    [
        ("part_of_speech", {}, r"lacks 'nouns', .* add the table \[score\.tagger\]"),
        ("profanity", {}, r"lacks 'profane_words', .* add the table \[score\.profanity\]"),
        ("rare_words", {}, r"lacks 'unknown_words', .* add the table \[score\.vocabulary\]"),
        ("clip_similarity", {}, r"lacks 'clip_similarity', .* add the table \[score\.clip\]"),
        (
            "profanity",
            {"profanity": {}, "signals": ["short_side_px"]},
            r"add it, by \[score\.profanity\]",
        ),
    ],
)
def test_a_rule_over_a_model_asks_for_the_models_table(rule, score, match):
    select = {"rules": [{"filter": rule}, SHORT_SIDE]}
    with pytest.raises(ValueError, match=match):
        read_recipe({"score": score, "select": select})
