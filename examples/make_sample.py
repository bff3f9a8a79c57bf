"""Choose the bundled sample out of Debian's openclipart, or list the whole of it.

    apt-get download openclipart-png openclipart-svg
    dpkg-deb -x openclipart-png_*.deb png; dpkg-deb -x openclipart-svg_*.deb svg
    CLIPART="--png png/usr/share/openclipart/png --svg svg/usr/share/openclipart/svg"

    python examples/make_sample.py $CLIPART                      # examples/clipart, again
    python examples/make_sample.py $CLIPART --all --out FOLDER   # FOLDER/captions.csv, 8,121 rows

The pictures are dedicated to the public domain. A caption is the title in the picture's SVG twin
(Dublin Core), or its description where the title is empty, as its author left it: untranslated,
repeated, with e-mail addresses and time stamps. Needs lxml. Takes about a minute.
"""

import argparse
import csv
import shutil
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from urllib.parse import quote

from lxml import etree

from tokens.draw import keyed_uniform

TABLE_NAME = "captions.csv"
LICENSE = "public domain"
DUBLIN_CORE = "{http://purl.org/dc/elements/1.1/}"
MAX_FILE_BYTES = 20_000
"""A picture's file in the sample, so that 400 of them stay below 4 MB."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of the collection."""

    path: str
    """Below the collection's folder, with forward slashes."""
    caption: str
    width: int
    height: int
    bytes: int
    is_link: bool
    """1,221 pictures stand in a second folder as links to the first."""

    @property
    def is_proportionate(self) -> bool:
        return max(self.width, self.height) <= 2 * min(self.width, self.height)

    @property
    def is_usable(self) -> bool:
        """What recipes/demo.toml asks of a picture."""
        return self.is_proportionate and min(self.width, self.height) >= 128


@dataclass(frozen=True, slots=True)
class Family:
    """How many pictures to draw from a folder, and of which kind."""

    folder: str
    count: int
    accepts: Callable[[Picture], bool] = lambda picture: picture.is_usable


def accept_any(picture: Picture) -> bool:
    return True


FAMILIES = (
    # Families that a model can learn from a few dozen pictures each ...
    Family("signs_and_symbols/flags/", 84),
    Family("recreation/games/cards/", 30),
    Family("signs_and_symbols/map_symbols/", 26),
    Family("food/", 40),
    Family("animals/", 36),
    Family("people/bodypart/", 8),
    Family("people/clothing/hats/", 8),
    Family("recreation/music/", 10),
    Family("recreation/sports/", 10),
    Family("transportation/", 18),
    Family("tools/", 12),
    Family("office/", 12),
    Family("buildings/", 8),
    Family("plants/", 8),
    Family("shapes/arrows/", 8),
    Family("special/patterns/", 8),
    Family("computer/icons/lemon-theme/", 8),
    # ... and what a crawl brings besides: icons of 60 pixels under one title with a time stamp,
    Family("computer/icons/flat-theme/", 16, accept_any),
    Family("shapes/stars/", 12, accept_any),
    Family("special/gradients/", 5, accept_any),
    # long and thin ones, and a fair draw from everything.
    Family("", 12, lambda picture: not picture.is_proportionate),
    Family("", 24, accept_any),
)

DIRT = (
    "animals/ralf_ark.in-berlin.de_ra_01.png",
    "office/telephone/telefono_email_frolland_01.png",
    "recreation/religion/christianity/coat_of_arms_of_anglica_01.png",
    "signs_and_symbols/chodovian_39_s_dog_by_m_01.png",
    "signs_and_symbols/danger_general_yves_guil_01.png",
    "signs_and_symbols/danger_lectrique_yves_gu_01.png",
    "transportation/roadsigns/chauss_e_particuli_reme_01.png",
    "geography/castilla_y_leon_01.png",
)
"""Captions of every bad kind that a draw may miss: addresses, broken letters, other languages."""

HOSTILE = (
    ("missing/dragon.png", "A dragon that nobody has kept"),
    ("hostile/page.png", "An HTML page under a picture's name"),
    ("hostile/huge.png", "A picture of 20,000 by 20,000 pixels in a small file"),
    ("hostile/drawing.svg", "A drawing in a format that is no picture"),
    ("hostile/paper.pdf", "A paper about pictures"),
    ("http://169.254.169.254/latest/meta-data/", "The cloud's address for its machines' secrets"),
)
"""Rows that must come to a bad end; `examples/serve.py` invents what they point at."""

HOSTILE_CAPTIONS = (
    "",
    "<script>alert('caption')</script><img src=x onerror=alert(1)> flag",
    "\u202egalf a fo erutcip A\u202c",
)
"""For a picture that is there: none, one for a careless report, one that turns the text round."""


def read_collection(png: Path, svg: Path) -> list[Picture]:
    """Every picture with its caption, ordered by path."""
    files = sorted(png.rglob("*.png"))
    if not files:
        raise ValueError(f"{png} holds no PNG files: unpack Debian's openclipart-png and name it")
    return [read_picture(file, png, svg) for file in files]


