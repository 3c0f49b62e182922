"""What an operator can set for the daemon: `config/updater.yaml` in types, with its defaults."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from updater.settings.units import Duration, Interval, Listen, Size

DEFAULT_SETTINGS = Path("/app/config/updater.yaml")
"""Where our manifests mount it."""

DEFAULT_STATE = Path("/var/lib/updater/state.db")
TEMPORARY_STATE = Path("/tmp/updater/state.db")  # noqa: S108 - of a pod, which nobody else is in
"""In a pod in which the other cannot be written."""

DEFAULT_REGISTRIES_CONF = Path("/app/config/registries.conf")
"""Where AIU's manifests mount it."""

DEFAULT_COMMIT_TEMPLATE = Path("/app/config/commit.template")
"""Where AIU's manifests mount it."""

DEFAULT_TLS = Path("/app/config/tls")
"""Where AIU's manifests mount `tls.crt` and `tls.key`."""

Count = Annotated[int, msgspec.Meta(ge=1)]
Occasion = Literal["updated", "held", "failed", "recovered"]
Number = Annotated[int, msgspec.Meta(ge=0)]
Text = Annotated[str, msgspec.Meta(min_length=1)]
_LOG_AREAS = (
    "annotation|api|application|applications|cluster|configuration|daemon|events|flag|forge|git|image|leadership|library|"
    "notifications|pull_request|registry|replicas|rival|round|signature|state|status|store|variable|web|"
    "webhook|webhooks|write_back"
)
LOG_AREAS = tuple(_LOG_AREAS.split("|"))
AreaLevel = Annotated[str, msgspec.Meta(pattern=rf"^({_LOG_AREAS})=(debug|info|warning|error)$")]
Namespace = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]

NamespacePattern = Annotated[str, msgspec.Meta(pattern=r"^([a-z0-9*?\[\]^!\\-]+|/.+/)$")]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one concern."""


class ArgoCD(_Section, frozen=True):
    """The Argo CD beside us."""

    namespace: Namespace = "argocd"
    """Where Argo CD runs, and keeps its repository credentials. In a pod the default is the pod's own."""


class Applications(_Section, frozen=True):
    """Where Applications are found."""

    source: Literal["kubernetes", "directory"] = "kubernetes"
    """The API server of a cluster, or a directory of manifests."""
    directory: Path | None = None
    """The directory, when `source` is `directory`; None for a cluster."""
    namespaces: tuple[NamespacePattern, ...] = ()
    """Whose Applications are kept up to date: names, globs, or RE2 between slashes; empty: as Argo CD itself."""
    secret_namespaces: tuple[Namespace, ...] = ()
    """Namespaces whose Secrets an Application of any other one may name, too."""
    kubeconfig: Path | None = None
    """None: the cluster the daemon runs in, else what kubectl would use."""
    context: str = ""
    """Of the kubeconfig; empty: its current one."""


class RegistryFiles(_Section, frozen=True):
    """What is told about registries, and how far their credentials may reach."""

    file: Path | None = None
    """AIU's `registries.conf`; None: `/app/config/registries.conf` where there is one, else built-in registries."""
    script_directories: tuple[Path, ...] = (Path("/app/scripts"), Path("/scripts"))
    """Only scripts inside of these are run for `ext:` credentials; empty: none is."""
    service_account: str = "default"
    """Whose imagePullSecrets, in an Application's namespace, serve images for which nothing else is configured."""


class Polling(_Section, frozen=True):
    """How often registries are asked."""

    interval: Interval = Interval(120)
    """Seconds between two looks at a repository."""
    longest_interval: Duration = Duration(0)
    """Seconds to which `interval` is stretched at most for a repository where nothing happens; 0: it never is."""


