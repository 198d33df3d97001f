"""The server of the live page: which addresses there are, and what each answers."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from nst_fast.errors import ImageError, NstFastError, SettingError
from nst_fast.live.access import TokenGate
from nst_fast.live.blends import Blend
from nst_fast.live.connections import client_of_scope
from nst_fast.live.frames import serve_frames
from nst_fast.live.gallery import Style
from nst_fast.live.guard import LOCAL_NAMES, PAGES, Guard
from nst_fast.live.lanes import StoppingError
from nst_fast.live.made_styles import MadeStyles
from nst_fast.live.refinement_api import RefinementApi
from nst_fast.live.refiner import Refiner
from nst_fast.live.sessions import Sessions
from nst_fast.live.static_files import MEDIA_TYPES, StaticFile, read_page
from nst_fast.live.streaming import Streaming, StreamOptions
from nst_fast.live.stylize_pool import BusyError, StylizePool
from nst_fast.live.training_view import TrainingView
from nst_fast.live.web_runtime import VERSION, find_runtime
from nst_fast.stylize.look import Look

MIN_SIZE, MAX_SIZE = 16, 8192
_KNOBS = tuple(field.name for field in dataclasses.fields(Look))
_PARAMETERS = ("style", "size", "format", *_KNOBS)
FORMATS = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}


def build_app(
    styles: Mapping[str, Style],
    *,
    port: int,
    names: Iterable[str] = LOCAL_NAMES,
    any_address: bool = False,
    token: str | None = None,
    training: TrainingView | None = None,
    photos: Path | None = None,
    stream: StreamOptions | None = None,
) -> Starlette:
    """The whole server as an ASGI application; `app.state.pool` does its work, and is stopped with it.

    Args:
        styles: name -> style, at least one; the first is the default.
        port, names, any_address: by which the server may be called, see `Guard`.
        token: that everyone must know, see `TokenGate`. None: there is none.
        training: the training that the page shows. None: there is none.
        photos: a folder of photos to refine styles with. None: there is none.
        stream: the camera and the virtual camera of the server. None: it has neither.
    """
    pool = StylizePool(dict(styles))
    sessions = Sessions()
    streaming = Streaming(stream or StreamOptions(), pool, sessions)
    server = _Server(pool, read_page(), training, sessions, streaming.camera)
    refiner = Refiner(server.made, photos)

    @contextlib.asynccontextmanager
    async def run(_: Starlette) -> AsyncIterator[None]:
        try:
            async with streaming.running():
                yield
        finally:
            pool.stop()
            refiner.close()

    routes = [
        Route("/api/styles", server.list_styles),
        Route("/api/styles", server.make_style, methods=["POST"]),
        Route("/api/styles/{name}.safetensors", server.read_style_file),
        Route("/api/styles/{name:path}/thumbnail.jpg", server.read_thumbnail),
        Route("/api/styles/{name:path}/network.onnx", server.read_network),
        Route(f"/runtime/{VERSION}/{{name}}", server.read_runtime),
        Route("/api/stylize", server.stylize, methods=["POST"]),
        WebSocketRoute("/api/frames", server.stylize_frames),
        *RefinementApi(refiner, pool.styles).routes,
        *streaming.routes,
        Route("/api/training", server.read_training),
        Route("/api/training/strip.jpg", server.read_strip),
        Route("/{name:path}", server.read_file),
    ]
    middleware = [Middleware(Guard, names=tuple(names), port=port, any_address=any_address)]
    if token is not None:
        middleware.append(Middleware(TokenGate, token=token, port=port))
    handlers = {NstFastError: _explain, HTTPException: _explain, ClientDisconnect: _explain}
    app = Starlette(routes=routes, middleware=middleware, exception_handlers=handlers, lifespan=run)
    app.state.pool = pool
    return app


class _Server:
    """What the addresses answer."""

    def __init__(
        self,
        pool: StylizePool,
        files: Mapping[str, StaticFile],
        training: TrainingView | None,
        sessions: Sessions,
        camera: str | None,
    ) -> None:
        self.training = training
        self.pool = pool
        self.made = MadeStyles(pool.styles)
        self.files = files
        self.runtime = find_runtime()
        self.sessions = sessions
        self.camera = camera

    async def read_file(self, request: Request) -> Response:
        """A file of the page: out of memory, by its exact name."""
        name: str = request.path_params["name"]
        file = self.files.get(PAGES.get("/" + name) or name)
        if file is None:
            raise HTTPException(404, "there is nothing at this address")
        headers = {"cache-control": "no-cache", "etag": file.etag}
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    async def list_styles(self, request: Request) -> Response:
        """Every style with its description and the addresses of its files."""
        styles = [self._describe(style) for style in self.pool.styles.values()]
        runtime = f"runtime/{VERSION}/" if self.runtime else None
        offer = {"styles": styles, "runtime": runtime, "training": self.training is not None, "camera": self.camera}
        return JSONResponse(offer)

    async def make_style(self, request: Request) -> Response:
        """A new style, read off an image: the body, or its multipart field `image`."""
        _check_parameters(request, ("name",))
        data = await _read_image(request)
        client = client_of_scope(request.scope)
        name = request.query_params.get("name", "")
        checkpoint, style_image = await self.pool.predict_style(data, name, client, request.is_disconnected)
        return JSONResponse(self._describe(self.made.add(checkpoint, style_image, client)), 201)

    async def read_style_file(self, request: Request) -> Response:
        """The checkpoint of a style that was made from an image."""
        style = self._find_style(request.path_params["name"])
        if style.name not in self.made or isinstance(style, Blend):
            raise HTTPException(404, f"style {style.name!r} was not made from an image here, so there is no file of it")
        data = await self.pool.run(lambda: style.file, client_of_scope(request.scope))
        return Response(data, media_type="application/octet-stream")

    async def read_thumbnail(self, request: Request) -> Response:
        """The sample photo in this style."""
        style = self._find_style(request.path_params["name"])
        thumbnail = await self.pool.run(lambda: style.thumbnail, client_of_scope(request.scope))
        return Response(thumbnail, media_type="image/jpeg", headers={"cache-control": "no-cache"})

    async def read_network(self, request: Request) -> Response:
        """The network as ONNX, which the browser can run."""
        style = self._find_style(request.path_params["name"])
        network = await self.pool.run(lambda: style.onnx, client_of_scope(request.scope))
        return Response(network, media_type="application/octet-stream")

    async def read_runtime(self, request: Request) -> Response:
        """A file of onnxruntime-web, by its exact name."""
        path = self.runtime.get(request.path_params["name"])
        if path is None:
            raise HTTPException(404, "there is nothing at this address")
        headers = {"cache-control": "max-age=31536000, immutable"}  # the address holds the version
        return FileResponse(path, media_type=MEDIA_TYPES[path.suffix], headers=headers)

    async def read_training(self, request: Request) -> Response:
        """How far the training is, and its losses so far."""
        if self.training is None:
            raise HTTPException(404, "nothing is being trained here")
        return JSONResponse(self.training.describe(), headers={"cache-control": "no-store"})

    async def read_strip(self, request: Request) -> Response:
        """Photos that are not trained on, above their latest stylized versions."""
        strip = None if self.training is None else self.training.read_strip()
        if strip is None:
            raise HTTPException(404, "there is no strip yet")
        return Response(strip, media_type="image/jpeg", headers={"cache-control": "no-store"})

    async def stylize(self, request: Request) -> Response:
        """Stylize a picture: the body, or its multipart field `image`."""
        query = request.query_params
        _check_parameters(request, _PARAMETERS)
        style = self._find_style(query["style"]) if "style" in query else next(iter(self.pool.styles.values()))
        size = _read_size(query.get("size"))
        look = Look.from_values({name: text for name, text in query.items() if name in _KNOBS})
        image_format = query.get("format")
        if image_format not in (None, *FORMATS):
            raise SettingError(f"format {image_format[:80]!r} is unknown; allowed: {', '.join(FORMATS)}")
        data = await _read_image(request)
        client = client_of_scope(request.scope)
        body, image_format = await self.pool.stylize_picture(
            data, style, size, look, image_format, client, request.is_disconnected
        )
        return Response(body, media_type=FORMATS[image_format])

    async def stylize_frames(self, websocket: WebSocket) -> None:
        """Stylize frame by frame, see `nst_fast.live.frames`."""
        session = self.sessions.open(client_of_scope(websocket.scope))
        if session is None:
            await websocket.close(1013, "too many pages are open")
            return
        try:
            await serve_frames(websocket, self.pool, session)
        finally:
            self.sessions.close(session)

    def _describe(self, style: Style) -> dict[str, Any]:
        """What is known of a style, and the addresses of its files."""
        address = f"api/styles/{quote(style.name, safe='')}"
        version = f"?version={style.version}" if style.version else ""  # so that browsers fetch them again
        files = {"thumbnail": f"{address}/thumbnail.jpg{version}", "network": f"{address}/network.onnx{version}"}
        if style.name in self.made:
            files["file"] = address + ".safetensors"
        return {"name": style.name, **style.about, **files}

    def _find_style(self, name: str) -> Style | Blend:
        try:
            return self.pool.find_style(name)
        except SettingError as error:
            raise HTTPException(404, str(error)) from error


def _check_parameters(request: Request, allowed: Sequence[str]) -> None:
    if unknown := set(request.query_params) - set(allowed):
        raise SettingError(f"parameter {sorted(unknown)[0][:80]!r} is unknown; allowed: {', '.join(allowed)}")


async def _read_image(request: Request) -> bytes:
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await request.body()
    async with request.form(max_files=1, max_fields=10) as form:
        image = form.get("image")
        if image is None or isinstance(image, str):
            raise SettingError("there is no file in the field `image`; send it as curl -F image=@photo.jpg does")
        return await image.read()


def _read_size(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 6 and MIN_SIZE <= int(text) <= MAX_SIZE):
        raise SettingError(f"size {text[:80]!r} is not allowed; give the long side in pixels, {MIN_SIZE} to {MAX_SIZE}")
    return int(text)


async def _explain(request: Request, error: Exception) -> Response:
    """One line that says what was wrong."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=400)  # which nobody reads
    if isinstance(error, HTTPException):
        return PlainTextResponse(f"{error.detail}\n", error.status_code, headers=error.headers)
    if isinstance(error, BusyError | StoppingError):
        return PlainTextResponse(f"{error}\n", 503, headers={"retry-after": "2"})
    if isinstance(error, ImageError):
        return PlainTextResponse(f"{error}\n", 422)
    return PlainTextResponse(f"{error}\n", 400)
