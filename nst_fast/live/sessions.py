"""The open WebSockets: how many there may be, and who makes room for whom."""

import asyncio
import contextlib
import time
from collections import Counter

from nst_fast.live import limits


class Session:
    """One open WebSocket.

    Attributes:
        client: see `nst_fast.live.connections.client_of`.
        last_used: when a message came or went, by `time.monotonic`.
        working: whether a frame is being stylized for it, which may take long; then it is not idle.
    """

    def __init__(self, client: str) -> None:
        self.client = client
        self.last_used = time.monotonic()
        self.working = False
        self._evicted = asyncio.Event()

    def touch(self) -> None:
        """It is in use."""
        self.last_used = time.monotonic()

    def evict(self) -> None:
        """End it, since another needs its place."""
        self._evicted.set()

    async def wait_for_end(self) -> None:
        """Until it has been idle for too long, or another needs its place."""
        while (left := self.last_used + limits.SESSION_IDLE_SECONDS - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._evicted.wait(), left)
                return
            if self.working:
                self.touch()


class Sessions:
    """All open WebSockets."""

    def __init__(self) -> None:
        self._open: set[Session] = set()

    def open(self, client: str) -> Session | None:
        """A new session; beyond the limits another one ends for it. None: there is none that should."""
        counts = Counter(session.client for session in self._open)
        if counts[client] >= limits.MAX_SESSIONS_PER_CLIENT:
            victim = self._longest_idle(client)
        elif len(self._open) >= limits.MAX_SESSIONS:
            victim = self._longest_idle() or self._one_too_many(counts, client)
        else:
            return self._add(client)
        if victim is None:
            return None
        self.close(victim)
        victim.evict()
        return self._add(client)

    def _add(self, client: str) -> Session:
        session = Session(client)
        self._open.add(session)
        return session

    def _one_too_many(self, counts: Counter[str], client: str) -> Session | None:
        """Of the client that has the most, however busy; None: it has hardly more than this client."""
        greedy, count = counts.most_common(1)[0]
        if count <= counts[client] + 1:
            return None
        return min((each for each in self._open if each.client == greedy), key=lambda session: session.last_used)

    def _longest_idle(self, client: str | None = None) -> Session | None:
        """Of this client, or of all; None: all are busy."""
        idle = [
            session
            for session in self._open
            if client in (None, session.client)
            and not session.working
            and time.monotonic() - session.last_used >= limits.SESSION_BUSY_SECONDS
        ]
        return min(idle, key=lambda session: session.last_used, default=None)

    def close(self, session: Session) -> None:
        """It has ended; harmless to repeat."""
        self._open.discard(session)
