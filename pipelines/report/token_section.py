"""The page's part on tokens: how long captions are, how the codes are used, what they keep."""

from itertools import accumulate

from pipelines.report.charts import render_columns
from pipelines.report.galleries import render_decoded
from pipelines.report.token_figures import TokenFigures
from pipelines.report.words import escape, show_count, show_share

COLUMNS_SHOWN = 64


def render_tokens(tokens: TokenFigures | None) -> str:
    if tokens is None:
        return '<p class="soft">Not built: run the same build on without --until.</p>'
    return (
        f"<p>Each sequence holds {tokens.tokens_per_row} tokens: {tokens.text_slots} text slots "
        f"and {tokens.grid_height} \u00d7 {tokens.grid_width} image codes. The figures below "
        f"are of {show_count(tokens.measured_rows)} sequences of view 0.</p>"
        f'<div class="charts">{render_lengths(tokens)}{render_code_use(tokens)}</div>'
        f"<h2>Stored pictures beside their decoded codes</h2>{_render_twins(tokens)}"
    )


def _render_twins(tokens: TokenFigures) -> str:
    if tokens.decoded is None:
        return '<p class="soft">The image tokenizer is an encoder alone: it cannot draw.</p>'
    if not tokens.decoded:
        return '<p class="soft">None of the pairs that were looked at is in the shards read.</p>'
    return (
        "<p>Left the centre of the stored picture, right what "
        f"{tokens.grid_height} \u00d7 {tokens.grid_width} codes of the image tokenizer "
        f"<code>{escape(tokens.image_tokenizer)}</code> keep of it. A training pair's codes are "
        f"of a crop near the centre.</p>{render_decoded(tokens.decoded)}"
    )


def render_lengths(tokens: TokenFigures) -> str:
    """Tokens per caption: as many columns as there are lengths, up to the longest caption."""
    longest = max((i for i, n in enumerate(tokens.caption_lengths) if n), default=0)
    width = -(-(longest + 1) // COLUMNS_SHOWN)
    lengths = tokens.caption_lengths[: longest + 1]
    columns = [sum(lengths[i : i + width]) for i in range(0, len(lengths), width)]
    label = f"Captions by number of tokens, from 0 to {longest}"
    return (
        '<div class="chart"><b>Tokens per caption</b><br><span class="soft">'
        f"median {_median(tokens.caption_lengths)}, longest {longest} of {tokens.text_slots}; "
        f"{show_count(tokens.truncated)} cut; {show_count(tokens.text_ids_used)} of "
        f"{show_count(tokens.text_vocab_size)} ids in use</span>"
        f"{render_columns(columns, label, ('0 tokens', f'{longest} tokens'))}</div>"
    )


def _median(counts: tuple[int, ...]) -> int:
    """The lower median of a histogram over 0, 1, 2, ..."""
    half = (sum(counts) + 1) // 2
    return next((i for i, total in enumerate(accumulate(counts)) if total >= half), 0)


def render_code_use(tokens: TokenFigures) -> str:
    """How evenly the image vocabulary is used: its ids by frequency, the commonest at the left."""
    size = -(-tokens.image_vocab_size // COLUMNS_SHOWN)
    shares = tokens.code_shares
    columns = [sum(shares[i : i + size]) for i in range(0, len(shares), size)]
    used = show_share(tokens.image_codes_used, tokens.image_vocab_size)
    label = "Share of all image codes by id, the commonest first"
    return (
        '<div class="chart"><b>Use of the image vocabulary</b><br><span class="soft">'
        f"{show_count(tokens.image_codes_used)} of {show_count(tokens.image_vocab_size)} codes in "
        f"use ({used}), perplexity {tokens.perplexity:,.1f}</span>"
        f"{render_columns(columns, label, ('commonest codes', 'rarest'))}</div>"
    )
