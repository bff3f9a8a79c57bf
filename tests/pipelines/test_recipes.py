"""The bundled recipes: each loads, and says what the publication says that it is named after."""

from importlib.resources import files

import pytest

from pipelines.recipe import load_recipe

BUNDLED = sorted(
    item.name.removesuffix(".toml")
    for item in files("recipes").iterdir()
    if item.name.endswith(".toml")
)

PUBLISHED = {
    "cc": {
        "short_side": {"min_side_px": 401},
        "aspect_ratio": {"min_ratio": 0.5, "max_ratio": 2.0},
        "jpeg_quality": {"other_formats": "drop"},
        "part_of_speech": {"min_nouns": 1, "min_determiners": 1, "min_prepositions": 1},
        "capitalisation": {"capital_start": True},
        "profanity": {"max_words": 0},
    },
    "cc12m": {
        "short_side": {"min_side_px": 401},
        "aspect_ratio": {"min_ratio": 1 / 2.5, "max_ratio": 2.5},
        "jpeg_quality": {"other_formats": "drop"},
        "caption_length": {"min_words": 3, "max_words": 256},
        "part_of_speech": {"min_nouns": 1, "min_determiners": 1, "min_prepositions": 0},
        "repetition": {"min_unique_ratio": 0.8},
    },
    "coyo": {
        "body_size": {"min_bytes": 5_000},
        "short_side": {"min_side_px": 200},
        "aspect_ratio": {"min_ratio": 1 / 3, "max_ratio": 3.0},
        "caption_length": {"min_chars": 6, "min_words": 3, "max_chars": 1_000, "max_words": 256},
        "language": {"policy": "cld3_strict"},
        "part_of_speech": {"min_nouns": 1, "min_determiners": 0, "min_prepositions": 0},
        "caption_repetition": {"max_rows": 10},
        "profanity": {"max_words": 0},
    },
    "datacomp-basic": {
        "caption_length": {"min_chars": 6, "min_words": 3},
        "short_side": {"min_side_px": 200},
        "aspect_ratio": {"min_ratio": 1 / 3, "max_ratio": 3.0},
    },
    "laion": {
        "caption_length": {"min_chars": 5, "min_words": 1},
        "body_size": {"min_bytes": 5_000},
        "language": {"policy": "cld3_strict"},
        "clip_similarity": {"min_similarity": 0.28},
    },
}


def test_the_neighbours_of_the_paper_are_bundled():
    assert {*PUBLISHED, "dalle", "demo", "strict"} == set(BUNDLED)


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_recipe_loads(name):
    recipe = load_recipe(name)
    assert recipe.name == name and recipe.select.rules


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_recipe_has_the_published_numbers(name):
    rules = {rule.reason: rule for rule in load_recipe(name).select.rules}
    for reason, numbers in PUBLISHED[name].items():
        for field, number in numbers.items():
            assert getattr(rules[reason], field) == number, (reason, field)


def test_cc12m_is_cc_without_its_rule_on_capitals():
    reasons = {
        name: {rule.reason for rule in load_recipe(name).select.rules} for name in ("cc", "cc12m")
    }
    assert reasons["cc"] - reasons["cc12m"] == {"capitalisation"}


def test_what_we_would_train_on_needs_no_weights():
    recipe = load_recipe("strict")
    assert set(recipe.score.models) == {"profanity"}
    assert recipe.score.models["profanity"].find()
    assert recipe.select.near_duplicates.max_distance == 3
    assert recipe.select.split_by == "cluster"
    assert len(recipe.encode.mask_personal_data) == 5
