import dataclasses

import pytest
import torch
import torch.nn.functional as F

from model.config import Network
from model.network import heads
from model.network.heads import token_losses
from model.transformer import Transformer
from tokens.sequence import SequenceLayout

ROWS, WIDTH, IDS = 1100, 16, 70  # three chunks of a CPU's
Result = tuple[torch.Tensor, tuple[torch.Tensor, ...]]


def draw() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(ROWS, WIDTH, generator=generator).requires_grad_()
    weight = torch.randn(IDS, WIDTH, generator=generator).requires_grad_()
    targets = torch.randint(IDS, (ROWS,), generator=generator)
    return hidden, weight, targets, torch.rand(ROWS, generator=generator)


def expected() -> Result:
    hidden, weight, targets, shares = draw()
    losses = F.cross_entropy(hidden @ weight.T, targets, reduction="none")
    return losses, torch.autograd.grad((losses * shares).sum(), (hidden, weight))


@pytest.mark.parametrize("kept", [2**28, 0], ids=["kept", "computed again"])
def test_losses_in_chunks_are_those_of_all_logits_at_once(
    kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "KEPT_LOGITS", kept)
    hidden, weight, targets, shares = draw()
    losses = token_losses(hidden, weight, targets)
    grads = torch.autograd.grad((losses * shares).sum(), (hidden, weight))
    torch.testing.assert_close((losses, grads), expected())


@pytest.mark.skipif(not heads.HAS_NATIVE, reason="torch before 2.13")
def test_torch_s_own_chunks_give_the_same() -> None:
    hidden, weight, targets, shares = draw()
    losses = heads._native_losses(hidden, weight, targets)
    grads = torch.autograd.grad((losses * shares).sum(), (hidden, weight))
    torch.testing.assert_close((losses, grads), expected(), rtol=1e-4, atol=1e-4)


def test_losses_of_no_row_are_no_losses() -> None:
    hidden, weight, targets, _ = draw()
    assert token_losses(hidden[:0], weight, targets[:0]).shape == (0,)


def test_a_joint_head_is_one_softmax_over_both_vocabularies(layout: SequenceLayout) -> None:
    split = Transformer(Network(num_layers=1, width=64), layout)
    network = dataclasses.replace(split.network, head="joint")
    joint = Transformer(network, layout)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in split.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    joint.load_state_dict(split.state_dict())  # the same names and shapes
    text = torch.randint(layout.text_vocab_size, (3, layout.text_slots), generator=generator)
    image = torch.randint(layout.image_vocab_size, (3, layout.num_codes), generator=generator)
    hidden = joint.hidden(text, image)
    logits = torch.cat([joint.text_head(hidden), joint.image_head(hidden)], dim=-1)
    targets = torch.cat([text, image + layout.text_outputs], dim=1)
    each = F.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    ours, theirs = joint(text, image), split(text, image)
    torch.testing.assert_close(ours.text_N.view(3, -1), each[:, : layout.text_slots])
    torch.testing.assert_close(ours.image_BI, each[:, layout.text_slots :])
    # what it gives to the other vocabulary, it loses
    assert bool((ours.text_N > theirs.text_N).all() and (ours.image_BI > theirs.image_BI).all())


def test_an_unknown_head_is_refused() -> None:
    with pytest.raises(ValueError, match="head is 'both'; it must be one of split, joint"):
        Network(num_layers=1, width=64, head="both")  # type: ignore[arg-type]
