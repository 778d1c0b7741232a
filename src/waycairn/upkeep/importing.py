"""Files of named arrays that other programs wrote, as a value: npz and safetensors. No code from them is run."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from waycairn.errors import WaycairnError


class CannotImport(WaycairnError):
    """The file cannot be read as what its name says. Nothing was saved."""


def read_arrays(path: Path) -> dict[str, Any]:
    """Name to array or tensor, in the order of the file.

    `.npz` gives numpy arrays. `.safetensors` gives torch tensors where torch is installed, else numpy arrays. Raises
    CannotImport for a file that is truncated, damaged, or of another kind; FileNotFoundError.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise CannotImport(
            f"{path} is neither .npz nor .safetensors, so how to read it is not known. Nothing was saved. Convert it, or "
            "load it in Python and save what it holds with wc.save(name, value)."
        )
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}. Nothing was saved.")
    return dict(read(path))


# -- npz ---------------------------------------------------------------------------------------------------------------


def _read_npz(path: Path) -> Mapping[str, Any]:
    _need("numpy")
    try:
        with zipfile.ZipFile(path) as archive:
            return _members(archive)
    except _NOT_NPZ as error:
        raise _no(path, "npz", error) from error


# What a file of other bytes makes zipfile and numpy raise. OSError: it is sent to places that no file has; RuntimeError:
# it is encrypted.
_NOT_NPZ = (
    *(zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, SyntaxError, RuntimeError, MemoryError),
    *(NotImplementedError, KeyError, IndexError, TypeError, struct.error),
)


def _members(archive: zipfile.ZipFile) -> Mapping[str, Any]:
    members = archive.infolist()
    if len({member.filename for member in members}) < len(members):
        raise ValueError("two of its arrays have the same name")
    return {member.filename.removesuffix(".npy"): _member(archive, member) for member in members}


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Any:
    from numpy.lib.format import read_array

    if not member.filename.endswith(".npy"):
        raise ValueError(f"it holds {member.filename}, which is no array of numpy's")
    with archive.open(member) as stream:
        try:
            # Never with pickle: an array of objects is code.
            array = read_array(stream, allow_pickle=False)
        except ValueError as error:
            raise ValueError(f"{member.filename}: {error}") from None
        if stream.read(1):  # which also compares the checksum of the member
            raise ValueError(f"{member.filename} is longer than its array")
        return array


# -- safetensors -------------------------------------------------------------------------------------------------------


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    _need("safetensors")
    _need("numpy")
    import safetensors

    try:
        return _load_safetensors()(str(path))
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, AttributeError, MemoryError) as error:
        raise _no(path, "safetensors", error) from error


def _load_safetensors() -> Callable[[str], Mapping[str, Any]]:
    """Tensors are what the format is for, and the only way to have bfloat16 and float8."""
    try:
        from safetensors.torch import load_file as load_tensors
    except ImportError:
        from safetensors.numpy import load_file as load_arrays

        return load_arrays
    return load_tensors


_READERS: Mapping[str, Callable[[Path], Mapping[str, Any]]] = {".npz": _read_npz, ".safetensors": _read_safetensors}


def _no(path: Path, form: str, error: BaseException) -> CannotImport:
    said = f"{type(error).__name__}: {error}" if isinstance(error, KeyError | TypeError | AttributeError) else error
    return CannotImport(
        f"{path} cannot be read as {form} ({said}). Nothing was saved. It may be truncated, damaged, or of another kind: "
        "copy it again, or write it anew."
    )


def _need(library: str) -> None:
    try:
        __import__(library)
    except ImportError:
        raise CannotImport(
            f"reading this file needs {library}, which is not installed. Nothing was saved. Install it: pip install "
            f"'waycairn[{library}]'"
        ) from None
