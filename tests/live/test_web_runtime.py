"""onnxruntime-web's files: fetched once, checked, and served; and the site that holds them."""

import base64
import hashlib
import http.server
import io
import json
import tarfile
import threading

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from PIL import Image

from nst_fast.errors import OutputError, SettingError
from nst_fast.live import web_runtime
from nst_fast.live.server import build_app
from nst_fast.live.site import export_site
from nst_fast.live.web_runtime import FILES, fetch_runtime, find_runtime


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("NST_FAST_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A small archive of the package's shape, taken for the real one."""
    path = tmp_path / "onnxruntime-web.tgz"
    with tarfile.open(path, "w:gz") as members:
        for name in (*FILES, "../../evil"):
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(name)
            members.addfile(member, io.BytesIO(name.encode()))
    monkeypatch.setattr(web_runtime, "SHA512", base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode())
    return path


def test_the_files_are_unpacked_from_an_archive(cache, archive, tmp_path, caplog):
    """What is needed is kept, and nothing else is written; a second time nothing is done."""
    assert find_runtime() == {}
    caplog.set_level("INFO")
    fetch_runtime(archive)
    assert {name: path.read_text() for name, path in find_runtime().items()} == {name: name for name in FILES}
    assert sorted(path.name for path in cache.rglob("*") if path.is_file()) == sorted(FILES)
    assert not list(tmp_path.rglob("evil"))
    archive.unlink()
    fetch_runtime(archive)
    assert len(caplog.records) == 1


def test_the_files_are_downloaded(cache, archive, monkeypatch):
    """They come from the registry that npm's own variable names."""
    data, asked = archive.read_bytes(), []

    class Registry(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/npm/")
        fetch_runtime()
        server.shutdown()
    assert asked == [f"/npm/onnxruntime-web/-/onnxruntime-web-{web_runtime.VERSION}.tgz"]
    assert find_runtime()


def test_another_archive_is_refused(cache, archive):
    """One bit more, and nothing is kept; a missing file and an address that does not answer are explained."""
    archive.write_bytes(archive.read_bytes() + b"\0")
    with pytest.raises(SettingError, match="its checksum differs"):
        fetch_runtime(archive)
    assert not cache.exists()
    with pytest.raises(SettingError, match=r"absent.tgz cannot be read .*npm pack onnxruntime-web@"):
        fetch_runtime(archive.with_name("absent.tgz"))


@pytest.mark.parametrize(
    ("registry", "words"), [("http://127.0.0.1:9", "cannot be reached"), ("file:///etc", "https:")]
)
def test_a_registry_that_is_not_there_is_explained(cache, monkeypatch, registry, words):
    """One line says what to do without it."""
    monkeypatch.setenv("npm_config_registry", registry)
    with pytest.raises(SettingError, match=words):
        fetch_runtime()


def test_npm_is_asked_where_its_packages_are(cache, monkeypatch, tmp_path):
    """Without the variable npm says it; without npm one line says what to do."""
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingError, match=r"npm, .* is not installed; install Node.js, or .* give it as the archive"):
        fetch_runtime()
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho http://127.0.0.1:9/$1/$2/$3/\n")
    npm.chmod(0o755)
    with pytest.raises(
        SettingError, match=r"http://127.0.0.1:9/config/get/registry/onnxruntime-web/.* cannot be reached"
    ):
        fetch_runtime()


def test_the_files_are_served_by_name(cache, archive, styles):
    """The page is told where they are, and gets these names and no other."""
    from starlette.testclient import TestClient

    fetch_runtime(archive)
    with TestClient(build_app(styles, port=8765), base_url="http://127.0.0.1:8765") as client:
        folder = "/" + client.get("/api/styles").json()["runtime"]
        module, binary = client.get(folder + FILES[0]), client.get(folder + FILES[2])
        assert (module.text, module.headers["content-type"]) == (FILES[0], "text/javascript; charset=utf-8")
        assert binary.headers["content-type"] == "application/wasm"
        for other in ("evil", "..%2f..%2fsecret", "%2fetc%2fpasswd", ""):
            assert client.get(folder + other).status_code == 404


def test_the_network_is_served_as_onnx(client, styles, photo):
    """What the browser runs stylizes as the Stylizer does."""
    model = onnx.load_from_string(client.get("/api/styles/wave/network.onnx").content)
    (stylized,) = ReferenceEvaluator(model).run(None, {"images": photo[None]})
    assert np.abs(stylized[0].astype(int) - styles["wave"].stylizer.stylize_pixels(photo)).max() <= 1


def test_a_site_holds_all_that_it_names(cache, archive, styles, tmp_path):
    """Every file that the list of styles and the page name is there; a second export replaces the first."""
    fetch_runtime(archive)
    site = tmp_path / "site"
    for _ in range(2):
        export_site(site, styles.values())
    offer = json.loads((site / "styles.json").read_text(encoding="utf-8"))
    assert [style["name"] for style in offer["styles"]] == list(styles)
    for style in offer["styles"]:
        assert (site / style["thumbnail"]).read_bytes().startswith(b"\xff\xd8")
        onnx.load(site / style["network"])
    assert {path.name for path in (site / offer["runtime"]).iterdir()} == set(FILES)
    page = (site / "index.html").read_text(encoding="utf-8")
    assert 'data-server="no"' in page and "default-src 'none'" in page and 'rel="manifest"' in page
    assert (site / "app.js").is_file() and not list(site.glob("obs*"))
    manifest = json.loads((site / "app.webmanifest").read_text(encoding="utf-8"))
    for icon in manifest["icons"]:
        if icon["type"] == "image/png":
            with Image.open(site / icon["src"]) as image:
                assert "x".join(map(str, image.size)) == icon["sizes"]
        assert (site / icon["src"]).is_file()
    kept = json.loads((site / "files.json").read_text(encoding="utf-8"))
    there = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert there == {*kept, "files.json", "service_worker.js", "_headers"}
    assert all(hashlib.sha256((site / name).read_bytes()).hexdigest().startswith(kept[name]) for name in kept)


def test_each_file_of_a_site_is_reported(cache, archive, styles, tmp_path):
    """Once it is written; the list of them comes last, so that browsers find everything that it names."""
    fetch_runtime(archive)
    written = []
    export_site(tmp_path / "site", styles.values(), lambda path: written.append((path, path.is_file())))
    assert all(is_there for _, is_there in written)
    assert sorted(path for path, _ in written) == sorted(
        path for path in tmp_path.joinpath("site").rglob("*") if path.is_file()
    )
    assert written[-1][0].name == "files.json"


def test_a_site_overwrites_nothing_else(cache, archive, styles, tmp_path):
    """A folder with something else in it, and a missing runtime, are refused before anything is written."""
    (tmp_path / "diary.txt").write_text("dear diary")
    with pytest.raises(SettingError, match="call fetch_runtime first"):
        export_site(tmp_path / "site", styles.values())
    fetch_runtime(archive)
    with pytest.raises(OutputError, match="holds something else"):
        export_site(tmp_path, styles.values())
    assert not (tmp_path / "index.html").exists() and not (tmp_path / "site").exists()
