"""One checkpoint, as the server shows it, keeps it, compares it and sends it as a file."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from serving import a_scene
from waycairn.process import acting


@pytest.fixture
def scene(request, tmp_path):
    """Marked, over an encrypted store: a file that is downloaded is opened, and lies nowhere but with who asked for it."""
    is_encrypted = getattr(request, "param", "") == "encrypted"
    with a_scene(tmp_path, **({"passphrase": "correct horse"} if is_encrypted else {})) as found:
        yield found


both = pytest.mark.parametrize("scene", ["plain", "encrypted"], indirect=True)


ARRAYS = {
    "weights": np.arange(300_000, dtype="<f8").reshape(300, 1000),
    "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "nothing": np.zeros((0, 3), "<i4"),
    "one": np.array(7, "<u2"),
    "flags": np.array([True, False]),
}


@pytest.fixture
def states(scene):
    """The ids of two states of a run of olga's."""
    with acting("olga"), scene.store.run("train", metadata={"who": "olga"}) as run:
        state = run.state({"page": 0, "name": "half \udcff", "lr": 0.5, "arrays": {**ARRAYS}})
        run.output("log.txt", append=True).write("x")
        run.checkpoint("milestone", tags=["first"], description="at the beginning")
        state.update(page=7, lr=float("nan"))
        state["arrays"]["weights"] = ARRAYS["weights"] + 1
        run.checkpoint("milestone")
    newest, oldest = scene.store.checkpoints("train", kind="milestone")
    return oldest.id, newest.id


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Output files of runs lie here."""
    monkeypatch.chdir(tmp_path)


@both
def test_checkpoints_are_listed_by_the_page(scene, states):
    """Newest first; by kind, tag and status; lengths of output files only for who may touch the run."""
    run = scene.store.find("train").id
    path = f"/runs/{run}/checkpoints"
    whole = scene.olga.get(path).json()
    assert whole["next"] is None
    assert [one["sequence"] for one in whole["checkpoints"]] == sorted(
        (one["sequence"] for one in whole["checkpoints"]), reverse=True
    )
    first = scene.vera.get(path, params={"limit": 1}).json()
    rest = scene.vera.get(path, params={"cursor": first["next"]}).json()
    listed = [one["id"] for one in first["checkpoints"] + rest["checkpoints"]]
    assert listed == [one["id"] for one in whole["checkpoints"]]
    assert {
        tuple(one["id"] for one in scene.vera.get(path, params=which).json()["checkpoints"])
        for which in ({"kind": "milestone", "tag": "first"}, {"tag": "first", "status": "valid"})
    } == {(states[0],)}
    mine, others = (who.get(f"/checkpoints/{states[0]}").json() for who in (scene.olga, scene.vera))
    assert mine == next(one for one in whole["checkpoints"] if one["id"] == states[0])
    assert (mine["outputs"], others["outputs"]) == ({"log.txt": 1}, None)
    assert (mine["tags"], mine["description"], mine["pinned"]) == (["first"], "at the beginning", False)


def test_a_checkpoint_is_pinned_and_deleted(scene, states):
    """A pinned one is not deleted; nor is anything of somebody else's, or by who may only look."""
    old, _ = states
    assert scene.olga.post(f"/checkpoints/{old}/pin").json()["pinned"]
    refused = scene.olga.delete(f"/checkpoints/{old}")
    assert (refused.status_code, refused.json()["title"]) == (409, "CheckpointPinned")
    assert not scene.olga.post(f"/checkpoints/{old}/unpin").json()["pinned"]
    assert scene.vera.post(f"/checkpoints/{old}/pin").status_code == 403
    assert scene.ada.post(f"/checkpoints/{old}/unpin").status_code == 200
    assert scene.vera.delete(f"/checkpoints/{old}").status_code == 403
    assert scene.olga.delete(f"/checkpoints/{old}").status_code == 204
    assert scene.olga.get(f"/checkpoints/{old}").status_code == 404
    rows = [row.entry for row in scene.store.core.catalog.audit_before(None) if row.entry.object == old]
    assert [(row.actor.split()[0], row.act, row.outcome) for row in rows] == [
        ("olga", "checkpoint.delete", "done"),
        ("ada", "checkpoint.unpin", "done"),
        ("olga", "checkpoint.unpin", "done"),
        ("olga", "checkpoint.delete", "refused"),
        ("olga", "checkpoint.pin", "done"),
    ]


