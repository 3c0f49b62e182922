"""The proxies that the environment names, understood as Go's programs understand them.

Pods are given `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` for the Go programs beside us, so `NO_PROXY` may hold ranges
of addresses, ports, and domains with and without a leading dot. The loopback is never reached through a proxy.
"""

import os
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from yarl import URL


def environment_proxy(url: URL, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the address of the proxy for an address; None for a direct connection."""
    host = (url.host or "").lower().rstrip(".")
    proxy = _variable(environ, f"{url.scheme}_proxy")
    if not proxy or host == "localhost":
        return None
    address = _address(host)
    if (address is not None and address.is_loopback) or any(
        _excludes(entry, host, url.port, address) for entry in _entries(environ)
    ):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name.upper(), "").strip() or environ.get(name, "").strip()


def _entries(environ: Mapping[str, str]) -> Iterator[str]:
    for entry in _variable(environ, "no_proxy").lower().split(","):
        if entry.strip():
            yield entry.strip()


def _excludes(entry: str, host: str, port: int | None, address: IPv4Address | IPv6Address | None) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return address is not None and _in_range(address, entry)
    name, _, number = entry.rpartition(":")
    if name and number.isdecimal() and _address(entry) is None:
        if int(number) != port:
            return False
        entry = name
    if address is not None:
        return _address(entry.strip("[]")) == address
    entry = entry.removeprefix("*")
    return host.endswith(entry) if entry.startswith(".") else host == entry or host.endswith(f".{entry}")


def _in_range(address: IPv4Address | IPv6Address, text: str) -> bool:
    try:
        return address in ip_network(text, strict=False)
    except ValueError:
        return False


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
