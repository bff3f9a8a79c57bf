"""Make a weights file of an image tokenizer that was published as a pickle.

    python tokenize/convert_image.py --weights encoder.pkl --decoder decoder.pkl --out t.safetensors
    python tokenize/convert_image.py --weights last.ckpt --out t.safetensors
    python -m pipelines.build ... --image_tokenizer t.safetensors

Reads OpenAI's dVAE (https://cdn.openai.com/dall-e/encoder.pkl and decoder.pkl), the VQGANs of
taming-transformers (f16, f8, Gumbel f8) and LlamaGen's tokenizers (ds16, ds8), from a path or any
fsspec URL, and runs nothing that is in them: a name that no tokenizer needs is refused. The last
line printed says what came out.
"""

import argparse
import sys
from collections.abc import Sequence

import fsspec

from tokens.image import NetworkTokenizer, parse_weights
from tokens.published import convert
from tokens.put import put_file


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser().parse_args(argv)
    try:
        decoder = None if args.decoder is None else _read(args.decoder)
        data = convert(_read(args.weights), args.weights, decoder, args.licence)
        put_file(args.out, data)
    except (OSError, ValueError) as err:
        print(f"convert_image: {err}", file=sys.stderr)
        return 2
    made = NetworkTokenizer(parse_weights(data, args.out), args.out)
    draws = "draws pictures" if made.decodes else "encodes alone"
    print(
        f"codes {made.vocab_size:,}  {made.stride} px a code  {draws}  licence {made.licence}  "
        f"file {args.out}  sha256 {made.sha256}"
    )
    return 0


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--weights", metavar="FILE", required=True, help="the published file; a path or URL")
    add("--decoder", metavar="FILE", help="OpenAI's decoder.pkl: without it nothing is drawn")
    add("--out", metavar="FILE", required=True, help="safetensors file to write")
    add("--licence", metavar="TEXT", default="", help="line for manifests (default: its authors')")
    return parser


def _read(url: str) -> bytes:
    with fsspec.open(url, "rb") as file:
        data: bytes = file.read()
    return data


if __name__ == "__main__":
    raise SystemExit(main())
