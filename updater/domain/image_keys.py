"""What annotations say of an image besides how it is chosen: its names in a target, and who may read its registry."""

from dataclasses import replace

from updater.domain.application import Application
from updater.domain.errors import Misconfigured
from updater.domain.image import ImageReference
from updater.domain.image_settings import ImageSettings
from updater.domain.secrets import CredentialSource, SecretAccess, parse_credential_source
from updater.domain.target import ImageKeys


def image_keys(settings: ImageSettings) -> ImageKeys:
    """Read where the image stands; the three kinds of source exclude each other."""
    kinds = {
        "helm": _named_keys(settings, "helm"),
        "kustomize": ImageKeys(kustomize_name=settings["kustomize.image-name"]),
        "plugin": _named_keys(settings, "plugin"),
    }
    given = {kind: keys for kind, keys in kinds.items() if keys != ImageKeys()}
    if len(given) > 1:
        names = " and ".join(f"{settings.alias}.{kind}.*" for kind in given)
        raise Misconfigured(f"annotations {names} exclude each other: keep those of the application's own kind")
    keys = next(iter(given.values()), ImageKeys())
    return replace(keys, source_type="Plugin") if "plugin" in given else keys


def _named_keys(settings: ImageSettings, kind: str) -> ImageKeys:
    parts = ("name", "tag", "spec")
    return ImageKeys(**{part: settings[f"{kind}.image-{part}"] for part in parts})


def pull_secret(
    settings: ImageSettings, application: Application, image: ImageReference, access: SecretAccess
) -> CredentialSource | None:
    text, namespace = settings["pull-secret"], application.name.namespace
    if not text:
        return (
            access.fallback_of_chart(namespace, application.project) if image.is_chart else access.fallback(namespace)
        )
    source = settings.read("pull-secret", parse_credential_source)
    if refusal := access.refusal_of(source, namespace):
        raise settings.wrong("pull-secret", text, f"it {refusal}")
    return source
