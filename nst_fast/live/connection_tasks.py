"""What every WebSocket has: several things go on at once, and the first that ends, ends all."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from nst_fast.live.sessions import Session

CLOSED_IDLE = 4000


async def run_until_end(websocket: WebSocket, session: Session, *work: Coroutine[Any, Any, None]) -> None:
    """Do all of this until one of it ends, the session does, or the other side is gone.

    Where the session has ended, being idle, the connection is closed with `CLOSED_IDLE`.
    """
    ending = asyncio.create_task(session.wait_for_end())
    tasks = {ending, *(asyncio.create_task(each) for each in work)}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        if done == {ending}:
            await websocket.close(CLOSED_IDLE, "idle; connect again when there is something to do")
    except WebSocketDisconnect:
        pass
    except RuntimeError:
        # Starlette raises it where one of the tasks uses a connection that another saw end.
        if websocket.client_state == websocket.application_state == WebSocketState.CONNECTED:
            raise
    finally:
        for task in tasks:
            task.cancel()
            task.add_done_callback(_forget_error)
        await asyncio.wait(tasks)


def _forget_error(task: "asyncio.Task[None]") -> None:
    """Errors of the others say the same; asyncio complains about those that nobody has looked at."""
    if not task.cancelled():
        task.exception()


async def send(websocket: WebSocket, message: bytes | str) -> None:
    """Waits while the other side does not read; `LimitedWebSocketProtocol` ends that.

    Raises:
        WebSocketDisconnect: the other side is gone.
    """
    await (websocket.send_text(message) if isinstance(message, str) else websocket.send_bytes(message))
