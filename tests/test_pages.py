"""The pages as a whole: links lead somewhere, examples are what the programs read, and what is generated is current."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from updater.config.daemon import load_settings
from updater.config.options import OPTIONS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
CONFIGURATION = ROOT / "docs" / "configuration.md"
SETTINGS = [
    (page.name, text)
    for page in PAGES
    for language, text in FENCED.findall(page.read_text("utf-8"))
    if language == "yaml" and text.startswith("# updater.yaml\n")
]


def anchors(page: Path) -> set[str]:
    """Name a page's headings as forges do in links."""
    headings = HEADING.findall(FENCED.sub("", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCED.sub("", page.read_text("utf-8"))):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), link
        assert not anchor or anchor in anchors(path), link


def test_every_page_is_found_from_the_front_page() -> None:
    linked = set(LINK.findall((ROOT / "README.md").read_text("utf-8")))
    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= linked


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_yaml_is_yaml(page: Path) -> None:
    for language, text in FENCED.findall(page.read_text("utf-8")):
        if language == "yaml":
            list(YAML(typ="safe", pure=True).load_all(text))


@pytest.mark.parametrize(("page", "text"), SETTINGS)
def test_settings_of_the_pages_are_read(page: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "updater.yaml"
    path.write_text(text)
    load_settings(path, {})


def test_the_page_of_settings_is_what_the_code_says() -> None:
    script = ROOT / "scripts" / "configuration_reference.py"
    made = subprocess.run([sys.executable, script], check=True, capture_output=True, text=True, cwd=ROOT).stdout
    assert made == CONFIGURATION.read_text("utf-8"), "run make docs"


def test_every_setting_is_described() -> None:
    rows = re.findall(r"^\| `[a-z_]+` \|.*\| (.*) \|$", CONFIGURATION.read_text("utf-8"), re.MULTILINE)
    assert len(rows) == len(OPTIONS)
    assert all(row.strip() for row in rows)


def test_each_threat_has_tests_that_exist() -> None:
    table = (ROOT / "docs" / "security.md").read_text("utf-8")
    code = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    rows = [row for row in table.splitlines() if row.startswith("| ") and "what prevents it" not in row]
    assert all("`test_" in row for row in rows)
    missing = [name for name in re.findall(r"`(test_\w+)`", table) if f"def {name}(" not in code]
    assert missing == []
