"""Bodies without an end, with too early an end, or that are not what their type says."""

from pipelines.web.fault_exchange import Exchange, Fault, message, picture

PAGE = b"<!DOCTYPE html><p>Buy this domain"
BLOCK = bytes(64 * 1024)
TEN_TERABYTES = 10**13


async def endless(exchange: Exchange) -> None:
    """a body without a length and without an end"""
    exchange.head("200 OK")
    await exchange.repeat(BLOCK)


async def endless_chunks(exchange: Exchange) -> None:
    """chunks of 64 KiB without an end"""
    exchange.head("200 OK", "Transfer-Encoding: chunked")
    await exchange.repeat(b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK))


async def huge(exchange: Exchange) -> None:
    """a Content-Length of ten terabytes"""
    exchange.head("200 OK", f"Content-Length: {TEN_TERABYTES}")


async def huge_and_flowing(exchange: Exchange) -> None:
    """a Content-Length of ten terabytes, and the bytes as well"""
    exchange.head("200 OK", f"Content-Length: {TEN_TERABYTES}")
    await exchange.repeat(BLOCK)


async def short(exchange: Exchange) -> None:
    """a body that ends before its Content-Length"""
    exchange.head("200 OK", f"Content-Length: {len(picture())}")
    exchange.raw(picture()[:100])


async def short_chunk(exchange: Exchange) -> None:
    """a chunk that ends before its size"""
    exchange.head("200 OK", "Transfer-Encoding: chunked")
    exchange.raw(b"%x\r\n" % len(picture()) + picture()[:100])


async def no_last_chunk(exchange: Exchange) -> None:
    """whole chunks, and the connection closed before the last, empty one"""
    exchange.head("200 OK", "Transfer-Encoding: chunked")
    exchange.raw(b"%x\r\n%b\r\n" % (len(picture()), picture()))


async def reset_in_body(exchange: Exchange) -> None:
    """the connection is reset in the middle of a body"""
    exchange.head("200 OK", "Content-Length: 1000000")
    exchange.raw(BLOCK)
    await exchange.writer.drain()
    exchange.reset()


async def surplus(exchange: Exchange) -> None:
    """a picture, and in the same breath a second answer that nobody asked for"""
    kind = "Content-Type: image/jpeg"
    exchange.raw(message("200 OK", picture(), kind) + message("200 OK", b"smuggled", kind))
    exchange.keeps_alive = True


async def empty(exchange: Exchange) -> None:
    """a body of no bytes"""
    exchange.reply("200 OK", b"")


async def page(exchange: Exchange) -> None:
    """an HTML page where a picture was promised"""
    exchange.reply("200 OK", PAGE, "Content-Type: image/jpeg")


async def page_as_png(exchange: Exchange) -> None:
    """an HTML page whose type says PNG"""
    exchange.reply("200 OK", PAGE, "Content-Type: image/png")


async def json(exchange: Exchange) -> None:
    """an error as JSON, with status 200"""
    exchange.reply("200 OK", b'{"error": "no such picture"}', "Content-Type: application/json")


async def picture_as_page(exchange: Exchange) -> None:
    """a picture whose type says HTML"""
    exchange.reply("200 OK", picture(), "Content-Type: text/html")


async def half_a_picture(exchange: Exchange) -> None:
    """the first half of a picture, with the Content-Length of that half"""
    half = picture()[: len(picture()) // 2]
    exchange.reply("200 OK", half, "Content-Type: image/jpeg")


BODIES: tuple[Fault, ...] = (
    endless,
    endless_chunks,
    huge,
    huge_and_flowing,
    short,
    short_chunk,
    no_last_chunk,
    reset_in_body,
    surplus,
    empty,
    page,
    page_as_png,
    json,
    picture_as_page,
    half_a_picture,
)
