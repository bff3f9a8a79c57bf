"""What each outcome means to a person: one sentence, shown beside its count."""

from collections.abc import Mapping

from filters import FILTERS

OUTCOMES: Mapping[str, str] = {
    "ok": "The picture was fetched, decoded and stored.",
    "kept": "Passed every rule of the recipe.",
    "bad_url": "The URL is missing or cannot be parsed.",
    "scheme_not_allowed": "The URL is of another kind than http and https.",
    "port_not_allowed": "The URL names a port that the build may not dial; --allow_port allows it.",
    "userinfo_refused": "The URL carries a user name or password.",
    "caption_empty": "There is no caption.",
    "caption_invalid_utf8": "The caption's bytes are no UTF-8 text.",
    "video": "The source says that it is a video.",
    "face_boxes_invalid": "Faces were to be blurred, and the source does not say where they are.",
    "ssrf_blocked": "The address is private, local or a machine's own; --allow_network allows it.",
    "dns_failure": "The host's name could not be resolved.",
    "connect_failed": "No connection could be made.",
    "tls_error": "The server's certificate or encryption was refused.",
    "timeout": "The answer did not come in time.",
    "too_many_redirects": "The server sent us on too often.",
    "http_4xx": "The server refused the request.",
    "http_404": "The server knows no such file.",
    "http_410": "The file was taken away for good.",
    "http_429": "The server asked us to slow down.",
    "http_5xx": "The server failed.",
    "bad_http": "The answer was no proper HTTP.",
    "truncated_body": "The answer broke off before its end.",
    "body_too_large": "The file is larger than the limit.",
    "encoding_refused": "The answer was packed in a way that we do not unpack.",
    "empty_body": "The answer was empty.",
    "robots_disallow": "The site's robots.txt forbids it.",
    "robots_unreachable": "The site's robots.txt could not be read, so nothing was fetched.",
    "optout_header": "The server's headers reserve the picture from such use.",
    "optout_list": "The picture is on an opt-out list.",
    "tombstoned": "The pair was taken down; nothing is left of it.",
    "host_circuit_open": "The host had failed so often that we left it alone.",
    "host_deferred": "Its host's turn would have come too late; a retry asks again.",
    "not_an_image": "The bytes are no picture, whatever the server says.",
    "format_refused": "A picture, or a drawing, in a format that we do not take.",
    "decode_error": "The picture is damaged.",
    "decode_timeout": "Decoding took too long.",
    "decode_crash": "The decoder crashed.",
    "decode_oom": "Decoding needed too much memory.",
    "too_many_pixels": "The picture has more pixels than the limit; it was never decoded.",
    "too_small": "The picture is too small to be one.",
    "hash_mismatch": "The bytes are not those that the list promised.",
    "blocklist_hit": "The picture is on a block list.",
    "internal_error": "Our own fault.",
    "duplicate_pair": "The same URL with the same caption stands in another row.",
    "duplicate_bytes": "The same file was fetched for a row that is kept.",
    "duplicate_pixels": "A kept picture has the same pixels.",
    "duplicate_phash_caption": "A kept picture has the same perceptual hash and the same caption.",
    "near_duplicate": "Another kept picture looks almost the same.",
    "semantic_duplicate": "A kept picture shows the same thing, by their CLIP embeddings.",
    "eval_overlap": "The picture belongs to an evaluation set.",
}

RULES: Mapping[str, str] = {
    rule.reason: (rule.__doc__ or "").partition("\n")[0] for rule in FILTERS
}
"""A rule's own first line."""


def explain(reason: str) -> str:
    """One sentence, empty for a reason that nobody has explained."""
    return OUTCOMES.get(reason) or RULES.get(reason, "")
