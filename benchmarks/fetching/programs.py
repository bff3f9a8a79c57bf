"""How each program is run as its users run it, and what it used."""

import csv
import glob
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pyarrow.parquet as pq
from fetching.server import Server

BENCHMARKS = Path(__file__).parent.parent
COUNTING = BENCHMARKS / "fetching" / "counting.py"
PROCESSES = 2


@dataclass(frozen=True, slots=True)
class Task:
    """One run: `number` pictures out of `server` into `folder`."""

    folder: Path
    server: Server
    number: int
    side_px: int

    def urls(self, way: str) -> list[str]:
        return [self.server.url(way, f"{index}.jpg") for index in range(self.number)]

    def write_table(self, way: str) -> Path:
        path = self.folder / "urls.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["url", "caption"])
            writer.writerows([url, f"picture {n}"] for n, url in enumerate(self.urls(way)))
        return path


@dataclass(frozen=True, slots=True)
class Usage:
    """What a program used and said."""

    cpu_s: float
    wall_s: float
    code: int = 0
    printed: str = ""
    errors: str = ""


def run_floor(task: Task, way: str) -> list[str]:
    path = task.folder / "urls.txt"
    path.write_text("\n".join(task.urls(way)))
    floor = BENCHMARKS / "fetching" / "floor.py"
    return [sys.executable, str(floor), str(path), str(task.side_px), str(task.server.authority)]


def run_pairmill(task: Task, way: str, engine: str = "pairmill") -> list[str]:
    recipe = task.folder / "bench.toml"
    unit_rows = max(4, min(500, task.number // PROCESSES))
    recipe.write_text(
        f"[fetch]\nunit_rows = {unit_rows}\nstored_side_px = {max(task.side_px, 256)}\n"
        '[[select.rules]]\nfilter = "short_side"\nmin_side_px = 256\n'
    )
    port = task.server.ports[way]
    return [
        *(sys.executable, "-m", "pipelines.build", "--until", "fetch"),
        *("--input", str(task.write_table(way)), "--output", str(task.folder / "corpus")),
        *("--recipe", str(recipe), "--fetch_engine", engine),
        *("--allow_network", "127.0.0.1/32", "--allow_port", str(port)),
        *("--direct_num_workers", str(PROCESSES)),
    ]


def run_engine(task: Task, way: str) -> list[str]:
    return run_pairmill(task, way, "img2dataset")


def run_img2dataset(task: Task, way: str) -> list[str]:
    return [
        *(str(Path(sys.executable).parent / "img2dataset"), "--url_list"),
        *(str(task.write_table(way)), "--input_format=csv", "--url_col=url"),
        *("--caption_col=caption", "--output_format=parquet"),
        *(f"--output_folder={task.folder / 'out'}", f"--processes_count={PROCESSES}"),
        *("--thread_count=32", f"--image_size={task.side_px}", "--resize_mode=keep_ratio"),
        *("--resize_only_if_bigger=True", "--encode_quality=95", "--enable_wandb=False"),
        f"--number_sample_per_shard={max(4, task.number // PROCESSES)}",
    ]


PROGRAMS: dict[str, Callable[[Task], list[str]]] = {
    "floor http": lambda task: run_floor(task, "http"),
    "pairmill http": lambda task: run_pairmill(task, "http"),
    "engine http": lambda task: run_engine(task, "http"),
    "img2dataset http": lambda task: run_img2dataset(task, "http"),
    "floor https": lambda task: run_floor(task, "https"),
    "pairmill https": lambda task: run_pairmill(task, "https"),
    "engine https": lambda task: run_engine(task, "https"),
    "floor https_new": lambda task: run_floor(task, "https_new"),
    "pairmill https_new": lambda task: run_pairmill(task, "https_new"),
    "img2dataset https": lambda task: run_img2dataset(task, "https"),
}
"""Name and way of connecting to the command that does it."""


def keep_bytecode(work: Path) -> dict[str, str]:
    """Variables with which every program keeps its bytecode, as an installation by pip has it."""
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(work / "bytecode")}


def run_program(name: str, task: Task, more: Mapping[str, str] = MappingProxyType({})) -> Usage:
    """Run one program to its end and check that it brought every picture.

    Args:
        more: environment variables besides those that every program gets.
    """
    environment = {
        "SSL_CERT_FILE": str(task.server.authority),
        "NO_ALBUMENTATIONS_UPDATE": "1",
        "PYTHONPATH": str(BENCHMARKS.parent),
    }
    usage = run_counted(PROGRAMS[name](task), task.folder, environment | more)
    came = count_pictures(name, task, usage.printed)
    if usage.code != 0 or came != task.number:
        raise RuntimeError(f"{name}: {came} of {task.number} pictures came\n{usage.errors[-2000:]}")
    return usage


def run_counted(command: list[str], folder: Path, environment: Mapping[str, str]) -> Usage:
    """Run a command in a folder; counts all that came of it, what outlives its parent as well."""
    counted = folder / "counted.json"
    ended = subprocess.run(
        [sys.executable, str(COUNTING), str(counted), *command],
        env=os.environ | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    used = json.loads(counted.read_text())
    return Usage(used["cpu_s"], used["wall_s"], ended.returncode, ended.stdout, ended.stderr)


def count_pictures(name: str, task: Task, printed: str) -> int:
    if name.startswith("floor"):
        return int(printed.split()[-1]) if printed.split() else 0
    column, pattern = ("outcome", "corpus/pairs/*.parquet")
    if name.startswith("img2dataset"):
        column, pattern = "status", "out/*.parquet"
    wanted = {"outcome": "ok", "status": "success"}[column]
    files = glob.glob(str(task.folder / pattern))
    return sum(pq.read_table(f, columns=[column])[column].to_pylist().count(wanted) for f in files)
