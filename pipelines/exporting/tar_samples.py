"""Token samples in tars as WebDataset reads them: members of one name make a sample.

    <pair_id>-<view>.codes.npy   image codes, uint16 or uint32, raster order
    <pair_id>-<view>.json        where the pair came from
    <pair_id>-<view>.text.npy    caption tokens, uint16, without padding
    <pair_id>-<view>.txt         the caption, UTF-8

Times, owners and rights in the tar are the same for all, so the same rows give the same bytes.
"""

import io
import tarfile

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.exporting.sample import iterate_samples


class TarSamples:
    """WebDataset's layout."""

    reading = """import webdataset
for sample in webdataset.WebDataset("{folder}/00000.tar", shardshuffle=False).decode():
    codes, tokens, caption = sample["codes.npy"], sample["text.npy"], sample["txt"]"""

    def file_name(self, index: int) -> str:
        return f"{index:05d}.tar"

    def encode(self, rows: pa.Table) -> bytes:
        sink = io.BytesIO()
        with tarfile.open(fileobj=sink, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for sample in iterate_samples(rows):
                members = {
                    "codes.npy": _to_npy(sample.image_codes),
                    "json": sample.facts_json(),
                    "text.npy": _to_npy(sample.text_tokens),
                    "txt": sample.caption.encode(),
                }
                for ending, data in members.items():
                    entry = tarfile.TarInfo(f"{sample.pair_id}-{sample.view}.{ending}")
                    entry.size = len(data)
                    tar.addfile(entry, io.BytesIO(data))
        return sink.getvalue()

    def index(self, files: list[tuple[str, int, int]]) -> None:
        """WebDataset has none: a trainer names the files by a pattern."""


def _to_npy(array: npt.NDArray[np.generic]) -> bytes:
    sink = io.BytesIO()
    np.lib.format.write_array(sink, array, allow_pickle=False)
    return sink.getvalue()
