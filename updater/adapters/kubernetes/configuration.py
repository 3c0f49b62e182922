"""Where the API server is and who we are: a kubeconfig, or what a pod is given."""

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config import ConfigException, load_kube_config
from kubernetes_asyncio.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION

from updater.domain.errors import ClusterError, Misconfigured

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_HOST = "KUBERNETES_SERVICE_HOST"
_PORT = "KUBERNETES_SERVICE_PORT"

Reload = Callable[[], Awaitable[None]]
"""Reads the credentials again, into the same configuration."""


async def load_configuration(
    kubeconfig: Path | None,
    context: str,
    environ: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
) -> tuple[Configuration, Reload]:
    """Read the kubeconfig; without one the pod's service account, else what kubectl would read.

    Raises:
        Misconfigured: it is missing or wrong.
    """
    configuration = Configuration()
    if kubeconfig is None and environ.get(_HOST) and not context:
        _configure_in_cluster(configuration, environ, service_account)
        return configuration, _nothing_to_reload

    async def reload() -> None:
        await _load_kubeconfig(configuration, kubeconfig, context)

    await reload()
    return configuration, reload


def _configure_in_cluster(configuration: Configuration, environ: Mapping[str, str], service_account: Path) -> None:
    """Be the pod's service account; its token is read for each request, because the kubelet renews it."""
    authority, token_file = service_account / "ca.crt", service_account / "token"
    for file in (authority, token_file):
        if not file.is_file():
            raise Misconfigured(f"{file} is missing: set automountServiceAccountToken: true for the pod")
    host = environ[_HOST]
    configuration.host = f"https://{f'[{host}]' if ':' in host else host}:{environ.get(_PORT, '443')}"
    configuration.ssl_ca_cert = str(authority)

    def read_token(current: Configuration) -> None:
        try:
            current.api_key["BearerToken"] = f"Bearer {token_file.read_text('ascii').strip()}"
        except (OSError, UnicodeDecodeError) as error:
            raise ClusterError(f"the service account's token cannot be read: {error}") from error

    read_token(configuration)  # the library asks the hook only when there is a token to refresh
    configuration.refresh_api_key_hook = read_token


async def _load_kubeconfig(configuration: Configuration, kubeconfig: Path | None, context: str) -> None:
    place = f"kubeconfig {kubeconfig}" if kubeconfig else "the default kubeconfig"
    remedy = "set applications.kubeconfig, or applications.source: directory"
    if not _present(kubeconfig):
        raise Misconfigured(f"{place} does not exist; {remedy}")
    try:
        await load_kube_config(
            config_file=None if kubeconfig is None else str(kubeconfig),
            context=context or None,
            client_configuration=configuration,
            persist_config=False,
        )
    except (ConfigException, OSError) as error:
        raise Misconfigured(f"{place} cannot be used: {error}; {remedy}") from error
    except Exception as error:  # noqa: BLE001 - the loader fails in whatever way the file's content leads it to
        # Such texts may quote the file, which holds secrets.
        raise Misconfigured(f"{place} cannot be used: {type(error).__name__}; {remedy}") from None


def _present(kubeconfig: Path | None) -> bool:
    if kubeconfig is not None:
        return kubeconfig.is_file()
    return any(Path(part).expanduser().is_file() for part in KUBE_CONFIG_DEFAULT_LOCATION.split(os.pathsep) if part)


async def _nothing_to_reload() -> None:
    return
