"""One file name or several, as people write them, reach Hydra as a list of quoted names."""

import pytest

from nst_fast.cli.path_lists import quote_path_lists


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["style=a.jpg"], ["style=['a.jpg']"]),
        (["style=a.jpg", "b c.jpg", "d.jpg", "seed=1"], ["style=['a.jpg','b c.jpg','d.jpg']", "seed=1"]),
        (["style=[a.jpg, b.jpg]"], ["style=['a.jpg','b.jpg']"]),
        (["style=a,b=c.jpg"], ["style=['a,b=c.jpg']"]),
        (["style=['a.jpg']"], ["style=['a.jpg']"]),
        (["-m", "style=a.jpg,b.jpg"], ["-m", "style=['a.jpg'],['b.jpg']"]),
        (["content=a.jpg", "b.jpg"], ["content=a.jpg", "b.jpg"]),
        (["style=a.jpg", "--cfg", "job"], ["style=['a.jpg']", "--cfg", "job"]),
    ],
)
def test_lists(given, expected):
    """Each way of writing; words that follow another key, or an option, are left alone."""
    assert quote_path_lists(given, ["style"]) == expected


def test_a_file_that_looks_like_a_list(tmp_path, monkeypatch):
    """A file of that very name is one file, also in a sweep."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "[a,b].jpg").touch()
    assert quote_path_lists(["-m", "style=[a,b].jpg"], ["style"]) == ["-m", "style=['[a,b].jpg']"]
