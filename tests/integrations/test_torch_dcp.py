"""torch.distributed.checkpoint in a store: one process, two ranks, kills, damage, no pickle."""

import io
import logging
import re
import signal
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

import torch.distributed.checkpoint as dcp  # noqa: E402
from torch.distributed.checkpoint.api import CheckpointException  # noqa: E402
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner, DefaultSavePlanner  # noqa: E402
from torch.distributed.checkpoint.planner import WriteItemType  # noqa: E402

import dcp_ranks  # noqa: E402
import waycairn as wc  # noqa: E402
from waycairn.errors import CheckpointNotFound, Damaged, RunNotFound, StoreNotFound  # noqa: E402
from waycairn.integrations.torch_dcp import (  # noqa: E402
    WaycairnLoadPlanner,
    WaycairnReader,
    WaycairnSavePlanner,
    WaycairnWriter,
)
from waycairn.integrations.torch_dcp.metadata import pack_metadata, unpack_metadata  # noqa: E402
from waycairn.upkeep.invariants import verify  # noqa: E402
from waycairn.world.crashpoints import arm, disarm  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:torch.distributed is disabled"),
    pytest.mark.filterwarnings("ignore::FutureWarning:torch"),
    pytest.mark.filterwarnings("ignore:TypedStorage is deprecated"),
]


def small(factor=1.0):
    return {"w": torch.full((40, 30), factor), "step": int(factor)}


def large(factor=1.0):
    """More than rides inline, so that there is a pack."""
    generator = torch.Generator().manual_seed(7)
    return {
        "big": torch.randn(600, 1000, generator=generator) + factor,
        "few": {str(n): torch.randn(5000, generator=generator) + factor for n in range(40)},
        "step": int(factor),
    }


def zeros(state):
    if isinstance(state, dict):
        return {key: zeros(value) for key, value in state.items()}
    if isinstance(state, list):
        return [zeros(value) for value in state]
    return torch.zeros_like(state) if isinstance(state, torch.Tensor) else None


def assert_same(actual, expected):
    if isinstance(expected, dict):
        assert actual.keys() == expected.keys()
        for key in expected:
            assert_same(actual[key], expected[key])
    elif isinstance(expected, torch.Tensor):
        assert actual.dtype == expected.dtype
        assert torch.equal(actual, expected)
    else:
        assert type(actual) is type(expected)
        assert actual == expected


def save(folder, state, name="job", **options):
    with_planner = {"planner": options.pop("planner")} if "planner" in options else {}
    writer = WaycairnWriter(folder, **options)
    try:
        return dcp.save(state, checkpoint_id=name, storage_writer=writer, **with_planner)
    finally:
        writer.close()


def load(folder, state, name="job", planner=None, **options):
    reader = WaycairnReader(folder, **options)
    try:
        dcp.load(state, checkpoint_id=name, storage_reader=reader, planner=planner)
    finally:
        reader.close()
    return state


def reason(caught):
    """Why a load or save failed: what the first rank raised."""
    (cause, _), *_ = caught.value.failures.values()
    return cause


def assert_sound(folder):
    with wc.open(folder, create=False) as store:
        assert verify(store.core, counted=False) == []


def runs(folder):
    with wc.open(folder, create=False) as store:
        return [(run.name, run.id) for run in store.runs()]


# -- one process ---------------------------------------------------------------------------------------------------


def test_a_model_with_its_optimizer_comes_back(tmp_path):
    """Default planners, nested states, objects of any kind that waycairn stores, tensors of every shape."""
    model = torch.nn.Linear(30, 20)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(3, 30)).sum().backward()
    optimizer.step()
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": 7,
        "path": ["a", ("b", 2.5), {"c": None}],
        "tensors": {
            "bf16": torch.randn(300, 300).bfloat16(),
            "float8": torch.randn(64, 64).to(torch.float8_e4m3fn).view(torch.uint8),
            "complex": torch.randn(50, 50, dtype=torch.complex64),
            "transposed": torch.randn(200, 100).t(),
            "slice": torch.randn(400, 400)[100:200, ::3],
            "scalar": torch.tensor(3),
            "empty": torch.empty(0, 3),
            "flags": torch.rand(5000) > 0.5,
        },
    }
    save(tmp_path / "s", state)
    loaded = zeros(state)
    load(tmp_path / "s", loaded)
    for part in ("model", "tensors", "step"):
        assert_same(loaded[part], state[part])
    assert loaded["path"] == state["path"]
    assert loaded["optimizer"]["param_groups"] == state["optimizer"]["param_groups"]
    assert_same(loaded["optimizer"]["state"][0]["exp_avg"], state["optimizer"]["state"][0]["exp_avg"])
    assert_sound(tmp_path / "s")


