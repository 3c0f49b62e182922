"""What comes from outside, by format: a function that reads bytes, and bytes that it likes.

A target ends, or raises what its format documents. Anything else is a fault of ours.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from updater.adapters.argocd import decode_application
from updater.domain.change import Edit
from updater.domain.constraint import parse_constraint
from updater.domain.errors import EditError, GitError, Misconfigured
from updater.domain.image import ImageReference, ImageVersion, Repository
from updater.domain.references import parse_image_list
from updater.domain.target import FileKind, ImageKeys
from updater.domain.version import parse_version
from updater.formats import helm_index, oci, pktline, vendor_tags
from updater.formats.deltas import apply_delta
from updater.formats.gotemplate import Struct, Template
from updater.formats.packs import BLOB, GitObject, Sent, read_pack, write_pack
from updater.formats.targets import apply_edits
from updater.formats.webhook_events import BadWebhook
from updater.formats.webhooks import WebhookType, read_webhook

_LARGEST = 2**20
_IMAGE = ImageReference(Repository("quay.io", "e/a"), "quay.io/e/a").at(ImageVersion.parse("v2"))
_BASE = b"line\n" * 100
_TEMPLATE_DATA = Struct({"AppName": "demo", "Images": ["a", "b"], "Count": 3})


@dataclass(frozen=True, slots=True)
class Target:
    """One format."""

    read: Callable[[bytes], object]
    refuses: tuple[type[Exception], ...]
    """What it raises for what it does not understand."""
    seeds: Sequence[bytes]

    def __call__(self, data: bytes) -> None:
        try:
            self.read(data)
        except self.refuses:
            return


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _constraint(data: bytes) -> None:
    constraint, _, tag = _text(data).partition("\n")
    version = parse_version(tag, loose=True)
    parsed = parse_constraint(constraint)
    if version is not None:
        parsed.admits(version)


def _edit(data: bytes) -> None:
    path, _, text = data.decode("utf-8", "replace").partition("\n")
    once = apply_edits(FileKind.HELM_VALUES, text, [Edit(_IMAGE, ImageKeys(tag=path))])
    assert apply_edits(FileKind.HELM_VALUES, once, [Edit(_IMAGE, ImageKeys(tag=path))]) == once


def _pack(data: bytes) -> None:
    known = {GitObject(BLOB, _BASE).hash: GitObject(BLOB, _BASE)}
    pack = read_pack(data + hashlib.sha1(data).digest(), known, _LARGEST)
    for key in pack:
        _ = pack[key]


def _webhook(data: bytes) -> None:
    kinds = list(WebhookType)
    kind = kinds[data[0] % len(kinds)] if data else kinds[0]
    headers = {"x-github-event": "package", "x-gitlab-event": "x", "x-gitea-event": "package", "ce-type": "x"}
    read_webhook(kind, data[1:], headers, {"registry_url": "r.example.com"})


def _registry(data: bytes) -> None:
    for decode in (
        oci.decode_tags,
        lambda body: oci.decode_manifest(body, ""),
        oci.decode_config,
        lambda body: oci.decode_token(body, 1, 2),
        oci.error_codes,
        vendor_tags.decode_docker_hub,
        vendor_tags.decode_quay,
        vendor_tags.decode_harbor,
        vendor_tags.decode_gitlab,
        vendor_tags.decode_azure,
        vendor_tags.decode_google,
    ):
        try:
            decode(data)
        except oci.Malformed:
            continue


def _blob(text: bytes) -> Sent:
    return Sent(GitObject(BLOB, text))


TARGETS = {
    "references": Target(
        lambda data: parse_image_list(_text(data)),
        (Misconfigured,),
        [b"a=quay.io/team/app:1.x, nginx:~1.2@sha256:" + b"0" * 64, b"[::1]:5000/a/b", b"x=y=z"],
    ),
    "constraints": Target(
        _constraint,
        (Misconfigured,),
        [b">=1.2, <3 || ~2.1 || ^0.0.3\nv1.2.3-rc.1+b", b"1.x - 2.5\n2", b"!=1.*\n1"],
    ),
    "yaml": Target(
        _edit,
        (EditError,),
        [
            b"image.tag\nimage:\r\n  tag: &a 'v1'  # x\r\nb: *a\r\n",
            b"a[0].tag\na: [{tag: |-\n  v1\n}, {<<: *x}]\n",
            b"image.tag\n%YAML 1.1\n---\n? image\n: {tag: >\n  v1\n }\n...\n",
        ],
    ),
    "templates": Target(
        lambda data: Template.parse(_text(data)).render(_TEMPLATE_DATA),
        (Misconfigured,),
        [
            b'{{range $i, $x := .Images}}{{printf "%-5s|%05d %q" $x $i .}}{{else}}n{{end}}',
            b'{{define "a"}}{{template "a" .}}{{end}}{{with .AppName}}{{- slice . 1 2 -}}{{end}}',
            b"{{if and (eq .Count 3) (lt 1 2.5)}}{{index .Images 1 | len | urlquery}}{{end}}",
        ],
    ),
    "pkt-lines": Target(
        lambda data: list(pktline.decode(data)),
        (GitError,),
        [b"0006a\n0000", b"000eversion 2\n00010002", b"fff0" + b"x" * 20],
    ),
    "packs": Target(
        _pack,
        (GitError,),
        [write_pack([_blob(b"a" * 100), _blob(b"")])[:-20], write_pack([])[:-20]],
    ),
    "deltas": Target(
        lambda data: apply_delta(_BASE, data, _LARGEST),
        (GitError,),
        [b"\xf4\x03\xf4\x03\xb0\xf4\x01", b"\xf4\x03\x05\x05hello"],
    ),
    "webhooks": Target(
        _webhook,
        (BadWebhook,),
        [
            bytes([number]) + body
            for number in range(len(WebhookType))
            for body in (
                b'{"repository":{"repo_name":"a/b","full_name":"a/b"},"push_data":{"tag":"x"},"target":{}}',
                b'{"events":[{"action":"push","target":{"repository":"a","tag":"b"},"request":{"host":"h"}}]}',
                b'{"message":{"data":"eyJhY3Rpb24iOiJJTlNFUlQifQ=="},"detail":{"repository-name":"a"}}',
            )
        ],
    ),
    "registry answers": Target(
        _registry,
        (),
        [
            b'{"name":"a","tags":["v1",null]}',
            b'{"schemaVersion":2,"manifests":[{"digest":"sha256:0","platform":{"os":"linux"}}],"layers":[]}',
            b'{"token":"x","expires_in":1e99,"created":"2026-01-01T00:00:00Z","errors":[{"code":"X"}]}',
            b'{"results":[{"name":"a","images":[{"digest":"x"}],"tag_last_pushed":"2026-01-01"}],"next":"x"}',
        ],
    ),
    "helm indexes": Target(
        helm_index.decode_index,
        (helm_index.Malformed,),
        [b"apiVersion: v1\nentries:\n  a:\n  - version: 1.0.0\n    created: 2026-01-01T00:00:00Z\n"],
    ),
    "watch lines": Target(
        decode_application,
        (Misconfigured,),
        [
            b'{"metadata":{"name":"a","namespace":"b","annotations":{"x":"y"}},"spec":{"sources":[{"repoURL":"u"}]}}',
            b'{"metadata":{"name":"a"},"status":{"summary":{"images":["a:b"]}},"spec":{"source":{"helm":{}}}}',
        ],
    ),
}
