"""numpy arrays come back bit by bit, with shared memory shared again, uncopied on the way out."""

import random

import pytest

from codec_states import round_trip
from waycairn.codec import decode, encode
from waycairn.codec.codes import INLINE

np = pytest.importorskip("numpy", reason="numpy is not installed")

import hypothesis.extra.numpy as hnp  # noqa: E402 - after the skip
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402


def same_array(one, two):
    return (
        type(one) is type(two)
        and one.dtype == two.dtype
        and one.shape == two.shape
        and one.flags.c_contiguous == two.flags.c_contiguous
        and one.tobytes() == two.tobytes()
    )


DTYPES = st.one_of(
    hnp.scalar_dtypes(),
    hnp.unicode_string_dtypes(max_len=5),
    hnp.byte_string_dtypes(max_len=5),
    hnp.datetime64_dtypes(),
    hnp.timedelta64_dtypes(),
    hnp.array_dtypes(hnp.scalar_dtypes(), max_size=3, allow_subarrays=True),
    hnp.nested_dtypes(hnp.scalar_dtypes(), max_leaves=4),
)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_array(data):
    """Any dtype, shape (0-d and empty too), byte order and memory order."""
    dtype = data.draw(DTYPES)
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
    count = int(np.prod(shape)) * dtype.itemsize
    array = np.ndarray(shape, dtype, bytearray(random.Random(count).randbytes(count + dtype.itemsize)))
    if data.draw(st.booleans()):
        array = array.transpose(data.draw(st.permutations(range(array.ndim))))
    restored = round_trip({"a": [array]})["a"][0]
    assert same_array(restored, np.array(array, order="K", copy=True) if not array.flags.c_contiguous else array)
    assert restored.flags.writeable