def test_the_state_that_an_unfinished_run_goes_on_from_is_not_deleted(scene):
    """A sentence says why."""
    run = scene.run_of("olga", ends=False)
    newest = scene.store.core.catalog.latest_checkpoint(run, role="state")
    if newest is None:
        pytest.fail("the run has no state to go on from")
    answer = scene.olga.delete(f"/checkpoints/{newest.id}")
    assert answer.status_code == 409
    assert "goes on from" in answer.json()["detail"]


def test_two_states_are_compared(scene, states):
    """Short texts, by how much numbers and arrays differ; not more than asked for."""
    old, new = states
    document = scene.olga.get(f"/checkpoints/{old}/diff", params={"to": new}).json()
    assert (document["old"], document["new"], document["cut"]) == (old, new, False)
    by_path = {one["path"]: one for one in document["differences"]}
    assert set(by_path) == {"page", "lr", "arrays.weights"}
    assert (by_path["page"]["kind"], by_path["page"]["by"]) == ("changed", 7)
    assert (by_path["lr"]["old"], by_path["lr"]["new"], by_path["lr"]["by"]) == ("0.5", "nan", None)
    assert by_path["arrays.weights"]["array"]["elements"] == 300_000
    assert by_path["arrays.weights"]["array"]["most"] == 1
    cut = scene.olga.get(f"/checkpoints/{old}/diff", params={"to": new, "limit": 1}).json()
    assert (len(cut["differences"]), cut["cut"]) == (1, True)


def test_what_is_compared_must_be_ones_own_both(scene, states):
    """Else the state of somebody else would be read by way of one's own."""
    own = scene.run_of("vera", ends=False)
    mine = scene.store.checkpoints(own)[0].id
    assert scene.vera.get(f"/checkpoints/{states[0]}/diff", params={"to": mine}).status_code == 403
    answer = scene.vera.get(f"/checkpoints/{mine}/diff", params={"to": states[0]})
    assert (answer.status_code, answer.json()["title"]) == (403, "not yours")
    for wrong in ("nothing", f"{own}.999", "train", ""):
        assert scene.vera.get(f"/checkpoints/{mine}/diff", params={"to": wrong}).status_code == 404
    assert scene.ada.get(f"/checkpoints/{mine}/diff", params={"to": states[0]}).status_code == 200


def test_a_state_is_downloaded_as_json(scene, states):
    """All of it; or arrays described."""
    answer = scene.olga.get(f"/checkpoints/{states[1]}/export", params={"format": "json"})
    assert answer.headers["content-disposition"] == f'attachment; filename="{states[1]}.json"'
    document = answer.json()
    assert document["checkpoint"]["id"] == states[1]
    assert document["state"]["lr"] == {"type": "float", "value": "NaN"}
    assert document["state"]["arrays"]["weights"]["data"][299][999] == 300_000.0
    short = scene.olga.get(f"/checkpoints/{states[1]}/export", params={"format": "json", "data": "false"}).json()
    assert short["state"]["arrays"]["weights"]["max"] == 300_000.0
    assert "data" not in short["state"]["arrays"]["weights"]


