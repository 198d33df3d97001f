import os
import subprocess
import sys
from pathlib import Path

import pytest

from nst_fast.errors import ImageError
from nst_fast.media.film_info import probe_film

av = pytest.importorskip("av")


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    """Each test starts in an empty folder."""
    monkeypatch.chdir(tmp_path)


def write_film(path: Path, codec: str = "mpeg2video") -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame(32, 16, "yuv420p")))
        container.mux(stream.encode())
    return path


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{secret}\n#EXT-X-ENDLIST\n",
    "hls over the network": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile secret.ts\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 33\n",
    "dash": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet><Representation>'
    "<BaseURL>secret.ts</BaseURL></Representation></AdaptationSet></Period></MPD>\n",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".m3u8", ".ts"])
def test_a_playlist_in_the_clothes_of_a_film_is_refused(kind, suffix):
    """A file that names other films, or a place in the network, is no film, whatever its suffix."""
    secret = write_film(Path("secret.ts").absolute())
    path = Path(f"a{suffix}")
    path.write_text(PLAYLISTS[kind].format(secret=secret))
    with pytest.raises(ImageError) as caught:
        probe_film(path)
    assert str(caught.value).startswith(f"a{suffix} is not a film that can be read")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not Path("/usr/bin/strace").exists(), reason="needs strace")
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_opens_nothing(kind):
    """By the system calls: no file beside the playlist is opened, and no socket."""
    secret = write_film(Path("secret.ts").absolute())
    Path("a.mp4").write_text(PLAYLISTS[kind].format(secret=secret))
    code = "from pathlib import Path\nfrom nst_fast.media.film_info import probe_film\nprobe_film(Path('a.mp4'))"
    command = ["strace", "-f", "-e", "trace=open,openat,socket,connect", sys.executable, "-c", code]
    calls = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert "a.mp4" in calls
    assert "secret.ts" not in calls and "AF_INET" not in calls


@pytest.mark.parametrize("name", ["a: b/c.mkv", "http:/c.mkv", "file:c.mkv", "été%03d.mkv", "-.mkv"])
def test_names_that_look_like_protocols(name):
    """Relative paths with colons, patterns and dashes are files like all others."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    os.rename(write_film(Path("x.mkv")), name)
    assert probe_film(Path(name)).width == 32


@pytest.mark.timeout(20)
def test_a_pipe_is_refused_instead_of_waited_for():
    """A FIFO under the name of a film is one line at once."""
    os.mkfifo("a.mp4")
    with pytest.raises(ImageError, match=r"^a\.mp4 is not a regular file; give the path of a film$"):
        probe_film(Path("a.mp4"))


def test_a_film_of_huge_frames_is_refused():
    """A film that claims frames of more than 180 megapixels is one line, before they are allocated."""
    header = b"YUV4MPEG2 W30000 H30000 F25:1 Ip A1:1 C420jpeg\nFRAME\n" + bytes(1000)
    Path("a.y4m").write_bytes(header)
    with pytest.raises(ImageError) as caught:
        probe_film(Path("a.y4m"))
    assert "\n" not in str(caught.value)


def test_whatever_pyav_raises_is_one_line(monkeypatch):
    """An error that nobody thought of, on a damaged film, is still one line with the film's name."""
    path = write_film(Path("a.mkv"))
    monkeypatch.setattr("nst_fast.media.film_info._describe", lambda *_: Path(None))  # pyright: ignore
    with pytest.raises(ImageError, match=r"^a\.mkv is damaged \(.*\); copy or download it again$"):
        probe_film(path)