@pytest.mark.parametrize(
    "array",
    [
        np.arange(5000.0),
        np.arange(6000).reshape(60, 100).T,
        np.arange(6000).reshape(60, 100)[::2, ::-3],
        np.broadcast_to(np.arange(50), (100, 50)),
        np.arange(24000).reshape(20, 30, 40).transpose(2, 0, 1),
        np.arange(10)[::3][:1],
        np.arange(1000, dtype=">i8"),
        np.arange(1000, dtype="f2"),
        np.array(3.5),
        np.zeros((0, 3)),
        np.array([True, False] * 2000),
        np.array(["2026-01-01", "NaT"], "M8[ns]"),
        np.array([(1, 2.5, b"x")], [("a", "i4"), ("b", "f8"), ("c", "S3")]),
        np.zeros(3, np.dtype([("a", "i1"), ("b", "f8")], align=True)),
        np.zeros(3, {"names": ["lo", "all"], "formats": ["u1", "u4"], "offsets": [0, 0], "itemsize": 8}),
        np.array(["ä", "bcd"]),
        np.frombuffer(b"read only bytes "),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays(array):
    """The kinds of arrays that jobs keep; non-contiguous ones come back with the same values."""
    restored = round_trip([array])[0]
    assert (restored.dtype, restored.shape) == (array.dtype, array.shape)
    assert restored.dtype.isalignedstruct == array.dtype.isalignedstruct
    assert restored.tobytes() == array.tobytes()
    assert restored.flags.writeable
    assert restored.flags.aligned


def test_memory_order_is_kept():
    """Dense arrays keep the order of their axes: Fortran stays Fortran."""
    array = np.asfortranarray(np.arange(6000.0).reshape(60, 100))
    assert round_trip([array])[0].strides == array.strides
    permuted = np.arange(24000).reshape(20, 30, 40).transpose(1, 0, 2)
    assert round_trip([permuted])[0].strides == permuted.strides


def test_buffers_are_the_array_itself():
    """No copy: the buffer shows the memory of the array, also of a Fortran one and of a slice."""
    array = np.zeros((100, 50))
    for view in (array, array.T, array[10:60]):
        (buffer,) = encode([view]).buffers
        assert np.shares_memory(np.frombuffer(buffer, np.uint8), view)
        assert buffer.nbytes == view.nbytes
        assert buffer.contiguous


def test_small_arrays_lie_in_the_document():
    """A buffer of its own costs more than a few bytes in the document."""
    assert not encode(np.zeros(INLINE, np.uint8)).buffers
    assert len(encode(np.zeros(INLINE + 1, np.uint8)).buffers) == 1


def test_views_share_memory_again():
    """Two views of one array are stored once, and a write through one shows in the other after the round trip."""
    whole = np.arange(10000.0)
    state = {"whole": whole, "part": whole[100:200], "odd": whole.reshape(100, 100)[:, 1::2], "again": whole}
    assert encode(state).buffers[0].nbytes == whole.nbytes
    assert len(encode(state).buffers) == 1
    restored = round_trip(state)
    for name, array in state.items():
        assert np.array_equal(restored[name], array)
    restored["whole"][:] = -1
    assert all((restored[name] == -1).all() for name in state)


def test_views_of_a_transposed_base_and_other_dtypes():
    """Sharing does not depend on the order or the dtype of the views."""
    base = np.asfortranarray(np.arange(6000, dtype="i4").reshape(60, 100))
    state = [base[:, 3:9], base.T[4:8].view("u2"), base[5:50]]
    restored = round_trip(state)
    for one, two in zip(restored, state, strict=True):
        assert np.array_equal(one, two)
        assert one.strides == two.strides
    restored[0][:] = 7
    assert (restored[2][:, 3:9] == 7).all()


def test_memory_that_nothing_shows_is_not_stored():
    """A small view of a large array stores the view, and two far apart ones store two pieces."""
    large = np.zeros(1_000_000)
    encoded = encode([large[500:1500], large[900_000:901_000], large[1000:2000]])
    assert [buffer.nbytes for buffer in encoded.buffers] == [12000, 8000]
    assert encoded.size < 25_000


def test_a_strided_view_without_a_dense_base():
    """An array over foreign memory that is nowhere dense is copied, even when it appears twice."""
    gaps = np.ndarray((1000,), "f8", bytearray(16000), strides=(16,))
    gaps[:] = np.arange(1000)
    restored = round_trip([gaps, gaps])
    assert np.array_equal(restored[0], gaps)
    assert np.array_equal(restored[1], gaps)


def test_views_of_a_memmap(tmp_path):
    """An array over a mapped file is an array; the map itself is refused, with what to do."""
    mapped = np.memmap(tmp_path / "m", "f8", "w+", shape=(1000,))
    view = np.asarray(mapped)
    restored = round_trip([view, view[5:]])
    assert np.shares_memory(*restored)
    with pytest.raises(TypeError, match=r"state\[0\] is a numpy\.memmap.*numpy\.asarray"):
        encode([mapped])


@pytest.mark.parametrize(
    "scalar",
    [
        np.float64("nan"),
        np.float32(1.5),
        np.int8(-3),
        np.bool_(True),
        np.datetime64("2026-01-01", "D"),
        np.timedelta64(5, "us"),
        np.complex64(1j),
        np.longdouble("1.1"),
        np.str_("a\0"),
        np.bytes_(b"a\0"),
        np.str_(""),
        np.float16(0.1),
        np.array([(1, 2.0)], "i4,f8")[0],
    ],
    ids=repr,
)
def test_scalars(scalar):
    """numpy scalars stay numpy scalars, also as keys and in sets."""
    restored = round_trip([scalar])[0]
    assert type(restored) is type(scalar)
    assert restored.dtype == scalar.dtype
    assert restored.tobytes() == scalar.tobytes()
    if not isinstance(scalar, np.void):
        assert type(next(iter(round_trip({scalar: 1})))) is type(scalar)
        assert type(next(iter(round_trip({scalar})))) is type(scalar)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.array([1, "a"], object), "object"),
        (np.zeros(2, [("a", "O")]), "Python objects"),
        (np.ma.masked_array([1, 2], [True, False]), "MaskedArray.*numpy.asarray"),
        (np.rec.array([(1, 2)], "i4,i4"), "recarray"),
        (np.array(["a", "bc"], np.dtypes.StringDType()), "dtype"),
        (np.zeros(1, np.dtype([((1, "a"), "i4")])), "titles"),
    ],
)
def test_what_is_refused(array, reason):
    """Arrays that could not come back as they are say so, with their path."""
    with pytest.raises(TypeError, match=rf'^state\["weights"\]\[1\] .*{reason}'):
        encode({"weights": [1, array]})


@pytest.mark.parametrize("kind", ["MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"])
def test_generators_go_on(kind):
    """A Generator gives the numbers it would have given, and spawns the children it would have spawned."""
    rng = np.random.Generator(getattr(np.random, kind)(5))
    rng.random(3, dtype=np.float32)
    rng.spawn(2)
    restored = round_trip({"rng": rng})["rng"]
    assert np.array_equal(restored.random(5, dtype=np.float32), rng.random(5, dtype=np.float32))
    assert np.array_equal(restored.integers(0, 9, 5), rng.integers(0, 9, 5))
    assert np.array_equal(restored.spawn(1)[0].random(3), rng.spawn(1)[0].random(3))
    bits = round_trip(rng.bit_generator)
    assert np.array_equal(bits.random_raw(3), rng.bit_generator.random_raw(3))


def test_the_old_random_state():
    """RandomState, gauss' second number included."""
    rng = np.random.RandomState(3)
    rng.randn(3)
    restored = round_trip([rng])[0]
    assert np.array_equal(restored.randn(5), rng.randn(5))


def test_a_read_only_buffer_is_copied():
    """A fetch that hands out read-only memory still gives arrays that the job can go on changing."""
    array = np.arange(1000.0)
    encoded = encode([array])
    restored = decode(encoded.document, lambda i: memoryview(bytes(encoded.buffers[i])))[0]
    restored[0] = 5
    assert restored[1] == 1
    adopted = bytearray(encoded.buffers[0])
    assert np.shares_memory(decode(encoded.document, lambda _: memoryview(adopted))[0], np.frombuffer(adopted, "u1"))