@both
def test_arrays_are_downloaded_as_they_are(scene, states):
    """As numpy and safetensors read them, bit by bit, with what they are."""
    npz = scene.olga.get(f"/checkpoints/{states[0]}/export", params={"format": "npz"})
    assert zipfile.ZipFile(io.BytesIO(npz.content)).testzip() is None
    with np.load(io.BytesIO(npz.content), allow_pickle=False) as found:
        assert_same({name.removeprefix("arrays."): found[name] for name in found.files})
    from safetensors.numpy import load

    tensors = scene.olga.get(f"/checkpoints/{states[0]}/export", params={"format": "safetensors"})
    assert int(tensors.headers["content-length"]) == len(tensors.content)
    assert_same({name.removeprefix("arrays."): array for name, array in load(tensors.content).items()})
    length = int.from_bytes(tensors.content[:8], "little")
    assert json.loads(tensors.content[8 : 8 + length])["__metadata__"]["waycairn_checkpoint"] == states[0]


def assert_same(found):
    assert set(found) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


def test_tensors_are_downloaded(scene):
    """Those that numpy does not know only as safetensors; what has no arrays as neither."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import load

    state = {"half": torch.arange(6, dtype=torch.bfloat16).reshape(2, 3).T, "long": torch.arange(3)}
    with acting("olga"):
        tensors = scene.store.save("tensors", state)
        none = scene.store.save("numbers", {"a": 1})
    found = load(scene.olga.get(f"/checkpoints/{tensors}/export", params={"format": "safetensors"}).content)
    assert {name: (one.dtype, one.tolist()) for name, one in found.items()} == {
        name: (one.dtype, one.tolist()) for name, one in state.items()
    }
    for checkpoint, form, said in (
        (tensors, "npz", "bfloat16"),
        (none, "npz", "no arrays"),
        (none, "safetensors", "no arrays"),
    ):
        answer = scene.olga.get(f"/checkpoints/{checkpoint}/export", params={"format": form})
        assert (answer.status_code, answer.json()["title"]) == (409, "CannotExport")
        assert said in answer.json()["detail"]


def test_what_is_downloaded_is_in_the_audit_log(scene, states):
    """Who took it out, also where it could not be had; and nobody else gets it."""
    assert scene.vera.get(f"/checkpoints/{states[0]}/export", params={"format": "json"}).status_code == 403
    assert scene.olga.get(f"/checkpoints/{states[0]}/export", params={"format": "zip"}).status_code == 422
    scene.olga.get(f"/checkpoints/{states[0]}/export", params={"format": "npz"})
    rows = [row.entry for row in scene.store.core.catalog.audit_before(None) if row.entry.act == "export"]
    assert [(row.actor.split()[0], row.object, row.outcome) for row in rows] == [
        ("olga", states[0], "done"),
        ("olga", states[0], "begun"),
    ]


@both
def test_a_damaged_checkpoint_is_told(scene, states):
    """With words, by a download, a comparison and in its row; what is intact is sent as before."""
    damage(scene)
    for path, more in (
        (f"/checkpoints/{states[0]}/export", {"format": "npz"}),
        (f"/checkpoints/{states[0]}/diff", {"to": states[1]}),
    ):
        answer = scene.olga.get(path, params=more)
        assert (answer.status_code, answer.json()["title"]) == (409, "Damaged"), answer.text
        assert answer.json()["detail"]
    assert scene.vera.get(f"/checkpoints/{states[0]}").json()["status"] == "damaged"


def damage(scene):
    """Flip bytes in the middle of every pack."""
    packs = [path for path in Path(scene.store.url).rglob("*") if path.is_file() and "pack" in str(path.parent)]
    assert packs
    for path in packs:
        content = bytearray(path.read_bytes())
        for at in range(len(content) // 4, len(content) // 2):
            content[at] ^= 0xFF
        path.chmod(0o600)
        path.write_bytes(content)


def test_what_is_no_checkpoint_is_not_found(scene):
    """Whatever it looks like."""
    for wrong in ("nothing", "a.b", "..%2f..%2fetc%2fpasswd", "k7f3qx0a9m2d.1", f"k7f3qx0a9m2d.{10**30}", "a%00b.1"):
        for path in ("", "/export?format=json", "/diff?to=x"):
            answer = scene.ada.get(f"/checkpoints/{wrong}{path}")
            assert (answer.status_code, answer.json()["status"]) == (404, 404), answer.text