def read_picture(file: Path, png: Path, svg: Path) -> Picture:
    relative = file.relative_to(png)
    width, height = read_size(file)
    return Picture(
        path=relative.as_posix(),
        caption=read_caption(svg / relative.with_suffix(".svg")),
        width=width,
        height=height,
        bytes=file.stat().st_size,
        is_link=file.is_symlink(),
    )


def read_size(file: Path) -> tuple[int, int]:
    """Width and height in pixels, out of a PNG's header."""
    with file.open("rb") as opened:
        header = opened.read(24)
    width, height = struct.unpack(">II", header[16:])
    return width, height


def read_caption(svg: Path) -> str:
    """The drawing's title, or its description where the title is empty; spaces made single."""
    tree = etree.parse(str(svg), etree.XMLParser(recover=True, huge_tree=True))
    return read_text(tree, "title") or read_text(tree, "description")


def read_text(tree: etree._ElementTree, name: str) -> str:
    element = next(tree.iter(DUBLIN_CORE + name), None)
    return "" if element is None else " ".join("".join(element.itertext()).split())


def choose_sample(collection: Sequence[Picture]) -> list[Picture]:
    """The sample, ordered by path: the same pictures out of the same collection.

    Each family takes the first of its pictures in an order keyed by path, and no picture
    serves two families.
    """
    chosen = {picture.path: picture for picture in collection if picture.path in DIRT}
    shuffled = sorted(collection, key=draw_rank)
    for family in FAMILIES:
        members = (picture for picture in shuffled if belongs(picture, family))
        fresh = (picture for picture in members if picture.path not in chosen)
        chosen |= {picture.path: picture for picture in islice(fresh, family.count)}
    return [chosen[path] for path in sorted(chosen)]


def draw_rank(picture: Picture) -> float:
    return keyed_uniform(picture.path.encode(), "sample")


def belongs(picture: Picture, family: Family) -> bool:
    return (
        picture.path.startswith(family.folder)
        and picture.bytes <= MAX_FILE_BYTES
        and not picture.is_link
        and family.accepts(picture)
    )


def list_sample(sample: Sequence[Picture]) -> Iterator[tuple[str, str, str]]:
    """(path, caption, license) of the pictures, then of the hostile rows, one of them a repeat."""
    first = sample[0]
    yield from ((picture.path, picture.caption, LICENSE) for picture in sample)
    yield from ((path, caption, "") for path, caption in HOSTILE)
    yield from ((first.path, caption, LICENSE) for caption in HOSTILE_CAPTIONS)
    yield first.path, first.caption, LICENSE


def write_sample(sample: Sequence[Picture], png: Path, out: Path) -> None:
    """Copy the pictures and write their table, in place of an earlier sample.

    Raises:
        ValueError: `out` holds something else, which is not ours to remove.
    """
    if out.exists() and any(out.iterdir()) and not (out / TABLE_NAME).exists():
        raise ValueError(f"{out} holds something else than a sample: name another --out")
    shutil.rmtree(out, ignore_errors=True)
    for picture in sample:
        target = out / picture.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(png / picture.path, target)
    write_table(out / TABLE_NAME, ("path", "caption", "license"), list_sample(sample))
    print(f"{len(sample)} pictures, {sum(p.bytes for p in sample):,} bytes -> {out}")


def list_collection(collection: Sequence[Picture], base_url: str, out: Path) -> None:
    """Write the table of every picture, with the URLs under which a server has them."""
    base = base_url.rstrip("/")
    rows = ((f"{base}/{quote(p.path)}", p.caption, LICENSE) for p in collection)
    write_table(out / TABLE_NAME, ("url", "caption", "license"), rows)
    print(f"{len(collection):,} rows -> {out / TABLE_NAME}")


def write_table(file: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A CSV file as the standard has it, but with single line feeds."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Choose the bundled sample out of Debian's openclipart, or list all of it.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--png", type=Path, required=True, metavar="FOLDER", help="openclipart-png, unpacked")
    add("--svg", type=Path, required=True, metavar="FOLDER", help="openclipart-svg, unpacked")
    add(
        "--out",
        type=Path,
        default=Path(__file__).parent / "clipart",
        metavar="FOLDER",
        help="gets captions.csv and, without --all, the pictures; made anew",
    )
    add("--all", action="store_true", help="a table of every picture, with full URLs; copy none")
    add("--base_url", default="http://127.0.0.1:8000", help="with --all: where --png is served")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser().parse_args(argv)
    try:
        collection = read_collection(args.png, args.svg)
        if args.all:
            list_collection(collection, args.base_url, args.out)
        else:
            write_sample(choose_sample(collection), args.png, args.out)
    except (ValueError, OSError) as err:
        print(f"make_sample: {err}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
