"""PyTorch's own tests of its file system writer and reader, run against ours.

DCP_TESTS names a copy of PyTorch's test/distributed/checkpoint/test_file_system_checkpoint_cpu.py (it is in the source of
PyTorch, not in its wheel, and belongs to PyTorch). It is run as it is; only the two classes are exchanged. Run by
`DCP_TESTS=path .venv/bin/python tests/conformance/torch_dcp.py`.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import unittest
import warnings
from pathlib import Path
from types import ModuleType

NAME = "waycairn_dcp_conformance"


def load(path: Path) -> ModuleType:
    """PyTorch's test module with our writer and reader in it."""
    from waycairn.integrations.torch_dcp import WaycairnReader, WaycairnWriter

    class Writer(WaycairnWriter):
        """Newer versions of the tests hand in transformations of FileSystemWriter's files; we have no such files."""

        def __init__(self, path, thread_count=1, _extensions=None):
            super().__init__(path, thread_count=thread_count)

    class Reader(WaycairnReader):
        def __init__(self, path, _extension_registry=None):
            super().__init__(path)

    spec = importlib.util.spec_from_file_location(NAME, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)
    assert hasattr(module, "FileSystemWriter"), f"{path} is not PyTorch's test_file_system_checkpoint_cpu.py"
    module.FileSystemWriter, module.FileSystemReader = Writer, Reader
    return module


def main() -> int:
    tests = os.environ.get("DCP_TESTS")
    if not tests:
        print("skipped: PyTorch's tests were not given (DCP_TESTS=path/to/test_file_system_checkpoint_cpu.py)")
        return 0
    if importlib.util.find_spec("torch") is None:
        print("skipped: torch is not installed")
        return 0
    module = load(Path(tests))
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    result = unittest.TextTestRunner(verbosity=2, warnings="ignore").run(suite)
    passed = result.testsRun - len(result.failures) - len(result.errors) - len(result.skipped)
    print(f"{passed} of {result.testsRun} passed, {len(result.skipped)} skipped by their own conditions")
    return 0 if result.wasSuccessful() and passed else 1


if __name__ == "__main__":
    sys.exit(main())
elif __name__ == "__mp_main__":
    # A rank that a test started: it looks for its test in the module by name.
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    load(Path(os.environ["DCP_TESTS"]))
