"""The whole way on the bundled clip art: serve, build, train, sample. `make demo` runs it.

    python examples/demo.py             # 8 minutes on 2 cores; again: goes on from what is there
    python examples/demo.py --fresh     # throws the last demo away first
    python examples/demo.py --serve     # only serves the sample, until it is interrupted

Every step is one of the project's own commands, printed before it runs. The pictures come over
HTTP from a web server on this machine; nothing else is dialled.
"""

import argparse
import contextlib
import csv
import io
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote, urljoin

from serve import HOST, SAMPLE, PictureServer, open_server  # stands beside this script

EXAMPLES = Path(__file__).resolve().parent
ROOT = EXAMPLES.parent
TABLE_NAME = "captions.csv"
PORTS = (8000, 8080, 8443)
"""Tried in this order. A pair is known by its URL, so another port makes another corpus."""
LEFT = ("corpus", "run", TABLE_NAME, "report.html", "samples.png")
"""What a demo leaves in its folder."""


class StepFailed(Exception):
    """A command ended with another code than 0."""

    def __init__(self, command: str, exit_code: int) -> None:
        super().__init__(f"`{command}` ended with code {exit_code}")
        self.exit_code = exit_code


def run_step(*arguments: str) -> None:
    """Print one of the project's commands and run it in the checkout.

    Raises:
        StepFailed: it did not end well; what it says of that stands on the screen already.
    """
    shown = shlex.join(["python", *arguments])
    print(f"\n$ {shown}", flush=True)
    ended = subprocess.run([sys.executable, *arguments], cwd=ROOT)
    if ended.returncode:
        raise StepFailed(shown, ended.returncode)


@contextlib.contextmanager
def serve_sample() -> Iterator[str]:
    """The base URL of a web server over the sample, until the block ends.

    It runs in this process, which has nothing else to do while a step works in its own.
    """
    with open_any_server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base_url = f"http://{HOST}:{server.server_port}"
        print(f"serving {SAMPLE.relative_to(ROOT)} on {base_url}", flush=True)
        try:
            yield base_url
        finally:
            server.shutdown()


def open_any_server() -> PictureServer:
    """A server on the first of PORTS that is free; says so when that is not the first."""
    for port in PORTS:
        try:
            return open_server(SAMPLE, port)
        except OSError as err:
            print(f"port {port} cannot be had ({err.strerror}); trying the next", flush=True)
    raise OSError(f"none of the ports {', '.join(map(str, PORTS))} is free: stop what holds one")


def list_urls(base_url: str) -> str:
    """The sample's table with full URLs, as CSV text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("url", "caption", "license"))
    with (SAMPLE / TABLE_NAME).open(encoding="utf-8", newline="") as opened:
        for row in csv.DictReader(opened):
            url = urljoin(base_url + "/", quote(row["path"], safe=":/"))
            writer.writerow((url, row["caption"], row["license"]))
    return text.getvalue()


def settle_folder(out: Path, table: str, fresh: bool) -> None:
    """Make the demo's folder ready: keep the work of an earlier demo of the same URLs."""
    urls = out / TABLE_NAME
    if not fresh and urls.exists() and urls.read_text(encoding="utf-8") != table:
        print(f"{out} was made of other URLs (another port or sample): starting afresh")
        fresh = True
    for name in LEFT if fresh else ():
        remove(out / name)
    out.mkdir(parents=True, exist_ok=True)
    urls.write_text(table, encoding="utf-8", newline="")


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()


def run_demo(out: Path, minutes: float, fresh: bool) -> None:
    """Serve, build, train, sample; leaves what `LEFT` names in `out`, an absolute path."""
    shown = Path(os.path.relpath(out, ROOT))  # steps run in the checkout
    corpus, run = shown / "corpus", shown / "run"
    captions = str((EXAMPLES / "captions.txt").relative_to(ROOT))
    with serve_sample() as base_url:
        settle_folder(out, list_urls(base_url), fresh)
        run_step(
            "-m", "pipelines.build",
            "--input", str(shown / TABLE_NAME), "--output", str(corpus),
            "--recipe", "recipes/demo.toml", "--url_column", "url", "--caption_column", "caption",
            "--allow_network", "127.0.0.1/32", "--allow_port", base_url.rpartition(":")[2],
        )  # fmt: skip
    shutil.copyfile(out / "corpus" / "report.html", out / "report.html")
    run_step(
        "model/train.py", "--data", str(corpus / "tokens"), "--out", str(run),
        "--preset", "tiny", "--batch_size", "8", "--minutes", f"{minutes:g}",
    )  # fmt: skip
    run_step(
        "model/sample.py", "--run", str(run), "--captions", captions,
        "--out", str(shown / "samples.png"),
    )  # fmt: skip


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Build a corpus of the bundled clip art, train on it, draw from captions.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, default=ROOT / "demo", metavar="FOLDER", help="where everything goes")
    add("--minutes", type=float, default=6.5, help="training time, minutes over all starts")
    add("--fresh", action="store_true", help="throw away what an earlier demo left in the folder")
    add("--serve", action="store_true", help="only serve the sample, until interrupted")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser().parse_args(argv)
    started = time.monotonic()
    try:
        if args.serve:
            run_step("examples/serve.py")
            return 0
        run_demo(args.out.absolute(), args.minutes, args.fresh)
    except StepFailed as err:
        print(f"\ndemo: {err}; --fresh starts from nothing", file=sys.stderr)
        return err.exit_code if err.exit_code > 0 else 1
    except OSError as err:
        print(f"demo: {err}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(
        f"\ndone in {(time.monotonic() - started) / 60:.1f} minutes; open\n"
        f"  {args.out / 'report.html'}   what became of every row\n"
        f"  {args.out / 'samples.png'}   pictures drawn from captions\n"
        f"the corpus is in {args.out / 'corpus'}, the trained model in {args.out / 'run'}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
