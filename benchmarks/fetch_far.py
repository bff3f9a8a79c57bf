"""How busy the cores stay where answers take a round trip and some hosts hang.

    python benchmarks/fetch_far.py [--pictures 6000] [--delay_s 0.1] [--hang_share 0.01]

Builds `--until fetch` from a server that answers after `--delay_s` and never answers one request
in a hundred, and looks at the machine's idle time (/proc/stat) from the first tenth of the pictures
to the ninth. The server works on the same machine: its share is given, too. At the very end a build
waits for the last hanging rows (total_timeout_s); that tail is not a rate and is left out.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from fetching.pictures import make_pictures

SERVER = Path(__file__).parent / "fetching" / "far_server.py"
RECIPE = """[fetch]
unit_rows = 1000
stored_side_px = 256
[[select.rules]]
filter = "short_side"
min_side_px = 256
"""


def main() -> int:
    options = make_parser().parse_args()
    work = Path(options.work)
    pictures = make_pictures(work / "pictures-300", 3000, 300, 1600)
    command = [sys.executable, str(SERVER), str(pictures)]
    server = subprocess.Popen(
        [*command, str(options.delay_s), str(options.hang_share)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    port = int(server.stdout.readline())
    samples: list[tuple[int, float, float, float]] = []
    watch = threading.Thread(target=take_samples, args=(server, samples))
    watch.start()
    try:
        with tempfile.TemporaryDirectory(dir=work) as folder:
            run_build(Path(folder), port, options.pictures)
    finally:
        server.terminate()
        watch.join()
    print(describe(samples, options))
    return 0


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--pictures", type=int, default=6000, help="rows (default 6000)")
    add("--delay_s", type=float, default=0.1, help="seconds of a round trip (default 0.1)")
    add("--hang_share", type=float, default=0.01, help="share that hangs (default 0.01)")
    add("--work", default=str(Path(tempfile.gettempdir()) / "pairmill-bench"), help="folder")
    return parser


def take_samples(
    server: subprocess.Popen[str], samples: list[tuple[int, float, float, float]]
) -> None:
    """(pictures sent, seconds, idle seconds of all cores, CPU seconds of the server)."""
    assert server.stdout is not None
    for line in server.stdout:
        idle = Path("/proc/stat").read_text().split()
        own = Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks = int(own[11]) + int(own[12])
        samples.append((int(line), time.monotonic(), int(idle[4]) / 100, ticks / 100))


def run_build(folder: Path, port: int, number: int) -> None:
    urls = [f"http://127.0.0.1:{port}/{n % 3000}.jpg" for n in range(number)]
    table = "\n".join(["url,caption", *(f"{url},picture {n}" for n, url in enumerate(urls))])
    (folder / "urls.csv").write_text(table + "\n")
    (folder / "far.toml").write_text(RECIPE)
    command = [sys.executable, "-m", "pipelines.build", "--until", "fetch"]
    command += ["--input", str(folder / "urls.csv"), "--output", str(folder / "corpus")]
    command += ["--recipe", str(folder / "far.toml"), "--allow_network", "127.0.0.1/32"]
    subprocess.run([*command, "--allow_port", str(port)], check=True)


def describe(samples: list[tuple[int, float, float, float]], options: argparse.Namespace) -> str:
    most = samples[-1][0]
    first = next(s for s in samples if s[0] >= most * 0.1)
    last = next(s for s in samples if s[0] >= most * 0.9)
    sent, wall_s = last[0] - first[0], last[1] - first[1]
    cores = os.cpu_count() or 1
    busy = 1 - (last[2] - first[2]) / (wall_s * cores)
    server = (last[3] - first[3]) / (wall_s * cores)
    return (
        f"{sent} pictures in {wall_s:.1f} s ({sent / wall_s:.0f}/s), round trip "
        f"{options.delay_s:g} s, {options.hang_share:.0%} hang: {cores} cores busy {busy:.0%}, "
        f"of which the server {server:.0%}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
