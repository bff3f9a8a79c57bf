"""Every limit of the fetcher, in one record."""

from dataclasses import dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version

from pipelines.web.addresses import AddressGuard

MAY_BE_ZERO = (
    "max_redirects",
    "max_retries",
    "retry_wait_s",
    "max_retry_after_s",
    "host_delay_s",
    "host_delay_factor",
)


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """How strangers' servers are asked, and what is taken from them.

    Raises:
        ValueError: a limit that is not positive, or a contact that no reader of a log could use.
    """

    contact: str | None = None
    """E-mail address or URL for the User-Agent; None: dial `guard.allow_networks` alone."""
    guard: AddressGuard = field(default_factory=AddressGuard)
    """Which addresses and ports may be dialled."""
    connect_timeout_s: float = 5.0
    """Seconds for a TCP connection and its TLS handshake (thumbor)."""
    dns_timeout_s: float = 5.0
    """Seconds for a name's addresses: the resolver's own patience for one attempt (resolv.conf)."""
    total_timeout_s: float = 20.0
    """Seconds for one attempt, its redirects and body included (thumbor)."""
    max_redirects: int = 5
    """Redirects followed (thumbor; RFC 9309 for robots.txt)."""
    max_body_bytes: int = 16 * 2**20
    """Bytes of a body; camo takes 5 MB, image services 25 MB."""
    max_header_bytes: int = 8190
    """Bytes of one header line (aiohttp)."""
    max_headers: int = 128
    """Header lines (aiohttp)."""
    max_url_chars: int = 8000
    """Characters of a URL: what RFC 9110 section 4.1 asks every server to take."""
    max_pixels: int = 50_000_000
    """Pixels of a picture, read from its header before it is decoded (imgproxy)."""
    max_retries: int = 2
    """Further attempts after a failure that may pass (Scrapy)."""
    retry_wait_s: float = 0.5
    """Seconds before the first further attempt; doubles. A server's Retry-After goes before it."""
    max_retry_after_s: float = 300.0
    """Longest Retry-After, in seconds, that is waited for (Heritrix's cap of Crawl-delay); beyond
    it the row ends as it is and `pipelines.retry` asks again."""
    workers: int = 1
    """Processes that fetch at the same time: each takes its share of a host's rate."""
    host_concurrency: int = 2
    """Requests at a time to a host that `hosts.toml` does not name, all workers together and at
    least one each; a literal address in `guard.allow_networks` has no limit and no delay."""
    host_delay_s: float = 1.0
    """Least seconds between two requests to a host that `hosts.toml` does not name, all workers
    together (Heritrix waits 3 s)."""
    host_delay_factor: float = 5.0
    """A host is left alone for this many times as long as its last answer took (Heritrix)."""
    max_host_delay_s: float = 30.0
    """Longest that `host_delay_factor` leaves a host alone, in seconds (Heritrix)."""
    max_crawl_delay_s: float = 300.0
    """Longest Crawl-delay of a robots.txt that is obeyed, in seconds (Heritrix)."""
    host_budget_s: float = 600.0
    """Seconds that a unit of rows waits for one host's turn at most; rows whose turn would come
    later end as `host_deferred`, which `pipelines.retry` takes up."""
    max_host_failures: int = 20
    """Dials in a row that one host may leave without an answer; its other rows then end as
    `host_circuit_open`, until one tries again after five minutes."""
    total_concurrency: int = 64
    """Requests at a time to all hosts, and the bodies that are held at once."""
    decode_processes: int = 1
    """Processes that decode for one process that fetches."""
    decode_timeout_s: float = 10.0
    """Seconds for one picture's decoding; its process is killed then and started again."""
    decode_memory_bytes: int = 2 * 2**30
    """Address space of a process that decodes (RLIMIT_AS)."""
    optout_lists: tuple[str, ...] = ()
    """Files (fsspec URLs) of URLs, hosts and SHA-256 digests that are left alone."""
    blocklists: tuple[str, ...] = ()
    """Files of digests and perceptual hashes of pictures of which nothing may be kept."""
    tombstones: str = ""
    """The build's folder (fsspec URL), whose tombstones hold; "": none do."""
    verify_hash: str = "require"
    """What a digest in the input table is for: `require` that the bytes have it, `record` whether
    they do, or `off`."""

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if isinstance(value, int | float) and value <= 0 and limit.name not in MAY_BE_ZERO:
                raise ValueError(f"{limit.name} is {value}; give a number above 0")
            if isinstance(value, int | float) and value < 0:
                raise ValueError(f"{limit.name} is {value}; give 0 or more")
        if self.contact is not None:
            _check_contact(self.contact)

    @property
    def user_agent(self) -> str:
        """Who asks, and whom to write to."""
        suffix = "" if self.contact is None else f" (+{self.contact})"
        return f"pairmill/{_version()}{suffix}"


def _check_contact(contact: str) -> None:
    plain = contact.isascii() and contact.isprintable() and not set(contact) & set(" ()")
    if not plain or not ("@" in contact or contact.startswith(("http://", "https://"))):
        raise ValueError(
            f"--contact {contact!r} is neither an e-mail address nor a URL; "
            "give one, without blanks or brackets"
        )


def _version() -> str:
    try:
        return version("pairmill")
    except PackageNotFoundError:  # a checkout that is not installed
        return "0"
