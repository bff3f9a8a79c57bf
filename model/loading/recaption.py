"""Captions tokenised while training, so that BPE dropout draws anew in every epoch.

The paper drops merges with 0.1 while it trains (Ramesh et al. 2021, section 2.2, footnote 5); a
corpus holds one draw for each of its views. Here a draw belongs to the pair and the epoch. Epoch e
of the first few equals view e of a corpus that was encoded with the same dropout and seed.
"""

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from model.loading.batch import text_dtype
from model.loading.corpus import TokenCorpus
from tokens.bundled import TEXT_FILE
from tokens.manifest import join_url
from tokens.sequence import SequenceLayout, lay_out_text
from tokens.text import TextTokenizer, load_text_tokenizer


class Recaptioner:
    """Captions to text slots, by the tokenizer of a corpus."""

    def __init__(
        self, tokenizer: TextTokenizer, layout: SequenceLayout, dropout: float, seed: int
    ) -> None:
        """
        Args:
            dropout: probability in [0, 1] that a merge is skipped; 0 gives the plain ids.
        """
        if not 0.0 <= dropout <= 1.0:
            raise ValueError(f"bpe_dropout is {dropout}; it is a probability, from 0 to 1")
        self._tokenizer, self._layout = tokenizer, layout
        self._dropout, self._seed = dropout, seed

    @classmethod
    def of(cls, corpus: TokenCorpus, dropout: float, seed: int) -> "Recaptioner":
        """With the tokenizer that lies beside the corpus's shards.

        Raises:
            FileNotFoundError, ValueError: it is not there, or not the one that made them.
        """
        path = join_url(corpus.folder, "tokenizers", TEXT_FILE)
        tokenizer = load_text_tokenizer(path)
        recorded = corpus.manifest.details.get("text_tokenizer_sha256")
        if tokenizer.sha256 != recorded:
            raise ValueError(
                f"{path} has SHA-256 {tokenizer.sha256}, but the shards were made with {recorded}: "
                "put the tokenizer back, or train without --bpe_dropout"
            )
        return cls(tokenizer, corpus.layout, dropout, seed)

    def __call__(
        self, captions: Sequence[str], pair_ids: npt.NDArray[Any], epoch: int
    ) -> npt.NDArray[Any]:
        """Text slots of some pairs, [B, text_slots]."""
        pass_key = epoch.to_bytes(max(1, -(-epoch.bit_length() // 8)), "little")
        tokens = self._tokenizer.encode(
            captions,
            max_tokens=self._layout.text_slots,
            dropout=self._dropout,
            keys=[pair_id.tobytes() + pass_key for pair_id in pair_ids],
            seed=self._seed,
        )
        return lay_out_text(self._layout, tokens.ids, tokens.offsets, text_dtype(self._layout))
