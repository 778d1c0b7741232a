"""A trial has the store of its own directory, whatever settings say."""

import pytest

from waycairn.crashtest.place import Place
from waycairn.crashtest.process import _environment


@pytest.mark.parametrize(
    ("url", "is_replaced"),
    [("kept/here", False), ("/elsewhere", True), ("../beside", True), ("postgresql://h/db", True)],
)
def test_trials_do_not_share_a_store(tmp_path, monkeypatch, url, is_replaced):
    """A settings file that leads out of the directory is overruled; one that stays in it is not."""
    monkeypatch.setenv("WAYCAIRN_STORE__URL", "/mine")
    monkeypatch.setenv("WAYCAIRN_STORE", "/mine")
    place = Place(tmp_path / "trial-1")
    place.work.mkdir(parents=True)
    (place.work / "waycairn.yaml").write_text(f"store: {{url: {url}}}\n")
    found = _environment(place, "mark", {})
    assert "WAYCAIRN_STORE__URL" not in found
    assert found.get("WAYCAIRN_STORE") == (str(place.work / ".waycairn") if is_replaced else None)
