"""The network: one stream of caption and image tokens, pre-norm residual blocks, two heads.

After Ramesh et al. 2021, section 2.2 and appendix B.1; what they leave to "the same kind as"
Sparse Transformers is taken from Child et al. 2019, sections 5.2 to 5.4 and 6: where the norms
stand, the activation, the initial weights.

Each position is read by one head only (`head = "split"`): the last of the text part and all but
the last image code predict image codes, the positions before predict caption ids and pads. This
equals one softmax over both vocabularies with the impossible half masked away, at 0.4 of the
logits. With `head = "joint"` one softmax runs over both at every position, as a plain language
model's would: it also has to learn which vocabulary comes next, its losses are higher by what it
still gives to the other one, and a checkpoint of one kind does badly under the other. Weights have
the same names and shapes in both; the paper does not say which it used.

Shapes: B batch, T text slots, I image codes, L = T + I stream positions, D width, H heads,
K head width, V a vocabulary, N selected positions. Inputs are [BOS] + T + (I - 1) = L.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.attention import Attend, Kind, layer_kinds
from model.config import HEAD_WIDTH, Network
from model.network.branch import Branch
from model.network.heads import token_losses
from model.network.stream import StreamSizes
from model.network.stream_attention import stream_attention
from tokens.sequence import SequenceLayout

TEXT_WEIGHT, IMAGE_WEIGHT = 1 / 8, 7 / 8
"""Shares of the two losses (section 2.2)."""
INIT_SCALE = 0.125
"""All initial weights are N(0, INIT_SCALE / sqrt(fan in)) (Child et al. 2019, section 6)."""
GELU_SLOPE = 1.702


@dataclass(frozen=True, slots=True)
class TokenLosses:
    """Cross entropies in nats, before any average."""

    text_N: Tensor
    """One per counted caption target of the batch."""
    image_BI: Tensor


def kinds_of(network: Network) -> tuple[Kind, ...]:
    """What each layer may look at."""
    if network.attention == "full":
        dense: Kind = "full"
        return (dense,) * network.num_layers
    return layer_kinds(network.num_layers)


def gelu(x: Tensor) -> Tensor:
    """x * sigmoid(1.702 x), through SiLU: a fifth of the written-out form's time on a CPU."""
    return F.silu(x * GELU_SLOPE) * (1 / GELU_SLOPE)


class Norm(nn.LayerNorm):
    """LayerNorm in its input's arithmetic, also where shards come together in a shorter one."""

    def forward(self, x_BLD: Tensor) -> Tensor:
        weight, bias = self.weight.to(x_BLD.dtype), self.bias.to(x_BLD.dtype)
        return F.layer_norm(x_BLD, self.normalized_shape, weight, bias, self.eps)


class Block(nn.Module):
    """a = attention(norm(x)), b = feed-forward(norm(x + a)); x + a + b."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        width = network.width
        self.num_heads = network.num_heads
        self.attention_norm = Norm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.feed_forward_norm = Norm(width)
        self.feed_forward_in = nn.Linear(width, 4 * width)
        self.feed_forward_out = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(network.dropout)
        self.attention_branch = self.feed_forward_branch = Branch()  # precision.py sets others

    def forward(self, x_BLD: Tensor, attend: Attend) -> Tensor:
        return self.finish(x_BLD, attend(*self.project(x_BLD)))

    def project(self, x_BLD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of the positions, each B, H, L, K."""
        batch, length, _ = x_BLD.shape
        branch = self.attention_branch
        qkv = branch.linear(self.query_key_value, self.attention_norm(branch.enter(x_BLD)))
        qkv = qkv.view(batch, length, 3, self.num_heads, HEAD_WIDTH)
        q_BHLK, k_BHLK, v_BHLK = qkv.permute(2, 0, 3, 1, 4)
        return q_BHLK, k_BHLK, v_BHLK

    def finish(self, x_BLD: Tensor, out_BHLK: Tensor) -> Tensor:
        """The rest of the block, given what each head of a position has attended to."""
        joined_BLD = out_BHLK.transpose(1, 2).reshape(x_BLD.shape)
        branch = self.attention_branch
        attended_BLD = branch.linear(self.attention_out, joined_BLD)
        x_BLD = x_BLD + branch.leave(self.dropout(attended_BLD))
        branch = self.feed_forward_branch
        normed_BLD = self.feed_forward_norm(branch.enter(x_BLD))
        hidden = gelu(branch.linear(self.feed_forward_in, normed_BLD))
        fed_BLD = branch.linear(self.feed_forward_out, hidden)
        return x_BLD + branch.leave(self.dropout(fed_BLD))


