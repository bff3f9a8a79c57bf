"""nginx on loopback: the same pictures over HTTP and HTTPS, connections kept or closed."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import certifi
import trustme

CONFIG = """
daemon off;
worker_processes 1;
pid {work}/nginx.pid;
error_log {work}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  types {{ image/jpeg jpg; }}
  client_body_temp_path {work}/t1; proxy_temp_path {work}/t2; fastcgi_temp_path {work}/t3;
  uwsgi_temp_path {work}/t4; scgi_temp_path {work}/t5;
  ssl_certificate {work}/server.pem;
  ssl_certificate_key {work}/server.key;
  ssl_session_cache off;
  ssl_session_tickets off;
  server {{ listen 127.0.0.1:{http}; root {pictures}; keepalive_timeout 60; }}
  server {{ listen 127.0.0.1:{http_new}; root {pictures}; keepalive_timeout 0; }}
  server {{ listen 127.0.0.1:{https} ssl; root {pictures}; keepalive_timeout 60; }}
  server {{ listen 127.0.0.1:{https_new} ssl; root {pictures}; keepalive_timeout 0; }}
}}
"""
WAYS = ("http", "http_new", "https", "https_new")
"""`new`: the server closes every connection after one answer."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running nginx."""

    ports: dict[str, int]
    """One of WAYS to a port of 127.0.0.1."""
    authority: Path
    """PEM file: the authorities that browsers trust, and the one that signed its certificate."""

    def url(self, way: str, path: str) -> str:
        return f"{way.partition('_')[0]}://127.0.0.1:{self.ports[way]}/{path}"


@contextlib.contextmanager
def run_nginx(pictures: Path, work: Path) -> Iterator[Server]:
    """Serve a folder until the block ends.

    Raises:
        FileNotFoundError: nginx is not installed.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        raise FileNotFoundError("nginx is not installed: apt-get install nginx-light")
    work.mkdir(parents=True, exist_ok=True)
    authority = _write_certificates(work)
    ports = dict(zip(WAYS, _free_ports(len(WAYS)), strict=True))
    config = work / "nginx.conf"
    config.write_text(CONFIG.format(work=work, pictures=pictures.resolve(), **ports))
    process = subprocess.Popen([program, "-p", str(work), "-c", str(config)])
    try:
        _wait_for(ports["https_new"])
        yield Server(ports, authority)
    finally:
        process.terminate()
        process.wait()


def _write_certificates(work: Path) -> Path:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(work / "server.key")
    (work / "server.pem").write_bytes(b"".join(p.bytes() for p in certificate.cert_chain_pems))
    # Beside the authorities of the web: to load all of them is what a TLS context costs.
    bundle = Path(certifi.where()).read_bytes() + authority.cert_pem.bytes()
    (work / "authority.pem").write_bytes(bundle)
    return work / "authority.pem"


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _wait_for(port: int) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise OSError(f"nginx does not listen on port {port}")
