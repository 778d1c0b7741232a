"""What was recorded starts the same program again, from any directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

TELL = """
import json, sys
from waycairn.process import current_launch
launch = current_launch()
print(json.dumps([launch.argv, launch.directory, dict(launch.environment), sys.argv[1:]]))
"""


def run(command, cwd, **environment):
    out = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=True, env={**os.environ, **environment}
    ).stdout
    return json.loads(out)


@pytest.mark.parametrize("way", ["script", "options", "module", "package", "code", "console"])
def test_a_recorded_command_line_starts_again(tmp_path, way):
    """python job.py, python -X.. job.py, python -m job, python -m package, python -c, and a console script."""
    (tmp_path / "job.py").write_text(TELL)
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__main__.py").write_text(TELL)
    console = tmp_path / "console"
    console.write_text(f"#!{sys.executable}\n{TELL}")
    console.chmod(0o755)
    command = {
        "script": [sys.executable, "job.py"],
        "options": [sys.executable, "-X", "utf8", "-W", "ignore", "./job.py"],
        "module": [sys.executable, "-m", "job"],
        "package": [sys.executable, "-m", "pack"],
        "code": [sys.executable, "-c", TELL],
        "console": ["./console"],
    }[way]
    arguments = ["--name", "job.py", "two words"]
    argv, directory, environment, seen = run([*command, *arguments], tmp_path)
    assert seen == arguments
    assert directory == str(tmp_path)
    again = run(argv, directory, **environment)
    assert again == [argv, directory, environment, seen]


def test_a_script_is_found_from_another_directory(tmp_path):
    """A relative script is recorded absolute: the job may have changed its directory before it entered the run."""
    (tmp_path / "job.py").write_text("import os\nos.chdir('/')\n" + TELL)
    argv, directory, _, _ = run([sys.executable, "job.py"], tmp_path)
    assert argv == [sys.executable, str(tmp_path / "job.py")]
    assert directory == "/"


def test_secrets_of_the_environment_are_not_recorded(tmp_path):
    """Only names of a short list are kept."""
    _, _, environment, _ = run(
        [sys.executable, "-c", TELL], tmp_path, DB_PASSWORD="hush", WAYCAIRN_STORE="postgresql://u:hush@h", TZ="UTC"
    )
    assert environment["TZ"] == "UTC"
    assert "PATH" in environment
    assert "hush" not in json.dumps(environment)


def test_the_directory_of_the_store_is_recorded(tmp_path):
    """A resumed run looks for its store where the first one had it."""
    _, _, environment, _ = run([sys.executable, "-c", TELL], tmp_path, WAYCAIRN_STORE=str(tmp_path / "store"))
    assert environment["WAYCAIRN_STORE"] == str(tmp_path / "store")
