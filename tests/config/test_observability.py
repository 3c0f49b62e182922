"""The alerts and the dashboard: they ask for series that there are, and the alerts go off when they should."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from updater.adapters.metrics.counting import Metrics
from updater.adapters.metrics.state import State
from updater.adapters.notifications import Destinations
from updater.app import open_daemon
from updater.config.daemon import load_settings
from updater.domain.decision import Reason
from updater.stages.board import Board
from updater.stages.leadership import Alone

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "config/observability"
ALERTS = YAML(typ="safe").load(PLACE / "alerts.yaml")["groups"][0]["rules"]
PANELS = json.loads((PLACE / "dashboard.json").read_text())["panels"]
_NAME = re.compile(r"\b(?:updater|argocd|process)_[a-z_]+\b")


class NoRegistries:
    def registries(self) -> list[object]:
        return []


def series() -> set[str]:
    """Return the names of all series, as far as something was counted or not."""
    metrics = Metrics()
    state = State({}, Board(), NoRegistries(), Alone(), dict, metrics.hosts)  # type: ignore[arg-type]
    metrics.registry.register(state)
    names = set(re.findall(r"^# TYPE (\S+)", metrics.exposition()[0].decode(), re.MULTILINE))
    return names | {f"{name}_{part}" for name in names for part in ("bucket", "sum", "count")}


@pytest.mark.parametrize("asked", [rule["expr"] for rule in ALERTS], ids=[rule["alert"] for rule in ALERTS])
def test_alert_asks_for_series_that_there_are(asked: str) -> None:
    assert set(_NAME.findall(asked)) <= series()


@pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
def test_panel_asks_for_series_that_there_are(panel: dict[str, list[dict[str, str]]]) -> None:
    names = {name for target in panel["targets"] for name in _NAME.findall(target["expr"])}
    assert names
    assert names <= series()


def test_every_series_is_on_the_dashboard_and_in_the_documentation() -> None:
    own = {
        name for name in series() if name.startswith("updater_") and not name.endswith(("_bucket", "_sum", "_count"))
    }
    page = (ROOT / "docs/operations.md").read_text()
    shown = json.dumps(PANELS)
    assert {name for name in own if f"`{name}`" not in page} == set()
    assert {name for name in own if name not in shown} == set()


def test_every_alert_is_documented() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    assert [rule["alert"] for rule in ALERTS if f"`{rule['alert']}`" not in page] == []


@pytest.mark.integration
def test_alerts_go_off_when_they_should() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("install prometheus")
    command = ("promtool", "test", "rules", "alerts_test.yaml")
    done = subprocess.run(command, cwd=PLACE, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_every_alert_has_a_test_in_which_it_goes_off() -> None:
    tests = YAML(typ="safe").load(PLACE / "alerts_test.yaml")["tests"]
    fired = {each["alertname"] for test in tests for each in test["alert_rule_test"] if each.get("exp_alerts")}
    assert fired == {rule["alert"] for rule in ALERTS}


def test_every_reason_of_a_decision_has_its_line_in_the_documentation() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    assert [str(reason) for reason in Reason if f"\n| `{reason}` |" not in page] == []


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/operations.md").read_text(), re.DOTALL))
async def test_settings_of_the_page_start_a_daemon(text: str, tmp_path: Path) -> None:
    path = tmp_path / "updater.yaml"
    path.write_text(text + f"applications: {{source: directory, directory: {tmp_path}}}\nstate: {{path: state.db}}\n")
    async with open_daemon(load_settings(path, {})) as daemon:
        (told,) = [each for each in daemon.pipeline.companions if isinstance(each, Destinations)]
        assert told.waiting()
