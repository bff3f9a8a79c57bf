"""The books: every input row ends in exactly one outcome out of a closed list.

The list is the fetch outcomes below, `duplicate_pair`, `kept` and the reason of each filter.
Counts are taken from rows that were written, never from Beam's metrics, so that a bundle
that ran twice is counted once. A stage whose books do not balance fails.
"""

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from filters import FILTERS
from tokens.manifest import KEPT, FileEntry

OK = "ok"
TOMBSTONED = "tombstoned"
DUPLICATE_PAIR = "duplicate_pair"

FETCH_OUTCOMES = (
    OK,
    # the row itself
    "bad_url",
    "scheme_not_allowed",
    "port_not_allowed",
    "userinfo_refused",
    "caption_empty",
    "caption_invalid_utf8",
    "video",
    "face_boxes_invalid",
    # the way there
    "ssrf_blocked",
    "dns_failure",
    "connect_failed",
    "tls_error",
    "timeout",
    "too_many_redirects",
    "http_4xx",
    "http_404",
    "http_410",
    "http_429",
    "http_5xx",
    "bad_http",
    "truncated_body",
    "body_too_large",
    "encoding_refused",
    "empty_body",
    # permission
    "robots_disallow",
    "robots_unreachable",
    "optout_header",
    "optout_list",
    TOMBSTONED,
    "host_circuit_open",
    "host_deferred",
    # the picture
    "not_an_image",
    "format_refused",
    "decode_error",
    "decode_timeout",
    "decode_crash",
    "decode_oom",
    "too_many_pixels",
    "too_small",
    "hash_mismatch",
    "blocklist_hit",
    # our own fault
    "internal_error",
)

TRANSIENT = frozenset(
    {
        "dns_failure",
        "connect_failed",
        "timeout",
        "truncated_body",
        "http_429",
        "http_5xx",
        "robots_unreachable",
        "host_circuit_open",
        "host_deferred",
        "decode_timeout",
    }
)
"""Outcomes that another attempt may change."""

REASONS = (
    KEPT,
    *FETCH_OUTCOMES[1:],
    DUPLICATE_PAIR,
    "duplicate_bytes",
    "duplicate_pixels",
    "duplicate_phash_caption",
    "near_duplicate",
    "semantic_duplicate",
    "eval_overlap",
    *(rule.reason for rule in FILTERS),
)
"""What select may say of a row, in the order of the tables."""


def count_outcomes(outcomes: pa.Array | pa.ChunkedArray) -> dict[str, int]:
    """Rows per outcome, in alphabetical order."""
    counted = pc.value_counts(outcomes).to_pylist()
    return {pair["values"]: pair["counts"] for pair in sorted(counted, key=_by_name)}


def _by_name(pair: Mapping[str, object]) -> str:
    return str(pair["values"])


def add_counts(entries: Iterable[FileEntry]) -> dict[str, int]:
    """The sum of the entries' counts."""
    total: dict[str, int] = {}
    for entry in entries:
        for outcome, rows in entry.counts.items():
            total[outcome] = total.get(outcome, 0) + rows
    return dict(sorted(total.items()))


def check_books(rows_in: int, counts: Mapping[str, int], known: Iterable[str], where: str) -> None:
    """Raise RuntimeError unless every row ended in exactly one known outcome."""
    unknown = sorted(set(counts) - set(known))
    if unknown:
        raise RuntimeError(f"{where}: outcomes that are in no list: {', '.join(map(str, unknown))}")
    if sum(counts.values()) != rows_in:
        raise RuntimeError(
            f"{where}: the books do not balance: {rows_in} rows in, {sum(counts.values())} rows out"
        )
