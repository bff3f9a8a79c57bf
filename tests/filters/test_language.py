import pytest

from filters.language import Language

CLD3 = Language(policy="cld3_strict", min_probability=0.7)
CLD3_LENIENT = Language(policy="cld3_or_unreliable", min_probability=0.7)
CLD2 = Language(policy="cld2_strict")
CLD2_LENIENT = Language(policy="cld2_or_unreliable")
AGREE = Language(policy="cld2_agree", min_probability=0.7)

KEEPS = [
    pytest.param(CLD3, "en", 0.7, "it", True, id="cld3 is just sure of English"),
    pytest.param(CLD3_LENIENT, "ja", 0.69, "it", True, id="cld3 is not sure, and need not be"),
    pytest.param(CLD3_LENIENT, "en", 0.9, "it", True, id="cld3 is sure of English, lenient"),
    pytest.param(CLD2, "it", 0.99, "en", True, id="cld2 is sure of English"),
    pytest.param(CLD2_LENIENT, "it", 0.99, "un", False, id="cld2 cannot tell, and need not"),
    pytest.param(CLD2_LENIENT, "it", 0.99, "fr", False, id="cld2 only guesses French"),
    pytest.param(CLD2_LENIENT, "it", 0.99, "en", True, id="cld2 is sure of English, lenient"),
    pytest.param(AGREE, "it", 0.99, "en", True, id="cld2 does not agree with cld3's Italian"),
    pytest.param(AGREE, "en", 0.7, "un", False, id="cld3 is sure of English, cld2 cannot tell"),
]
DROPS = [
    pytest.param(CLD3, "en", 0.69, "en", True, id="cld3 is not quite sure of English"),
    pytest.param(CLD3, "it", 0.7, "en", True, id="cld3 is sure of Italian"),
    pytest.param(CLD3_LENIENT, "it", 0.7, "en", True, id="cld3 is sure, leniency is no help"),
    pytest.param(CLD3_LENIENT, None, None, None, None, id="cld3 had no caption"),
    pytest.param(CLD2, "en", 0.99, "un", False, id="cld2 cannot tell"),
    pytest.param(CLD2, "en", 0.99, "en", False, id="cld2 only guesses English"),
    pytest.param(CLD2_LENIENT, "en", 0.99, "fr", True, id="cld2 is sure of French"),
    pytest.param(CLD2_LENIENT, None, None, None, None, id="cld2 had no caption"),
    pytest.param(AGREE, "it", 0.99, "un", False, id="cld2 cannot tell, and cld3 says Italian"),
    pytest.param(AGREE, "en", 0.69, "en", False, id="both only guess English"),
    pytest.param(AGREE, "it", 0.99, "it", True, id="both are sure of Italian"),
]
COLUMNS = ("rule", "cld3", "probability", "cld2", "reliable")


def is_dropped(one_row, rule, cld3, probability, cld2, reliable):
    signals = one_row(
        cld3_language=cld3,
        cld3_probability=probability,
        cld2_language=cld2,
        cld2_reliable=reliable,
    )
    return rule(signals).tolist() == [True]


@pytest.mark.parametrize(COLUMNS, KEEPS)
def test_keeps(one_row, rule, cld3, probability, cld2, reliable):
    assert not is_dropped(one_row, rule, cld3, probability, cld2, reliable)


@pytest.mark.parametrize(COLUMNS, DROPS)
def test_drops(one_row, rule, cld3, probability, cld2, reliable):
    assert is_dropped(one_row, rule, cld3, probability, cld2, reliable)


def test_keeps_another_language_where_the_recipe_asks_for_it(one_row):
    assert not is_dropped(one_row, Language(language="fr"), "fr", 0.9, "fr", True)


def test_refuses_an_unknown_policy():
    with pytest.raises(
        ValueError, match="policy is 'fasttext'; give one of 'cld3_strict', 'cld3_or"
    ):
        Language(policy="fasttext")