def test_targets_of_other_layouts_and_dtypes_are_copied_into(tmp_path):
    """What cannot be read straight into place comes by way of memory, as exactly as DCP's copy does."""
    state = {
        "a": torch.randn(500, 700),
        "b": torch.randn(500, 700),
        "c": torch.randn(100_000),
        "wider": torch.randn(300, 300),
    }
    state |= {"tied": state["b"][:], "too": state["b"], "whole": torch.arange(100_000.0)}
    save(tmp_path / "s", state)
    into = {
        "a": torch.zeros(700, 500).t(),
        "b": torch.zeros(500, 700),
        "wider": torch.zeros(300, 300, dtype=torch.float64),
        "c": torch.zeros(200_000)[::2],
        "tied": torch.zeros(500, 700),
        "too": torch.zeros(500, 700),
        "whole": torch.zeros(100_000, dtype=torch.int32),
    }
    load(tmp_path / "s", into)
    assert torch.equal(into["a"], state["a"])
    assert torch.equal(into["b"], state["b"])
    assert torch.equal(into["wider"], state["wider"].double())
    assert torch.equal(into["c"], state["c"])
    assert torch.equal(into["tied"], state["b"])
    assert torch.equal(into["too"], state["b"])
    assert torch.equal(into["whole"], torch.arange(100_000, dtype=torch.int32))


def test_a_part_of_a_checkpoint(tmp_path):
    """Only what the state to load into names is read."""
    save(tmp_path / "s", large(2.0))
    some = {"few": {"7": torch.zeros(5000)}}
    load(tmp_path / "s", some)
    assert torch.equal(some["few"]["7"], large(2.0)["few"]["7"])


def test_what_is_not_in_the_checkpoint_is_refused_or_left(tmp_path):
    """As DCP says it: an error, or with allow_partial_load nothing happens to it."""
    save(tmp_path / "s", small(2.0))
    with pytest.raises(CheckpointException, match="Missing key"):
        load(tmp_path / "s", {**small(0.0), "more": torch.zeros(3)})
    left = {**small(0.0), "more": torch.ones(3)}
    load(tmp_path / "s", left, planner=DefaultLoadPlanner(allow_partial_load=True))
    assert_same(left, {**small(2.0), "more": torch.ones(3)})


def test_another_shape_is_refused(tmp_path):
    """By name, and nothing is loaded into it."""
    save(tmp_path / "s", small(2.0))
    into = {"w": torch.zeros(40, 31)}
    with pytest.raises(CheckpointException, match="w"):
        load(tmp_path / "s", into)
    assert not into["w"].any()


def test_names_are_kept_apart(tmp_path):
    """An id is text or a path; none at all is a name too. A missing one, and a missing store, are said to be missing."""
    with pytest.raises(CheckpointException) as caught:
        load(tmp_path / "s", small())
    assert isinstance(reason(caught), StoreNotFound)
    assert not (tmp_path / "s").exists()
    save(tmp_path / "s", small(1.0), name=tmp_path / "first")
    save(tmp_path / "s", small(2.0), name="second")
    save(tmp_path / "s", small(3.0), name=None)
    found = {name: load(tmp_path / "s", small(0.0), name=name)["step"] for name in (tmp_path / "first", "second", None)}
    assert list(found.values()) == [1, 2, 3]
    with pytest.raises(CheckpointException) as caught:
        load(tmp_path / "s", small(), name="third")
    assert isinstance(reason(caught), CheckpointNotFound)
    assert WaycairnWriter.validate_checkpoint_id("anything")
    assert not WaycairnReader.validate_checkpoint_id("")


