"""Masking of personal data in captions: a word says what stood there.

    "mail ann@example.org" -> "mail <email>"

Pure and per caption. It finds what has a shape (see `filters/contact_patterns.py`), so it finds
no names of people, which CC12M replaced with the help of a service (Changpinyo et al. 2021).
"""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from filters.contact_patterns import (
    EMAIL,
    EMAIL_HINT,
    HANDLE,
    IP_ADDRESS,
    TELEPHONE,
    TELEPHONE_AFTER_WORD,
    URL_KEY,
    URL_LOGIN,
)

_MASKS = {
    "credentials": ((URL_LOGIN, r"\1<credentials>@"), (URL_KEY, r"\1<credentials>")),
    "email": ((EMAIL, "<email>"),),
    "ip_address": ((IP_ADDRESS, "<ip_address>"),),
    "telephone": ((TELEPHONE, "<telephone>"), (TELEPHONE_AFTER_WORD, r"\1<telephone>")),
    "handle": ((HANDLE, r"\1<handle>"),),
}
"""Pattern and replacement of each kind, in the order in which they are applied: a login in a
link looks like an e-mail address, and an address of four numbers like a telephone's."""

_HINTS = {EMAIL: EMAIL_HINT, HANDLE: "@"}
"""Quicker patterns that occur wherever the others do."""

PERSONAL_DATA = tuple(_MASKS)
"""The kinds that can be masked."""


def mask_personal_data(captions: pa.StringArray, kinds: Iterable[str]) -> pa.StringArray:
    """The captions with every find of the named kinds replaced; null stays null.

    The order of `kinds` does not matter. A caption without a find is returned as it was.
    """
    wanted = set(kinds)
    for kind, masks in _MASKS.items():
        for pattern, replacement in masks if kind in wanted else ():
            captions = _replace(captions, pattern, replacement)
    return captions


def _replace(captions: pa.StringArray, pattern: str, replacement: str) -> pa.StringArray:
    """Most captions hold none of it, and to see that is quicker than to replace nothing."""
    found = pc.fill_null(pc.match_substring_regex(captions, _HINTS.get(pattern, pattern)), False)
    some = pc.replace_substring_regex(captions.filter(found), pattern, replacement)
    return pc.replace_with_mask(captions, found, some)
