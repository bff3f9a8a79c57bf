import pytest

from pipelines.web.settings import FetchSettings


def test_says_who_asks_and_whom_to_write_to() -> None:
    assert FetchSettings(contact="me@example.org").user_agent.startswith("pairmill/")
    assert FetchSettings(contact="me@example.org").user_agent.endswith(" (+me@example.org)")


@pytest.mark.parametrize("contact", ["me@example.org", "https://example.org/crawl"])
def test_takes_a_contact(contact: str) -> None:
    FetchSettings(contact=contact)


@pytest.mark.parametrize(
    "contact", ["", "me", "example.org", "a@b\r\nX: y", "a@b (c)", "ü@b", "a@b c"]
)
def test_refuses_a_contact_nobody_can_be_reached_by(contact: str) -> None:
    with pytest.raises(ValueError, match="neither an e-mail address nor a URL"):
        FetchSettings(contact=contact)


@pytest.mark.parametrize("name", ["total_timeout_s", "max_body_bytes", "host_concurrency"])
def test_refuses_a_limit_of_nothing(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is 0; give a number above 0"):
        FetchSettings(**{name: 0})


def test_takes_no_retries_and_no_redirects() -> None:
    FetchSettings(max_retries=0, max_redirects=0)
    with pytest.raises(ValueError, match="max_retries is -1; give 0 or more"):
        FetchSettings(max_retries=-1)
