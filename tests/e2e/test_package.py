"""The wheel: installed without this folder, everything that is read while running is in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("lunas", "workflows", "activities", "api", "templates", "deploy")
#: Files of `deploy/` that people and other programs read, never ours.
FOR_OTHERS = ("Dockerfile", "locks", "runbooks", "k8s", "pictures", "bootstrap", "example.env", "schema.sh")

READS_EVERYTHING = """
import asyncio, sys
from pathlib import Path

installed = Path(sys.argv[1])
import activities.texts, api.pages.rendering, deploy.demo.story, deploy.embedded.inbox.web, lunas.ledger.migrations
import lunas.policies, templates
for module in (activities, api, deploy, lunas, templates):
    assert installed in Path(module.__file__).parents, module.__file__

from lunas.settings import Settings
company = Settings().company
for name in lunas.policies.policy_names():
    lunas.policies.load_policy(name)
activities.texts.Texts(company).check()
pages = api.pages.rendering.Pages(company)
for page in (templates.ROOT / "pages").glob("*.html"):
    pages._templates.get_template(page.name)
assert deploy.demo.story._INVOICES.read_text("utf-8")
for asset in (*deploy.embedded.inbox.web._ASSETS, "page.html.j2"):
    assert (deploy.embedded.inbox.web._FOLDER / asset).read_bytes()
asyncio.run(lunas.ledger.migrations.migrate("sqlite:///" + sys.argv[2]))
"""


def our_files() -> set[str]:
    found = (path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file())
    names = {path.relative_to(ROOT).as_posix() for path in found if path.suffix not in {".pyc", ".pyo"}}
    return {name for name in names if not any(part.startswith((".", *FOR_OTHERS)) for part in Path(name).parts)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: building leaves its own folders behind."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / file, source)
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(out)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def test_no_file_is_left_behind(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        assert our_files() - set(packed.namelist()) == set()


def test_what_runs_from_the_wheel_finds_its_files(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "installed")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LUNAS_")}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(READS_EVERYTHING), tmp_path / "installed", tmp_path / "ledger.db"],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
