"""Floating-point operations of training, counted for the masks that the layers have.

    per sequence = 3 x (24 L D^2 x layers + 4 D x visible pairs, all layers + 2 D x logits)

A multiplication and an addition are two operations; the backward pass takes twice the forward one.
A block has 12 D^2 weights in its matrices; a visible pair costs 2 D for its score and 2 D for its
value, all heads together; logits are those of the head that a target is read by. What a kernel
computes besides, masked parts of a tile and scores again in its backward pass, is no use and not
counted; norms, activations and embeddings are left out.

L stream positions, D width.
"""

from collections import Counter

from model.config import Network
from model.network.stream import StreamSizes, count_pairs
from model.transformer import kinds_of
from tokens.sequence import SequenceLayout

DENSE_BF16_FLOPS = 989e12
"""Of an H100 or H200 per second (NVIDIA's data sheet, without sparsity): the base of MFU."""


def training_flops(network: Network, layout: SequenceLayout) -> float:
    """Operations of one sequence, forward and backward."""
    sizes = StreamSizes.of(layout)
    matrices = 24 * sizes.length * network.width**2 * network.num_layers
    pairs = sum(
        count_pairs(kind, sizes) * layers for kind, layers in Counter(kinds_of(network)).items()
    )
    return 3.0 * (
        matrices + 4 * network.width * pairs + 2 * network.width * _logits(network, layout)
    )


def _logits(network: Network, layout: SequenceLayout) -> int:
    if network.head == "joint":
        return layout.length * (layout.text_outputs + layout.image_vocab_size)
    return layout.text_slots * layout.text_outputs + layout.num_codes * layout.image_vocab_size
