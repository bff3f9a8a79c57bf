"""Published pickles become our files, and no pickle gets anything to run (lists M01 to M03)."""

import collections
import io
import os
import pickle
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.tokens.published_files import llamagen_names, openai_pickle, pickle_as
from tokens.dvae import Dvae, DvaeSizes
from tokens.image import load_image_tokenizer, parse_weights
from tokens.published import convert
from tokens.published_pickle import read_published
from tokens.vqgan import Vqgan, VqganSizes

CONTAINERS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
DVAE = DvaeSizes(vocab_size=24, hidden=8, decoder_init=6, blocks_per_group=1)
DOOR = Path(__file__).parents[2] / "tokenize" / "convert_image.py"


@pytest.fixture(scope="module")
def dvae():
    torch.manual_seed(0)
    return Dvae(DVAE).eval()


def same(found, expected):
    assert found.keys() == expected.keys()
    return all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@CONTAINERS
def test_openais_modules_come_out_bit_for_bit(dvae, zipped):
    encoder, decoder = (openai_pickle(dvae, half, zipped=zipped) for half in ("encoder", "decoder"))
    assert "dall_e" not in sys.modules
    file = parse_weights(convert(encoder, "encoder.pkl", decoder), "it")
    assert same(file.model.state_dict(), dvae.state_dict())
    assert file.decodes and "asks to say that it was used" in file.details["licence"]
    assert len(file.details["published_sha256"]) == 64


@CONTAINERS
def test_the_encoder_alone_makes_codes(dvae, zipped):
    data = convert(openai_pickle(dvae, "encoder", zipped=zipped), "encoder.pkl", licence="mine")
    file = parse_weights(data, "it")
    pixels = torch.rand(1, 3, 16, 16)
    assert torch.equal(file.model.codes(pixels), dvae.codes(pixels))
    assert not file.decodes and file.details["licence"] == "mine"


@CONTAINERS
@pytest.mark.parametrize("quantizer", ["nearest", "gumbel"])
def test_a_checkpoint_of_taming_transformers_comes_out_bit_for_bit(quantizer, zipped):
    model = Vqgan(VqganSizes(40, 12, 24, 32, (1, 2), 1, (1,), quantizer))
    held = model.state_dict() | {"loss.perceptual_loss.lin0.model.1.weight": torch.ones(2)}
    checkpoint = {"epoch": 3, "global_step": 7, "state_dict": held, "optimizer_states": [{}]}
    data = convert(pickle_as(checkpoint, zipped=zipped), "last.ckpt")
    file = parse_weights(data, "it")
    assert same(file.model.state_dict(), model.state_dict())
    assert "CompVis" in file.details["licence"]


@CONTAINERS
@pytest.mark.parametrize("key", ["model", "ema"])
def test_a_file_of_llamagen_comes_out_bit_for_bit(key, zipped):
    model = Vqgan(VqganSizes(40, 8, 24, 32, (1, 1, 2), 2, (2,), "cosine"))
    held = {key: llamagen_names(model.state_dict(), 3)}
    file = parse_weights(convert(pickle_as(held, zipped=zipped), "vq_ds16_c2i.pt"), "it")
    assert same(file.model.state_dict(), model.state_dict())
    assert "LlamaGen" in file.details["licence"]


class Attack:
    """Something whose pickle calls `act`."""

    def __init__(self, act, *arguments):
        self.call = (act, arguments)

    def __reduce__(self):
        return self.call


def dotted(module, name, argument):
    """A pickle of protocol 4 that calls a dotted name, as STACK_GLOBAL lets it."""
    text = b"".join(b"\x8c" + bytes([len(t)]) + t.encode() for t in (module, name))
    return b"\x80\x04" + text + b"\x93\x8c" + bytes([len(argument)]) + argument.encode() + b"\x85R."


