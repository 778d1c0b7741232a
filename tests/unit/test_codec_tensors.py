"""torch tensors come back bit by bit, views and storages shared again."""

import warnings

import pytest

from codec_states import round_trip
from waycairn.codec import decode, encode
from waycairn.errors import Damaged

torch = pytest.importorskip("torch", reason="torch is not installed")


def tensor_bytes(tensor):
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def dtypes():
    found = {value for value in vars(torch).values() if isinstance(value, torch.dtype)}
    return sorted(found, key=str)


REFUSED = ("torch.q", "torch.bits")


@pytest.mark.parametrize("dtype", [d for d in dtypes() if not str(d).startswith(REFUSED)], ids=str)
def test_any_dtype(dtype):
    """Every dtype that torch has keeps its bits: bfloat16, float8, complex, bool, the sub-byte ones."""
    content = torch.randint(0, 256, (4096,), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # complex32 is experimental, says torch
        content = content % 2 if dtype == torch.bool else content
        tensor = content.view(dtype)
        restored = round_trip({"t": [tensor, tensor[:3]]})["t"]
        assert restored[0].dtype == dtype
        assert tensor_bytes(restored[0]) == tensor_bytes(tensor)
        assert tensor_bytes(restored[1]) == tensor_bytes(tensor[:3])


def test_shared_storage_is_stored_once_and_shared_again():
    """Tied weights, rows, transposed and strided views of one storage: one buffer, one storage."""
    weight = torch.randn(100, 50)
    state = {
        "w": weight,
        "tied": weight,
        "row": weight[3],
        "t": weight.T,
        "odd": weight[1::2, ::3],
        "flat": weight.view(-1),
    }
    assert [buffer.nbytes for buffer in encode(state).buffers] == [20000]
    restored = round_trip(state)
    for name, tensor in state.items():
        assert torch.equal(restored[name], tensor)
        assert restored[name].stride() == tensor.stride()
        assert restored[name].untyped_storage()._cdata == restored["w"].untyped_storage()._cdata
    restored["w"].zero_()
    assert not any(tensor.any() for tensor in restored.values())


def test_views_of_other_dtypes_share_too():
    """A byte view at an odd offset and a float view of one storage."""
    storage = torch.arange(4000).to(torch.uint8)
    state = [storage[17:2000], storage[1016:3016].view(torch.float64)]
    restored = round_trip(state)
    assert [tensor_bytes(tensor) for tensor in restored] == [tensor_bytes(tensor) for tensor in state]
    restored[1].zero_()
    assert not restored[0][1000:].any()
    assert restored[1].data_ptr() % 8 == 0


def test_only_what_is_shown_is_stored():
    """A row of a large matrix stores the row."""
    large = torch.zeros(1000, 1000)
    assert encode([large[5], large[900]]).size < 10_000
    assert encode([large[:, 5]]).size < 6_000


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor(2.5),
        torch.zeros(0, 3),
        torch.randn(2, 3, 16, 16).to(memory_format=torch.channels_last),
        torch.zeros(1, 4).expand(1000, 4),
        torch.randn(30, 40).T,
        torch.randn(30, 40)[::2, ::2],
        torch.tensor([float("nan"), -0.0]),
    ],
    ids=lambda tensor: f"{tuple(tensor.shape)}{tensor.stride()}",
)
def test_shapes_and_strides(tensor):
    """0-d, empty, channels-last, expanded and non-contiguous tensors."""
    restored = round_trip((tensor,))[0]
    assert restored.shape == tensor.shape
    assert tensor_bytes(restored) == tensor_bytes(tensor)
    dense = tensor.numel() <= 1 or tensor.stride()[-1] != 2
    assert restored.stride() == (tensor.stride() if dense else tensor.contiguous().stride())
    assert encode([tensor]).size < 8000


