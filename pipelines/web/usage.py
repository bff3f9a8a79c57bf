"""AI preferences (AIPREF): what `Content-Usage`, header or robots.txt rule, says of training.

draft-ietf-aipref-attach-05 (August 2026) and draft-ietf-aipref-vocab-08 (September 2026): drafts
still, hence a table of labels. A preference is a Structured Fields dictionary (RFC 9651) whose
values are the tokens `y` and `n`; what does not parse says nothing, and unknown labels, values and
parameters are left aside.
"""

import re

USES = (
    ("train-ai", "train-genai"),  # vocab-08, and vocab-02's name of training a generative model
    ("tdm", "bots", "all"),  # the wider use in vocab-01 and -02, where nothing narrower is said
)
"""Labels of our use, narrow ones first: the first line with a stated preference decides."""

_KEY = r"[a-z*][a-z0-9_.*-]*"
_STRING = r'"(?:[^"\\]|\\["\\])*"'
_BARE = rf"(?:{_STRING}|:[A-Za-z0-9+/=]*:|\?[01]|@?-?[0-9.]+|[A-Za-z*][^\s,;()\"]*)"
_PARAMETERS = rf"(?:;[ ]*{_KEY}(?:={_BARE})?)*"
_ITEM = rf"{_BARE}{_PARAMETERS}"
_INNER_LIST = rf"\([ ]*(?:{_ITEM}(?:[ ]+{_ITEM})*)?[ ]*\){_PARAMETERS}"
_MEMBER = re.compile(
    rf"[ \t]*(?P<key>{_KEY})(?:=(?P<value>{_INNER_LIST}|{_ITEM})|{_PARAMETERS})[ \t]*(?P<end>,|$)"
)


def reserved_use(text: str) -> str | None:
    """The preference that reserves our use, or None.

    >>> reserved_use("search=y, train-ai=n"), reserved_use("train-ai=y"), reserved_use("?!")
    ('train-ai=n', None, None)
    """
    stated = _read_dictionary(text)
    for labels in USES:
        if any(stated.get(label) == "n" for label in labels):
            return next(f"{label}=n" for label in labels if stated.get(label) == "n")
        if any(stated.get(label) == "y" for label in labels):
            return None
    return None


def _read_dictionary(text: str) -> dict[str, str]:
    """Labels to values without their parameters; the last of a label counts."""
    found: dict[str, str] = {}
    place = 0
    while place < len(text):
        member = _MEMBER.match(text, place)
        trailing_comma = member and member["end"] and member.end() == len(text)
        if member is None or trailing_comma:
            return {}
        found[member["key"]] = (member["value"] or "").partition(";")[0]
        place = member.end()
    return found
