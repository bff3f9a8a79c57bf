"""The folder of one run: what lies where in it, and how a finished part of it is opened.

RUN/config.json      the run's settings, its data, software versions
RUN/tokenizers/      copies of the corpus's tokenizers: sampling needs no other file
RUN/metrics.jsonl    one JSON object per log line; tensorboard/ has the same
RUN/starts.jsonl     one JSON object per start: command, versions, git commit, ranks, device
RUN/checkpoints/     the last few, to go on from
RUN/best/            the averaged weights with the lowest held-out loss so far
RUN/samples/         a sheet of pictures every few steps, where the run draws any
RUN/faults/          the pairs of steps whose loss or gradient was not finite
"""

import hashlib
import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import torch

from model import checkpoint
from model.config import Run
from model.loading.corpora import Data
from model.loading.corpus import TokenCorpus
from model.transformer import Transformer
from tokens.manifest import join_url

TOKENIZERS = ("text.json", "image.safetensors")


@dataclass(frozen=True, slots=True)
class DataRecord:
    """Which corpus a run was begun on."""

    folder: str
    generation: int
    manifest_sha256: str
    text_tokenizer_sha256: str
    image_tokenizer_sha256: str

    @classmethod
    def of(cls, corpus: TokenCorpus) -> "DataRecord":
        manifest = corpus.manifest
        return cls(
            folder=corpus.folder,
            generation=manifest.generation,
            manifest_sha256=hashlib.sha256(manifest.to_json().encode()).hexdigest(),
            text_tokenizer_sha256=str(manifest.details.get("text_tokenizer_sha256", "")),
            image_tokenizer_sha256=str(manifest.details.get("image_tokenizer_sha256", "")),
        )

    def check_successor(self, other: "DataRecord") -> None:
        """Raises ValueError where a run begun on `self` cannot go on with `other`."""
        for kind in ("text", "image"):
            name = f"{kind}_tokenizer_sha256"
            if getattr(self, name) != getattr(other, name):
                raise ValueError(
                    f"{other.folder} was made by another {kind} tokenizer than this run's; "
                    "choose another --out"
                )
        if other.generation < self.generation:
            raise ValueError(
                f"{other.folder} is generation {other.generation}, older than generation "
                f"{self.generation} that this run has seen; restore the newer manifest"
            )
        if other.generation == self.generation and other.manifest_sha256 != self.manifest_sha256:
            raise ValueError(
                f"{other.folder} is another corpus than the one this run was begun on; "
                "choose another --out"
            )


class RunFolder:
    """Paths of a run, and its records."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.metrics = self.path / "metrics.jsonl"
        self.starts = self.path / "starts.jsonl"
        self.tensorboard = self.path / "tensorboard"
        self.tokenizers = self.path / "tokenizers"
        self.checkpoints = self.path / "checkpoints"
        self.best = self.path / "best"
        self.faults = self.path / "faults"
        self.samples = self.path / "samples"

    def begin(self, run: Run, corpus: Data) -> None:
        """Make the folder a home of `run`, or check that it is one already.

        Raises:
            ValueError: the folder holds another run, or something else.
        """
        data = [DataRecord.of(member) for member in corpus.members]
        if self.config.exists():
            recorded, _ = self.read()
            if differences := recorded.differences(run):
                raise ValueError(
                    f"{self.path} holds another run: {'; '.join(differences)}; "
                    "choose another --out, or the same settings to go on with it"
                )
            self._check_successors(data)
        elif self.path.exists() and any(self.path.glob("[!.]*")):
            raise ValueError(f"{self.path} is not empty and holds no run; choose another --out")
        tokenizers = {name: _read_tokenizer(data[0].folder, name) for name in TOKENIZERS}
        self.tokenizers.mkdir(parents=True, exist_ok=True)
        self._write(run, data)
        for name, content in tokenizers.items():
            _replace(self.tokenizers / name, content)

    def read(self) -> tuple[Run, DataRecord]:
        """Raises ValueError where the folder is not a run's."""
        try:
            document = json.loads(self.config.read_text())
            return Run.from_document(document), DataRecord(**document["data"])
        except (OSError, ValueError, KeyError, TypeError) as err:
            raise ValueError(f"{self.path} is not the folder of a run ({err})") from err

    def data_folders(self) -> list[str]:
        """The tokens folders that the run reads."""
        return [record.folder for record in self._read_data()]

    def _read_data(self) -> list[DataRecord]:
        document = json.loads(self.config.read_text())
        return [DataRecord(**one) for one in (document["data"], *document.get("mixed_with", ()))]

    def _check_successors(self, data: list[DataRecord]) -> None:
        recorded = self._read_data()
        if len(recorded) != len(data):
            raise ValueError(
                f"{self.path} holds a run that reads {len(recorded)} tokens folders, and "
                f"{len(data)} are given; choose another --out"
            )
        for before, now in zip(recorded, data, strict=True):
            before.check_successor(now)

    def load_model(self, device: torch.device) -> tuple[Transformer, int]:
        """The network with the best averaged weights so far, ready to evaluate, and their step.

        They are those with the lowest held-out loss, or the last ones where none was measured.

        Raises:
            ValueError: the run has no finished checkpoint yet.
        """
        run, _ = self.read()
        found = checkpoint.load(self.best) if self.best.exists() else None
        found = found or checkpoint.load_newest(self.checkpoints)
        if found is None:
            raise ValueError(f"{self.path} has no checkpoint yet; train it first")
        model = Transformer(run.network, run.layout)
        model.load_state_dict(found.read_table("ema"))
        return model.to(device).eval(), int(found.state["step"])

    def _write(self, run: Run, data: list[DataRecord]) -> None:
        document: dict[str, Any] = run.to_document()
        document["data"], *document["mixed_with"] = map(asdict, data)
        document["versions"] = {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        }
        _replace(self.config, (json.dumps(document, indent=1, sort_keys=True) + "\n").encode())


def _read_tokenizer(corpus_folder: str, name: str) -> bytes:
    url = join_url(corpus_folder, "tokenizers", name)
    filesystem, path = fsspec.url_to_fs(url)
    try:
        content: bytes = filesystem.cat_file(path)
    except FileNotFoundError:
        raise ValueError(
            f"{url} is not there, and sampling will need it; build the tokens again"
        ) from None
    return content


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".writing-{path.name}")
    temporary.write_bytes(data)
    temporary.replace(path)
