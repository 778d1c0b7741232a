"""Tensors through a real store and back, bit by bit: every dtype, shared memory, parts by name, and into memory that is there."""

import warnings
from collections import OrderedDict

import pytest

import waycairn as wc
from waycairn.codec import encode
from waycairn.errors import Damaged

torch = pytest.importorskip("torch", reason="torch is not installed")
import numpy as np  # noqa: E402 - torch is there, so numpy is

KIB, MIB = 1 << 10, 1 << 20


@pytest.fixture
def store(tmp_path):
    with wc.open(tmp_path / "store") as store:
        yield store


@pytest.fixture
def reads(store, monkeypatch):
    """Sizes of the reads of packs, and where each went."""
    found = []
    real = store.core.blobs.read_into
    monkeypatch.setattr(
        store.core.blobs,
        "read_into",
        lambda name, offset, target: found.append((len(target), address(target))) or real(name, offset, target),
    )
    return found


def address(memory):
    return np.frombuffer(memory, np.uint8).__array_interface__["data"][0]


def bits(tensor):
    """All of it as bytes, whatever its dtype and layout."""
    plain = tensor.detach().resolve_conj().resolve_neg()
    flat = plain.clone(memory_format=torch.contiguous_format) if plain.numel() and not plain.is_contiguous() else plain
    return flat.reshape(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b""


def same_bits(one, other):
    return one.dtype == other.dtype and one.shape == other.shape and bits(one) == bits(other)


def shares(one, other):
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def dtypes():
    found = {value for value in vars(torch).values() if isinstance(value, torch.dtype)}
    return sorted((dtype for dtype in found if not str(dtype).startswith(("torch.q", "torch.bits"))), key=str)


def of_dtype(dtype, size, seed=0):
    content = torch.randint(0, 256, (size,), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # complex32 is experimental, says torch
        return (content % 2 if dtype == torch.bool else content).view(dtype)


# -- there and back ----------------------------------------------------------------------------------------------------


def test_every_dtype(store):
    """All that torch has, in the document, in a shared chunk and in chunks of its own; anew and into tensors."""
    every = dtypes()
    names = {str(dtype) for dtype in every}
    assert {"torch.bfloat16", "torch.complex32", "torch.uint64", "torch.float4_e2m1fn_x2", "torch.bool"} <= names
    assert sum("float8" in name for name in names) >= 5
    state = {str(d): [of_dtype(d, size) for size in (64, 40 * KIB, MIB + 64)] for d in every}
    checkpoint = store.save("w", state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        into = {name: [torch.zeros_like(t.view(torch.uint8)).view(t.dtype) for t in row] for name, row in state.items()}
        for found in (store.load(checkpoint), store.load(checkpoint, into=into), store.latest("w")):
            for name, row in state.items():
                assert all(map(same_bits, found[name], row)), name


@pytest.mark.parametrize("compress", [None, "planes", "delta"])
def test_layouts(store, compress):
    """Non-contiguous, expanded, channels_last, empty, 0-d, conjugate and negative ones, large and small."""
    complex_ = torch.randn(300, 400, dtype=torch.complex64)
    state = {
        "transposed": torch.randn(600, 700).T,
        "strided": torch.randn(1200, 900)[::2, ::3],
        "expanded": torch.randn(1, 5000).expand(400, 5000),
        "channels_last": torch.randn(4, 8, 96, 96).to(memory_format=torch.channels_last),
        "empty": torch.zeros(0, 7),
        "empty_bf16": torch.zeros(3, 0, dtype=torch.bfloat16),
        "scalar": torch.tensor(3.5),
        "conj": complex_.conj(),
        "neg": complex_.clone().conj().imag,
        "nan": torch.tensor([float("nan"), -0.0, float("inf")]),
        "grad": torch.randn(600, 600, requires_grad=True),
    }
    checkpoint = store.save("w", state, compress=compress)
    found = store.load(checkpoint)
    for name, tensor in state.items():
        assert same_bits(found[name], tensor), name
        assert found[name].requires_grad == tensor.requires_grad
    assert found["channels_last"].stride() == state["channels_last"].stride()
    assert found["expanded"].stride() == (0, 1)
    raw = store.checkpoint(checkpoint).checkpoint.stored.raw_bytes
    assert raw < sum(t.numel() * t.element_size() for t in state.values())  # the expanded one: a row
    store.core.verify(store.checkpoint(checkpoint).checkpoint.stored)


class Tied(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(500, 600)
        self.head = torch.nn.Linear(600, 500, bias=False)
        self.head.weight = self.embedding.weight


def test_tied_parameters(store):
    """One matrix under two names is stored once; tied again as tensors, as Parameters, and by load_state_dict."""
    model = Tied()
    checkpoint = store.save("m", {"state": model.state_dict(), "parameters": dict(model.named_parameters())})
    assert store.checkpoint(checkpoint).checkpoint.stored.raw_bytes < 1.1 * 500 * 600 * 4
    found = store.load(checkpoint)
    assert shares(found["state"]["embedding.weight"], found["state"]["head.weight"])
    assert shares(found["state"]["embedding.weight"], found["parameters"]["embedding.weight"])
    assert isinstance(found["parameters"]["embedding.weight"], torch.nn.Parameter)
    other = Tied()
    other.load_state_dict(found["state"])
    assert other.head.weight is other.embedding.weight
    assert same_bits(other.head.weight, model.head.weight)


def test_views_share_again(store):
    """Slices, a transposed view and another dtype of one storage of 4 MB: stored once, one storage afterwards."""
    whole = torch.randn(1000, 1000)
    state = {
        "whole": whole,
        "row": whole[7],
        "block": whole[10:20, 30:40],
        "t": whole.T,
        "bits": whole.view(torch.int32),
    }
    checkpoint = store.save("v", state)
    assert store.checkpoint(checkpoint).checkpoint.stored.raw_bytes < whole.nbytes + 2000
    found = store.load(checkpoint)
    assert all(same_bits(found[name], state[name]) for name in state)
    found["whole"].zero_()
    assert not any(tensor.any() for tensor in found.values())


def test_meta_is_refused_by_name(store):
    """A parameter without content is named, and nothing is saved."""
    model = torch.nn.Linear(3, 3, device="meta")
    with pytest.raises(TypeError, match=r'^state\["model"\]\["weight"\] is a tensor on the meta device'):
        store.save("m", {"model": model.state_dict()})
    assert store.latest("m") is None


# -- into tensors that are there ---------------------------------------------------------------------------------------


def mlp(width=700, seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(width, width), torch.nn.ReLU(), torch.nn.Linear(width, width))


def test_into_a_model(store, reads):
    """Its own parameters get the content, read straight into their memory; what is no tensor comes as stored."""
    model = mlp()
    checkpoint = store.save("m", {"model": model.state_dict(), "epoch": 7, "lr": [0.1, 0.2]})
    other = mlp(seed=1)
    before = {name: tensor.data_ptr() for name, tensor in other.state_dict().items()}
    into = {"model": other.state_dict(), "epoch": 0, "lr": []}
    found = store.load(checkpoint, into=into)
    assert found["epoch"] == 7
    assert found["lr"] == [0.1, 0.2]
    assert into["epoch"] == 0
    assert type(found["model"]) is OrderedDict
    assert found["model"]._metadata == model.state_dict()._metadata
    for name, tensor in other.state_dict().items():
        assert tensor.data_ptr() == before[name]
        assert found["model"][name] is into["model"][name]
        assert same_bits(tensor, model.state_dict()[name])
    large = {before["0.weight"], before["2.weight"]}
    assert large <= {where for _, where in reads}
    assert sum(size for size, where in reads if where not in large) < 64 * KIB


def test_into_every_kind_of_place(store):
    """Nested lists and tuples, numpy beside torch, Parameters, strided targets, 0-d and empty ones, records."""
    large, small = torch.randn(600, 600), torch.randn(10)
    state = {
        "list": [large, (small, torch.tensor(1.5), torch.zeros(0, 2))],
        "numpy": np.arange(300_000.0).reshape(300, 1000),
        "fortran": np.asfortranarray(np.arange(300_000.0).reshape(300, 1000)),
        "strided": large + 1,
        "channels": torch.randn(4, 8, 96, 96).to(memory_format=torch.channels_last),
        ("tuple", "key"): large + 2,
        7: {"deep": large + 3},
    }
    checkpoint = store.save("s", state)
    base = torch.zeros(1200, 600)
    into = {
        "list": [torch.nn.Parameter(torch.zeros(600, 600)), (torch.zeros(10), torch.tensor(0.0), torch.ones(0, 2))],
        "numpy": np.zeros((300, 1000)),
        "fortran": np.zeros((300, 1000), order="F"),
        "strided": base[::2],
        "channels": torch.zeros(4, 8, 96, 96).to(memory_format=torch.channels_last),
        ("tuple", "key"): torch.zeros(600, 600).T,
        7: {"deep": torch.zeros(600, 600)},
    }
    given = into["list"][1]
    found = store.load(checkpoint, into=into)
    assert found["list"][0] is into["list"][0]
    assert all(one is other for one, other in zip(found["list"][1], given, strict=True))
    for name in ("strided", "channels", ("tuple", "key")):
        assert found[name] is into[name]
        assert same_bits(found[name], state[name]), name
    assert same_bits(found["list"][0], large)
    assert same_bits(found["list"][1][0], small)
    assert found["list"][1][1] == 1.5
    for name in ("numpy", "fortran"):
        assert found[name] is into[name]
        assert np.array_equal(found[name], state[name])
    assert same_bits(found[7]["deep"], large + 3)
    assert not base[1::2].any()
    assert found["list"][0].requires_grad


def test_into_tied_and_untied(store, reads):
    """Tied targets are filled once; two targets for one stored matrix both get it; what comes anew shares nothing."""
    model = Tied()
    checkpoint = store.save("m", model.state_dict())
    tied = Tied()
    store.load(checkpoint, into=tied.state_dict())
    assert same_bits(tied.head.weight, model.head.weight)
    apart = {"embedding.weight": torch.zeros(500, 600), "head.weight": torch.zeros(500, 600)}
    store.load(checkpoint, into=apart)
    assert all(same_bits(tensor, model.head.weight) for tensor in apart.values())
    half = {"head.weight": torch.zeros(500, 600)}
    found = store.load(checkpoint, into=half)
    assert found["head.weight"] is half["head.weight"]
    assert same_bits(found["head.weight"], model.head.weight)
    assert same_bits(found["embedding.weight"], model.head.weight)
    assert not shares(found["embedding.weight"], found["head.weight"])
    matrix = 500 * 600 * 4
    assert 3 * matrix <= sum(size for size, _ in reads) < 3.2 * matrix  # once a load


def test_into_a_part_of_what_is_shared(store):
    """A view of the beginning of a larger tensor, and that one: neither is read over the end of the other."""
    whole = torch.randn(1000, 600)
    checkpoint = store.save("v", {"begins": whole[:500], "whole": whole, "strided": whole[::2]})
    base = torch.zeros(1000, 600)
    into = {"begins": torch.zeros(500, 600), "whole": torch.zeros(1000, 600), "strided": base[::2]}
    store.load(checkpoint, into=into)
    assert same_bits(into["begins"], whole[:500])
    assert same_bits(into["whole"], whole)
    assert same_bits(into["strided"], whole[::2])
    assert not base[1::2].any()


def test_into_many_small_tensors(store, reads):
    """They come with few reads, scattered from what is read together."""
    state = {f"p{at}": torch.randn(1000 + at) for at in range(400)}
    checkpoint = store.save("s", state)
    into = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    store.load(checkpoint, into=into)
    assert all(same_bits(into[name], tensor) for name, tensor in state.items())
    assert len(reads) < 8


def test_into_with_a_part(store):
    """only= names the part that the given tree is: one, or several."""
    model, other = mlp(), mlp(seed=1)
    checkpoint = store.save("m", {"model": model.state_dict(), "optimizer": [torch.zeros(2 * MIB)]})
    found = store.load(checkpoint, only="model", into=other.state_dict())
    assert all(same_bits(tensor, model.state_dict()[name]) for name, tensor in other.state_dict().items())
    assert found.keys() == model.state_dict().keys()
    layer = torch.zeros(700, 700)
    parts = store.load(checkpoint, only=["model.2", "model.0.weight"], into={"model.2": {}, "model.0.weight": layer})
    assert parts["model.0.weight"] is layer
    assert same_bits(layer, model[0].weight)
    assert same_bits(parts["model.2"]["bias"], model[2].bias)


def another_shape():
    return {
        "w": torch.zeros(3, 2)
    }, r'state\["w"\] is a tensor of float32 and shape \(3, 2\), and a tensor of float32 and'


def another_dtype():
    return {"w": torch.zeros(2, 3, dtype=torch.bfloat16)}, r'state\["w"\] is a tensor of bfloat16 and shape \(2, 3\)'


def a_tensor_for_an_array():
    return {"n": torch.zeros(4, dtype=torch.float64)}, r'state\["n"\] is a tensor.*, and what is stored there is none'


def an_array_of_another_byte_order():
    return {"n": np.zeros(4, ">f8")}, r'state\["n"\] is a numpy array of >f8.*, and a numpy array of float64'


def nothing_is_stored_there():
    return {"w": torch.zeros(2, 3), "x": [torch.zeros(1)]}, r'state\["x"\]\[0\] is a tensor.*and has no stored value'


def a_read_only_array():
    array = np.zeros(4)
    array.flags.writeable = False
    return {"n": array}, r'state\["n"\] is a numpy array.*that is read-only'


def an_expanded_tensor():
    return {"w": torch.zeros(1, 3).expand(2, 3)}, "shows the same element more than once"


def a_meta_tensor():
    return {"w": torch.zeros(2, 3, device="meta")}, "without memory of its own"


def a_subclass():
    sub = type("Sub", (torch.Tensor,), {})
    return {"w": torch.zeros(2, 3).as_subclass(sub)}, "of the kind Sub, which is not written to"


def two_things():
    return {"w": torch.zeros(1), "n": np.zeros(1)}, r'state\["w"\] is.*; state\["n"\] is'


@pytest.mark.parametrize(
    "make",
    [
        another_shape,
        another_dtype,
        a_tensor_for_an_array,
        an_array_of_another_byte_order,
        nothing_is_stored_there,
        a_read_only_array,
        an_expanded_tensor,
        a_meta_tensor,
        a_subclass,
        two_things,
    ],
    ids=lambda make: make.__name__,
)
def test_what_does_not_fit_changes_nothing(store, reads, make):
    """The place is named before a byte of any buffer is read; a target that would fit keeps its content."""
    fits = torch.zeros(600, 600)
    state = {"w": torch.ones(2, 3), "n": np.ones(4), "fits": torch.ones(600, 600)}
    checkpoint = store.save("s", state)
    into, message = make()
    with pytest.raises(ValueError, match=f"{message}.*Nothing was changed"):
        store.load(checkpoint, into={"fits": fits, **into})
    assert not fits.any()
    assert reads == []


def test_damage_tells_that_targets_may_be_overwritten(store):
    """The second of two large tensors is damaged: said at the load, and the checkpoint is marked with the damage alone."""
    state = {"a": torch.randn(1024, 1024), "b": torch.randn(1024, 1024)}
    checkpoint = store.save("s", state)
    (pack,) = store.core.catalog.packs()
    path = store.core.blobs.at(None).path(pack)
    content = bytearray(path.read_bytes())
    content[6 * MIB] ^= 1
    path.write_bytes(content)
    with pytest.raises(Damaged, match=r"chunk \d+ is damaged.*as into= may be overwritten in part") as told:
        store.load(checkpoint, into={name: torch.zeros(1024, 1024) for name in state})
    assert told.value.pack == pack
    assert "into=" not in store.checkpoint(checkpoint).damage


def test_into_from_planes_and_differences(store):
    """Blocks that are compressed are unpacked into the targets."""
    first = {"w": (torch.randn(1500, 1000) * 0.02).to(torch.bfloat16)}
    second = {"w": first["w"].clone()}
    second["w"].view(torch.int16)[::50] ^= 1
    store.save("w", first, compress="planes")
    checkpoint = store.save("w", second, compress="delta")
    stored = store.checkpoint(checkpoint).checkpoint.stored
    assert stored.new_bytes < 0.1 * stored.raw_bytes
    into = {"w": torch.zeros(1500, 1000, dtype=torch.bfloat16)}
    store.load(checkpoint, into=into)
    assert same_bits(into["w"], second["w"])


# -- parts by name -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("only", "bound"),
    [
        ("layer1.0.weight", 1.2),
        ("layer1.0", 1.2),
        ("layer1", 2.2),
        (["layer1.1.weight", "fc.bias"], 1.2),
        ("fc.bias", 0.1),
    ],
    ids=str,
)
def test_a_part_reads_only_its_chunks(store, reads, only, bound):
    """Keys that hold dots are one key each; what is read is bounded by what was asked for, in layers of 1 MiB."""
    state = OrderedDict({f"layer{a}.{b}.weight": torch.randn(512, 512) for a in range(4) for b in range(2)})
    state["fc.bias"] = torch.randn(10_000)
    checkpoint = store.save("m", state)
    found = store.load(checkpoint, only=only)
    if isinstance(only, list):
        assert found.keys() == set(only)
        assert all(same_bits(found[name], state[name]) for name in only)
    elif only in state:
        assert same_bits(found, state[only])
    else:
        wanted = {
            name.removeprefix(only + "."): tensor for name, tensor in state.items() if name.startswith(only + ".")
        }
        assert found.keys() == wanted.keys()
        assert all(same_bits(found[name], wanted[name]) for name in wanted)
    assert 0 < sum(size for size, _ in reads) < bound * MIB


def test_a_part_that_is_not_there(store):
    """KeyError names the part and what there is; one missing name of several is enough."""
    checkpoint = store.save("m", {"model": mlp(8).state_dict()})
    for only in ("model.1", ["model.0", "model.1"]):
        with pytest.raises(KeyError, match=r"model has no part '1'; it has 0\.weight, 0\.bias"):
            store.load(checkpoint, only=only)


# -- devices -----------------------------------------------------------------------------------------------------------


def test_map_location(store):
    """The CPU by every name for it; sharing stays."""
    weight = torch.randn(600, 600)
    checkpoint = store.save("m", {"w": weight, "t": weight.T})
    for place in (None, "cpu", torch.device("cpu")):
        found = store.load(checkpoint, map_location=place)
        assert same_bits(found["w"], weight)
        assert shares(found["w"], found["t"])


@pytest.mark.parametrize(
    ("place", "kind", "message"),
    [
        ({"cuda:0": "cpu"}, TypeError, "map_location is a dict.*is not stored"),
        (lambda storage, _: storage, TypeError, "map_location is a function"),
        ("nowhere", ValueError, "'nowhere' names no device"),
        ("meta", ValueError, "would drop the contents"),
    ],
)
def test_what_is_no_place(store, place, kind, message):
    """A slip is an error before anything is read, and not taken for damage."""
    checkpoint = store.save("m", {"w": torch.ones(3)})
    with pytest.raises(kind, match=message):
        store.load(checkpoint, map_location=place)
    assert store.checkpoint(checkpoint).damage is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
def test_cuda(store):
    """Saved from a GPU, back to the CPU, to the GPU, and into tensors that are there."""
    weight = torch.randn(600, 600, device="cuda")
    checkpoint = store.save("m", {"w": weight, "t": weight.T})
    assert store.load(checkpoint)["w"].device.type == "cpu"
    found = store.load(checkpoint, map_location="cuda")
    assert found["w"].is_cuda
    assert torch.equal(found["w"], weight)
    assert shares(found["w"], found["t"])
    into = {"w": torch.zeros(600, 600, device="cuda")}
    store.load(checkpoint, into=into)
    assert torch.equal(into["w"], weight)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_here(store):
    """torch's own error, before anything is read; the checkpoint is not blamed."""
    checkpoint = store.save("m", {"w": torch.ones(600, 600)})
    with pytest.raises((AssertionError, RuntimeError), match=r"(?i)cuda|nvidia"):
        store.load(checkpoint, map_location="cuda:0")
    assert store.checkpoint(checkpoint).damage is None


def test_widths_guide_compression():
    """Of the elements, or of the parts of complex ones; 0 where one buffer shows two widths."""
    whole = torch.zeros(1000, dtype=torch.float64)
    state = [torch.zeros(1000, dtype=torch.bfloat16), torch.zeros(1000, dtype=torch.complex64), np.zeros(1000, "<i8")]
    assert list(encode([*state, whole, whole.view(torch.int16)]).widths) == [2, 4, 8, 0]
    assert list(encode({"plain": 1}).widths) == []