class Transformer(nn.Module):
    """Caption and image tokens in, next-token losses or hidden states out."""

    def __init__(self, network: Network, layout: SequenceLayout) -> None:
        super().__init__()
        self.network, self.layout = network, layout
        width = network.width
        self.begin = nn.Parameter(torch.empty(width))
        self.text_embedding = nn.Embedding(layout.text_outputs, width)
        self.text_position = nn.Embedding(layout.text_slots, width)
        self.image_embedding = nn.Embedding(layout.image_vocab_size, width)
        self.image_row = nn.Embedding(layout.grid_height, width)
        self.image_column = nn.Embedding(layout.grid_width, width)
        self.embedding_dropout = nn.Dropout(network.dropout)
        self.kinds, self.sizes = kinds_of(network), StreamSizes.of(layout)
        self.blocks = nn.ModuleList(Block(network) for _ in self.kinds)
        self.final_norm = nn.LayerNorm(width)
        self.text_head = nn.Linear(width, layout.text_outputs, bias=False)
        self.image_head = nn.Linear(width, layout.image_vocab_size, bias=False)
        self.initialise()

    @torch.no_grad()
    def initialise(self, seed: int = 0) -> None:
        """Draw the initial weights: the same for a seed on any device."""
        generator = torch.Generator().manual_seed(seed)
        width, layers = self.network.width, self.network.num_layers
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif "norm" in name:
                parameter.fill_(1.0)
            elif name.endswith("head.weight"):
                parameter.zero_()  # the first guess is uniform
            else:
                deviation = INIT_SCALE / math.sqrt(parameter.shape[-1])
                if "position" in name or "image_row" in name or "image_column" in name:
                    # two embeddings are added in the image part, one in the text part
                    deviation = INIT_SCALE / math.sqrt(width * (2 if "image" in name else 1))
                elif name.endswith("out.weight"):
                    deviation /= math.sqrt(2 * layers)
                _fill_normal(parameter, deviation, generator)

    def embed_text(self, text_BT: Tensor) -> Tensor:
        """[BOS] and the caption's slots, shape B, T + 1, D."""
        words = self.text_embedding(text_BT) + self.text_position.weight
        begin = self.begin.expand(len(text_BT), 1, -1)
        return torch.cat([begin, words], dim=1)

    def embed_image(self, codes_BN: Tensor) -> Tensor:
        """The first codes in raster order, shape B, N, D."""
        index = torch.arange(codes_BN.shape[1], device=codes_BN.device)
        rows = self.image_row(index // self.layout.grid_width)
        columns = self.image_column(index % self.layout.grid_width)
        embedded_BND: Tensor = self.image_embedding(codes_BN) + rows + columns
        return embedded_BND

    def transform(self, x_BLD: Tensor) -> Tensor:
        """Embedded positions through all blocks and the final norm."""
        x_BLD = self.embedding_dropout(x_BLD)
        for kind, block in zip(self.kinds, self.blocks, strict=True):
            attention = stream_attention(kind, self.sizes, x_BLD.device)
            x_BLD = attention.restore(block(attention.arrange(x_BLD), attention))
        normed_BLD: Tensor = self.final_norm(x_BLD)
        return normed_BLD

    def hidden(self, text_BT: Tensor, image_BI: Tensor) -> Tensor:
        """The state from which target i is predicted, for all L targets: B, L, D."""
        return self.transform(
            torch.cat([self.embed_text(text_BT), self.embed_image(image_BI[:, :-1])], dim=1)
        )

    def forward(self, text_BT: Tensor, image_BI: Tensor) -> TokenLosses:
        """The loss of each counted target (`counted_targets`)."""
        hidden_BLD = self.hidden(text_BT, image_BI)
        slots, counted_BT = self.layout.text_slots, self.counted_targets(text_BT)
        text_ND = hidden_BLD[:, :slots][counted_BT]
        image_ND = hidden_BLD[:, slots:].flatten(0, 1)
        text_weight, image_weight, first_code = self.text_head.weight, self.image_head.weight, 0
        if self.network.head == "joint":
            text_weight = image_weight = torch.cat([text_weight, image_weight])
            first_code = self.layout.text_outputs
        image_N = token_losses(image_ND, image_weight, image_BI.flatten() + first_code)
        return TokenLosses(
            text_N=token_losses(text_ND, text_weight, text_BT[counted_BT]),
            image_BI=image_N.view_as(image_BI),
        )

    def counted_targets(self, text_BT: Tensor) -> Tensor:
        """Which caption slots count in the text loss, as `counted_pads` says."""
        if self.network.counted_pads == "all":
            return torch.ones_like(text_BT, dtype=torch.bool)
        word_BT = text_BT < self.layout.text_vocab_size
        after_word = F.pad(word_BT[:, :-1], (1, 0), value=True)
        return word_BT | after_word


def _fill_normal(parameter: Tensor, deviation: float, generator: torch.Generator) -> None:
    """Draw on the CPU, so that every device starts from the same weights."""
    if parameter.device.type == "meta":
        return
    values = torch.empty(parameter.shape).normal_(0, deviation, generator=generator)
    parameter.copy_(values)
