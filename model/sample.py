"""Draw pictures from captions with a trained run.

    python model/sample.py --run RUN --caption "a red flower" --caption "a house" --out samples.png
    python model/sample.py --run RUN --captions FILE --out samples.png --num 4 --seed 0

writes one sheet: the pictures of each caption side by side, the caption under them. The codes are
drawn one after another from the model's probabilities, at temperature 1 and from the whole
vocabulary unless told otherwise, as in the paper (Ramesh et al. 2021, section 2.6; without its
choice of the best of 512). Picture j of a caption has seed `seed + j`, and comes out the same in
whatever company it is drawn. With the tiny preset 16 pictures of 256 codes take two seconds of one
CPU core, and the image tokenizer's decoder its own time.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.config import HEAD_WIDTH
from model.drawing import Strip, draw_sheet
from model.evaluate import default_device
from model.run_folder import RunFolder
from model.transformer import KeyValues, Transformer
from tokens.image import load_image_tokenizer
from tokens.sequence import lay_out_text
from tokens.text import load_text_tokenizer

PICTURES_AT_ONCE = 32


@torch.inference_mode()
def sample_codes(
    model: Transformer,
    text_BT: Tensor,
    seeds: Sequence[int],
    temperature: float = 1.0,
    top_k: int = 0,
) -> Tensor:
    """Image codes for laid-out captions, [B, num_codes].

    Args:
        seeds: one per row; a row's codes depend on its caption and its seed alone.
        top_k: draw from the k most probable codes; 1 takes the most probable, 0 all of them.
    """
    layout, device = model.layout, text_BT.device
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    caches = _empty_caches(model, len(text_BT), device)
    codes_BI = torch.empty(len(text_BT), layout.num_codes, dtype=torch.long, device=device)
    hidden_BND = model.transform(model.embed_text(text_BT), caches)
    for i in range(layout.num_codes):
        logits_BV = model.image_head(hidden_BND[:, -1])
        codes_BI[:, i] = _choose(logits_BV, generators, temperature, top_k)
        if i + 1 < layout.num_codes:
            embedded = model.embed_image(codes_BI[:, i : i + 1], start=i)
            hidden_BND = model.transform(embedded, caches, layout.text_slots + 1 + i)
    return codes_BI


def _empty_caches(model: Transformer, batch: int, device: torch.device) -> list[KeyValues]:
    shape = (batch, model.network.num_heads, model.layout.length, HEAD_WIDTH)
    return [
        KeyValues(torch.empty(shape, device=device), torch.empty(shape, device=device))
        for _ in model.blocks
    ]


def _choose(
    logits_BV: Tensor, generators: Sequence[torch.Generator], temperature: float, top_k: int
) -> Tensor:
    """One id per row: the smallest of exponential variates, each divided by its probability."""
    if top_k == 1:
        return logits_BV.argmax(dim=-1)
    logits_BV = logits_BV.float() / temperature
    if 0 < top_k < logits_BV.shape[-1]:
        least = logits_BV.topk(top_k).values[:, -1:]
        logits_BV = logits_BV.masked_fill(logits_BV < least, float("-inf"))
    waits = [torch.empty(logits_BV.shape[-1]).exponential_(generator=g) for g in generators]
    waits_BV = torch.stack(waits).to(logits_BV.device)
    return (logits_BV - waits_BV.log()).argmax(dim=-1)


def sample_pictures(
    folder: RunFolder,
    captions: Sequence[str],
    num: int = 4,
    seed: int = 0,
    temperature: float = 1.0,
    top_k: int = 0,
) -> list[Strip]:
    """`num` pictures of each caption.

    Raises:
        ValueError: the folder holds no trained run.
    """
    model, _ = folder.load_model(default_device())
    text_tokenizer = load_text_tokenizer(str(folder.tokenizers / "text.json"))
    image_tokenizer = load_image_tokenizer(str(folder.tokenizers / "image.safetensors"))
    layout = model.layout
    encoded = text_tokenizer.encode(captions, max_tokens=layout.text_slots)
    text = lay_out_text(layout, encoded.ids, encoded.offsets).repeat(num, axis=0)
    seeds = [seed + j for _ in captions for j in range(num)]
    pixels: list[npt.NDArray[np.uint8]] = []
    for i in range(0, len(text), PICTURES_AT_ONCE):
        part = torch.from_numpy(text[i : i + PICTURES_AT_ONCE]).to(next(model.parameters()).device)
        codes = sample_codes(model, part, seeds[i : i + PICTURES_AT_ONCE], temperature, top_k)
        grid = codes.cpu().numpy().reshape(-1, layout.grid_height, layout.grid_width)
        pixels.extend(image_tokenizer.decode(grid))
    return [Strip(caption, pixels[i * num : (i + 1) * num]) for i, caption in enumerate(captions)]


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="model/sample.py",
        description="Draw pictures from captions with a trained run.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--run", required=True, help="folder that model/train.py wrote")
    add("--caption", action="append", default=[], help="a caption; may be given again")
    add("--captions", help="a text file, one caption per line")
    add("--out", default="samples.png", help="the sheet to write")
    add("--num", type=int, default=4, help="pictures per caption")
    add("--seed", type=int, default=0, help="of each caption's first picture; the next ones follow")
    add("--temperature", type=float, default=1.0, help="above 0; below 1 is safer and duller")
    add("--top_k", type=int, default=0, help="draw from the k likeliest codes; 0: from all")
    return parser


def read_captions(args: argparse.Namespace) -> list[str]:
    """Raises ValueError where the command line gives no caption, or an option out of range."""
    captions: list[str] = list(args.caption)
    if args.captions is not None:
        lines = Path(args.captions).read_text(encoding="utf-8").splitlines()
        captions += [line for line in lines if line.strip()]
    if not captions:
        raise ValueError("no caption: give --caption TEXT or --captions FILE")
    if args.num < 1 or args.top_k < 0 or not args.temperature > 0:
        raise ValueError("--num must be at least 1, --top_k at least 0, --temperature above 0")
    return captions


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    try:
        captions = read_captions(args)
        strips = sample_pictures(
            RunFolder(args.run), captions, args.num, args.seed, args.temperature, args.top_k
        )
        draw_sheet(strips).save(args.out, format="PNG")
    except (ValueError, OSError) as err:
        print(f"sample: {err}", file=sys.stderr)
        return 2
    print(f"{len(captions)} captions, {args.num} pictures each: {args.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