def test_saves_replace_each_other(tmp_path):
    """The newest wins; older ones go behind it, but `keep` of them and pinned ones."""
    writer = WaycairnWriter(tmp_path / "s", keep=2)
    for factor in (1.0, 2.0, 3.0, 4.0):
        dcp.save(small(factor), checkpoint_id="job", storage_writer=writer)
        if factor == 1.0:
            with wc.open(tmp_path / "s") as store:
                (pinned,) = store.checkpoints(kind="dcp")
                store.pin(pinned.id)
    writer.close()
    assert load(tmp_path / "s", small(0.0))["step"] == 4
    with wc.open(tmp_path / "s") as store:
        kept = store.checkpoints(kind="dcp")
        assert len(kept) == 3
        assert kept[-1].id == pinned.id
        assert len(store.runs()) == 3
        part = store.checkpoints(kind="dcp_part")[0]
        assert torch.equal(store.load(part.id, only="tensors.w"), small(4.0)["w"])
    save(tmp_path / "s", small(5.0))
    assert len(runs(tmp_path / "s")) == 2


def test_an_open_store_and_another_process(tmp_path):
    """A writer over a store that is open leaves it open, and knows its address for another process."""
    with wc.open(tmp_path / "s") as store:
        writer = WaycairnWriter(store)
        dcp.save(small(2.0), checkpoint_id="job", storage_writer=writer)
        sent = writer.__getstate__()
        writer.close()
        assert len(store.runs()) == 1
        assert sent["_save"] is None
    away = WaycairnWriter.__new__(WaycairnWriter)
    away.__dict__.update(sent, _where=WaycairnWriter(tmp_path / "s")._where)
    dcp.save(small(3.0), checkpoint_id="job", storage_writer=away)
    assert load(tmp_path / "s", small(0.0))["step"] == 3


def test_saving_in_a_thread(tmp_path):
    """async_save: what was changed after it returned is not in the checkpoint."""
    writer = WaycairnWriter(tmp_path / "s")
    for factor in (1.0, 2.0):
        state = large(factor)
        future = dcp.async_save(state, checkpoint_id="job", storage_writer=writer, no_dist=True)
        state["big"].zero_()
        future.result()
    writer.close()
    assert_same(load(tmp_path / "s", zeros(large())), large(2.0))


def test_without_collectives(tmp_path):
    """Each rank saves for itself, and finds its own again."""
    writer = WaycairnWriter(tmp_path / "s")
    dcp.save(small(4.0), checkpoint_id="job", storage_writer=writer, use_collectives=False)
    writer.close()
    assert load(tmp_path / "s", small(0.0))["step"] == 4


def test_metadata_is_plain_data():
    """Everything that DCP says of a checkpoint survives as names and numbers."""
    from torch.distributed.checkpoint import metadata as md

    properties = md.TensorProperties(
        dtype=torch.float8_e5m2, requires_grad=True, memory_format=torch.channels_last, pin_memory=True
    )
    chunks = [md.ChunkStorageMetadata(torch.Size([0, 0]), torch.Size([2, 3]))]
    before = md.Metadata(
        {"a.b": md.TensorStorageMetadata(properties, torch.Size([4, 3]), chunks), "o": md.BytesStorageMetadata()},
        planner_data={"a.b": ("a", "b"), "o": ("o", 0)},
        storage_data={md.MetadataIndex("a.b", torch.Size([0, 0]), 0): (1, "tensors", 0)},
        storage_meta=md.StorageMeta(checkpoint_id="x", save_id="y", modules=["m"]),
        version="1.0.0",
    )
    from waycairn.codec import decode, encode

    encoded = encode(pack_metadata(before))
    assert b"torch" not in encoded.document
    after = unpack_metadata(decode(encoded.document, lambda _: memoryview(b"")))
    assert after == before
    assert type(after.planner_data["a.b"]) is tuple


# -- no pickle -----------------------------------------------------------------------------------------------------


class Renaming(DefaultSavePlanner):
    """Overrides transform_object and leaves objects to DCP, which pickles them."""

    def transform_object(self, write_item, object):  # noqa: A002 - DCP's name
        return super().transform_object(write_item, object)


class Ours(WaycairnSavePlanner):
    def transform_object(self, write_item, object):  # noqa: A002 - DCP's name
        value = super().transform_object(write_item, object)
        return value * 2 if isinstance(value, torch.Tensor) else value


class Texts(DefaultSavePlanner):
    """Makes its own bytes."""

    def transform_object(self, write_item, object):  # noqa: A002 - DCP's name
        if write_item.type == WriteItemType.BYTE_IO:
            return io.BytesIO(repr(object).encode())
        return object


