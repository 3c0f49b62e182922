"""Options from the environment: each has a variable of its own, and AIU's variables mean what they meant."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from updater.config.options import OPTIONS, Option, nearest
from updater.domain.secrets import SecretKind

PREFIX = "UPDATER_"

INHERITED = {
    "ARGOCD_NAMESPACE": "argocd.namespace",
    "IMAGE_UPDATER_WATCH_NAMESPACES": "applications.namespaces",
    "IMAGE_UPDATER_INTERVAL": "polling.interval",
    "IMAGE_UPDATER_LOGLEVEL": "log.level",
    "IMAGE_UPDATER_LOGFORMAT": "log.format",
    "IMAGE_UPDATER_KUBE_EVENTS": "kube.events",
    "GIT_COMMIT_USER": "git.user",
    "GIT_COMMIT_EMAIL": "git.email",
    "GIT_COMMIT_SIGN_OFF": "git.commit_sign_off",
    "GIT_COMMIT_SIGNING_KEY": "git.commit_signing_key",
    "GIT_COMMIT_SIGNING_METHOD": "git.commit_signing_method",
    "GIT_COMMIT_METHOD": "git.commit_method",
    "ENABLE_WEBHOOK": "webhooks.enabled",
    "WEBHOOK_PORT": "webhooks.listen",
    "WEBHOOK_REQUIRE_SECRET": "webhooks.require_secret",
    "WEBHOOK_RATELIMIT_ALLOWED": "webhooks.rate_limit",
    "DISABLE_TLS": "webhooks.disable_tls",
    "DOCKER_WEBHOOK_SECRET": "webhooks.docker_secret",
    "GHCR_WEBHOOK_SECRET": "webhooks.ghcr_secret",
    "QUAY_WEBHOOK_SECRET": "webhooks.quay_secret",
    "HARBOR_WEBHOOK_SECRET": "webhooks.harbor_secret",
    "ALIYUN_ACR_WEBHOOK_SECRET": "webhooks.aliyun_acr_secret",
    "ACR_WEBHOOK_SECRET": "webhooks.acr_secret",
    "CLOUDEVENTS_WEBHOOK_SECRET": "webhooks.cloudevents_secret",
}
"""Options under AIU's names for them."""
_SPELLINGS = {
    ("IMAGE_UPDATER_KUBE_EVENTS", "true"): "false",
    ("IMAGE_UPDATER_KUBE_EVENTS", "false"): "true",
    ("IMAGE_UPDATER_LOGLEVEL", "trace"): "debug",
    ("IMAGE_UPDATER_LOGLEVEL", "warn"): "warning",
    ("IMAGE_UPDATER_LOGLEVEL", "fatal"): "error",
    ("IMAGE_UPDATER_LOGLEVEL", "panic"): "error",
}
"""AIU's values that are spelled differently here."""
_NO_TIME = re.compile(r"-.+|\+?0+(\.0*)?(ns|us|µs|ms|s|m|h)?")
"""What AIU takes for looking only when a resource changes, or never."""
_NEVER = "24h"
_READ = f"{SecretKind.ENVIRONMENT}:"
UNSUPPORTED = (
    "MAX_CONCURRENT_APPS",
    "MAX_CONCURRENT_RECONCILES",
    "TLS_MIN_VERSION",
    "TLS_MAX_VERSION",
    "TLS_CIPHERS",
)
"""AIU's variables that would change what the daemon does, and do not."""
_SERVICE_LINK = re.compile(r"(.*_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_[A-Z]+)?)?)")
"""What the kubelet sets in every pod for a Service whose name begins with `updater`."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable that sets an option."""

    name: str
    option: Option
    text: str


def variables(environ: Mapping[str, str], problems: list[str]) -> Iterator[Variable]:
    """Find the variables that set something, our own after AIU's, and add those that nobody knows to `problems`.

    An empty variable sets nothing, as a manifest's placeholder.
    """
    for name, path in INHERITED.items():
        text = environ.get(name, "").strip()
        if text:
            yield Variable(name, OPTIONS[path], _spelled(name, text))
    known = {option.variable: option for option in OPTIONS.values()}
    ours = [variable.removeprefix(PREFIX) for variable in known]
    for name in sorted(environ):
        if name in known and environ[name].strip():
            yield Variable(name, known[name], environ[name].strip())
        elif name not in known and name.startswith(PREFIX) and not _service_link(name):
            problems.append(
                f"variable {name}: there is no such setting; {nearest(name.removeprefix(PREFIX), ours, PREFIX)}"
            )


def unsupported_variables(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Name the variables of AIU that ask for something the daemon does not do; they are worth a warning each."""
    return tuple(name for name in UNSUPPORTED if environ.get(name, "").strip().lower() not in ("", "false", "0"))


def secret_variables(settings: msgspec.Struct) -> frozenset[str]:
    """Name the variables that settings have read, wherever they say `env:<variable>`."""
    values = [getattr(settings, name) for name in settings.__struct_fields__]
    own = {value.removeprefix(_READ) for value in values if isinstance(value, str) and value.startswith(_READ)}
    return frozenset(own).union(*(secret_variables(value) for value in values if isinstance(value, msgspec.Struct)))


def _spelled(name: str, text: str) -> str:
    if name == "IMAGE_UPDATER_INTERVAL" and _NO_TIME.fullmatch(text):
        return _NEVER
    return _SPELLINGS.get((name, text.lower()), text)


def _service_link(name: str) -> bool:
    return _SERVICE_LINK.fullmatch(name.removeprefix(PREFIX)) is not None
