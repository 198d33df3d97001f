"""The addresses that refine a style, see `nst_fast.live.refiner`."""

import asyncio
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nst_fast.errors import SettingError
from nst_fast.live.gallery import Style
from nst_fast.live.refiner import Refiner


class RefinementApi:
    """What `/api/refinement` and the addresses below it answer.

    Args:
        refiner: of the server.
        styles: name -> style, of the server.
    """

    def __init__(self, refiner: Refiner, styles: dict[str, Style]) -> None:
        self._refiner = refiner
        self._styles = styles
        self._turn = asyncio.Lock()
        actions = {"pause": refiner.pause, "resume": refiner.resume, "keep": refiner.keep, "discard": refiner.discard}
        self.routes = [
            Route("/api/refinement", self.read),
            Route("/api/refinement", self.start, methods=["POST"]),
            *(
                Route(f"/api/refinement/{name}", self._answer(action), methods=["POST"])
                for name, action in actions.items()
            ),
        ]

    async def read(self, request: Request) -> Response:
        """Whether styles can be refined, and how far the one is that is."""
        return JSONResponse(self._refiner.describe(), headers={"cache-control": "no-store"})

    async def start(self, request: Request) -> Response:
        """Refine the style that the parameter `style` names."""
        if set(request.query_params) != {"style"}:
            raise SettingError("give the parameter style, and no other: the name of a style made from an image")
        name = request.query_params["style"]
        if name not in self._styles:
            raise HTTPException(404, f"style {name[:80]!r} is unknown, or has made room for another one")
        return await self._run(lambda: self._refiner.start(self._styles[name]), 201)

    def _answer(self, action: Callable[[], None]) -> Callable:
        async def answer(request: Request) -> Response:
            return await self._run(action, 200)

        return answer

    async def _run(self, action: Callable[[], None], status: int) -> Response:
        # One after the other, and in a thread: to end a training takes a moment.
        async with self._turn:
            try:
                await asyncio.to_thread(action)
            except SettingError as error:
                raise HTTPException(409, str(error)) from error
        return JSONResponse(self._refiner.describe(), status)