class ReadsTexts(DefaultLoadPlanner):
    def load_bytes(self, read_item, value):
        self.original_state_dict[read_item.dest_index.fqn] = value.read().decode()


class Counts(WaycairnLoadPlanner):
    seen = 0

    def load_bytes(self, read_item, value):
        Counts.seen += 1
        super().load_bytes(read_item, value)


def test_planners_of_ones_own(tmp_path):
    """Pickle is refused; our planners, and bytes that a planner makes itself, are not."""
    with pytest.raises(CheckpointException, match="WaycairnSavePlanner"):
        save(tmp_path / "s", small(3.0), planner=Renaming())
    save(tmp_path / "s", small(3.0), planner=Ours())
    assert_same(load(tmp_path / "s", small(0.0), planner=Counts()), {**small(6.0), "step": 3})
    assert Counts.seen == 1
    save(tmp_path / "s", small(3.0), planner=Texts())
    assert load(tmp_path / "s", small(0.0), planner=ReadsTexts())["step"] == "3"
    with pytest.raises(CheckpointException, match="planner that belongs"):
        load(tmp_path / "s", small(0.0))


def test_nothing_of_pickle_is_stored(tmp_path):
    """Neither torch's reconstruction of tensors nor a name of a module is in any file of the store."""
    save(tmp_path / "s", {**large(1.0), "text": ["words"] * 100, "dtype": torch.bfloat16})
    stored = b"".join(path.read_bytes() for path in (tmp_path / "s").rglob("*") if path.is_file())
    assert len(stored) > 2_000_000
    for trace in (
        b"torch._utils",
        b"_rebuild_tensor",
        b"\x80\x02}q",
        b"ctorch",
        b"collections\nOrderedDict",
        b"PK\x03\x04",
    ):
        assert trace not in stored


def test_what_cannot_be_stored_is_named(tmp_path):
    """The whole save is refused, and the checkpoint before stays the newest."""
    save(tmp_path / "s", small(1.0))
    with pytest.raises(CheckpointException, match=r"things\.odd"):
        save(tmp_path / "s", {**small(2.0), "things": {"odd": object()}})
    assert load(tmp_path / "s", small(0.0))["step"] == 1
    save(tmp_path / "s", small(3.0))
    assert len(runs(tmp_path / "s")) == 1


# -- damage --------------------------------------------------------------------------------------------------------


