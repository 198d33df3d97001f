"""Bounds the request bodies that are in memory at a time: of one request, of one client, and of all together."""

from collections import Counter

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from nst_fast.live import limits


class Uploads:
    """Counts the bytes of the bodies that have been received for requests that are not answered yet."""

    def __init__(self) -> None:
        self._bytes: Counter[str] = Counter()

    @property
    def total_bytes(self) -> int:
        """Of all clients."""
        return self._bytes.total()

    def begin(self, client: str, receive: Receive) -> "Upload":
        """One request; `Upload.end` must be called after it."""
        return Upload(self, client, receive)

    def add(self, client: str, count: int) -> None:
        """Raises: HTTPException, status 503, where that is too much at a time."""
        if (
            self._bytes.total() + count > limits.MAX_BODY_BYTES_IN_FLIGHT
            or self._bytes[client] + count > limits.MAX_BODY_BYTES_IN_FLIGHT_PER_CLIENT
        ):
            raise HTTPException(503, "too much is being uploaded; try again in a moment", headers={"retry-after": "2"})
        self._bytes[client] += count

    def remove(self, client: str, count: int) -> None:
        """The opposite of `add`."""
        self._bytes[client] -= count
        if not self._bytes[client]:
            del self._bytes[client]


class Upload:
    """The body of one request: its `receive` counts what comes."""

    def __init__(self, uploads: Uploads, client: str, receive: Receive) -> None:
        self._uploads = uploads
        self._client = client
        self._receive = receive
        self._taken = 0

    async def receive(self) -> Message:
        """ASGI's.

        Raises:
            HTTPException: 413, this body is too large, though it did not say so; or 503, see `Uploads.add`.
        """
        message = await self._receive()
        count = len(message.get("body", b""))
        if self._taken + count > limits.MAX_BODY_BYTES:
            raise HTTPException(413, too_large())
        self._uploads.add(self._client, count)
        self._taken += count
        return message

    def end(self) -> None:
        """The request is answered, and its body is forgotten."""
        self._uploads.remove(self._client, self._taken)
        self._taken = 0


def too_large() -> str:
    """What the client of a body that is too large is told."""
    return f"the body is larger than {limits.MAX_BODY_BYTES // 1_000_000} MB"
