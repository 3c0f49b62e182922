"""`registries.conf`: AIU's files work as they are, and what is wrong in one is said with its line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.certificates import loopback_certificate
from updater.adapters.argocd_trust import mounted_authorities
from updater.config.registries_conf import load_registries, parse_registries_conf
from updater.domain.errors import Misconfigured
from updater.domain.image import Repository
from updater.domain.secrets import CredentialSource, SecretKind
from updater.settings.registries import APIS, Registries, RegistrySettings

EVERY_KEY = """
registries:
- name: Corporate
  api_url: https://registry.example.com:8443/
  prefix: registry.example.com/team
  credentials: secret:argocd/corporate#login
  credsexpire: 10h
  limit: 7
  insecure: no
  defaultns: library
  tagsortmode: Latest-First
  default: yes
  ping: off
  concurrency: 3
  burst: 4
  timeout: 90s
  interval: 15m
  proxy: http://proxy.example.com:3128/
  mirror_of: docker.io
"""
ARTICLE = """
- name: AlibabaCloud Container Registry
  api_url: https://demo-registry-vpc.cn-hangzhou.cr.aliyuncs.com
  prefix: demo-registry-vpc.cn-hangzhou.cr.aliyuncs.com
  ping: yes
  insecure: no
  credentials: secret:argocd/acr#acr
