"""Servers that take for ever: each would hold a client that counts seconds between two reads."""

from pipelines.web.fault_exchange import Exchange, Fault

DRIP_S = 0.2


async def drip(exchange: Exchange) -> None:
    """one byte of body now and then, for ever"""
    exchange.head("200 OK", "Content-Length: 1000000")
    await exchange.repeat(b"\xff", DRIP_S)


async def chunk_drip(exchange: Exchange) -> None:
    """one chunk of one byte now and then, for ever"""
    exchange.head("200 OK", "Transfer-Encoding: chunked")
    await exchange.repeat(b"1\r\n\xff\r\n", DRIP_S)


async def header_drip(exchange: Exchange) -> None:
    """one byte of header now and then, for ever"""
    exchange.raw(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    await exchange.repeat(b"a", DRIP_S)


async def silence(exchange: Exchange) -> None:
    """no answer at all"""
    await exchange.hang()


async def half_a_body(exchange: Exchange) -> None:
    """the first bytes of a body, and then silence"""
    exchange.head("200 OK", "Content-Length: 1000000")
    exchange.raw(b"\xff\xd8\xff")
    await exchange.hang()


async def banner_and_silence(exchange: Exchange) -> None:
    """the first line of another protocol, and then silence"""
    exchange.raw(b"SSH-2.0-OpenSSH_9.6\r\n")
    await exchange.hang()


async def continue_flood(exchange: Exchange) -> None:
    """100 Continue, for ever"""
    await exchange.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


WAITS: tuple[Fault, ...] = (
    drip,
    chunk_drip,
    header_drip,
    silence,
    half_a_body,
    banner_and_silence,
    continue_flood,
)
