"""Sheets of samples that a run draws of itself while it trains: RUN/samples/step-00001000.png.

The captions are those of the first held-out pairs; captions and seeds stay the same from sheet to
sheet, so that only the weights differ. One rank draws, from a copy of the averaged weights; the
others wait for it at the next step.
"""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from model.config import Run
from model.loading.batch import Batch
from model.run_folder import RunFolder
from model.sampling.drawing import Strip, draw_sheet
from model.sampling.sampler import Sampler, Settings
from model.training.distribution import Distribution
from model.training.pieces import whole
from model.transformer import Transformer
from tokens.image import load_image_tokenizer
from tokens.numerics import Numerics
from tokens.text import load_text_tokenizer

CAPTIONS, PICTURES = 4, 4


class SampleSheets:
    """Draws the sheets of one run."""

    def __init__(
        self, run: Run, folder: RunFolder, held_out: Batch, distribution: Distribution
    ) -> None:
        """Read the tokenizers of the run.

        Raises:
            ValueError: one cannot be used.
        """
        self.run, self.folder, self.distribution = run, folder, distribution
        self.text_tokenizer = load_text_tokenizer(str(folder.tokenizers / "text.json"))
        numerics = Numerics(device="cuda" if distribution.device.type == "cuda" else "cpu")
        image_file = str(folder.tokenizers / "image.safetensors")
        self.image_tokenizer = load_image_tokenizer(image_file, numerics)
        self.captions = [self._read(row) for row in held_out.text[:CAPTIONS]]

    def _read(self, slots: np.ndarray) -> str:
        return self.text_tokenizer.decode(slots[slots < self.run.layout.text_vocab_size])

    def draw(self, step: int, average: Mapping[str, Tensor]) -> None:
        """Write the sheet of `step`; every rank hands in its slices of the averaged weights."""
        weights = {name: whole(tensor) for name, tensor in average.items()}
        if not self.distribution.is_first:
            return
        model = Transformer(self.run.network, self.run.layout)
        model.load_state_dict(weights)
        sampler = Sampler(
            model.to(self.distribution.device), self.text_tokenizer, self.image_tokenizer
        )
        drawn = sampler.draw(self.captions, Settings(num=PICTURES))
        strips = [Strip(one.caption, [shown.pixels for shown in one.pictures]) for one in drawn]
        self.folder.samples.mkdir(parents=True, exist_ok=True)
        draw_sheet(strips).save(self.folder.samples / f"step-{step:08d}.png", format="PNG")
