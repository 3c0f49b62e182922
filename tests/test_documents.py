"""What the documents claim is there."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
ROOT = DOCS.parent


def test_each_difference_names_a_test_that_is_there() -> None:
    named = re.findall(r"`(tests/[a-z_/]+\.py)::(test_\w+)`", (DOCS / "differences.md").read_text())
    assert len(named) > 10
    missing = [f"{file}::{test}" for file, test in named if f"def {test}(" not in (ROOT / file).read_text()]
    assert missing == []


def test_each_difference_has_a_test() -> None:
    rows = [line for line in (DOCS / "differences.md").read_text().splitlines() if line.startswith("| ")][1:]
    assert [row for row in rows if "::test_" not in row] == []


def test_links_between_documents_lead_somewhere() -> None:
    for document in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+\.md)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
