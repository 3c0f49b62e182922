"""Settings from the file and the environment: what they come to, and what is said when they are wrong."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from updater.config.daemon import load_settings
from updater.config.environment import secret_variables, unsupported_variables
from updater.config.options import OPTIONS, SECTIONS, Option
from updater.domain.errors import Misconfigured
from updater.settings.daemon import Settings, Web, Webhooks
from updater.settings.units import Duration, Interval, Size

SAMPLE = Path(__file__).parents[2] / "config" / "updater.yaml"

Load = Callable[..., Settings]
NEEDS = {
    "applications.source": {"UPDATER_APPLICATIONS_DIRECTORY": "manifests"},
    "applications.directory": {"UPDATER_APPLICATIONS_SOURCE": "directory"},
    "web.tls_key": {"UPDATER_WEB_TLS_CERT": "tls.crt"},
    "webhooks.tls_key": {"UPDATER_WEBHOOKS_TLS_CERT": "tls.crt"},
    "webhooks.gar_audience": {"UPDATER_WEBHOOKS_GAR_SERVICE_ACCOUNT": "push@example.com"},
    "webhooks.gar_service_account": {"UPDATER_WEBHOOKS_GAR_AUDIENCE": "updater"},
}
"""Variables without which an option may not be set."""
BEGINNINGS = {"updates.schedule": "allow", "webhooks.gar_keys": "https:"}
"""Of what an option takes, where its type does not tell."""
TEXTS = (
    "true",
    "git=error",
    "false",
    "localhost:9",
    "9s",
    "7",
    "9",
    "updated",
    "allow 0 22 * * * 4h",
    "https://x/keys",
)


def another(option: Option) -> str:
    """Find a text for a value that is not the default."""
    for text in (*TEXTS, *map(str, get_args(option.type))):
        with contextlib.suppress(Misconfigured):
            if not text.startswith(BEGINNINGS.get(option.path, "")):
                continue
            if option.convert_text(text, Path.cwd()) != option.of(Settings()):
                return text
    raise AssertionError(f"no value for {option.path}")


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str = "", **environ: str) -> Settings:
        path = tmp_path / "updater.yaml"
        path.write_text(text, "utf-8")
        return load_settings(path, environ)

    return load


@pytest.fixture
def complaint(load: Load) -> Callable[..., str]:
    def complaint(text: str = "", **environ: str) -> str:
        with pytest.raises(Misconfigured) as caught:
            load(text, **environ)
        return str(caught.value)

    return complaint


class TestSampleFile:
    def test_says_the_defaults(self) -> None:
        assert load_settings(SAMPLE, {}) == Settings()

    def test_has_every_option(self) -> None:
        content: Mapping[str, Mapping[str, object]] = YAML(typ="safe", pure=True).load(SAMPLE.read_text())
        assert {f"{section}.{key}" for section, keys in content.items() for key in keys} == set(OPTIONS)

    def test_explains_every_option(self) -> None:
        """Each key has a comment above it, or shares that of the key before."""
        lines = [line.strip() for line in SAMPLE.read_text().splitlines()]
        bare = [
            line
            for above, line in zip(["", *lines], lines, strict=False)
            if line and not line.startswith("#") and not above.startswith("#")
        ]
        assert bare == ["email: noreply@argoproj.io"]


class TestFile:
    def test_values_are_read_in_their_units(self, load: Load) -> None:
        settings = load("git: {linger: 500ms, max_pack: 1Gi, push_tries: 9}\npolling:\n  interval: 1h30m\n")
        assert settings.git.linger == 0.5
        assert settings.git.max_pack == 2**30
        assert settings.git.push_tries == 9
        assert settings.polling.interval == Interval(5400)

    def test_relative_paths_start_at_the_file(self, load: Load, tmp_path: Path) -> None:
        settings = load(
            "state: {path: state.db}\nregistries: {file: /etc/registries.conf, script_directories: [bin]}\n"
        )
        assert settings.state.path == tmp_path / "state.db"
        assert settings.registries.file == Path("/etc/registries.conf")
        assert settings.registries.script_directories == (tmp_path / "bin",)

    @pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "git:\n", "git: {}\n"])
    def test_what_is_left_out_keeps_its_default(self, load: Load, text: str) -> None:
        assert load(text) == Settings()

    def test_no_file_is_all_defaults(self) -> None:
        assert load_settings(None, {}) == Settings()

    def test_anchors_and_merges_are_yaml(self, load: Load) -> None:
        settings = load("git: &git {linger: &time 3s}\npolling: {interval: *time}\n")
        assert settings.git.linger == settings.polling.interval == Duration(3)

    def test_zero_needs_no_unit(self, load: Load) -> None:
        assert load("git: {linger: 0}").git.linger == Duration(0)


class TestWrongFile:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("git: {linger: 5}", "git.linger is 5: write a duration with its unit, such as 500ms, 2m or 1h30m"),
            ("git: {linger: soon}", "git.linger is 'soon': write a duration"),
            ("git: {linger: -1s}", "git.linger is '-1s': write a duration"),
            ("git: {linger: null}", "git.linger is null: write a duration"),
            ("git: {linger: true}", "git.linger is true: write a duration"),
            ("git: {linger: [1s]}", "git.linger is ['1s']: write a duration"),
            ("polling: {interval: 0s}", "polling.interval is '0s': write a duration above zero"),
            ("git: {max_pack: 64MB}", "git.max_pack is '64MB': write a size"),
            ("git: {max_pack: 0}", "git.max_pack is 0: write a size of at least one byte"),
            ("git: {max_batch: 0}", "git.max_batch is 0: write a whole number of at least 1"),
            ("git: {max_batch: '5'}", "git.max_batch is '5': write a whole number"),
            ("git: {user: 5}", "git.user is 5: write a text that is not empty"),
            ("git: {user: ''}", "git.user is '': write a text that is not empty"),
            ("updates: {dry_run: 'no'}", "updates.dry_run is 'no': write true or false"),
            ("log: {level: chatty}", "log.level is 'chatty': write debug, info, warning or error"),
            ("state: {path: ''}", "state.path is '': write a path"),
            ("state: {path: 5}", "state.path is 5: write a path"),
            ("argocd: {namespace: Argo CD}", "argocd.namespace is 'Argo CD': write the name of a namespace"),
            (
                "applications: {namespaces: ['team_a']}",
                "applications.namespaces is ['team_a']: write a list of namespaces",
            ),
            ("applications: {namespaces: argocd}", "applications.namespaces is 'argocd': write a list of namespaces"),
            ("git: {lingr: 5s}", "there is no such setting git.lingr; did you mean git.linger?"),
            ("polling: {linger: 5s}", "there is no such setting polling.linger; did you mean git.linger?"),
            ("state: {zzz: 5s}", "there is no such setting state.zzz; known are state.path"),
            ("gti: {linger: 5s}", "there is no such section gti; did you mean git?"),
            ("git.user: me", "there is no such section git.user: write git: and below it user:"),
            ("5: me", "there is no such section 5; known are api, applications, argocd, "),
            ("git: 5s", "git is '5s': write its settings below it"),
            ("[git]", "holds ['git']: write sections such as git: with settings below them"),
            ("git: [", "updater.yaml:1: is no YAML: "),
            ("git: {linger: 1s, linger: 2s}", "updater.yaml:1: is no YAML: found duplicate key"),
            ("a: 1\n---\nb: 2\n", "updater.yaml:2: is no YAML: "),
            ("git: \x00", "updater.yaml: is no text"),
        ],
    )
    def test_is_refused_with_place_value_and_remedy(
        self,
        complaint: Callable[..., str],
        text: str,
        said: str,
    ) -> None:
        assert said in complaint(text)

    def test_all_problems_are_told_at_once_with_their_lines(
        self, complaint: Callable[..., str], tmp_path: Path
    ) -> None:
        file = tmp_path / "updater.yaml"
        text = complaint("git:\n  linger: 5\n  lingr: 5s\n\nlogs:\n  level: info\n", UPDATER_LOG_LEVEL="loud")
        assert text.splitlines() == [
            "4 settings are wrong:",
            f"  {file}:2: git.linger is 5: {Duration.remedy}",
            f"  {file}:3: there is no such setting git.lingr; did you mean git.linger?",
            f"  {file}:5: there is no such section logs; did you mean log?",
            "  variable UPDATER_LOG_LEVEL (log.level) is 'loud': write debug, info, warning or error",
        ]

    def test_an_unknown_key_keeps_its_value_to_itself(self, complaint: Callable[..., str]) -> None:
        """It may be a password in the wrong place."""
        assert "hunter2" not in complaint("git: {password: hunter2}\npassword: hunter2\n")

    def test_a_long_value_is_cut(self, complaint: Callable[..., str]) -> None:
        assert len(complaint(f"log: {{level: {'x' * 10_000}}}")) < 300

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(Misconfigured, match=r"none\.yaml: cannot be read: No such file or directory"):
            load_settings(tmp_path / "none.yaml", {})

    def test_a_file_of_other_bytes_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "updater.yaml").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(Misconfigured, match=r"updater\.yaml: is no text: write YAML in UTF-8"):
            load_settings(tmp_path / "updater.yaml", {})


class TestTogether:
    def test_a_directory_has_to_be_named(self, complaint: Callable[..., str]) -> None:
        assert "applications.directory is missing" in complaint("applications: {source: directory}")

    def test_a_directory_nobody_reads_is_refused(self, complaint: Callable[..., str]) -> None:
        assert "write applications.source: directory" in complaint("applications: {directory: apps}")

    def test_a_directory_named_by_both_is_taken(self, load: Load, tmp_path: Path) -> None:
        settings = load("applications: {source: directory, directory: apps}")
        assert settings.applications.directory == tmp_path / "apps"


class TestEnvironment:
    @pytest.mark.parametrize(
        ("name", "text", "path", "value"),
        [
            ("UPDATER_GIT_LINGER", "5s", "git.linger", 5),
            ("UPDATER_GIT_MAX_BATCH", "7", "git.max_batch", 7),
            ("UPDATER_UPDATES_DRY_RUN", "true", "updates.dry_run", True),
            ("UPDATER_UPDATES_DRY_RUN", "False", "updates.dry_run", False),
            ("UPDATER_APPLICATIONS_NAMESPACES", "a, b,", "applications.namespaces", ("a", "b")),
            ("UPDATER_STATE_PATH", "/data/state.db", "state.path", Path("/data/state.db")),
            ("UPDATER_LOG_LEVEL", " debug ", "log.level", "debug"),
            ("UPDATER_LOG_LEVEL", "", "log.level", "info"),
            ("IMAGE_UPDATER_INTERVAL", "3m", "polling.interval", 180),
            ("IMAGE_UPDATER_LOGLEVEL", "trace", "log.level", "debug"),
            ("IMAGE_UPDATER_LOGLEVEL", "WARN", "log.level", "warning"),
            ("IMAGE_UPDATER_LOGFORMAT", "text", "log.format", "text"),
            ("IMAGE_UPDATER_WATCH_NAMESPACES", "a,b", "applications.namespaces", ("a", "b")),
            ("ARGOCD_NAMESPACE", "gitops", "argocd.namespace", "gitops"),
            ("GIT_COMMIT_USER", "bot", "git.user", "bot"),
            ("GIT_COMMIT_EMAIL", "bot@example.com", "git.email", "bot@example.com"),
            ("GIT_COMMIT_SIGN_OFF", "true", "git.commit_sign_off", True),
            ("GIT_COMMIT_SIGNING_KEY", "/app/ssh-keys/id_rsa", "git.commit_signing_key", "/app/ssh-keys/id_rsa"),
            ("GIT_COMMIT_SIGNING_METHOD", "ssh", "git.commit_signing_method", "ssh"),
        ],
    )
    def test_a_variable_sets_its_option(self, name: str, text: str, path: str, value: object) -> None:
        section, _, key = path.partition(".")
        assert getattr(getattr(load_settings(None, {name: text}), section), key) == value

    def test_ours_come_before_theirs_and_these_before_the_file(self, load: Load) -> None:
        text = "git: {user: file, email: file@example.com, linger: 9s}"
        environ = {"GIT_COMMIT_USER": "theirs", "GIT_COMMIT_EMAIL": "theirs@example.com", "UPDATER_GIT_USER": "ours"}
        git = load(text, **environ).git
        assert (git.user, git.email, git.linger) == ("ours", "theirs@example.com", Duration(9))

    def test_an_unknown_variable_of_ours_is_refused(self, complaint: Callable[..., str]) -> None:
        said = "variable UPDATER_GIT_LIGNER: there is no such setting; did you mean UPDATER_GIT_LINGER?"
        assert said in complaint(UPDATER_GIT_LIGNER="5s")

    def test_a_wrong_value_names_the_variable(self, complaint: Callable[..., str]) -> None:
        said = "variable IMAGE_UPDATER_INTERVAL (polling.interval) is 'often': write a duration above zero"
        assert said in complaint(IMAGE_UPDATER_INTERVAL="often")

    @pytest.mark.parametrize("text", ["0", "0s", "-1s"])
    def test_interval_without_time_leaves_looking_to_webhooks(self, load: Load, text: str) -> None:
        assert load(IMAGE_UPDATER_INTERVAL=text).polling.interval == Duration(24 * 3600)

    @pytest.mark.parametrize(
        "name",
        [
            "UPDATER_SERVICE_HOST",
            "UPDATER_SERVICE_PORT_HTTP",
            "UPDATER_PORT",
            "UPDATER_PORT_8080_TCP",
            "UPDATER_PORT_8080_TCP_ADDR",
            "UPDATER_WEBHOOKS_SERVICE_PORT",
            "UPDATER_WEBHOOKS_PORT_443_TCP_PROTO",
        ],
    )
    def test_service_links_of_the_kubelet_are_not_settings(self, name: str) -> None:
        assert load_settings(None, {name: "tcp://10.0.0.1:8080"}) == Settings()

    def test_variables_without_an_equal_here_can_be_told(self) -> None:
        environ = {"TLS_CIPHERS": "any", "ENABLE_WEBHOOK": "false", "MAX_CONCURRENT_APPS": "", "HOME": "/"}
        assert unsupported_variables(environ) == ("TLS_CIPHERS",)


class TestOptions:
    def test_each_has_a_remedy_and_a_variable_of_its_own(self) -> None:
        assert all(option.remedy for option in OPTIONS.values())
        assert len({option.variable for option in OPTIONS.values()}) == len(OPTIONS)

    def test_defaults_pass_their_own_checks(self) -> None:
        for option in OPTIONS.values():
            default = getattr(getattr(Settings(), option.section), option.key)
            if isinstance(default, bool | int | str) and not isinstance(default, Size):
                assert option.convert(default, Path()) == default

    @pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.path)
    def test_each_can_be_set_by_its_variable_over_the_file(self, option: Option) -> None:
        text = another(option)
        settings = load_settings(SAMPLE, {option.variable: text, **NEEDS.get(option.path, {})})
        assert option.of(settings) == option.convert_text(text, Path.cwd()) != option.of(Settings())

    def test_settings_cannot_be_changed(self) -> None:
        sections: list[type[msgspec.Struct]] = [Settings, *SECTIONS.values()]
        assert all(section.__struct_config__.frozen for section in sections)
        assert all(section.__struct_config__.forbid_unknown_fields for section in sections)


class TestUnits:
    @pytest.mark.parametrize(
        ("text", "size"),
        [("1", 1), ("64Mi", 64 * 2**20), ("500k", 500_000), ("1.5Ki", 1536), ("2Gi", 2**31), ("1T", 10**12)],
    )
    def test_sizes_are_read_as_kubernetes_reads_them(self, text: str, size: int) -> None:
        assert Size.parse(text) == size

    @given(st.text(max_size=20))
    def test_any_text_is_a_size_or_misconfigured(self, text: str) -> None:
        with contextlib.suppress(Misconfigured):
            assert Size.parse(text) >= 1

    @given(st.text(alphabet="0123456789.-+smhµu ", max_size=12))
    def test_any_text_is_an_interval_or_misconfigured(self, text: str) -> None:
        with contextlib.suppress(Misconfigured):
            assert Interval.parse(text) > 0


class TestServer:
    """Where the server listens, and who may send webhooks."""

    @pytest.mark.parametrize(
        ("spelled", "host", "port"),
        [("8082", None, 8082), (":8082", None, 8082), ("127.0.0.1:0", "127.0.0.1", 0), ("[::1]:80", "::1", 80)],
    )
    def test_address_is_a_port_or_host_and_port(self, spelled: str, host: str | None, port: int) -> None:
        listen = load_settings(None, {"UPDATER_WEB_LISTEN": spelled}).web.listen
        assert (listen.host, listen.port) == (host, port)

    @pytest.mark.parametrize("spelled", ["http", "localhost", "localhost:http", "::1:80", ":65536"])
    def test_what_is_no_address_is_refused(self, spelled: str) -> None:
        with pytest.raises(Misconfigured, match="write a port such as 8082"):
            load_settings(None, {"UPDATER_WEB_LISTEN": spelled})

    def test_there_may_be_none(self) -> None:
        assert not load_settings(None, {"UPDATER_WEB_LISTEN": "0"}).web.listen

    def test_variables_of_image_updater_mean_what_they_meant(self) -> None:
        environ = {"ENABLE_WEBHOOK": "true", "DOCKER_WEBHOOK_SECRET": "word", "WEBHOOK_RATELIMIT_ALLOWED": "100"}
        settings = load_settings(None, environ)
        assert (settings.webhooks.enabled, settings.webhooks.listen) == (True, ":8082")
        assert (settings.webhooks.docker_secret, settings.webhooks.rate_limit) == ("word", 100)

    @pytest.mark.parametrize("address", ["", "keys.json", "http://[", "ftp://example.com/", "https://"])
    def test_keys_without_an_address_are_refused(self, complaint: Callable[..., str], address: str) -> None:
        assert "webhooks.gar_keys is" in complaint(f"webhooks: {{gar_keys: '{address}'}}")

    def test_a_template_of_notifications_that_cannot_be_read_is_refused(self, complaint: Callable[..., str]) -> None:
        said = complaint("notifications: {webhook_url: 'https://example.com', webhook_template: '{{ .Events'}")
        assert said.startswith("notifications.webhook_template: ")

    def test_audience_without_an_account_is_refused(self) -> None:
        with pytest.raises(Misconfigured, match="gar_service_account need each other"):
            load_settings(None, {"UPDATER_WEBHOOKS_GAR_AUDIENCE": "https://x"})


def test_variables_that_settings_have_read_are_named_wherever_they_stand() -> None:
    webhooks = Webhooks(harbor_secret="env:OF_HARBOR", quay_secret="a text", gitlab_secret="secret:argocd/hooks#gitlab")
    settings = Settings(webhooks=webhooks, web=Web(api_token="env:OF_THE_API"))
    assert secret_variables(settings) == {"OF_HARBOR", "OF_THE_API"}
