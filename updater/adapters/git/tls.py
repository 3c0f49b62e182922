"""Which certificates a server may show, and the one that it is shown."""

import os
import ssl
from collections.abc import Iterable

from updater.adapters.git.login import Login
from updater.domain.errors import Misconfigured


def tls_context(authorities: Iterable[str], login: Login) -> ssl.SSLContext:
    """Trust the system's authorities and some more; with a client certificate where the login has one.

    Raises:
        Misconfigured: a certificate or key is none.
    """
    context = ssl.create_default_context()
    if login.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    for each in authorities:
        if each.strip():
            try:
                context.load_verify_locations(cadata=each)
            except (ssl.SSLError, ValueError) as error:
                raise Misconfigured(
                    f"git.ca_file or argocd-tls-certs-cm holds a certificate that is none: {error}"
                ) from None
    if login.certificate:
        _load_client(context, login)
    return context


def _load_client(context: ssl.SSLContext, login: Login) -> None:
    """Load certificate and key from memory: OpenSSL takes them by a file's name alone, and the disk is not for keys."""
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(f"{login.certificate}\n{login.certificate_key}\n".encode())
        file.flush()
        try:
            context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=_no_passphrase)
        except (ssl.SSLError, ValueError) as error:
            raise Misconfigured(
                f"{login.name} hold no certificate with its key in tlsClientCertData and tlsClientCertKey: {error}",
            ) from None


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase")
