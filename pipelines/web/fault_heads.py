"""Heads that HTTP does not allow, or that two readers would read differently (RFC 9112)."""

import asyncio

from pipelines.web.fault_exchange import Exchange, Fault, picture

LONG_BYTES = 20_000
MANY = 20_000
LATE_S = 0.1
"""Seconds in which the client has read the head."""


async def huge_header(exchange: Exchange) -> None:
    """a header line of 20 KB"""
    exchange.picture(f"X-Huge: {'a' * LONG_BYTES}")


async def many_headers(exchange: Exchange) -> None:
    """20,000 header lines"""
    exchange.picture(*(f"X-{number}: a" for number in range(MANY)))


async def no_colon(exchange: Exchange) -> None:
    """a header line without a colon"""
    exchange.picture("this is no header")


async def blank_name(exchange: Exchange) -> None:
    """a blank between a header's name and its colon"""
    exchange.picture("X-Blank : a")


async def nul_in_header(exchange: Exchange) -> None:
    """a NUL in a header's value"""
    exchange.picture("X-Nul: a\0b")


async def bad_status(exchange: Exchange) -> None:
    """a status that is no number"""
    exchange.reply("OK 200", picture())


async def bad_version(exchange: Exchange) -> None:
    """a protocol that HTTP never was"""
    exchange.raw(b"HTTQ/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")


async def no_head(exchange: Exchange) -> None:
    """a picture's bytes alone, as HTTP/0.9 had it"""
    exchange.raw(picture())


async def banner(exchange: Exchange) -> None:
    """something that is not HTTP"""
    exchange.raw(b"SSH-2.0-OpenSSH_9.6\r\n")


async def hang_up(exchange: Exchange) -> None:
    """the connection is closed without an answer"""


async def reset(exchange: Exchange) -> None:
    """the connection is reset without an answer"""
    exchange.reset()


async def two_lengths(exchange: Exchange) -> None:
    """two Content-Length lines that differ"""
    exchange.head("200 OK", "Content-Length: 5", f"Content-Length: {len(picture())}")
    exchange.raw(picture())


async def negative_length(exchange: Exchange) -> None:
    """a Content-Length below 0"""
    exchange.head("200 OK", "Content-Length: -1")
    exchange.raw(picture())


async def length_no_number(exchange: Exchange) -> None:
    """a Content-Length that is no number"""
    exchange.head("200 OK", "Content-Length: +0x10")
    exchange.raw(picture())


async def length_and_chunks(exchange: Exchange) -> None:
    """Content-Length and chunks at once, as in request smuggling"""
    exchange.head("200 OK", "Content-Length: 3", "Transfer-Encoding: chunked")
    exchange.raw(b"3\r\nabc\r\n0\r\n\r\n")


async def bad_chunk_size(exchange: Exchange) -> None:
    """a chunk whose size is no number"""
    exchange.head("200 OK", "Transfer-Encoding: chunked")
    exchange.raw(b"zz\r\n" + picture() + b"\r\n0\r\n\r\n")


async def huge_chunk_size(exchange: Exchange) -> None:
    """a chunk whose size has 400 digits"""
    exchange.head("200 OK", "Transfer-Encoding: chunked")
    exchange.raw(b"f" * 400 + b"\r\n" + picture())


async def late_bad_chunk(exchange: Exchange) -> None:
    """a good chunk, and a while later one whose size is no number"""
    exchange.head("200 OK", "Transfer-Encoding: chunked")
    exchange.raw(b"3\r\nabc\r\n")
    await exchange.writer.drain()
    await asyncio.sleep(LATE_S)
    exchange.raw(b"zz\r\n" + picture())
    await exchange.hang()


HEADS: tuple[Fault, ...] = (
    huge_header,
    many_headers,
    no_colon,
    blank_name,
    nul_in_header,
    bad_status,
    bad_version,
    no_head,
    banner,
    hang_up,
    reset,
    two_lengths,
    negative_length,
    length_no_number,
    length_and_chunks,
    bad_chunk_size,
    huge_chunk_size,
    late_bad_chunk,
)
