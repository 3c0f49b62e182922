"""What the demonstration starts from: a GitOps repository, and the manifests and settings of a small installation."""

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import dedent

REPOSITORY = "haoshuwei24/echo-server"
APPLICATION = "gitops-demo"
OVERRIDE_FILE = f"manifests/helm/.argocd-source-{APPLICATION}.yaml"

GITOPS_FILES = {
    "manifests/helm/Chart.yaml": dedent("""\
        apiVersion: v2
        name: echo-server
        version: 0.1.0
    """),
    "manifests/helm/values.yaml": dedent("""\
        # The image tag is set per environment.
        image:
          repository: haoshuwei24/echo-server
          tag: v1.0
          pullPolicy: IfNotPresent
        replicaCount: 1
    """),
    "manifests/helm/templates/deployment.yaml": dedent("""\
        apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: echo-server
        spec:
          replicas: {{ .Values.replicaCount }}
          selector:
            matchLabels: {app: echo-server}
          template:
            metadata:
              labels: {app: echo-server}
            spec:
              containers:
                - name: echo-server
                  image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
    """),
}


@dataclass(frozen=True, slots=True)
class Login:
    """A user of a server."""

    username: str
    password: str


def installation(registry: str, registry_login: Login, git_url: str, git_login: Login) -> Mapping[str, str]:
    """Give the files of an installation by their paths: settings, `registries.conf`, an Application and its Secrets."""
    return {
        "updater.yaml": _settings(),
        "registries.conf": _registries_conf(registry),
        "applications/gitops-demo.yaml": _application(registry, git_url),
        "applications/secrets.yaml": _secrets(registry_login, git_login),
    }


def _settings() -> str:
    return dedent("""\
        applications:
          source: directory
          directory: applications
        registries:
          file: registries.conf
        polling:
          interval: 1s
        git:
          linger: 200ms
        state:
          path: state.db
        web:
          listen: 0
    """)


def _registries_conf(registry: str) -> str:
    return dedent(f"""\
        registries:
        - name: AlibabaCloud Container Registry
          api_url: http://{registry}
          prefix: {registry}
          insecure: no
          credentials: secret:argocd/acr#acr
    """)


def _application(registry: str, git_url: str) -> str:
    return dedent(f"""\
        apiVersion: argoproj.io/v1alpha1
        kind: Application
        metadata:
          name: {APPLICATION}
          namespace: argocd
          annotations:
            argocd-image-updater.argoproj.io/image-list: echoserver={registry}/{REPOSITORY}
            argocd-image-updater.argoproj.io/echoserver.helm.image-tag: image.tag
            argocd-image-updater.argoproj.io/echoserver.update-strategy: semver
            argocd-image-updater.argoproj.io/echoserver.allow-tags: regexp:^v[1-9].*
            argocd-image-updater.argoproj.io/write-back-method: git:secret:argocd/git-creds
        spec:
          project: default
          source:
            repoURL: {git_url}
            path: manifests/helm
            targetRevision: main
          destination:
            server: https://kubernetes.default.svc
            namespace: default
          syncPolicy:
            automated: {{}}
        status:
          sourceType: Helm
          summary:
            images:
            - {registry}/{REPOSITORY}:v1.0
    """)


def _secrets(registry_login: Login, git_login: Login) -> str:
    return dedent(f"""\
        apiVersion: v1
        kind: Secret
        metadata:
          name: acr
          namespace: argocd
        stringData:
          acr: {registry_login.username}:{registry_login.password}
        ---
        apiVersion: v1
        kind: Secret
        metadata:
          name: git-creds
          namespace: argocd
        stringData:
          username: {git_login.username}
          password: {git_login.password}
    """)
