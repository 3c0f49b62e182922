"""The flags of Argo CD Image Updater's `run`, so that its manifests start this daemon with their arguments as they are.

A flag stands for a variable, AIU's own where there is one, and comes before it. What a flag asks for and has no effect
here is named at the start, as such variables are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import click

from updater.config.environment import INHERITED, UNSUPPORTED
from updater.config.options import OPTIONS


@dataclass(frozen=True, slots=True)
class _Flag:
    name: str
    variable: str = ""
    """Empty: it has no effect."""
    switch: bool = False
    """It may stand without a value, and means true then."""


_FLAGS = (
    _Flag("--interval", "IMAGE_UPDATER_INTERVAL"),
    _Flag("--loglevel", "IMAGE_UPDATER_LOGLEVEL"),
    _Flag("--logformat", "IMAGE_UPDATER_LOGFORMAT"),
    _Flag("--kubeconfig", "UPDATER_APPLICATIONS_KUBECONFIG"),
    _Flag("--registries-conf-path", "UPDATER_REGISTRIES_FILE"),
    _Flag("--argocd-namespace", "ARGOCD_NAMESPACE"),
    _Flag("--watch-namespaces", "IMAGE_UPDATER_WATCH_NAMESPACES"),
    _Flag("--leader-election", "UPDATER_LEADER_ELECTION_ENABLED", switch=True),
    _Flag("--leader-election-namespace", "UPDATER_LEADER_ELECTION_NAMESPACE"),
    _Flag("--git-commit-user", "GIT_COMMIT_USER"),
    _Flag("--git-commit-email", "GIT_COMMIT_EMAIL"),
    _Flag("--git-commit-signing-key", "GIT_COMMIT_SIGNING_KEY"),
    _Flag("--git-commit-signing-method", "GIT_COMMIT_SIGNING_METHOD"),
    _Flag("--git-commit-sign-off", "GIT_COMMIT_SIGN_OFF", switch=True),
    _Flag("--git-commit-message-path", "UPDATER_GIT_COMMIT_MESSAGE_FILE"),
    _Flag("--git-commit-method", "GIT_COMMIT_METHOD"),
    _Flag("--disable-kube-events", "IMAGE_UPDATER_KUBE_EVENTS", switch=True),
    _Flag("--max-concurrent-apps", "MAX_CONCURRENT_APPS"),
    _Flag("--max-concurrent-reconciles", "MAX_CONCURRENT_RECONCILES"),
    _Flag("--enable-webhook", "ENABLE_WEBHOOK", switch=True),
    _Flag("--webhook-port", "WEBHOOK_PORT"),
    _Flag("--webhook-require-secret", "WEBHOOK_REQUIRE_SECRET", switch=True),
    _Flag("--webhook-ratelimit-allowed", "WEBHOOK_RATELIMIT_ALLOWED"),
    *(
        _Flag(f"--{sender}-webhook-secret", f"{sender.upper().replace('-', '_')}_WEBHOOK_SECRET")
        for sender in ("docker", "ghcr", "quay", "harbor", "aliyun-acr", "acr", "cloudevents")
    ),
    _Flag("--disable-tls", "DISABLE_TLS", switch=True),
    _Flag("--tlsminversion", "TLS_MIN_VERSION"),
    _Flag("--tlsmaxversion", "TLS_MAX_VERSION"),
    _Flag("--tlsciphers", "TLS_CIPHERS"),
    _Flag("--metrics-bind-address"),
    _Flag("--metrics-secure", switch=True),
    _Flag("--health-probe-bind-address", "UPDATER_WEB_LISTEN"),
    _Flag("--enable-http2", switch=True),
    _Flag("--warmup-cache", switch=True),
)
_UNDERSTOOD = {*INHERITED, *UNSUPPORTED, *(option.variable for option in OPTIONS.values())}


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line says in AIU's words."""

    environ: Mapping[str, str]
    """With the flags' variables, which come before all others."""
    names: Mapping[str, str]
    """Variable -> the flag that set it, for messages."""
    without_effect: tuple[str, ...]


def inherited_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags to a command, which gets them as keyword arguments for `given`; `--help` does not list them."""
    for flag in _FLAGS:
        command = click.option(flag.name, hidden=True, is_flag=False, flag_value="true" if flag.switch else None)(
            command
        )
    return command


def given(arguments: Mapping[str, str | None], environ: Mapping[str, str]) -> Given:
    """Turn the flags that were given into variables."""
    merged, names, without_effect = dict(environ), dict[str, str](), list[str]()
    for flag in _FLAGS:
        value = arguments[flag.name.removeprefix("--").replace("-", "_")]
        if value is None:
            continue
        if flag.variable not in _UNDERSTOOD:
            without_effect.append(flag.name)
            continue
        own = OPTIONS[INHERITED[flag.variable]].variable if flag.variable in INHERITED else ""
        merged.pop(own, None)
        merged[flag.variable] = value
        names[flag.variable] = flag.name
    return Given(merged, names, tuple(without_effect))
