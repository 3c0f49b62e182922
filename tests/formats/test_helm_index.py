"""The index of a Helm repository, as the programs that keep one write it."""

import json
from datetime import UTC, datetime
from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from updater.formats.helm_index import ChartVersion, Malformed, decode_index

HELM = """\
apiVersion: v1
entries:
  shop:
  - annotations:
      artifacthub.io/changes: |
        - kind: added
        version: 9.9.9
    apiVersion: v2
    appVersion: 7.0.1
    created: "2026-01-02T03:04:05.678901234Z"
    dependencies:
    - name: common
      repository: oci://registry.example.com/charts
      version: 2.x.x
    description: A shop that sells whatever there is to be sold, and whose description is
      so long that it goes on
    digest: aaaa
    name: shop
    urls:
    - https://charts.example.com/shop-1.2.0.tgz
    version: 1.2.0
  - created: "2025-01-02T03:04:05+01:00"
    digest: sha256:bbbb
    name: shop
    version: 1.1.0
  till:
  - name: till
    version: 0.1.0 # the first
generated: "2026-01-02T03:04:05Z"
"""


def versions(text: str, chart: str = "shop") -> list[str]:
    return [each.version for each in decode_index(text.encode())[chart]]


def test_index_of_helm_is_read() -> None:
    charts = decode_index(HELM.encode())
    assert list(charts) == ["shop", "till"]
    assert charts["shop"] == (
        ChartVersion("1.2.0", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "sha256:aaaa"),
        ChartVersion("1.1.0", datetime(2025, 1, 2, 2, 4, 5, tzinfo=UTC), "sha256:bbbb"),
    )
    assert charts["till"] == (ChartVersion("0.1.0"),)


def test_index_with_indented_lists_and_quotes_is_read() -> None:
    text = (
        "---\nentries:\n    'shop':\n      - version: '1.20'\n        name: shop\n      - name: \"shop\"\n"
        '        "version": "1.10"\n    till: []\n'
    )
    assert versions(text) == ["1.20", "1.10"]
    assert versions(text, "till") == []


def test_index_with_windows_line_ends_is_read() -> None:
    assert versions(HELM.replace("\n", "\r\n")) == ["1.2.0", "1.1.0"]


def test_index_in_json_is_read() -> None:
    entries: dict[str, object] = {"shop": [{"version": "1.2.0", "created": None, "urls": []}], "till": None}
    assert versions(json.dumps({"apiVersion": "v1", "entries": entries})) == ["1.2.0"]


@pytest.mark.parametrize("text", ["entries: {}\n", "apiVersion: v1\nentries:\ngenerated: now\n", '{"entries": null}'])
def test_repository_without_charts_has_none(text: str) -> None:
    assert decode_index(text.encode()) == {}


@pytest.mark.parametrize(
    "text",
    [
        "<html>not found</html>",
        "",
        "entries: [a]\n",
        "entries:\n  shop: {version: 1}\n",
        "entries:\n  shop:\n  - name: shop\n",
        "entries:\n  shop:\n  - version: [1]\n",
        "entries:\n  shop:\n  - version: *same\n",
        "entries:\n  shop:\n  - version: |\n      1.0\n",
        "entries:\n  - version: 1.0.0\n",
        "entries:\n    shop:\n  till:\n",
        '{"entries": {"shop": [{"name": "shop"}]}}',
        '{"entries": ',
    ],
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        decode_index(text.encode())


NAMES = st.text("abz-", min_size=1, max_size=4).map(lambda name: f"c{name}")
TEXTS = st.text("a1é日 :#-'\"|>{}[]&*!%@`,?~\u2028\u0085", max_size=60)
MORE = st.dictionaries(NAMES, TEXTS, max_size=3)
NUMBERS = st.integers(0, 120)
VERSIONS = st.builds(lambda *core: ".".join(map(str, core)), NUMBERS, NUMBERS, NUMBERS) | st.sampled_from(
    ["v1.2.3", "1.2.3-rc.1", "1.2.3+b1", "1", "1.20", "0x1F", "1e3"]
)
ENTRY = st.builds(
    lambda more, version, deps: {**more, "dependencies": [{"version": each} for each in deps], "version": version},
    MORE,
    VERSIONS,
    st.lists(VERSIONS, max_size=2),
)


@settings(max_examples=40)
@given(
    charts=st.dictionaries(NAMES, st.lists(ENTRY, min_size=1, max_size=3), max_size=4),
    indented=st.booleans(),
    width=st.sampled_from([40, 80, 4096]),
)
def test_whatever_is_written_in_blocks_reads_as_a_parser_reads_it(
    *, charts: dict[str, list[dict[str, str]]], indented: bool, width: int
) -> None:
    yaml = YAML(typ="rt")
    yaml.width = width
    yaml.allow_unicode = True
    yaml.default_flow_style = False
    if indented:
        yaml.indent(mapping=2, sequence=4, offset=2)
    written = StringIO()
    yaml.dump({"apiVersion": "v1", "entries": charts, "generated": "now"}, written)
    expected = {name: [each["version"] for each in entries] for name, entries in charts.items()}
    found = decode_index(written.getvalue().encode())
    assert {name: [each.version for each in entries] for name, entries in found.items()} == expected


@pytest.mark.parametrize(
    "text",
    [
        f"entries:{' ' * 2_000_000}x\n",
        f"entries:\n  shop:\n  - version: 1{' ' * 2_000_000}x\n",
        f"entries:\n  shop:{' ' * 2_000_000}x\n",
    ],
    ids=["spaces", "spaces in a version", "spaces behind a chart"],
)
def test_what_is_made_to_waste_time_is_refused_at_once(text: str) -> None:
    """A quadratic search in these takes hours."""
    with pytest.raises(Malformed):
        decode_index(text.encode())


def test_versions_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("updater.formats.helm_index._MOST_VERSIONS", 10)
    with pytest.raises(Malformed, match="more than 10 versions"):
        decode_index(("entries:\n  shop:\n" + "  - version: 1\n" * 11).encode())
