import math
from pathlib import Path

import pytest
import torch
from torch import nn

from model.config import Execution, Network, Optim
from model.network.branch import ScaledBranch
from model.optim import AdamW, clip_gradients
from model.training.gradient_scale import BranchScales, GlobalScale
from model.training.precision import (
    BranchPrecision,
    ScaledPrecision,
    branch_parameters,
    make_precision,
)
from model.transformer import IMAGE_WEIGHT, TEXT_WEIGHT, Transformer
from tests.model.training.short_run import outcome, train
from tokens.sequence import SequenceLayout

CPU = torch.device("cpu")
NETWORK = Network(num_layers=3, width=64)


def make_model(layout: SequenceLayout) -> Transformer:
    """A network whose heads are not zero, so that gradients reach the blocks."""
    model = Transformer(NETWORK, layout)
    nn.init.normal_(model.image_head.weight, std=0.05)
    nn.init.normal_(model.text_head.weight, std=0.05)
    return model


def loss_of(model: Transformer) -> torch.Tensor:
    layout, generator = model.layout, torch.Generator().manual_seed(0)
    text = torch.randint(layout.text_vocab_size, (4, layout.text_slots), generator=generator)
    image = torch.randint(layout.image_vocab_size, (4, layout.num_codes), generator=generator)
    losses = model(text, image)
    return TEXT_WEIGHT * losses.text_N.mean() + IMAGE_WEIGHT * losses.image_BI.mean()


