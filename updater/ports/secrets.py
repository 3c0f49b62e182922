"""Secrets, and what else a cluster lends for logging in elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class Secrets(Protocol):
    """Reads Secrets."""

    async def secret(self, namespace: str, name: str) -> Mapping[str, bytes]:
        """Return the decoded data of a Secret.

        Raises:
            SecretNotFound: there is no such Secret.
            ClusterError: it could not be read now.
        """
        ...


class ServiceAccounts(Protocol):
    """Knows with which Secrets the pods of a ServiceAccount pull their images."""

    async def pull_secrets(self, namespace: str, service_account: str) -> Sequence[str]:
        """Return the names of its imagePullSecrets; none when it does not exist, or must not be read.

        Raises:
            ClusterError: it could not be read now.
        """
        ...


@dataclass(frozen=True, slots=True)
class LabelledSecret:
    """A Secret found by its label."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    data: Mapping[str, bytes]

    def __repr__(self) -> str:
        return f"LabelledSecret({self.namespace}/{self.name})"


class RepositorySecrets(Secrets, Protocol):
    """Reads Secrets, also those that Argo CD keeps for its repositories."""

    async def secrets_labelled(self, namespace: str, label: str, values: Sequence[str]) -> Sequence[LabelledSecret]:
        """Return the Secrets of a namespace whose `label` has one of `values`.

        Raises:
            ClusterError: they could not be read now.
        """
        ...
