"""Arrays of a state into files that other programs read: npz and safetensors. Written whole or not at all."""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from waycairn.errors import WaycairnError
from waycairn.upkeep.paths import arrays_of, is_tensor
from waycairn.upkeep.readable import dtype_name
from waycairn.world.files import flush, flush_directory, translated


class CannotExport(WaycairnError):
    """The state cannot be written in that format. Nothing was written."""


@contextmanager
def new_file(path: Path, *, force: bool) -> Iterator[Path]:
    """A draft beside `path` that takes its name, durably, when the block ends well, and is gone when it does not.

    Readable by its owner only, as the store is. Raises CannotExport if there is such a file and `force` is false.
    """
    if path.exists() and not force:
        raise CannotExport(f"{path} is there already. Nothing was written. Choose another name, or add --force.")
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    with translated("the export", path):
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                yield draft
                flush(handle)
            finally:
                os.close(handle)
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        flush_directory(path.absolute().parent)


def named_arrays(state: Any) -> Mapping[str, Any]:
    """Path to array. Two of one path (a key may hold dots) get `#2`, `#3` behind it. CannotExport if there is none."""
    named: dict[str, Any] = {}
    for path, array in arrays_of(state):
        name, count = path, 1
        while name in named:
            count += 1
            name = f"{path}#{count}"
        named[name] = array
    if not named:
        raise CannotExport("the state holds no arrays. Nothing was written. Use --format json.")
    return named


def write_npz(draft: Path, named: Mapping[str, Any]) -> None:
    """numpy's archive of named arrays, as `numpy.load` reads it."""
    from numpy.lib.format import write_array

    with zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in named.items():
            plain = as_numpy(name, array)
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                write_array(member, plain, allow_pickle=False)


def as_numpy(name: str, array: Any) -> Any:
    """An array or tensor as numpy has it, uncopied where that can be. Raises CannotExport."""
    if not is_tensor(array):
        return array
    try:
        return array.detach().cpu().resolve_conj().resolve_neg().numpy()
    except TypeError:
        raise CannotExport(
            f"{name} is a tensor of {dtype_name(array)}, which numpy does not have. Nothing was written. "
            "Use --format safetensors."
        ) from None


def write_safetensors(draft: Path, named: Mapping[str, Any], facts: Mapping[str, str]) -> None:
    """The safetensors format, by its own library; `facts` become its metadata."""
    try:
        import safetensors
    except ImportError:
        raise CannotExport(
            "writing safetensors needs the library of that name. Nothing was written. "
            "Install it: pip install 'waycairn[safetensors]'"
        ) from None
    try:
        if any(is_tensor(array) for array in named.values()):
            from safetensors.torch import save_file as save_tensors

            save_tensors({name: _as_tensor(array) for name, array in named.items()}, str(draft), dict(facts))
        else:
            from safetensors.numpy import save_file as save_arrays

            save_arrays({name: native(array) for name, array in named.items()}, str(draft), dict(facts))
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CannotExport(
            f"safetensors cannot hold these arrays ({error}). Nothing was written. Use --format npz or json."
        ) from error


def _as_tensor(array: Any) -> Any:
    """A tensor with memory of its own: the format has no shared or strided ones."""
    if not is_tensor(array):
        # Some tensor came out of the state, so torch is here; it is imported in one module only.
        return sys.modules["torch"].from_numpy(native(array).copy())
    return array.detach().cpu().resolve_conj().resolve_neg().contiguous().clone()


def native(array: Any) -> Any:
    """C order, little-endian, a copy only where it is not so."""
    import numpy as np

    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)
