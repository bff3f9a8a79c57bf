"""Answers that are HTTP and no picture, or a picture with something against it."""

import asyncio

from pipelines.web.fault_exchange import Exchange, Fault

TEN_YEARS_S = 10 * 365 * 86_400


async def ok(exchange: Exchange) -> None:
    """a picture"""
    exchange.picture()


async def with_headers(exchange: Exchange) -> None:
    """a picture with the headers that the query names: ?X-Robots-Tag=noai&tdm-reservation=1"""
    exchange.picture(*(f"{name}: {value}" for name, value in exchange.query.items()))


async def missing(exchange: Exchange) -> None:
    """404"""
    exchange.reply("404 Not Found", b"gone")


async def status(exchange: Exchange) -> None:
    """the status of ?code=, with ?retry_after= where it is given (seconds, a date, anything)"""
    after = exchange.query.get("retry_after")
    headers = [] if after is None else [f"Retry-After: {after}"]
    code = exchange.query.get("code", "500")
    exchange.reply(f"{code} Told", b"" if code in ("204", "304") else b"no", *headers)


async def busy_for_years(exchange: Exchange) -> None:
    """503, to be asked again in ten years"""
    exchange.reply("503 Busy", b"later", f"Retry-After: {TEN_YEARS_S}")


async def busy_for_a_while(exchange: Exchange) -> None:
    """429 with a Retry-After that is neither a number nor a date"""
    exchange.reply("429 Slow Down", b"later", "Retry-After: a while")


async def flaky(exchange: Exchange) -> None:
    """503 to every odd request, a picture to every even one"""
    if exchange.hit % 2:
        exchange.reply("503 Busy", b"later", "Retry-After: 0")
    else:
        exchange.picture()


async def redirect(exchange: Exchange) -> None:
    """302 to the URL of ?to=, after ?after_s= seconds"""
    await asyncio.sleep(float(exchange.query.get("after_s", 0)))
    exchange.reply("302 Found", b"", f"Location: {exchange.query.get('to', '/ok')}")


async def loop(exchange: Exchange) -> None:
    """302 to itself"""
    exchange.reply("302 Found", b"", "Location: /loop")


async def nowhere(exchange: Exchange) -> None:
    """302 without a Location"""
    exchange.reply("302 Found", b"")


async def inside(exchange: Exchange) -> None:
    """302 to the metadata service of a cloud"""
    exchange.reply("302 Found", b"", "Location: http://169.254.169.254/latest/meta-data/")


async def to_a_file(exchange: Exchange) -> None:
    """302 to a file of the client's own machine"""
    exchange.reply("302 Found", b"", "Location: file:///etc/hostname")


async def opted_out(exchange: Exchange) -> None:
    """a picture that ?tag= keeps from crawlers (default noai)"""
    exchange.picture(f"X-Robots-Tag: {exchange.query.get('tag', 'noai')}")


async def opted_out_redirect(exchange: Exchange) -> None:
    """302 to a picture, with X-Robots-Tag: noai on the way"""
    exchange.reply("302 Found", b"", "Location: /ok", "X-Robots-Tag: noai")


ANSWERS: tuple[Fault, ...] = (
    ok,
    with_headers,
    missing,
    status,
    busy_for_years,
    busy_for_a_while,
    flaky,
    redirect,
    loop,
    nowhere,
    inside,
    to_a_file,
    opted_out,
    opted_out_redirect,
)
