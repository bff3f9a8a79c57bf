"""How often a host may be asked: `hosts.toml` where it names the host, else the settings."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from pipelines.toml_tables import read_table
from pipelines.web.settings import FetchSettings


@dataclass(frozen=True, slots=True)
class HostRate:
    """What each host of one table in `hosts.toml` bears, all workers together."""

    names: tuple[str, ...]
    """Hosts, or with a dot before it every host below it: ".staticflickr.com"."""
    requests_per_s: float
    concurrency: int
    source: str
    """URL of the document that says so, or "our own choice"."""

    def __post_init__(self) -> None:
        if self.requests_per_s <= 0 or self.concurrency < 1:
            raise ValueError(f"{self.names}: give a rate above 0 and a concurrency of 1 or more")


@dataclass(frozen=True, slots=True)
class HostShare:
    """One worker's share of a host."""

    delay_s: float
    """Least seconds from the beginning of one request to the beginning of the next."""
    concurrency: int
    factor: float
    """Times the last answer's seconds that the host is left alone; 0 where its rate is known."""


def share_of(host: str, settings: FetchSettings) -> HostShare:
    """What one of `settings.workers` processes may ask of `host`."""
    rate, workers = find_rate(host), settings.workers
    if rate is None:
        at_once = max(1, settings.host_concurrency // workers)
        return HostShare(settings.host_delay_s * workers, at_once, settings.host_delay_factor)
    return HostShare(workers / rate.requests_per_s, max(1, rate.concurrency // workers), 0.0)


def find_rate(host: str) -> HostRate | None:
    """The table of `hosts.toml` for a host: its own, else that of the nearest name above it."""
    rates = known_rates()
    if host in rates:
        return rates[host]
    while "." in host:
        host = host.partition(".")[2]
        if f".{host}" in rates:
            return rates[f".{host}"]
    return None


@cache
def known_rates() -> dict[str, HostRate]:
    """`hosts.toml` by name."""
    text = files("pipelines.web").joinpath("hosts.toml").read_text()
    tables = [read_table(HostRate, table, "hosts.toml") for table in tomllib.loads(text)["host"]]
    return {name: rate for rate in tables for name in rate.names}
