"""RE2 patterns of what leads to a person or a page: addresses, numbers, names of accounts.

Used twice: to measure how much of a caption they are (`filters/signals/contacts.py`), and to
mask them (`filters/masking.py`). They look for the shape, not for the truth: 999.1.2.3 is no
address, 4 numbers up to 255 between full stops are one, even where they number a chapter.
"""

_NAME = r"[^\s@<>,;:()\[\]{}\x22/!?|*=]+"
"""What may stand before the @: anything but what surrounds an address. Few ranges, where letters of
all scripts would be hundreds: a pattern is compiled anew at each call."""
EMAIL = (
    rf"{_NAME}@(?:[^\s@<>,;:()\[\]{{}}\x22/!?|*=.]+\.)+\p{{L}}\p{{L}}+"
    # name [at] example [dot] org
    r"|[\w.+-]+\s?[\[({]\s?(?i:at)\s?[\])}]\s?[\w-]+"
    r"(?:\s?(?:[\[({]\s?(?i:dot)\s?[\])}]|\.)\s?[\w-]+){1,4}"
)
EMAIL_HINT = r"@|[\[({]\s?(?i:at)\s?[\])}]"
"""Stands in every e-mail address, and is found in less time."""

_SCHEME = r"\b(?:https?|s?ftp|ssh)://"
_COMMON_ENDING = r"(?:com|org|net|info|edu|gov|biz|co\.uk|de|fr|it|es|nl|ru|pl|jp|br|io)"
URL = (
    rf"(?i:{_SCHEME}[^\s<>\x22]+"
    r"|\bwww\.[^\s<>\x22]+"
    # example.org/cat, but not what follows the @ of an e-mail address
    rf"|(?:^|[^@a-z0-9._-])[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*\.{_COMMON_ENDING}\b(?:/[^\s<>\x22]*)?)"
)

_BETWEEN = r"[\s.-]?"
TELEPHONE = (
    # +49 (0)30 1234-567, +1-202-555-0143
    rf"\+\d{{1,3}}{_BETWEEN}(?:\(\d{{1,4}}\){_BETWEEN})?\d{{1,4}}(?:{_BETWEEN}\d{{2,4}}){{1,5}}\b"
    # (202) 555-0143, 202-555-0143, 1 800 555 0143
    r"|(?:\b1[\s.-])?(?:\(\d{3}\)\s?|\b\d{3}[\s.-])\d{3}[\s.-]\d{4}\b"
    # 020 7946 0958, 01 23 45 67 89
    r"|\b0\d{1,4}(?:[\s.-]\d{3,4}){2}\b|\b0\d(?:[\s.]\d\d){4}\b"
)
TELEPHONE_AFTER_WORD = (
    r"\b((?i:tel(?:ephone)?|phone|fax|mobile|call|whatsapp)\b[.:\s]{0,3})"
    r"(?:\+|\()?\d[\d\s()./-]{4,18}\d"
)
"""Group 1 stays: any long number after Tel.: and its like."""

_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_GROUP = r"[0-9a-fA-F]{1,4}"
IP_ADDRESS = (
    rf"\b{_OCTET}(?:\.{_OCTET}){{3}}\b"
    rf"|\b(?:{_GROUP}:){{7}}{_GROUP}\b"
    rf"|\b(?:{_GROUP}:){{2,6}}(?::{_GROUP}){{1,5}}\b|\b{_GROUP}:(?::{_GROUP}){{2,6}}\b"
)

URL_LOGIN = rf"(?i)({_SCHEME})[^\s/@<>]+@"
"""Group 1 stays: http://user:password@host."""
URL_KEY = (
    r"(?i)([?&;](?:access_?token|auth|api_?key|token|key|passw(?:or)?d|pwd|secret|sig(?:nature)?)=)"
    r"[^&;#\s<>]+"
)
"""Group 1 stays: ?token=1234."""

HANDLE = r"(^|[\s(\[,;:\x22'/|])@\w(?:[\w.]{0,28}\w)?"
"""Group 1 stays: an account's name as Twitter and Instagram write it."""
