from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from model.config import PRESETS, Network
from model.network.flops import training_flops
from model.transformer import Transformer
from tokens.sequence import SequenceLayout


@pytest.mark.parametrize("head", ["split", "joint"])
def test_operations_of_matrices_are_those_that_torch_counts(
    head: str, layout: SequenceLayout
) -> None:
    network = Network(num_layers=2, width=64, attention="full", head=head)  # type: ignore[arg-type]
    model = Transformer(network, layout)
    text = torch.zeros(1, layout.text_slots, dtype=torch.long)
    image = torch.zeros(1, layout.num_codes, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        losses = model(text, image)
        (losses.text_N.sum() + losses.image_BI.sum()).backward()
    pairs = 2 * layout.length * (layout.length + 1) // 2
    scores_and_values = 3 * 4 * 64 * pairs  # torch counts none of its attention on a CPU
    assert training_flops(network, layout) - scores_and_values == counter.get_total_flops()


def test_masks_save_what_they_leave_out() -> None:
    network, layout = PRESETS["medium"].network, SequenceLayout()
    dense = training_flops(replace(network, attention="full"), layout)
    saved = dense - training_flops(network, layout)
    rows, columns = 17, 6  # of 24 layers
    pairs = rows * (819_840 - 329_295) + columns * (819_840 - 312_928) + 819_840 - 353_172
    assert saved == pytest.approx(12 * 1024 * pairs)
