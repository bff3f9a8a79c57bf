"""A GPT-2 network, written from its description (Radford et al. 2019, section 2.3).

Layer norm before each sub-block and after the last one, learned positions, GELU by tanh, one head
that shares its weights with the embedding, dense causal attention: what nanoGPT trains. Here for
its speed, with our stream and one vocabulary of all its ids.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Gpt2Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_heads = width // 64
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.inner, self.outer = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x_BLD: Tensor) -> Tensor:
        batch, length, width = x_BLD.shape
        qkv = self.query_key_value(self.norm_1(x_BLD)).view(batch, length, 3, self.num_heads, 64)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)
        x_BLD = x_BLD + self.attention_out(out.reshape(batch, length, width))
        hidden = F.gelu(self.inner(self.norm_2(x_BLD)), approximate="tanh")
        return x_BLD + self.outer(hidden)


class Gpt2(nn.Module):
    def __init__(self, num_layers: int, width: int, length: int, vocabulary: int) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Gpt2Block(width) for _ in range(num_layers))
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.tokens.weight, std=0.02)

    def forward(self, tokens_BL: Tensor) -> Tensor:
        """The mean loss of each next token, nats."""
        x_BLD = self.tokens(tokens_BL) + self.positions.weight[: tokens_BL.shape[1]]
        for block in self.blocks:
            x_BLD = block(x_BLD)
        logits = F.linear(self.norm(x_BLD[:, :-1]), self.tokens.weight)
        return F.cross_entropy(logits.float().flatten(0, 1), tokens_BL[:, 1:].flatten())


def training_flops(num_layers: int, width: int, length: int, vocabulary: int) -> float:
    """Operations of one sequence, counted as model/network/flops.py counts ours."""
    pairs = length * (length + 1) // 2
    forward = num_layers * (24 * length * width**2 + 4 * width * pairs)
    return 3.0 * (forward + 2 * width * length * vocabulary)


def draw_tokens(batch: int, length: int, vocabulary: int, device: torch.device) -> Tensor:
    return torch.randint(vocabulary, (batch, length), device=device)