def damage(folder, newest=True):
    """Flip a byte in the middle of a pack."""
    packs = sorted(
        (path for path in (folder / "packs").rglob("*") if path.is_file()), key=lambda p: p.stat().st_mtime_ns
    )
    path = packs[-1 if newest else 0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_damage_falls_back(tmp_path, caplog):
    """The newest intact one is read instead; the log and the record say why."""
    save(tmp_path / "s", large(1.0), keep=2)
    save(tmp_path / "s", large(2.0), keep=2)
    damage(tmp_path / "s")
    with pytest.raises(CheckpointException) as caught:
        load(tmp_path / "s", zeros(large()), fallback=False)
    assert isinstance(reason(caught), Damaged)
    with wc.open(tmp_path / "s") as store:
        newest = store.checkpoints(kind="dcp")[0]
        assert newest.status == "damaged"
        assert "do not match their hash" in newest.damage
        store.core.catalog.mark_checkpoint(newest.run, newest.sequence, type(newest.status).VALID, None)
    with caplog.at_level(logging.WARNING, "waycairn"):
        assert_same(load(tmp_path / "s", zeros(large())), large(1.0))
    assert "instead of a newer one" in caplog.text
    assert newest.id in caplog.text
    assert_same(load(tmp_path / "s", zeros(large()), fallback=False), large(1.0))  # it is known now
    save(tmp_path / "s", large(3.0), keep=1)
    assert len(runs(tmp_path / "s")) == 1


def test_damage_without_an_older_one(tmp_path):
    """There is nothing to fall back to: Damaged, and again the next time."""
    save(tmp_path / "s", large(1.0))
    damage(tmp_path / "s")
    with pytest.raises(CheckpointException) as caught:
        load(tmp_path / "s", zeros(large()))
    assert isinstance(reason(caught), Damaged)
    with pytest.raises(CheckpointException) as caught:
        load(tmp_path / "s", zeros(large()))
    assert isinstance(reason(caught), CheckpointNotFound)


def test_an_older_one_of_other_shapes_is_not_forced_into_the_plan(tmp_path):
    """Loading again plans for it."""
    save(tmp_path / "s", {"big": torch.rand(1000, 1000) + 1}, keep=2)
    save(tmp_path / "s", {"big": torch.rand(1000, 2000)}, keep=2)
    damage(tmp_path / "s")
    with pytest.raises(CheckpointException, match="other names or shapes"):
        load(tmp_path / "s", {"big": torch.zeros(1000, 2000)})
    assert load(tmp_path / "s", {"big": torch.zeros(1000, 1000)})["big"].all()


def test_a_part_that_is_not_the_one_that_was_committed(tmp_path):
    """The commit names each part with its hash."""
    save(tmp_path / "s", small(1.0), keep=2)
    save(tmp_path / "s", small(2.0), keep=2)
    with wc.open(tmp_path / "s") as store:
        part = store.checkpoints(kind="dcp_part")[0]
        store.delete(part.id)
    assert load(tmp_path / "s", small(0.0))["step"] == 1


# -- saves that are not finished -----------------------------------------------------------------------------------


@pytest.fixture
def armed():
    yield arm
    disarm()


@pytest.mark.parametrize("point", ["dcp.begin", "dcp.begun", "dcp.part", "dcp.part.added", "dcp.finish"])
def test_a_save_that_fails_anywhere_before_its_commit(tmp_path, armed, point):
    """The checkpoint before is the newest still, and the next save removes what was left."""
    save(tmp_path / "s", small(1.0))
    armed(point)
    with pytest.raises(CheckpointException):
        save(tmp_path / "s", small(2.0))
    assert load(tmp_path / "s", small(0.0))["step"] == 1
    save(tmp_path / "s", small(3.0))
    assert load(tmp_path / "s", small(0.0))["step"] == 3
    assert len(runs(tmp_path / "s")) == 1
    assert_sound(tmp_path / "s")


@pytest.mark.parametrize("point", ["dcp.finished", "dcp.remove", "dcp.removed"])
def test_a_save_that_fails_behind_its_commit(tmp_path, armed, point):
    """It is the newest, and the next save cleans up."""
    save(tmp_path / "s", small(1.0))
    armed(point)
    with pytest.raises(CheckpointException):
        save(tmp_path / "s", small(2.0))
    assert load(tmp_path / "s", small(0.0))["step"] == 2
    save(tmp_path / "s", small(3.0))
    assert len(runs(tmp_path / "s")) == 1


def test_a_save_in_flight_is_left_alone(tmp_path):
    """Another job that saves under the same id removes what the dead left, never what the living do."""
    first, second = WaycairnWriter(tmp_path / "s"), WaycairnWriter(tmp_path / "s")
    planner = DefaultSavePlanner()
    planner.set_up_planner(small(1.0), is_coordinator=True)
    first.reset("job")
    first.set_up_storage_writer(True)
    plans, metadata = planner.create_global_plan([planner.create_local_plan()])
    (plan,) = first.prepare_global_plan(plans)
    written = first.write_data(planner.finish_plan(plan), planner).value()
    dcp.save(small(2.0), checkpoint_id="job", storage_writer=second)
    assert len(runs(tmp_path / "s")) == 2
    first.finish(metadata, [written])
    # It began before the one that is there: that one is newer still, and this one goes.
    assert load(tmp_path / "s", small(0.0))["step"] == 2
    assert len(runs(tmp_path / "s")) == 1
    first.close()
    second.close()


def test_a_save_that_was_removed_is_not_finished(tmp_path):
    """The commit is fenced: a part of it cannot be missing."""
    writer = WaycairnWriter(tmp_path / "s")
    planner = DefaultSavePlanner()
    planner.set_up_planner(small(1.0), is_coordinator=True)
    plans, metadata = planner.create_global_plan([planner.create_local_plan()])
    (plan,) = writer.prepare_global_plan(plans)
    written = writer.write_data(planner.finish_plan(plan), planner).value()
    with wc.open(tmp_path / "s") as store:
        store.core.catalog.delete_run(store.runs()[0].id)
    with pytest.raises(RunNotFound, match="was removed while it was made"):
        writer.write_data(planner.finish_plan(plan), planner)
    with pytest.raises(RunNotFound, match="was removed while it was made"):
        writer.finish(metadata, [written])
    writer.close()
    assert runs(tmp_path / "s") == []


# -- two ranks -----------------------------------------------------------------------------------------------------


def test_two_ranks(tmp_path):
    """Shards, replicas and objects of two processes are one checkpoint, which other shardings and one process read."""
    assert dcp_ranks.start(dcp_ranks.save, 2, tmp_path, (1.0, 2.0)) == [0, 0]
    assert dcp_ranks.start(dcp_ranks.load_otherwise, 2, tmp_path, 2.0) == [0, 0]
    whole = load(tmp_path / "store", {"sharded": torch.zeros(80, 6000), "own1": torch.zeros(50_000)})
    assert torch.equal(whole["sharded"], dcp_ranks.whole(2.0))
    assert whole["own1"].eq(3).all()
    with wc.open(tmp_path / "store") as store:
        assert sorted(part.checkpoint.metadata["rank"] for part in store.checkpoints(kind="dcp_part")) == [0, 1]
    assert_sound(tmp_path / "store")


@pytest.mark.parametrize(("victim", "point"), [(1, "dcp.part.added"), (1, "store.value.begin"), (0, "dcp.finish")])
def test_a_rank_that_is_killed(tmp_path, victim, point):
    """Whoever dies before the coordinator's commit: the checkpoint before is whole, and the newest."""
    assert dcp_ranks.start(dcp_ranks.save, 2, tmp_path, (1.0,)) == [0, 0]
    codes = dcp_ranks.start(dcp_ranks.die, 2, tmp_path, victim, point, 2.0)
    assert codes[victim] == -signal.SIGKILL
    assert codes[1 - victim] != 0
    assert dcp_ranks.start(dcp_ranks.load_otherwise, 2, tmp_path, 1.0) == [0, 0]
    assert len(runs(tmp_path / "store")) == 2
    assert dcp_ranks.start(dcp_ranks.save, 2, tmp_path, (3.0,)) == [0, 0]
    assert len(runs(tmp_path / "store")) == 1
    assert dcp_ranks.start(dcp_ranks.load_otherwise, 2, tmp_path, 3.0) == [0, 0]


def test_two_ranks_with_cached_plans(tmp_path):
    """A rank whose plan is an older save's finds the one in flight."""
    assert dcp_ranks.start(dcp_ranks.save_with_cached_plans, 2, tmp_path) == [0, 0]
    assert dcp_ranks.start(dcp_ranks.load_otherwise, 2, tmp_path, 3.0) == [0, 0]


def test_two_ranks_and_damage(tmp_path):
    """No rank loads from another checkpoint than the others."""
    assert dcp_ranks.start(dcp_ranks.save, 2, tmp_path, (1.0, 2.0), 2) == [0, 0]
    damage(tmp_path / "store")
    assert dcp_ranks.start(dcp_ranks.read_damaged, 2, tmp_path, 1.0) == [0, 0]


def test_saving_in_a_process(tmp_path):
    """async_save with a process of its own: the writer is sent there."""
    assert dcp_ranks.start(dcp_ranks.save_behind, 1, tmp_path) == [0]
    assert load(tmp_path / "store", {"w": torch.zeros(1000), "step": 0.0})["step"] == 2.0


def test_postgresql(tmp_path, postgres_database):
    """Catalog there, packs here; ranks of several hosts would see the same."""
    for factor in (1.0, 2.0):
        save(postgres_database, large(factor), packs=tmp_path / "packs")
    assert_same(load(postgres_database, zeros(large()), packs=tmp_path / "packs"), large(2.0))
    with (
        wc.open(postgres_database, packs=tmp_path / "packs") as store,
        pytest.raises(TypeError, match="with the address"),
    ):
        WaycairnWriter(store)._where.__getstate__()


def test_the_example_of_the_page(tmp_path, monkeypatch):
    """As a reader would run it."""
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parents[2] / "docs/how-to/torch-distributed.md"
    (example,) = re.findall(r"^```py\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    exec(compile(example, page.name, "exec"), {})
    assert len(runs(tmp_path / "checkpoints")) == 2