@pytest.mark.parametrize(
    ("act", "named"),
    [
        (os.system, "posix.system"),
        (eval, "__builtin__.eval"),
        (shutil.rmtree, "shutil.rmtree"),
        (torch.hub.load, "torch.hub.load"),
        (collections.Counter, "collections.Counter"),
        (getattr, "__builtin__.getattr"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("form", ["zip", "stream", "plain"])
def test_refuses_a_name_that_no_tokenizer_needs(act, named, form, tmp_path):
    canary = tmp_path / "canary"
    thing = {"state_dict": Attack(act, f"touch {canary}")}
    data = pickle.dumps(thing, 2) if form == "plain" else pickle_as(thing, zipped=form == "zip")
    if form == "plain":
        data = legacy(data)
    with pytest.raises(ValueError, match=f"it names {named}, which no tokenizer needs: refused"):
        read_published(data, "it")
    assert not canary.exists()


def legacy(main):
    """A stream of before torch 1.6 around a pickle of objects."""
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    return b"".join([*(pickle.dumps(part, 2) for part in head), main, pickle.dumps([], 2)])


def test_refuses_a_dotted_name(tmp_path):
    canary = tmp_path / "canary"
    data = legacy(dotted("torch", "hub.os.system", f"touch {canary}"))
    with pytest.raises(ValueError, match="names torch.hub.os.system"):
        read_published(data, "it")
    assert not canary.exists()


def test_an_allowed_class_runs_nothing_whatever_its_state():
    """__setstate__ and __reduce__ in a state are attributes like any other."""
    state = {"__setstate__": 1, "__reduce__": 2, "__class__": 3}
    built = b"cdall_e.encoder\nEncoder\n)\x81" + pickle.dumps(state, 2)[2:-1] + b"b."
    found = read_published(legacy(b"\x80\x02" + built), "it")
    assert vars(found) == state


def test_a_pickle_changes_a_class_for_itself_alone():
    spoil = b"\x80\x02cdall_e.encoder\nEncoder\nN}U\x05spoilK\x01s\x86b."
    assert read_published(legacy(spoil), "it").spoil == 1
    assert not hasattr(
        read_published(legacy(b"\x80\x02cdall_e.encoder\nEncoder\n."), "it"), "spoil"
    )


@pytest.mark.parametrize("name", ["ctorch._utils\n_rebuild_tensor_v2\n", "cbuiltins\nset\n"])
def test_a_pickle_cannot_change_what_is_called(name):
    spoil = b"\x80\x02" + name.encode() + b"N}U\x05spoilK\x01s\x86b."
    with pytest.raises(ValueError, match="no whole file"):
        read_published(legacy(spoil), "it")


@CONTAINERS
def test_every_cut_file_is_refused(dvae, zipped):
    data = openai_pickle(dvae, "encoder", zipped=zipped)
    for length in range(0, len(data) - 1, 499):
        with pytest.raises(ValueError, match="it is no whole file|it names"):
            read_published(data[:length], "it")


@pytest.mark.parametrize(
    "data", [b"", b"<!doctype html><title>404</title>", b"PK\x03\x04", b"\x80\x02."]
)
def test_refuses_what_torch_did_not_write(data):
    with pytest.raises(ValueError, match="it is no whole file that torch.save wrote"):
        read_published(data, "it")


def rezip(data, change):
    """The zip file with other entries: name, bytes and way of packing."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(*change(name, old.read(name)))
    return out.getvalue()


def test_refuses_packed_numbers():
    data = pickle_as({"model": {"a": torch.zeros(100_000)}}, zipped=True)
    bomb = rezip(data, lambda name, held: (name, held, zipfile.ZIP_DEFLATED))
    with pytest.raises(ValueError, match="is compressed, which torch never does"):
        read_published(bomb, "it")


def test_a_zip_with_names_of_other_folders_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = pickle_as({"model": {"a": torch.arange(3)}}, zipped=True)
    odd = rezip(data, lambda name, held: (f"../../{name}", held))
    with pytest.raises(ValueError, match="it is no whole file"):
        read_published(odd, "it")
    assert list(tmp_path.iterdir()) == []


@CONTAINERS
def test_refuses_a_tensor_larger_than_its_numbers(zipped):
    """Strides of zero make of four bytes what takes a terabyte to copy."""
    huge = torch.zeros(1).expand(1 << 20, 1 << 20)
    with pytest.raises(ValueError, match="lies in 1 numbers"):
        read_published(pickle_as({"model": {"a": huge}}, zipped=zipped), "it")


def test_refuses_a_stream_that_promises_more_numbers_than_it_has():
    data = pickle_as({"model": {"a": torch.zeros(3)}}, zipped=False)
    longer = data.replace(b"K\x03", b"J" + struct.pack("<i", 1 << 30), 1)
    with pytest.raises(ValueError, match="it is no whole file"):
        read_published(longer, "it")


@pytest.mark.parametrize(
    ("thing", "complaint"),
    [
        ([1, 2], "holds no tokenizer that we know"),
        ({"weights": {}}, "has no state_dict, ema or model"),
        ({"state_dict": {"encoder.x": 3}}, "the weight 'encoder.x' is no tensor"),
        ({"model": []}, "the weights are no dictionary"),
        ({"state_dict": {}}, "holds no VQGAN"),
    ],
)
def test_refuses_what_is_no_tokenizer(thing, complaint):
    with pytest.raises(ValueError, match=complaint):
        convert(pickle_as(thing, zipped=True), "it")


def test_the_halves_cannot_change_places(dvae):
    decoder = openai_pickle(dvae, "decoder", zipped=True)
    with pytest.raises(ValueError, match="it holds no encoder of OpenAI's"):
        convert(decoder, "it")


def run_door(*arguments):
    return subprocess.run(
        [sys.executable, str(DOOR), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_door_writes_a_tokenizer_or_says_why_not(dvae, tmp_path):
    for half in ("encoder", "decoder"):
        (tmp_path / f"{half}.pkl").write_bytes(openai_pickle(dvae, half, zipped=True))
    out = tmp_path / "new" / "t.safetensors"
    given = ("--weights", tmp_path / "encoder.pkl", "--decoder", tmp_path / "decoder.pkl")
    done = run_door(*given, "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("codes 24  8 px a code  draws pictures  licence Modified MIT")
    assert load_image_tokenizer(str(out)).vocab_size == 24
    assert set(safetensors.torch.load_file(out)) == set(dvae.state_dict())
    refused = run_door("--weights", DOOR, "--out", out)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1 and "is no whole file that torch.save" in refused.stderr