def test_gradients_and_parameters():
    """requires_grad and Parameter come back; a conjugate view comes back as its value."""
    state = {
        "p": torch.nn.Parameter(torch.ones(3)),
        "frozen": torch.nn.Parameter(torch.ones(3, dtype=torch.int32), requires_grad=False),
        "leaf": torch.ones(3, requires_grad=True),
        "conj": torch.tensor([1 + 2j]).conj(),
        "neg": torch.tensor([1 + 2j]).conj().imag,
    }
    restored = round_trip(state)
    for name, tensor in state.items():
        assert type(restored[name]) is type(tensor)
        assert restored[name].requires_grad == tensor.requires_grad
        assert torch.equal(restored[name], tensor)


def test_training_state():
    """A model and an optimizer, by their state_dict(), go on to the same weights."""
    torch.manual_seed(0)

    def make():
        model = torch.nn.Sequential(torch.nn.Linear(20, 30), torch.nn.BatchNorm1d(30), torch.nn.Linear(30, 1))
        return model, torch.optim.AdamW(model.parameters(), lr=0.01)

    def step(model, optimizer, data):
        optimizer.zero_grad()
        model(data).pow(2).mean().backward()
        optimizer.step()

    data = torch.randn(16, 20)
    model, optimizer = make()
    step(model, optimizer, data)
    state = round_trip({"model": model.state_dict(), "optimizer": optimizer.state_dict()})
    other, other_optimizer = make()
    other.load_state_dict(state["model"])
    other_optimizer.load_state_dict(state["optimizer"])
    assert state["model"]._metadata == model.state_dict()._metadata
    step(model, optimizer, data)
    step(other, other_optimizer, data)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_a_part_of_a_model():
    """only= takes the parameters below a dotted prefix and fetches nothing else."""
    model = torch.nn.Sequential(torch.nn.Linear(40, 40), torch.nn.Linear(40, 40))
    state = {"model": model.state_dict(), "big": torch.zeros(10000)}
    part = round_trip(state, only="model.1")
    assert part.keys() == {"weight", "bias"}
    assert torch.equal(part["weight"], model[1].weight)
    assert torch.equal(round_trip(state, only="model.1.bias"), model[1].bias)


def test_small_values():
    """Sizes, dtypes, devices and a generator of the CPU."""
    generator = torch.Generator().manual_seed(4)
    state = [torch.zeros(2, 3).shape, torch.bfloat16, torch.device("cuda", 1), torch.device("cpu"), generator]
    restored = round_trip(state)
    assert restored[:4] == state[:4]
    assert type(restored[0]) is torch.Size
    assert torch.equal(torch.rand(3, generator=restored[4]), torch.rand(3, generator=generator))


def test_a_buffer_that_is_too_short():
    """A tensor never shows more than the buffer holds."""
    document = encode(torch.zeros(1000)).document
    with pytest.raises(Damaged, match="shorter"):
        decode(document, lambda _: memoryview(bytearray(3999)))


def test_buffers_are_the_tensor_itself():
    """No copy on the way out, and fetched memory is adopted on the way in."""
    tensor = torch.zeros(100, 50)
    (buffer,) = encode(tensor).buffers
    buffer[:4] = b"\x00\x00\x80\x3f"
    assert tensor[0, 0] == 1


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: torch.eye(3).to_sparse(), r"sparse.*to_dense\(\)"),
        (lambda: torch.eye(3).to_sparse_csr(), r"sparse.*to_dense\(\)"),
        (lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), r"qint8.*dequantize\(\)"),
        (lambda: torch.empty(3, device="meta"), "meta device"),
        (lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]), "nested tensor"),
        (lambda: torch.zeros(3).as_subclass(type("Sub", (torch.Tensor,), {})), "Sub, a kind of tensor"),
        (lambda: torch.nn.Linear(1, 1), r"state_dict\(\).*run\.track"),
    ],
)
def test_what_is_refused(make, reason):
    """What could not come back as it is says so, with its path and the way out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # beta features, says torch
        value = make()
    with pytest.raises(TypeError, match=rf'^state\["optimizer"\]\[0\] is .*{reason}'):
        encode({"optimizer": [value]})
