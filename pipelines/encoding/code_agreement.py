"""How many codes another arithmetic than the reference leaves as they are: on the build's own
pictures, for that is what somebody who reads its tokens wants to know.

The first kept pictures in input order are encoded in both, centre crops at the build's side. Which
they are, and so the share, depends on nothing but the files of the stages before: a build that is
done again, on another number of processes, writes the same manifest.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines import progress, shuffle
from pipelines.commit import Output, Written, commit_file, make_key, write_all
from pipelines.encoding.loaded_tokenizers import load_image
from pipelines.kept_pairs import KeptPairs, UnitPair
from tokens.crops import centre_crop
from tokens.numerics import REFERENCE, Numerics
from tokens.pixels import read_stored

NUM_PICTURES = 16
"""Of the paper's size they have 16,384 codes, and a share of 0.98 is true to 0.001; the reference
takes half a minute for them on one core."""

OF_THE_REFERENCE: dict[str, Any] = {"code_agreement": 1.0, "code_agreement_pictures": 0}
"""What the manifest says where codes are the reference's own."""


def first_units(units: Sequence[UnitPair]) -> tuple[UnitPair, ...]:
    """The first units, as many as hold `NUM_PICTURES` kept pairs between them."""
    before, chosen = 0, []
    for unit in units:
        if before >= NUM_PICTURES:
            break
        chosen.append(unit)
        before += unit.num_kept
    return tuple(chosen)


@dataclass(frozen=True, slots=True)
class CompareCodes:
    """Facts for the manifest, as JSON, by the first units' pictures. The item is those units."""

    kept: KeptPairs
    folder: str
    section_sha256: str
    image_tokenizer: str
    numerics: Numerics
    side_px: int

    def output(self, item: tuple[UnitPair, ...]) -> Output:
        key = make_key("agreement", self.section_sha256, *(unit.sha256 for unit in item))
        return Output(shuffle.run_folder(self.folder), f"agreement-{key}.json")

    def rows(self, item: tuple[UnitPair, ...]) -> int:
        return min(NUM_PICTURES, sum(unit.num_kept for unit in item))

    def __call__(self, item: tuple[UnitPair, ...]) -> None:
        crops = list(islice(self._crops(item), NUM_PICTURES))
        facts = {"code_agreement": self._share(crops), "code_agreement_pictures": len(crops)}
        text = json.dumps(facts, sort_keys=True).encode()
        commit_file(self.output(item), lambda sink: write_all(sink, text), Written(len(crops)))

    def _share(self, crops: Sequence[npt.NDArray[np.uint8]]) -> float | None:
        """Of equal codes; None of no pictures."""
        ours = load_image(self.image_tokenizer, self.numerics, 0).encode_each(crops)
        reference = load_image(self.image_tokenizer, REFERENCE, 0)
        equal = []
        for crop, codes in zip(crops, list(ours), strict=True):
            equal.append(float((reference.encode(crop[None])[0] == codes).mean()))
            progress.advance(1)
        return round(sum(equal) / len(equal), 6) if equal else None

    def _crops(self, units: Sequence[UnitPair]) -> Iterator[npt.NDArray[np.uint8]]:
        for unit in units:
            pairs, _ = self.kept.read(unit, ("image",))
            for data in pairs["image"]:
                yield centre_crop(read_stored(data.as_py()), self.side_px)
