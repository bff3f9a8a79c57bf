"""What each policy of the language rule costs: English captions dropped, foreign ones let through.

    python benchmarks/languages.py [CAPTIONS COLUMN]

CAPTIONS is a CSV or Parquet file of captions that are English. Without it only the foreign
captions below are measured: what a person might write under three pictures, in 14 languages.
Prints one JSON line; `docs/languages.md` has the tables.
"""

import json
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from filters.language import Language
from filters.signals.cld2 import CLD2
from filters.signals.cld3 import CLD3

POLICIES = get_args(get_type_hints(Language)["policy"])
LENGTHS = (0, 20, 40, 60, 100, sys.maxsize)
"""Characters, where the groups of captions begin and end."""

FOREIGN = (
    ("Ein Hund am Strand", "Altes Haus mit rotem Dach", "Zwei Frauen auf dem Markt"),
    ("Un chien sur la plage", "Vieille maison au toit rouge", "Deux femmes au marché"),
    ("Un perro en la playa", "Casa antigua con techo rojo", "Dos mujeres en el mercado"),
    ("Un cane sulla spiaggia", "Vecchia casa dal tetto rosso", "Due donne al mercato"),
    ("Um cachorro na praia", "Casa antiga com telhado vermelho", "Duas mulheres no mercado"),
    ("Een hond op het strand", "Oud huis met rood dak", "Twee vrouwen op de markt"),
    ("En hund på stranden", "Gammalt hus med rött tak", "Två kvinnor på marknaden"),
    ("Pies na plaży", "Stary dom z czerwonym dachem", "Dwie kobiety na targu"),
    ("Sahilde bir köpek", "Kırmızı çatılı eski ev", "Pazarda iki kadın"),
    ("Seekor anjing di pantai", "Rumah tua beratap merah", "Dua wanita di pasar"),
    ("Un câine pe plajă", "Casă veche cu acoperiș roșu", "Două femei la piață"),
    ("Pes na pláži", "Starý dům s červenou střechou", "Dvě ženy na trhu"),
    ("Собака на пляже", "Старый дом с красной крышей", "Две женщины на рынке"),
    ("浜辺の犬", "赤い屋根の古い家", "市場にいる二人の女性"),
)


def detect(captions: list[str]) -> pa.RecordBatch:
    """The columns that the rule reads."""
    texts, columns = pa.array(captions, pa.string()), {}
    for signal in (CLD3, CLD2):
        names = (name for name, _ in signal.columns)
        columns |= dict(zip(names, signal.measure(texts), strict=True))
    return pa.record_batch(columns)


def count_kept(captions: list[str]) -> dict[str, list[int]]:
    """For each policy how many captions it keeps: in each group of lengths, and of all."""
    signals, chars = detect(captions), np.array(list(map(len, captions)))
    groups = np.digitize(chars, LENGTHS) - 1
    counts = {"captions": _count(groups, np.ones(len(captions), bool))}
    for policy in POLICIES:
        counts[policy] = _count(groups, ~Language(policy=policy)(signals))
    return counts


def _count(groups: np.ndarray, kept: np.ndarray) -> list[int]:
    by_length = np.bincount(groups[kept], minlength=len(LENGTHS) - 1).tolist()
    return [*by_length, int(kept.sum())]


def read_captions(path: str, column: str) -> list[str]:
    table = pq.read_table(path) if Path(path).suffix == ".parquet" else pa.csv.read_csv(path)
    return [text for text in table[column].to_pylist() if text and text.strip()]


def main() -> None:
    foreign = [caption for language in FOREIGN for caption in language]
    answer = {"lengths": LENGTHS[:-1], "foreign": count_kept(foreign)}
    if len(sys.argv) == 3:
        answer["english"] = count_kept(read_captions(*sys.argv[1:]))
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
