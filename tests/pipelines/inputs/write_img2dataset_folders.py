"""img2dataset's own program on one table, in each of its formats: TABLE FOLDER, in a process apart.

Its parts are put together as its `download` does, less the processes that each import it again.
"""

import os
import sys

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # or it asks a server for its newest version
sys.modules["torch"] = None  # type: ignore[assignment]  # webdataset can do without, and imports in half the time

from img2dataset.downloader import Downloader  # noqa: E402
from img2dataset.reader import Reader  # noqa: E402
from img2dataset.resizer import Resizer  # noqa: E402
from img2dataset.writer import (  # noqa: E402
    FilesSampleWriter,
    ParquetSampleWriter,
    WebDatasetSampleWriter,
)

WRITERS = {
    "parquet": ParquetSampleWriter,
    "webdataset": WebDatasetSampleWriter,
    "files": FilesSampleWriter,
}
ROWS_PER_SHARD = 20


def download(table: str, folder: str, writer: type) -> None:
    os.makedirs(f"{folder}/_tmp")
    reader = Reader(
        *(table, "parquet", "url", "caption", "sha256", "sha256", ["license"]),
        *(ROWS_PER_SHARD, set(), f"{folder}/_tmp"),
    )
    resizer = Resizer(
        48, "keep_ratio", True, min_image_size=20, max_image_area=10_000, max_aspect_ratio=3
    )
    downloader = Downloader(
        *(writer, resizer, 8, True, True, folder, reader.column_list, 1),
        *(ROWS_PER_SHARD, 5, "sha256", "sha256", "jpg", 0, None, ["noai"]),
    )
    for shard in reader:
        downloader.download_shard(shard)
    os.rmdir(f"{folder}/_tmp")


if __name__ == "__main__":
    for name, writer in WRITERS.items():
        download(sys.argv[1], f"{sys.argv[2]}/{name}", writer)
