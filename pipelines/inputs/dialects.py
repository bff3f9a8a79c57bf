"""Dialects: how the makers of well-known lists write them, one record each, by name.

A list is read by the names of its columns. A dialect says which names those are, what the columns
of a file without a header line are called, and what a cell is wrapped in. To add one: its record
here, its name in DIALECTS, rows as its maker writes them in
`tests/pipelines/inputs/test_dialects.py`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns that a source has; what is not in `REQUIRED` may be missing."""

    url: str = "url"
    captions: tuple[str, ...] = ("caption",)
    """In order of preference: the first one that is not empty is the row's caption."""
    license: str = "license"
    image: str | None = None
    """Holds the picture itself, or the name of its file below the table's folder: no URL is needed
    then, and nothing is fetched. None: the picture is at the URL."""
    width: str | None = None
    """Of the picture, in pixels, as the source says; never trusted, for rules read what was
    decoded."""
    height: str | None = None
    face_boxes: str = "face_bboxes"
    """Lists of [x0, y0, x1, y1], each in shares of the picture's size as it lies in its file."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one list is written."""

    name: str
    columns: Columns = Columns()
    format: str | None = None
    """csv, tsv, jsonl or parquet, whatever a file's name ends in; None: as its name ends."""
    headers: tuple[tuple[str, ...], ...] = ()
    """Column names of files without a header line, told apart by how many there are."""
    quoted: bool = False
    """Cells of a TSV may stand in double quotes; else quotation marks are plain characters."""
    plus_encoded: tuple[str, ...] = ()
    """Columns whose text is URL-encoded, with + for a blank."""
    video: tuple[str, str] | None = None
    """Column, and its value, of rows that are no pictures: they end as `video`."""


ANY = Dialect("")
"""A table with a header line."""

_YFCC100M = (
    *("photoid", "uid", "unickname", "datetaken", "dateuploaded", "capturedevice", "title"),
    *("description", "usertags", "machinetags", "longitude", "latitude", "accuracy", "pageurl"),
    *("downloadurl", "licensename", "licenseurl", "serverid", "farmid", "secret"),
    *("secretoriginal", "ext", "marker"),
)

CC3M = Dialect("cc3m", format="tsv", headers=(("caption", "url"),))
"""Conceptual Captions (Sharma et al. 2018): https://github.com/google-research-datasets/conceptual-captions"""

CC12M = Dialect("cc12m", format="tsv", headers=(("url", "caption"),))
"""Changpinyo et al. 2021: https://github.com/google-research-datasets/conceptual-12m"""

YFCC100M = Dialect(
    "yfcc100m",
    Columns("downloadurl", ("title", "description"), "licenseurl"),
    format="tsv",
    headers=(("line", "photoid", "hash", *_YFCC100M[1:]), _YFCC100M),
    plus_encoded=("title", "description"),
    video=("marker", "1"),
)
"""Thomee et al. 2016: 25 columns in the files of today, 23 in those of before, which lack line
number and hash (https://multimediacommons.wordpress.com/yfcc100m-core-dataset/)."""

WIT = Dialect(
    "wit",
    Columns(
        "image_url",
        (
            "caption_reference_description",
            "caption_alt_text_description",
            "caption_attribution_description",
        ),
        width="original_width",
        height="original_height",
    ),
    format="tsv",
    quoted=True,
)
"""Srinivasan et al. 2021: https://github.com/google-research-datasets/wit/blob/main/DATA.md; quoted
as TensorFlow Datasets' builder reads it."""

LAION400M = Dialect("laion400m", Columns("URL", ("TEXT",), "LICENSE", None, "HEIGHT", "WIDTH"))
"""Schuhmann et al. 2021. The workers that made it (Crawling@Home) wrote a picture's width under
HEIGHT and its height under WIDTH, and so they are read."""

LAION2B = Dialect("laion2b", Columns("URL", ("TEXT",), "LICENSE", None, "HEIGHT", "WIDTH"))
"""Schuhmann et al. 2022, the base files of 2B-en, 2B-multi and 1B-nolang, by the same workers."""

LAION_JOINED = Dialect(
    "laion-joined", Columns("URL", ("TEXT",), "LICENSE", None, "WIDTH", "HEIGHT")
)
"""The same with punsafe and pwatermark; the program that joined them set the sizes right
(https://github.com/rom1504/laion-prepro, big_join.py)."""

COYO700M = Dialect("coyo700m", Columns("url", ("text",), width="width", height="height"))
"""Byeon et al. 2022: https://github.com/kakaobrain/coyo-dataset"""

DATACOMP = Dialect(
    "datacomp", Columns("url", ("text",), width="original_width", height="original_height")
)
"""DataComp and CommonPool (Gadre et al. 2023): face_bboxes are read, and sha256 is what the
picture's bytes must be: https://github.com/mlfoundations/datacomp"""

DIALECTS = {
    dialect.name: dialect
    for dialect in (
        CC3M,
        CC12M,
        YFCC100M,
        WIT,
        LAION400M,
        LAION2B,
        LAION_JOINED,
        COYO700M,
        DATACOMP,
    )
}
"""What --dialect may name."""