"""


@pytest.fixture
def certificate() -> str:
    return loopback_certificate().certificate


def read(text: str) -> Registries:
    return parse_registries_conf(text, "registries.conf")


def problem(text: str) -> str:
    with pytest.raises(Misconfigured) as raised:
        read(text)
    return str(raised.value)


def entry(lines: str = "", *, prefix: str = "a.example.com") -> str:
    return f"- name: A\n  api_url: https://a.example.com\n  prefix: {prefix}\n{lines}"


def test_every_key_is_read() -> None:
    assert read(EVERY_KEY).entries == (
        RegistrySettings(
            name="Corporate",
            api_url="https://registry.example.com:8443",
            prefix="registry.example.com/team",
            credentials=CredentialSource(SecretKind.SECRET, "corporate", "argocd", "login"),
            credentials_expire=36_000,
            limit=7,
            burst=4,
            concurrency=3,
            insecure=False,
            default_namespace="library",
            tag_sort_mode="latest-first",
            default=True,
            timeout=90,
            interval=900,
            proxy="http://proxy.example.com:3128",
            mirror_of="docker.io",
        ),
    )


def test_a_bare_list_needs_no_top_key() -> None:
    assert read(ARTICLE) == read("registries:" + ARTICLE.replace("\n", "\n  "))
    assert read(ARTICLE).entries[0].insecure is False


@pytest.mark.parametrize("text", ["", "registries:", "registries: []", "# nothing\n", "[]"])
def test_no_entry_is_no_registry(text: str) -> None:
    assert read(text) == Registries()


def test_a_text_that_looks_like_a_number_stays_a_text() -> None:
    assert read("- name: 5\n  api_url: https://a.example.com").entries[0].name == "5"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (entry("  insecure: maybe\n"), "registries.conf:4: insecure is 'maybe': write true or false"),
        (entry("  limits: 5\n"), "registries.conf:4: there is no such key limits; did you mean limit?"),
        (entry("  limit: 5\n  limit: 6\n"), "registries.conf:5: limit is there twice"),
        (entry("  limit: many\n"), "limit is 'many': write requests a second"),
        (entry("  limit: nan\n"), "limit is 'nan'"),
        (entry("  limit: {a: b}\n"), "limit is no single value"),
        (entry("  tagsortmode: sideways\n"), "write latest-first, latest-last or none"),
        (entry("  credsexpire: 5\n"), "credsexpire is '5': write a duration such as 30s or 12h"),
        (entry("  timeout: 0s\n"), "timeout is '0s'"),
        (entry("  concurrency: 0\n"), "concurrency is '0'"),
        (entry(prefix="https://a.example.com"), "prefix is 'https://a.example.com': write how the images' names begin"),
        ("- name: A\n", "registries.conf:1: api_url is missing: write the registry's address"),
        ("- api_url: https://a.example.com\n", "name is missing"),
        ("- name: A\n  api_url: ftp://a.example.com", "registries.conf:2: api_url is not understood"),
        ("- name: A\n  api_url: https://a.example.com/v2/", "without /v2"),
        ("- name: A\n  api_url: https://a.example.com:99999", "api_url is not understood"),
        ("- A\n", "is no registry: begin each entry with '- name:'"),
        ("registries:\n  name: A\n", "holds no list of registries"),
        ("registry:\n- name: A\n", "holds registry: write one key, registries:"),
        ("- name: [\n", "registries.conf:2: is no YAML"),
        ("\x00", "is no YAML"),
        (entry() + entry(), "prefix 'a.example.com' is there twice"),
        (
            entry(prefix="docker.io") + entry(prefix="index.docker.io"),
            "registries.conf:3: prefix 'docker.io' is there twice",
        ),
        ("- {name: A, api_url: 'http://a'}\n- {name: B, api_url: 'http://b'}", "two entries have no prefix"),
        (entry("  default: true\n") + entry("  default: true\n", prefix="b.example.com"), "default is true for two"),
        (entry("  interval: 0s\n"), "interval is '0s': write a duration such as 30s or 12h, above zero"),
        (entry("  proxy: socks5://proxy:1080\n"), "proxy is not understood: write http://<host>:<port>, or none"),
        (entry("  mirror_of: ''\n"), "mirror_of is '': write how the names begin"),
        (entry("  client_key: /nowhere/key.pem\n"), "registries.conf:4: client_cert is missing"),
        (
            entry("  client_cert: /nowhere/tls.crt\n"),
            "client_cert /nowhere/tls.crt with client_key /nowhere/tls.crt cannot be used (No such file",
        ),
        (
            entry("  mirror_of: docker.io\n") + entry("  mirror_of: index.docker.io\n", prefix="b.example.com"),
            "mirror_of 'index.docker.io' is there twice: keep one of them",
        ),
        (entry("  ca_data: nonsense\n"), "registries.conf:4: ca_data holds no certificates"),
        (entry("  ca_file: /nowhere/ca.pem\n"), "ca_file /nowhere/ca.pem holds no certificates (No such file"),
    ],
)
def test_what_is_wrong_is_said_with_place_value_and_remedy(text: str, said: str) -> None:
    assert said in problem(text)


def test_all_problems_are_said_at_once() -> None:
    said = problem(entry("  insecure: maybe\n  limits: 5\n"))
    assert said.startswith("2 settings are wrong:")
    assert said.count("registries.conf:") == 2


@pytest.mark.parametrize("line", ["credentials: alice:hunter2", "api_url: https://alice:hunter2@a.example.com"])
def test_a_password_at_the_wrong_place_is_not_repeated(line: str) -> None:
    said = problem(f"- name: A\n  {line}\n")
    assert "hunter2" not in said
    assert line.partition(":")[0] in said


def refusal(text: str) -> str:
    """Say why a text is refused; empty when it is read."""
    try:
        read(text)
    except Misconfigured as error:
        return str(error)
    return ""


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert refusal(text) == "" or "registries.conf" in refusal(text)


@given(st.dictionaries(st.sampled_from(["name", "api_url", "prefix", "limit", "default"]), st.text(max_size=30)))
def test_any_values_are_read_or_refused(values: dict[str, str]) -> None:
    text = "-\n" + "".join(f"  {key}: {value!r}\n" for key, value in values.items())
    assert refusal(text) == "" or "registries.conf" in refusal(text)


def serving(text: str, image: str) -> str:
    host, _, name = image.partition("/")
    return read(text).serving(Repository(host, name)).name


def test_a_prefix_ends_at_component_borders() -> None:
    text = entry(prefix="docker.io") + entry(prefix="a.example.com/team").replace("A", "T")
    assert serving(text, "a.example.com/team/app") == "T"
    assert serving(text, "a.example.com/team") == "T"
    assert serving(text, "a.example.com/teams/app") == "a.example.com"
    assert serving(text, "docker.io.example.com/app") == "docker.io.example.com"


def test_the_longest_prefix_wins() -> None:
    text = entry() + entry(prefix="a.example.com/team").replace("A", "T")
    assert serving(text, "a.example.com/team/app") == "T"
    assert serving(text, "a.example.com/other/app") == "A"


@pytest.mark.parametrize("prefix", ["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"])
def test_docker_hub_is_one_registry_under_all_its_names(prefix: str) -> None:
    assert serving(entry(prefix=prefix), "docker.io/library/nginx") == "A"


def test_the_entry_without_a_prefix_serves_unknown_registries_and_not_docker_hub() -> None:
    text = "- {name: A, api_url: 'https://a'}"
    assert serving(text, "b.example.com/app") == "A"
    assert serving(text, "docker.io/library/nginx") == "Docker Hub"


def test_the_default_entry_serves_images_without_a_registry() -> None:
    text = entry("  default: true\n")
    assert serving(text, "docker.io/library/nginx") == "A"
    assert read(text).entries[0].api_name(Repository("docker.io", "library/nginx")) == "nginx"


def test_an_unknown_registry_is_reached_over_tls_without_credentials() -> None:
    settings = Registries().serving(Repository("b.example.com:5000", "team/app"))
    assert (settings.api_url, settings.credentials) == ("https://b.example.com:5000", None)


@pytest.mark.parametrize(
    ("settings", "repository", "name"),
    [
        (RegistrySettings("A", "https://a", "a"), Repository("a", "app"), "app"),
        (RegistrySettings("A", "https://a", "a", default_namespace="library"), Repository("a", "app"), "library/app"),
        (RegistrySettings("A", "https://a", "a", default_namespace="library"), Repository("a", "team/app"), "team/app"),
        (RegistrySettings("H", "https://h", "docker.io"), Repository("docker.io", "library/nginx"), "library/nginx"),
        (RegistrySettings("H", "https://h", "docker.io"), Repository("docker.io", "team/app"), "team/app"),
    ],
)
def test_names_of_one_component_get_the_registrys_namespace(
    settings: RegistrySettings, repository: Repository, name: str
) -> None:
    assert settings.api_name(repository) == name


def test_certificates_of_a_host_are_found_where_argo_cd_has_them(tmp_path: Path, certificate: str) -> None:
    (tmp_path / "a.example.com").write_text(certificate)
    authorities = mounted_authorities(tmp_path) or {}
    registries = parse_registries_conf(entry(), "registries.conf", authorities)
    assert certificate in registries.entries[0].ca_data
    assert certificate in Registries((), authorities).serving(Repository("a.example.com:5000", "app")).ca_data


def test_certificates_that_are_not_mounted_are_told_from_none(tmp_path: Path) -> None:
    assert mounted_authorities(tmp_path / "tls") is None


def test_wrong_certificates_of_argo_cd_stop_the_registry_that_needs_them() -> None:
    with pytest.raises(Misconfigured, match="argocd-tls-certs-cm, for the host of api_url, holds no certificates"):
        parse_registries_conf(entry(), "registries.conf", {"a.example.com": "nonsense"})
    assert parse_registries_conf(entry(), "registries.conf", {"git.example.com": "nonsense"}).entries


def test_certificates_of_a_file_and_of_the_entry_are_both_trusted(tmp_path: Path, certificate: str) -> None:
    file = tmp_path / "ca.pem"
    file.write_text(certificate)
    block = certificate.replace("\n", "\n    ").rstrip()
    text = entry(f"  ca_file: {file}\n  ca_data: |\n    {block}\n")
    assert read(text).entries[0].ca_data.count("BEGIN CERTIFICATE") == 2


def test_without_a_file_the_built_in_registries_serve() -> None:
    assert load_registries(None) == Registries()


def test_a_file_that_was_named_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be read: No such file"):
        load_registries(tmp_path / "registries.conf")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "registries.conf"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Misconfigured, match="is no text"):
        load_registries(path)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "registries.conf"
    path.write_text(ARTICLE)
    assert load_registries(path) == read(ARTICLE)


def test_a_client_certificate_is_checked_and_known_by_its_content(tmp_path: Path) -> None:
    certificate, key = loopback_certificate()
    (tmp_path / "tls.crt").write_text(certificate)
    (tmp_path / "tls.key").write_text(key)
    text = entry(f"  client_cert: {tmp_path}/tls.crt\n  client_key: {tmp_path}/tls.key\n")
    first = read(text)
    (tmp_path / "tls.crt").write_text(certificate + "\n")
    assert first.entries[0].client_certificate is not None
    assert read(text).entries[0] != first.entries[0]


def test_a_key_that_is_not_the_certificates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tls.crt").write_text(loopback_certificate().certificate)
    (tmp_path / "tls.key").write_text("nonsense")
    said = problem(entry(f"  client_cert: {tmp_path}/tls.crt\n  client_key: {tmp_path}/tls.key\n"))
    assert "cannot be used" in said
    assert "without a password" in said


MIRRORS = """
- {name: Hub, api_url: 'https://registry-1.docker.io', prefix: docker.io, credentials: 'env:HUB'}
- {name: Cache, api_url: 'https://cache.example.com', prefix: cache.example.com/hub, mirror_of: index.docker.io}
- {name: Bare, api_url: 'https://bare.example.com', mirror_of: quay.io/team}
"""


@pytest.mark.parametrize(
    ("repository", "registry", "name"),
    [
        (Repository("docker.io", "library/nginx"), "Cache", "hub/library/nginx"),
        (Repository("docker.io", "team/app"), "Cache", "hub/team/app"),
        (Repository("cache.example.com", "hub/team/app"), "Cache", "hub/team/app"),
        (Repository("quay.io", "team/app"), "Bare", "team/app"),
        (Repository("quay.io", "teams/app"), "quay.io", "teams/app"),
        (Repository("b.example.com", "app"), "b.example.com", "app"),
    ],
)
def test_a_mirror_is_asked_for_the_originals_names(repository: Repository, registry: str, name: str) -> None:
    settings = read(MIRRORS).serving(repository)
    assert (settings.name, settings.api_name(repository)) == (registry, name)


@pytest.mark.parametrize("api", APIS)
def test_every_api_may_be_named(api: str) -> None:
    assert read(f"{ARTICLE}  api: {api}\n").entries[0].api == api


def test_api_that_nobody_knows_is_refused_with_those_that_there_are() -> None:
    said = problem(f"{ARTICLE}  api: quai\n")
    assert "api is 'quai': write auto, distribution, docker-hub, quay," in said


@pytest.mark.parametrize("host", ["docker.io", "b.example.com"])
def test_a_registry_that_is_not_configured_is_held_until_it_is(host: str) -> None:
    settings = Registries().serving(Repository(host, "team/app"))
    assert Registries().holds(settings)
    assert read(MIRRORS).holds(settings) == (host != "docker.io")


@pytest.mark.parametrize("files", [(), ("tls.crt", "tls.key")])
def test_a_certificate_for_webhooks_in_the_same_place_is_no_authority(files: tuple[str, ...], tmp_path: Path) -> None:
    """Manifests of Argo CD Image Updater mount it where Argo CD has its certificates."""
    for name in files:
        (tmp_path / name).write_text("PEM")
    assert mounted_authorities(tmp_path) is None
