import pytest

from filters.contacts import Contacts

RULE = Contacts(max_url_ratio=0.5, max_email_ratio=0.4, max_telephone_ratio=0.3)

KEEPS = [
    pytest.param(0.5, 0.4, 0.3, id="exactly the most of all"),
    pytest.param(0.0, 0.0, 0.0, id="none"),
]
DROPS = [
    pytest.param(0.51, 0.0, 0.0, id="mainly a link"),
    pytest.param(0.0, 0.41, 0.0, id="mainly an e-mail address"),
    pytest.param(0.0, 0.0, 0.31, id="mainly a telephone number"),
    pytest.param(None, None, None, id="no caption"),
    pytest.param(0.0, None, 0.0, id="addresses were not measured"),
]


@pytest.mark.parametrize(("url_ratio", "email_ratio", "telephone_ratio"), KEEPS)
def test_keeps(one_row, url_ratio, email_ratio, telephone_ratio):
    assert RULE(
        one_row(url_ratio=url_ratio, email_ratio=email_ratio, telephone_ratio=telephone_ratio)
    ).tolist() == [False]


@pytest.mark.parametrize(("url_ratio", "email_ratio", "telephone_ratio"), DROPS)
def test_drops(one_row, url_ratio, email_ratio, telephone_ratio):
    assert RULE(
        one_row(url_ratio=url_ratio, email_ratio=email_ratio, telephone_ratio=telephone_ratio)
    ).tolist() == [True]


def test_refuses_a_negative_share():
    with pytest.raises(ValueError, match="max_email_ratio is -1; give a number from 0 to 1"):
        Contacts(max_email_ratio=-1)