def gradients(name: str, layout: SequenceLayout) -> list[torch.Tensor]:
    """Of all parameters, in true units, as `name` computes them."""
    torch.manual_seed(0)
    model = make_model(layout)
    precision = make_precision(name, model)
    with precision.compute():
        loss = loss_of(model)
    precision.backward(loss)
    assert precision.unscale()
    return [p.grad for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize(
    ("name", "tolerance"), [("bf16", 0.05), ("fp16", 0.01), ("fp16_resblock", 0.01)]
)
def test_gradients_are_those_of_fp32_within_the_format_s_rounding(
    name: str, tolerance: float, layout: SequenceLayout
) -> None:
    exact, rounded = gradients("fp32", layout), gradients(name, layout)
    assert len(exact) == len(rounded)
    for ours, theirs in zip(rounded, exact, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - theirs).norm() <= tolerance * theirs.norm() + 1e-9


def test_every_block_has_two_branches_and_every_parameter_of_it_belongs_to_one(
    layout: SequenceLayout,
) -> None:
    model = make_model(layout)
    groups = branch_parameters(model)
    assert len(groups) == 2 * NETWORK.num_layers
    assert sum(map(len, groups)) == len(list(model.blocks.parameters()))
    assert [p.shape for p in groups[1]] == [
        p.shape for n, p in model.blocks[0].named_parameters() if n.startswith("feed_forward")
    ]


def test_what_is_not_a_matrix_of_a_branch_computes_in_fp32(layout: SequenceLayout) -> None:
    model = make_model(layout)
    make_precision("fp16_resblock", model)
    dtypes: dict[str, set[torch.dtype]] = {}

    def note(name: str) -> None:
        found = dtypes.setdefault(name, set())
        model.get_submodule(name).register_forward_hook(lambda _, __, out: found.add(out.dtype))

    kept = (nn.LayerNorm, nn.Embedding)
    names = [name for name, module in model.named_modules() if isinstance(module, kept)]
    for name in [*names, "blocks.0.dropout", "blocks.1"]:
        note(name)
    loss_of(model)
    assert dtypes.pop("blocks.0.dropout") == {torch.float16}  # inside a branch
    assert set().union(*dtypes.values()) == {torch.float32}
    assert all(p.dtype == torch.float32 for p in model.parameters())


def test_a_gradient_below_float16_survives_a_branch_and_not_without_its_scale() -> None:
    """2^-30 is a 64th of float16's least number above zero."""
    layer, x = nn.Linear(1, 1), torch.ones(1, 1, requires_grad=True)
    for scale, survives in ((2.0**13, True), (1.0, False)):
        branch = ScaledBranch(torch.tensor(scale))
        out = branch.leave(branch.linear(layer, branch.enter(x)))
        (gradient,) = torch.autograd.grad(out, x, torch.full_like(out, 2.0**-30))
        expected = 2.0**-30 * layer.weight.item() if survives else 0.0
        assert gradient.item() == pytest.approx(expected, rel=1e-2)


def test_an_overflow_in_a_branch_reaches_its_own_weights_alone() -> None:
    """What comes out of a branch and is not finite is zero: those before it see the rest."""
    layers = [nn.Linear(2, 2) for _ in range(2)]
    branches = [ScaledBranch(torch.tensor(2.0**7)), ScaledBranch(torch.tensor(2.0**24))]
    x = torch.ones(1, 2, requires_grad=True)
    stream = x
    for branch, layer in zip(branches, layers, strict=True):
        stream = stream + branch.leave(branch.linear(layer, branch.enter(stream)))
    stream.sum().backward()  # 2^24 times 1 is more than float16 holds
    assert not layers[1].weight.grad.isfinite().all()  # type: ignore[union-attr]
    assert layers[0].weight.grad.isfinite().all()  # type: ignore[union-attr]
    assert x.grad is not None and x.grad.isfinite().all()
    # the second branch's gradient is left out whole; the identity path's is not
    torch.testing.assert_close(x.grad, 1 + layers[0].weight.sum(0, keepdim=True), rtol=2e-3, atol=0)


def test_an_overflow_leaves_the_update_out_and_lowers_that_branch_s_scale(
    layout: SequenceLayout,
) -> None:
    model = make_model(layout)
    precision = make_precision("fp16_resblock", model)
    assert isinstance(precision, BranchPrecision)
    before = precision.scales.values_R.clone()
    precision.backward(loss_of(model))
    weight = model.blocks[1].feed_forward_in.weight
    weight.grad[0, 0] = math.inf
    assert not precision.unscale()
    change = precision.scales.values_R / before
    expected = [2 ** (1 / 1000)] * 6
    expected[3] = 2**-0.5
    assert change.tolist() == pytest.approx(expected)


def test_an_overflow_outside_the_branches_leaves_the_update_out_and_no_scale_falls(
    layout: SequenceLayout,
) -> None:
    model = make_model(layout)
    precision = make_precision("fp16_resblock", model)
    assert isinstance(precision, BranchPrecision)
    before = precision.scales.values_R.clone()
    precision.backward(loss_of(model))
    model.image_head.weight.grad[0, 0] = math.nan  # type: ignore[index]
    assert not precision.unscale()
    assert bool((precision.scales.values_R > before).all())


def test_scales_start_grow_shrink_and_stop_as_the_paper_says() -> None:
    scales = BranchScales(1, parts=4, device=CPU)
    fine, bad = torch.tensor([False]), torch.tensor([True])
    assert scales.values_R.item() == 4 * 2**13
    for _ in range(1000):
        scales.observe(fine)
    assert scales.values_R.item() == pytest.approx(4 * 2**14, rel=1e-3)
    falls = [step for step in range(300) if _changed(scales, bad)]
    assert falls == [0, 125, 250]
    for _ in range(20_000):
        scales.observe(fine)
    assert scales.values_R.item() == 4 * 2**24
    for _ in range(125 * 40):
        scales.observe(bad)
    assert scales.values_R.item() == 4 * 2**7


def _changed(scales: BranchScales, overflowed: torch.Tensor) -> bool:
    before = scales.values_R.item()
    scales.observe(overflowed)
    return scales.values_R.item() < before


def test_one_scale_for_all_halves_at_an_overflow_and_doubles_after_2000_updates() -> None:
    scale = GlobalScale(CPU)
    scale.observe(torch.tensor(True))
    assert scale.value.item() == 2**15
    for _ in range(2000):
        scale.observe(torch.tensor(False))
    assert scale.value.item() == 2**16


@pytest.mark.parametrize("name", ["fp16", "fp16_resblock"])
def test_an_injected_overflow_heals(name: str, layout: SequenceLayout) -> None:
    """A scale far too high: updates are left out until it fits, then they are taken."""
    model = make_model(layout)
    precision = make_precision(name, model)
    assert isinstance(precision, ScaledPrecision | BranchPrecision)
    state = precision.state_dict()
    precision.load_state_dict(state | {"scale": torch.full_like(state["scale"], 2.0**24)})
    optimizer, taken, loss = AdamW(model, Optim(1e-3)), [], torch.tensor(0.0)
    for step in range(40):
        with precision.compute():
            loss = loss_of(model)
        precision.backward(loss * 2**8)
        usable = precision.unscale()
        taken.append(usable)
        if usable:
            optimizer.step(step, 1e-3, clip_gradients(model.parameters(), 4.0))
        else:
            optimizer.forget_gradients()
    assert not taken[0] and math.isfinite(loss.item())
    if name == "fp16":
        assert taken[-1]


@pytest.mark.parametrize("name", ["fp32", "fp16", "fp16_resblock"])
def test_a_state_is_taken_over(name: str, layout: SequenceLayout) -> None:
    model = make_model(layout)
    first, second = make_precision(name, model), make_precision(name, make_model(layout), 2)
    first.backward(loss_of(model))
    first.unscale()
    second.load_state_dict(first.state_dict())
    ours, theirs = first.state_dict(), second.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_a_scale_carries_the_number_of_parts_and_its_state_does_not(layout: SequenceLayout) -> None:
    one, four = (BranchScales(2, parts, CPU) for parts in (1, 4))
    assert torch.equal(four.values_R, 4 * one.values_R)
    assert torch.equal(four.state_dict()["scale"], one.state_dict()["scale"])


def test_an_unknown_arithmetic_is_refused(layout: SequenceLayout) -> None:
    with pytest.raises(ValueError, match="precision is 'fp8'; it must be one of fp32"):
        make_precision("fp8", make_model(layout))


def test_gradients_under_a_scale_are_not_compressed() -> None:
    with pytest.raises(ValueError, match="powersgd_rank needs --precision bf16 or fp32"):
        Execution(precision="fp16_resblock", powersgd_rank=2)


@pytest.mark.parametrize("name", ["bf16", "fp16_resblock"])
def test_a_stopped_run_in_sixteen_bits_goes_on_bit_for_bit(
    name: str, tokens_folder: Path, tmp_path: Path
) -> None:
    train(tokens_folder, tmp_path / "whole", precision=name)
    train(tokens_folder, tmp_path / "parts", 5, precision=name)
    torch.manual_seed(99)
    train(tokens_folder, tmp_path / "parts", precision=name)
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")