class Git(_Section, frozen=True):
    """How changes are written to Git."""

    user: Text = "argocd-image-updater"
    """Name of the commits' author and committer."""
    email: Text = "noreply@argoproj.io"
    """Address of the same."""
    commit_message_template: str = ""
    """A Go template for the message; empty: `commit_message_file`."""
    commit_message_file: Path | None = None
    """A file with the template; None: `/app/config/commit.template` where there is one, else the built-in message."""
    commit_sign_off: bool = False
    """Add a `Signed-off-by` of the author."""
    commit_signing_key: str = ""
    """`secret:<namespace>/<name>#<field>`, or the path of a private key; empty: commits are not signed."""
    commit_signing_method: Literal["openpgp", "ssh"] = "openpgp"
    """What kind of key it is."""
    commit_method: Literal["git", "api"] = "git"
    """`api`: GitHub and GitLab make the commits, and sign them; other servers are pushed to."""
    linger: Duration = Duration(1)
    """Seconds without a new change to a branch before those that wait become one commit."""
    max_batch_age: Duration = Duration(10)
    """Seconds after its first change when a commit is made in any case."""
    max_batch: Count = 500
    """Changes in one commit, at most."""
    concurrency: Count = 10
    """Branches written to at once, at most; of them four on one server."""
    push_tries: Count = 5
    """Pushes of one batch when others push to the branch at the same time; then it waits for its retry."""
    timeout: Interval = Interval(30)
    """Seconds for one request to a Git server, from connecting to the last byte."""
    ca_file: Path | None = None
    """PEM certificates to trust beside the system's; None: the system's alone."""
    max_pack: Size = Size(64 * 2**20)
    """Bytes that one fetch may take, at most."""
    ask_before_push: bool = False
    """Ask a server before each push what it can take, as the letter of the protocol wants; else once an hour."""
    max_file: Size = Size(10 * 2**20)
    """Bytes of a file that is to be edited, at most."""


class Updates(_Section, frozen=True):
    """What becomes of decisions."""

    dry_run: bool = False
    """Decide and log, and write nothing."""
    pause: bool = False
    """Hold every update, whatever annotations say."""
    schedule: str = ""
    """Windows of time in which updates are written, where no annotation `schedule` says others; empty: always."""


class LeaderElection(_Section, frozen=True):
    """Which of several replicas writes; with Applications of a directory there is only one."""

    enabled: bool = True
    """False: this is the only replica, and nothing else writes for it."""
    lease: Text = "c21b75f2.argoproj.io"
    """Name of the Lease; the default is AIU's own, so that it and we never write at the same time."""
    namespace: Namespace | None = None
    """Of the Lease; None: `argocd.namespace`."""
    duration: Interval = Interval(15)
    """Seconds after which a replica that died is replaced; it counts on being the leader for two thirds of it."""


class Defaults(_Section, frozen=True):
    """How tags are chosen where neither annotations nor resources say so."""

    update_strategy: Literal["semver", "newest-build", "newest-push", "alphabetical", "numeric", "digest"] = "semver"
    allow_tags: str = ""
    """`any`, or `regexp:<RE2>`; empty: any."""
    ignore_tags: tuple[Text, ...] = ()
    """Globs of tags that are never chosen."""
    platforms: tuple[Text, ...] = ()
    """Such as `linux/amd64`; empty: the updater's own."""
    minimum_age: Duration = Duration(0)
    """Seconds since a tag was pushed, or first seen, before it is chosen."""
    rollback: Literal["respect", "overwrite"] = "respect"
    """Whether what a person took back is held, or written again."""


class Verification(_Section, frozen=True):
    """How the signatures that `imagesVerification` demands are judged."""

    trusted_root: Path | None = None
    """Sigstore's `trusted_root.json`; None: that of the public instance, as the library was released with it."""


class Kube(_Section, frozen=True):
    """What is told to the cluster about Applications."""

    events: bool = True
    """Attach Events to Applications: what was updated, is held, is misconfigured, or failed."""


class State(_Section, frozen=True):
    """What is remembered between two runs."""

    path: Path = DEFAULT_STATE
    """The SQLite database, on a volume of its own that outlives the container; created when missing. In a pod that
    cannot write there it is below `/tmp`, and a warning says so."""


class Api(_Section, frozen=True):
    """How `updater explain` asks the running daemon."""

    socket: Path | None = None
    """A Unix socket that the daemon's own user alone may open; None: `api.sock` beside the database."""


class Web(_Section, frozen=True):
    """The server for health and metrics."""

    listen: Listen = Listen(":8081")
    """Host and port, without a host all addresses; `0`: nowhere. The default is where AIU's probes come."""
    tls_cert: Path | None = None
    """Certificate chain in PEM; None: plain HTTP."""
    tls_key: Path | None = None
    """Its private key; None: `tls.key` beside the certificate."""
    api_token: str = ""
    """Who presents it may read `/api/v1/` here, too; a text, or where one is to be read; empty: nobody may."""


