"""What one process holds while it fetches: an event loop, a client, decoders, lists.

    rows ──> client (event loop) ──> body ──> thread ──> decoder process ──> columns of the pair

Units share it: while the slow hosts of one drain, the next one's rows keep the places taken.
"""

import asyncio
import gc
import hashlib
import logging
import resource
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from pipelines.dead_letters import INTERNAL_ERROR, describe_fault
from pipelines.decoding.decoders import Decoders
from pipelines.decoding.picture import DecodeLimits, StoredImage
from pipelines.fetching.refused import Refused
from pipelines.web.fetched import Fetched
from pipelines.web.lists import load_lists
from pipelines.web.settings import FetchSettings

logger = logging.getLogger(__name__)

LISTED = ("optout_list", "tombstoned")
"""What a list may say of a URL."""
IMG2DATASET = "img2dataset"
"""The engine that is not our own client alone."""

PICTURE_COLUMNS = (
    "image",
    "width",
    "height",
    "original_width",
    "original_height",
    "pixel_hash",
    "animated",
    "transparency_ratio",
    "jpeg_quality",
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One picture to bring."""

    url: str
    expected_hash: str | None = None
    """ "sha256:<hex>" or "md5:<hex>" of its bytes, where the input names one."""
    face_boxes: tuple[float, ...] = ()
    """Faces to blur, as `face_blur.blur_faces` wants them."""


Receive = Callable[[int, dict[str, Any]], None]
"""Called once for each picture, with its place and the columns that were found."""


class FetchSession:
    """Fetches, decodes and stores for as long as it is open. Safe from any thread.

    Args:
        engine: brings the bytes: our own client alone, or img2dataset over it.
    """

    def __init__(self, settings: FetchSettings, image: StoredImage, engine: str) -> None:
        from pipelines.web.client import Client  # aiohttp takes 0.5 s, and a driver only plans

        self._settings, self._engine = settings, engine
        self.max_body_bytes = settings.max_body_bytes
        self.blurs_faces = image.blur_faces
        self.lists = load_lists(settings.optout_lists, settings.blocklists, settings.tombstones)
        self._decoders = Decoders(
            settings.decode_processes,
            DecodeLimits(settings.max_pixels),
            image,
            settings.decode_timeout_s,
            settings.decode_memory_bytes,
        )
        self._loop = asyncio.new_event_loop()
        self._client = Client(settings, lists=self.lists)
        self._decode_threads = ThreadPoolExecutor(settings.decode_processes, "decode")
        self._thread = threading.Thread(target=self._loop.run_forever, name="fetch", daemon=True)
        self._submitting, self._ending = threading.Lock(), False

    def __enter__(self) -> Self:
        gc.freeze()  # what was imported stays: each collection would walk through all of Beam
        _allow_descriptors()
        self._thread.start()
        self._submit(self._client.__aenter__()).result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        end = self._submit(self._end(), last=True)
        end.result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._decode_threads.shutdown()
        self._decoders.close()

    def bring(self, wanted: Sequence[Wanted], receive: Receive) -> None:
        """Bring every picture; returns when each has been received.

        Raises:
            ContactRequired: an address outside the allowed networks would be dialled without a
                contact.
        """
        if self._engine == IMG2DATASET:
            self._bring_with_img2dataset(wanted, receive)
        else:
            self._submit(self._bring(wanted, receive)).result()

    def describe(self, fetched: Fetched, wanted: Wanted) -> dict[str, Any]:
        """The columns of a fetch: how it ended, and the stored picture where there is one."""
        found = {
            "outcome": fetched.outcome,
            "url_final": fetched.url_final,
            "content_type": fetched.content_type,
            "http_status": fetched.http_status,
            "robots": fetched.robots,
            "signal": fetched.signal,
        }
        if fetched.body is None:
            return found
        try:
            return found | self.keep(fetched.body, wanted)
        except Refused as refused:
            return found | {"outcome": refused.reason, "signal": refused.signal}
        except Exception as error:  # whatever a stranger's picture brings out costs one row
            logger.warning("%s: %s", INTERNAL_ERROR, wanted.url, exc_info=error)
            return found | {"outcome": INTERNAL_ERROR, "signal": describe_fault(error)}

    def describe_stored(
        self, url: str, fetched: Fetched, face_boxes: tuple[float, ...] = ()
    ) -> dict[str, Any]:
        """The columns of a picture that the source holds; `url` may be a mere name."""
        try:
            self.lists.refuse_url(url)
        except Refused as refused:
            if refused.reason in LISTED:
                fetched = Fetched(refused.reason, signal=refused.signal)
        return self.describe(fetched, Wanted(url, face_boxes=face_boxes))

    def keep(self, body: bytes, wanted: Wanted) -> dict[str, Any]:
        """The columns of a picture that may be kept; raises Refused for any other."""
        matches = self._check_hash(body, wanted.expected_hash)
        self.lists.refuse_bytes(body)
        picture = self._decoders.make_picture(body, wanted.face_boxes)
        self.lists.refuse_picture(picture.image)
        columns = {name: getattr(picture, name) for name in PICTURE_COLUMNS}
        return columns | {
            "body_bytes": len(body),
            "sha256": hashlib.sha256(body).digest(),
            "hash_matches": matches,
        }

    def _check_hash(self, body: bytes, expected_hash: str | None) -> bool | None:
        if expected_hash is None or self._settings.verify_hash == "off":
            return None
        algorithm, _, digest = expected_hash.partition(":")
        matches = hashlib.new(algorithm, body, usedforsecurity=False).hexdigest() == digest.lower()
        if not matches and self._settings.verify_hash == "require":
            raise Refused("hash_mismatch", f"the input names {expected_hash}")
        return matches

    def has_room(self) -> bool:
        """Fewer rows are ready to be asked for than there are places."""
        return self._client.has_free_place

    async def _bring(self, wanted: Sequence[Wanted], receive: Receive) -> None:
        from pipelines.web.client import run_together

        await run_together(self._bring_one(index, one, receive) for index, one in enumerate(wanted))

    async def _bring_one(self, index: int, one: Wanted, receive: Receive) -> None:
        async with self._client.fetching(one.url) as fetched:
            if fetched.body is None:
                receive(index, self.describe(fetched, one))
                return
            found = await self._loop.run_in_executor(
                self._decode_threads, self.describe, fetched, one
            )
        receive(index, found)

    def _bring_with_img2dataset(self, wanted: Sequence[Wanted], receive: Receive) -> None:
        from pipelines.web.img2dataset_engine import fetch_each_with_img2dataset  # may be missing

        def describe(index: int, fetched: Fetched) -> dict[str, Any]:
            return self.describe(fetched, wanted[index])

        urls = [one.url for one in wanted]
        fetch_each_with_img2dataset(urls, self._client, self._loop, describe, receive)

    def _submit(self, coroutine: Any, *, last: bool = False) -> Future[Any]:
        """Raises RuntimeError once the last one is submitted: a stopped loop would never answer."""
        with self._submitting:
            if self._ending:
                coroutine.close()
                raise RuntimeError("the session has ended")
            self._ending = last
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    async def _end(self) -> None:
        """Break off what is still under way (after a failure), then close the connections."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.__aexit__(None, None, None)


def _allow_descriptors() -> None:
    """Take all the descriptors that we may have: each kept connection costs one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@dataclass(frozen=True, slots=True)
class FetchKit:
    """What a process needs to open a FetchSession; crosses to workers."""

    settings: FetchSettings
    image: StoredImage
    engine: str

    def open(self) -> FetchSession:
        return FetchSession(self.settings, self.image, self.engine)


class OpenFetch:
    """A stage's `Session`: a FetchSession, and what it is to do with an item."""

    def __init__(self, kit: FetchKit, act: Callable[[Any, FetchSession], None]) -> None:
        self._session, self._act = kit.open(), act

    def __enter__(self) -> "OpenFetch":
        self._session.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._session.__exit__(*error)

    def do(self, item: Any) -> None:
        self._act(item, self._session)

    def has_room(self) -> bool:
        return self._session.has_room()
