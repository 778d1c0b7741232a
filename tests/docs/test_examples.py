"""Every example in the README and the documentation that is marked as Python runs, as a reader would run it.

The rule: a block fenced as `python` is a program and runs here; a fragment is fenced as `py`. The blocks of a page run
one after the other in one folder, as the page tells its story.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _name(page):
    return str(page.relative_to(ROOT))


def programs(page):
    return BLOCK.findall(page.read_text("utf-8"))


WITH_EXAMPLES = [page for page in PAGES if programs(page)]


def test_there_are_examples():
    """The README, the tutorial and the guides have some; a changed fence would silence this whole file."""
    names = {_name(page) for page in WITH_EXAMPLES}
    assert {"README.md", "docs/tutorial/first-job.md", "docs/how-to/resume-a-batch.md"} <= names
    assert sum(len(programs(page)) for page in WITH_EXAMPLES) >= 10


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=_name)
def test_examples_run(page, tmp_path):
    """Pasted into a file in an empty folder, they run to the end, twice: the second time everything is done."""
    source = "\n".join(programs(page))
    (tmp_path / "page.py").write_text(source, "utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WAYCAIRN")}
    for _ in range(2):
        ran = subprocess.run(
            [sys.executable, "-W", "error", "page.py"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, f"{_name(page)}:\n{ran.stdout}\n{ran.stderr}"