class Webhooks(_Section, frozen=True):
    """Which registries and forges may say that something happened; a secret is a text, or where one is to be read."""

    enabled: bool = False
    listen: Listen = Listen(":8082")
    """As `web.listen`, which it may equal: then one server does both."""
    tls_cert: Path | None = None
    """Certificate chain in PEM; None: `/app/config/tls/tls.crt` where there is one, else plain HTTP."""
    tls_key: Path | None = None
    """Its private key; None: `tls.key` beside the certificate."""
    disable_tls: bool = False
    """Speak plain HTTP though there is a certificate."""
    require_secret: bool = True
    """False: types without a secret are accepted from anybody who reaches us."""
    docker_secret: str = ""
    ghcr_secret: str = ""
    quay_secret: str = ""
    harbor_secret: str = ""
    acr_secret: str = ""
    aliyun_acr_secret: str = ""
    ecr_secret: str = ""
    gar_secret: str = ""
    gitlab_secret: str = ""
    gitea_secret: str = ""
    jfrog_secret: str = ""
    distribution_secret: str = ""
    cloudevents_secret: str = ""
    github_secret: str = ""
    bitbucket_secret: str = ""
    azure_devops_secret: str = ""
    gar_audience: str = ""
    """Of the tokens that Pub/Sub sends; empty: they are not understood."""
    gar_service_account: str = ""
    """Address of the account that Pub/Sub signs as: anybody can have a token of Google's for any audience."""
    gar_keys: str = "https://www.googleapis.com/oauth2/v3/certs"
    """Where Google's public keys are read."""
    relay: Listen = Listen("")
    """Host and port under which all replicas are found, a headless Service; webhooks are passed on to them."""
    rate_limit: Number = 0
    """Webhooks an hour that are acted on, after a burst of ten; 0: no limit."""


class Notifications(_Section, frozen=True):
    """Who is told what became of images; an address is a text, or where one is to be read."""

    on: tuple[Occasion, ...] = ("updated", "held", "failed", "recovered")
    """What is told."""
    slack_url: str = ""
    """An incoming webhook of Slack, Mattermost or what understands the same."""
    webhook_url: str = ""
    """Gets JSON, or what the template makes."""
    webhook_authorization: str = ""
    """Sent to it as the header `Authorization`."""
    webhook_template: str = ""
    """A Go template for the body; empty: `{"events": [...]}`."""
    webhook_content_type: Text = "application/json"
    """Of what the template makes."""
    cloudevents_url: str = ""
    """Gets a CloudEvent for each thing."""
    linger: Duration = Duration(5)
    """Seconds in which what happens is gathered into one message."""


class Log(_Section, frozen=True):
    """What is said on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe that is said."""
    levels: tuple[AreaLevel, ...] = ()
    """Of single areas, as in `registry=debug`; an area is what stands before the dot in an event's name."""
    format: Literal["json", "text"] = "json"
    """One JSON object a line, or text for a terminal."""


class Tracing(_Section, frozen=True):
    """OpenTelemetry."""

    enabled: bool = False
    """Send traces by OTLP over HTTP; where to is said by its own variables, such as `OTEL_EXPORTER_OTLP_ENDPOINT`."""


class Shutdown(_Section, frozen=True):
    """How the daemon ends."""

    grace: Duration = Duration(25)
    """Seconds after SIGTERM to finish the writes under way; keep it below the pod's termination grace period."""


class Settings(_Section, frozen=True):
    """All settings of the daemon."""

    argocd: ArgoCD = ArgoCD()
    applications: Applications = Applications()
    registries: RegistryFiles = RegistryFiles()
    polling: Polling = Polling()
    git: Git = Git()
    updates: Updates = Updates()
    leader_election: LeaderElection = LeaderElection()
    defaults: Defaults = Defaults()
    verification: Verification = Verification()
    kube: Kube = Kube()
    state: State = State()
    api: Api = Api()
    web: Web = Web()
    webhooks: Webhooks = Webhooks()
    notifications: Notifications = Notifications()
    log: Log = Log()
    tracing: Tracing = Tracing()
    shutdown: Shutdown = Shutdown()

    @property
    def api_socket(self) -> Path:
        return self.api.socket or self.state.path.with_name("api.sock")
