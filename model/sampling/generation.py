"""Whole pictures' codes, many side by side: each step decodes, guides and draws one code of each.

On a CUDA device the step is captured once as a graph and replayed for every code, so that the host
launches one thing per code; elsewhere the same step runs as it stands.

Shapes: B pictures, T text slots, I image codes, V image codes that there are.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from model.sampling.choosing import choose
from model.sampling.decoding import Decoder
from model.transformer import Transformer

WARM_UP_STEPS = 3
"""Before a capture: compilation, and what libraries allocate at first use."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How codes are drawn from logits."""

    temperature: float = 1.0
    """Logits are divided by it: below 1 is safer and duller. The paper's is 1 (section 2.6)."""
    top_k: int = 0
    """Codes are drawn from the k likeliest alone; 0: from all, as in the paper."""
    top_p: float = 1.0
    """And from the likeliest that together hold this probability; 1: all."""
    guidance: float = 1.0
    """How far logits go from those of the empty caption to those of the caption: 1 arrives there
    (and the empty caption is not looked at), more goes beyond (Ho and Salimans 2022)."""

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature is {self.temperature}; it must be above 0")
        if self.top_k < 0:
            raise ValueError(f"top_k is {self.top_k}; it must be at least 0")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; it must be above 0 and at most 1")
        if not self.guidance >= 0:
            raise ValueError(f"guidance is {self.guidance}; it must be at least 0")

    @property
    def is_guided(self) -> bool:
        return self.guidance != 1


class Generator:
    """Codes of `batch_size` pictures at a time: always as many, so that all arithmetic is the same
    for a picture whatever its company."""

    def __init__(self, model: Transformer, batch_size: int, choice: Choice) -> None:
        self.model, self.batch_size, self.choice = model, batch_size, choice
        self.decoder = Decoder(model, batch_size * (2 if choice.is_guided else 1))
        device, num_codes = self.decoder.index_1.device, model.layout.num_codes
        self.codes_BI = torch.zeros(batch_size, num_codes, dtype=torch.long, device=device)
        self.uniforms_BI = torch.zeros(batch_size, num_codes, dtype=torch.float64, device=device)
        self.given_1 = torch.zeros(1, dtype=torch.long, device=device)
        """How many codes of each picture are given, not drawn."""
        self.graph: torch.cuda.CUDAGraph | None = None

    @torch.no_grad()
    def draw(
        self, text_BT: Tensor, empty_T: Tensor, uniforms_BI: Tensor, given_J: Tensor | None = None
    ) -> Tensor:
        """Image codes, long [B, I].

        Args:
            text_BT: laid-out captions, `batch_size` of them.
            empty_T: the empty caption, laid out.
            uniforms_BI: what each code is drawn by (`draw_uniforms`).
            given_J: the first codes of all pictures, at most I - 1.
        """
        if self.graph is None and self.codes_BI.device.type == "cuda":
            self.graph = self._capture()
        num_codes = self.codes_BI.shape[1]
        num_given = 0 if given_J is None else len(given_J)
        if given_J is not None:
            self.codes_BI[:, :num_given] = given_J.to(self.codes_BI.device)
        self.given_1.fill_(num_given)
        self.uniforms_BI.copy_(uniforms_BI)
        if self.choice.is_guided:
            text_BT = torch.cat([text_BT, empty_T.expand_as(text_BT)])
        self._place(self.decoder.begin(text_BT.to(self.codes_BI.device)))
        for _ in range(num_codes - 1):
            self._advance() if self.graph is None else self.graph.replay()
        return self.codes_BI.clone()

    def _advance(self) -> None:
        codes_B = self.codes_BI.index_select(1, self.decoder.index_1)[:, 0]
        if self.choice.is_guided:
            codes_B = torch.cat([codes_B, codes_B])
        self._place(self.decoder.step(codes_B))

    def _place(self, logits_BV: Tensor) -> None:
        """Draw the code that the decoder reads next, unless it is given."""
        choice, index_1 = self.choice, self.decoder.index_1
        if choice.is_guided:
            told_BV, empty_BV = logits_BV.chunk(2)
            logits_BV = empty_BV + choice.guidance * (told_BV - empty_BV)
        uniform_B = self.uniforms_BI.index_select(1, index_1)[:, 0]
        drawn_B1 = choose(logits_BV, uniform_B, choice.temperature, choice.top_k, choice.top_p)[
            :, None
        ]
        given_B1 = self.codes_BI.index_select(1, index_1)
        self.codes_BI.index_copy_(
            1, index_1, torch.where(index_1 < self.given_1, given_B1, drawn_B1)
        )

    def _capture(self) -> torch.cuda.CUDAGraph:
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP_STEPS):
                self._advance()
                self.decoder.index_1.zero_()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._advance()
        return graph
