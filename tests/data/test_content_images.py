import shutil

import numpy as np
import pytest
from PIL import Image

from nst_fast.data.content_images import ContentImages, digest_photos, list_photos, read_photo
from nst_fast.errors import ImageError
from nst_fast.media.pictures import read_picture


def quarters(height: int = 40, width: int = 60) -> np.ndarray:
    """Red, green / blue, gray quarters: large areas, whose middles lossy formats and resizing leave alone."""
    pixels = np.full((height, width, 3), 128, dtype=np.uint8)
    pixels[: height // 2, : width // 2] = (200, 30, 30)
    pixels[: height // 2, width // 2 :] = (30, 200, 30)
    pixels[height // 2 :, : width // 2] = (30, 30, 200)
    return pixels


def middles(photo) -> np.ndarray:
    """The colors in the middle of the four quarters of a photo (3, H, W), row by row."""
    height, width = photo.shape[1:]
    return np.array([photo[:, height * y // 4, width * x // 4].tolist() for y in (1, 3) for x in (1, 3)])


def test_a_digest_follows_the_photos_and_not_their_place(photo_folder, tmp_path):
    """A copy of the folder has the same digest; a photo more, another name or other bytes in the middle have not."""

    def digest(folder):
        return digest_photos(list_photos(folder), folder)

    copy, first = tmp_path / "copy", digest(photo_folder)
    shutil.copytree(photo_folder, copy)
    assert digest(copy) == first
    photo = copy / "photo_03.jpg"
    data = bytearray(photo.read_bytes())
    data[len(data) // 2] ^= 1
    photo.write_bytes(data)
    changed = digest(copy)
    photo.rename(copy / "photo_99.jpg")
    renamed = digest(copy)
    (copy / "photo_98.jpg").symlink_to("nowhere.jpg")
    assert len({first, changed, renamed, digest_photos(sorted(copy.rglob("*.jpg")), copy)}) == 4


QUARTERS = np.array([(200, 30, 30), (30, 200, 30), (30, 30, 200), (128, 128, 128)])


def test_folders_are_searched_recursively(photo_folder):
    """Photos of all subfolders are found, sorted; hidden ones and files of other kinds are not."""
    (photo_folder / "more" / "deeper").mkdir()
    for name in ("more/deeper/UPPER.JPG", "a.webp"):
        (photo_folder / name).write_bytes(b"")
    for name in (".hidden.jpg", "notes.txt"):
        (photo_folder / name).write_bytes(b"")
    names = [photo.relative_to(photo_folder).as_posix() for photo in list_photos(photo_folder)]
    top = [f"photo_{number:02}.jpg" for number in range(8)]
    below = [f"more/photo_{number:02}.jpg" for number in range(8, 12)]
    assert names == ["a.webp", "more/deeper/UPPER.JPG", *below, *top]


def test_folders_without_photos_are_refused(tmp_path):
    """An empty folder, a file in place of a folder, and a folder that is not there are told apart."""
    with pytest.raises(ImageError) as caught:
        list_photos(tmp_path)
    assert str(caught.value) == (
        f"content folder '{tmp_path}' holds no images; give a folder of photos (jpg, png, webp, ...)"
    )
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(ImageError, match=r"a\.jpg is a file; give the folder it lies in$"):
        list_photos(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match=r"absent does not exist; check the path$"):
        list_photos(tmp_path / "absent")


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.jpg", "RGB"), ("a.png", "RGB"), ("a.webp", "RGB"), ("a.bmp", "RGB"), ("a.tif", "RGB"), ("a.png", "RGBA")],
)
def test_formats_give_the_same_photo(tmp_path, name, mode):
    """Each format is read as uint8 of shape (3, H, W) with the colors that were written."""
    Image.fromarray(quarters()).convert(mode).save(tmp_path / name)
    photo = read_photo(tmp_path / name, 1000)
    assert str(photo.dtype) == "torch.uint8" and photo.shape == (3, 40, 60)
    assert np.abs(middles(photo) - QUARTERS).max() <= 4


def test_16_bit_grey_is_scaled(tmp_path):
    """A gray PNG of 16 bits gives three equal channels, each its value divided by 257."""
    values = np.array([0, 257 * 40, 257 * 200, 65535], dtype=np.uint16)
    Image.fromarray(np.repeat(values, 5)[None].repeat(20, axis=0)).save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png", 1000)
    assert photo[:, 10, [2, 7, 12, 17]].tolist() == [[0, 40, 200, 255]] * 3


def test_cmyk_becomes_rgb(tmp_path):
    """A JPEG in CMYK has three channels afterwards, and its inks their colors."""
    inks = Image.new("CMYK", (64, 32), (0, 255, 255, 0))  # full magenta and yellow: red
    inks.paste((255, 255, 0, 0), (32, 0, 64, 32))  # full cyan and magenta: blue
    inks.save(tmp_path / "a.jpg", quality=95)
    photo = read_photo(tmp_path / "a.jpg", 1000)
    assert photo.shape == (3, 32, 64)
    assert np.abs(np.array(photo[:, 16, 16].tolist()) - (255, 0, 0)).max() <= 60
    assert np.abs(np.array(photo[:, 16, 48].tolist()) - (0, 0, 255)).max() <= 60


def test_transparent_parts_are_white(tmp_path):
    """What is transparent is trained on as white paper, not as the colors that hide behind it."""
    pixels = np.dstack([quarters(), np.full((40, 60), 255, dtype=np.uint8)])
    pixels[:20, :30, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert (middles(read_photo(tmp_path / "a.png", 1000)) == [(255, 255, 255), *QUARTERS[1:].tolist()]).all()


def test_rotated_photos_are_turned_upright(tmp_path):
    """The EXIF orientation 6 of a phone held upright turns the photo by a quarter to the right."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(quarters()).save(tmp_path / "a.jpg", exif=exif, quality=95)
    photo = read_photo(tmp_path / "a.jpg", 1000)
    assert photo.shape == (3, 60, 40)
    assert np.abs(middles(photo) - QUARTERS[[2, 0, 3, 1]]).max() <= 4


def test_large_photos_are_brought_down(tmp_path):
    """A large JPEG is not decoded in full, and comes with the short side asked for; a smaller one stays as it is."""
    Image.fromarray(quarters(1200, 2000)).save(tmp_path / "large.jpg")
    assert read_picture(tmp_path / "large.jpg", min_short_side=100).rgb.shape == (150, 250, 3)
    photo = read_photo(tmp_path / "large.jpg", 100)
    assert photo.shape == (3, 100, 167)
    assert np.abs(middles(photo) - QUARTERS).max() <= 4
    assert photo.is_contiguous()
    Image.fromarray(quarters(2000, 1200)).save(tmp_path / "upright.png")
    assert read_photo(tmp_path / "upright.png", 100).shape == (3, 167, 100)
    Image.fromarray(quarters(99, 300)).save(tmp_path / "small.png")
    assert read_photo(tmp_path / "small.png", 100).shape == (3, 99, 300)


def test_broken_photos_are_left_out_of_memory(photo_folder, caplog):
    """Read into memory, broken files are logged once, by name and in order, and the others keep their order."""
    broken = [photo_folder / "photo_03.jpg", photo_folder / "more" / "photo_08.jpg"]
    for path in broken:
        path.write_bytes(path.read_bytes()[:400])
    files = list_photos(photo_folder)
    photos = ContentImages(files, 32)
    counted: list[int] = []
    photos.read_into_memory(3, counted.append)
    assert [message.split(" ")[0] for message in caplog.messages] == sorted(str(path) for path in broken)
    assert sum(counted) == 12
    assert len(photos) == 10 and photos.photos == [file for file in files if file not in broken]
    for index, file in enumerate(photos.photos):
        photo, found_broken = photos.read(index)
        assert found_broken == {} and photo.equal(read_photo(file, 32))


def test_broken_photos_are_replaced_when_read_one_by_one(photo_folder):
    """Read when needed, a broken photo is replaced by the next that can be read, also after the last one."""
    files = list_photos(photo_folder)
    for index in (4, 5, 11):
        files[index].write_bytes(b"no picture")
    photos = ContentImages(files, 32)
    for index, replacement, broken in [(3, 3, []), (4, 6, [4, 5]), (5, 6, [5]), (11, 0, [11])]:
        photo, found_broken = photos.read(index)
        assert photo.equal(read_photo(files[replacement], 32))
        assert sorted(found_broken) == broken
        assert all(str(files[number]) in found_broken[number] for number in broken)


def test_workers_findings_are_logged_once(photo_folder, caplog):
    """However often workers come across a broken photo, it is logged once, with the count."""
    photos = ContentImages(list_photos(photo_folder), 32)
    photos.report({3: "three is broken"})
    photos.report({3: "three is broken", 4: "four is broken"})
    assert caplog.messages == ["three is broken (1 skipped so far)", "four is broken (2 skipped so far)"]


def test_nearly_all_broken_is_an_error(photo_folder):
    """With all photos broken there is one line with the count and the first of them, in memory or not."""
    files = list_photos(photo_folder)
    for file in files:
        file.write_bytes(b"no picture")
    for read in (lambda photos: photos.read_into_memory(2), lambda photos: photos.read(0)):
        with pytest.raises(ImageError) as caught:
            read(ContentImages(files, 32))
        assert str(caught.value).startswith(f"12 of 12 photos cannot be read (the first: {files[0]} is not a picture")
        assert str(caught.value).endswith("; give a folder of intact photos")
        assert "\n" not in str(caught.value)


def test_a_tenth_of_whole_photos_is_enough(photo_folder):
    """With 10 of 11 photos broken no training starts; with 9 of 10 it still does."""
    files = list_photos(photo_folder)[:11]
    for file in files[:9] + files[10:]:
        file.write_bytes(b"no picture")
    photos = ContentImages(files[:10], 32)
    photos.read_into_memory(2)
    assert photos.photos == [files[9]]
    with pytest.raises(ImageError, match=r"^10 of 11 photos cannot be read"):
        ContentImages(files, 32).read_into_memory(2)


def test_the_search_for_a_whole_photo_ends(tmp_path):
    """In a huge folder of broken photos the search ends after 20, and the message counts those."""
    files = [tmp_path / f"{number}.jpg" for number in range(25)]
    with pytest.raises(ImageError, match=r"^20 of 20 photos cannot be read \(the first: .*24\.jpg does not exist"):
        ContentImages(files, 32).read(24)
