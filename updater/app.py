"""The composition root: real adapters around the pipeline, signals, and how the process starts and ends."""

import asyncio
import os
import platform
import resource
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import msgspec
import structlog
import uvloop

from updater import __version__
from updater.adapters.argocd_trust import ArgoTrust, ConfigMaps
from updater.adapters.forges.branches import ForgeGit
from updater.adapters.forges.client import ForgeClient
from updater.adapters.git.client import GitClient
from updater.adapters.git.reach import Reach
from updater.adapters.git.signing import SigningKey
from updater.adapters.keyless import TrustRoot
from updater.adapters.metrics.counting import Metrics
from updater.adapters.one_application import OneApplication
from updater.adapters.registry.client import RegistryClient
from updater.adapters.secret_texts import SecretTexts
from updater.adapters.signatures import SignatureVerifier
from updater.adapters.sqlite.copying import copy_database
from updater.adapters.sqlite.store import SqliteStore
from updater.config.environment import secret_variables, unsupported_variables
from updater.config.reload import ConfigurationReload, Configured
from updater.domain.application import ApplicationName
from updater.domain.errors import Misconfigured, UpdaterError
from updater.domain.platform import own_platform
from updater.garbage import keep_collections_short
from updater.logs import configure_logging
from updater.pipeline import Cluster, Companion, Pipeline, build_pipeline
from updater.ports.cluster import Leadership
from updater.ports.git import Author
from updater.ports.secrets import RepositorySecrets, Secrets, ServiceAccounts
from updater.ports.tracing import UNTRACED, Tracing
from updater.serving import Outside, build_overview
from updater.settings.daemon import DEFAULT_STATE, TEMPORARY_STATE, Settings, State
from updater.stages.board import Board
from updater.stages.commits import Commits
from updater.stages.leadership import Alone
from updater.stages.overview import Overview
from updater.stages.reporter import Reporter
from updater.web.api import serve_api

log = structlog.get_logger()

_GIT_CACHE_BYTES = 32 * 2**20


class SecretCluster(Cluster, RepositorySecrets, ConfigMaps, ServiceAccounts, Protocol):
    """Where Applications live, and what they need to get at registries and repositories."""


def run_daemon(
    settings: Settings,
    environ: Mapping[str, str],
    read_settings: Callable[[], Settings],
    *,
    once: bool = False,
    dry_run: bool = False,
    at_end: Callable[[Board], None] = lambda _: None,
) -> bool:
    """Run until told to end by SIGTERM or SIGINT, or, with `once`, until all is done; tell whether all is well.

    `read_settings` reads the settings again, so that changes can be followed.

    Raises:
        Misconfigured: the settings cannot be followed; found before anything is started.
        UpdaterError: what the settings name cannot be used.
    """
    try:
        dry_run = dry_run or settings.updates.dry_run
        _allow_many_files()
        keep_collections_short()
        return uvloop.run(_run(settings, environ, read_settings, at_end, once=once, dry_run=dry_run))
    except UpdaterError:
        raise
    except Exception:
        log.exception("daemon.crashed")
        return False


async def _run(
    settings: Settings,
    environ: Mapping[str, str],
    read_settings: Callable[[], Settings],
    at_end: Callable[[Board], None],
    *,
    once: bool,
    dry_run: bool,
) -> bool:
    stop = _stop_on_signals()
    log.info(
        "daemon.started",
        version=__version__,
        pid=os.getpid(),
        applications=settings.applications.source,
        interval_seconds=settings.polling.interval,
        dry_run=dry_run,
    )
    for name in unsupported_variables(environ):
        log.warning("variable.unsupported", variable=name, reason="it has no effect: remove it")
    if settings.state.path == TEMPORARY_STATE:
        log.warning(
            "state.temporary",
            path=str(TEMPORARY_STATE),
            reason=f"{DEFAULT_STATE.parent} is no volume, and what is remembered ends with the pod: mount one there",
        )
    healthy = True
    async with open_daemon(settings, read_settings, once=once, dry_run=dry_run) as daemon:
        if once:
            healthy = await daemon.pipeline.run_once(stop)
        else:
            async with serve_api(settings.api_socket, daemon.reporter, daemon.overview):
                await daemon.pipeline.run(stop)
        at_end(daemon.pipeline.board)
    log.info("daemon.stopped")
    return healthy


async def evaluate(settings: Settings, name: ApplicationName) -> dict[str, object] | None:
    """Decide for one application as the daemon would, and write nothing; None when there is no such application.

    What is remembered is read from a copy of the database: the daemon's own stays as it is.

    Raises:
        Misconfigured: the settings cannot be followed.
        UpdaterError: what the settings name cannot be used.
    """
    with TemporaryDirectory(prefix="updater-") as directory:
        path = Path(directory) / "state.db"
        await asyncio.to_thread(copy_database, settings.state.path, path)
        copied = msgspec.structs.replace(settings, state=State(path=path))
        async with open_daemon(copied, once=True, dry_run=True, only=name) as daemon:
            await daemon.pipeline.run_once(asyncio.Event())
            return await daemon.reporter.application(name)


@dataclass(frozen=True, slots=True)
class Daemon:
    """The pipeline, and who tells what it knows."""

    pipeline: Pipeline
    reporter: Reporter
    overview: Overview


@asynccontextmanager
async def open_daemon(
    settings: Settings,
    read_settings: Callable[[], Settings] | None = None,
    *,
    once: bool = False,
    dry_run: bool = False,
    only: ApplicationName | None = None,
) -> AsyncIterator[Daemon]:
    """Open the adapters that the settings ask for, and close them at the end; with `only`, for one application.

    Raises:
        Misconfigured: the settings cannot be followed.
    """
    ca_data = _ca_data(settings)
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(_open_cluster(settings))
        store = await SqliteStore.open(settings.state.path)
        stack.push_async_callback(store.close)
        own = own_platform(platform.system(), platform.machine())
        metrics = Metrics()
        tracing = await stack.enter_async_context(_tracing(settings))
        trust = ArgoTrust(cluster, settings.argocd.namespace)
        reload = ConfigurationReload(trust, settings, read_settings or (lambda: settings))
        configured = await reload.load()
        registry = RegistryClient(
            configured.registries,
            cluster,
            store,
            store,
            own_platform=own,
            now=_now,
            accounts=cluster,
            repositories=cluster,
            argocd_namespace=settings.argocd.namespace,
            script_directories=settings.registries.script_directories,
            measure=metrics.measure,
            secret_variables=secret_variables(settings),
            variables_of_images=lambda: pipeline.variables_of_images(),  # noqa: PLW0108 - it is made below
        )
        stack.push_async_callback(registry.close)
        namespace = settings.argocd.namespace
        reach = Reach(cluster, trust, argocd_namespace=namespace, ca_data=ca_data, timeout=settings.git.timeout)
        git = GitClient(
            reach,
            max_pack_bytes=settings.git.max_pack,
            cache_bytes=_GIT_CACHE_BYTES,
            max_file_bytes=settings.git.max_file,
            ask_before_push=settings.git.ask_before_push,
        )
        stack.push_async_callback(git.close)
        commits = Commits(
            Author(settings.git.user, settings.git.email),
            configured.commits,
            _signing_key(settings, cluster),
            registry,
        )
        leadership, companions = await _leadership(settings, cluster, store, alone=once or dry_run)
        watched = OneApplication(cluster, only) if only else cluster
        forges = ForgeClient(reach)
        by_api = settings.git.commit_method == "api"
        pipeline = build_pipeline(
            settings,
            watched,
            registry,
            ForgeGit(git, forges, commits.author) if by_api else git,
            store,
            _now,
            leadership,
            companions,
            signatures=SignatureVerifier(registry, cluster, TrustRoot(settings.verification.trusted_root)),
            once=once,
            dry_run=dry_run,
            commits=commits,
            forges=forges,
            measure=metrics.measure,
            tracing=tracing,
        )
        reporter = Reporter(pipeline.board, registry, store, looks_again=not once)
        overview = build_overview(pipeline, reporter, _now)
        outside = Outside(settings, SecretTexts(cluster), pipeline, leadership, metrics, overview, _now, tracing)
        companions = [] if once else outside.companions({"store": store.ping, "registries": registry.ping})
        pipeline = replace(pipeline, companions=[*pipeline.companions, *companions])

        async def follow(changed: Configured) -> None:
            said = changed.settings
            configure_logging(said.log)
            await registry.reconfigure(changed.registries, said.registries.script_directories, secret_variables(said))
            commits.author, commits.style = Author(said.git.user, said.git.email), changed.commits
            commits.signer = _signing_key(said, cluster)
            await pipeline.follow(said)
            outside.follow(said)

        if not once:
            await stack.enter_async_context(_beside(lambda: reload.run(configured, follow), "reload"))
        yield Daemon(pipeline, reporter, overview)


@asynccontextmanager
async def _tracing(settings: Settings) -> AsyncIterator[Tracing]:
    """Have steps traced where that is wanted; the library is imported there alone.

    Raises:
        Misconfigured: it is not installed, or cannot make sense of its variables.
    """
    if not settings.tracing.enabled:
        yield UNTRACED
        return
    try:
        from updater.adapters.tracing import OpenTelemetry  # noqa: PLC0415 - most do without it
    except ImportError as error:
        raise Misconfigured(f"tracing.enabled needs {error.name}: install updater[otel]") from None
    try:
        tracing = OpenTelemetry(__version__)
    except ValueError as error:
        raise Misconfigured(f"tracing.enabled: a variable OTEL_… cannot be used: {error}") from None
    try:
        yield tracing
    finally:
        await tracing.close()


async def _leadership(
    settings: Settings, cluster: SecretCluster, store: SqliteStore, *, alone: bool
) -> tuple[Leadership, list[Companion]]:
    """Stand for the Lease where there may be several of us; what writes nothing has no need of it."""
    chosen = settings.leader_election
    if alone or not chosen.enabled or settings.applications.directory is not None:
        return Alone(), []
    from updater.adapters.kubernetes.cluster import KubernetesCluster  # noqa: PLC0415 - its import costs seconds

    assert isinstance(cluster, KubernetesCluster)  # noqa: S101 - what is no directory is a cluster
    replica = cluster.replica(chosen.namespace or settings.argocd.namespace, chosen.lease, chosen.duration, store)
    await replica.state.learn()
    return replica.state, [replica.election, replica.state]


@asynccontextmanager
async def _open_cluster(settings: Settings) -> AsyncIterator[SecretCluster]:
    applications = settings.applications
    if applications.directory is not None:
        from updater.adapters.directory import DirectoryCluster  # noqa: PLC0415 - one of the two is enough

        yield DirectoryCluster(applications.directory, default_namespace=settings.argocd.namespace)
        return
    from updater.adapters.kubernetes.cluster import KubernetesCluster  # noqa: PLC0415 - its import costs seconds

    reached = applications.kubeconfig, applications.context
    if applications.namespaces:
        cluster = await KubernetesCluster.open(applications.namespaces, *reached)
    else:
        cluster = await KubernetesCluster.open_beside(settings.argocd.namespace, *reached)
    try:
        yield cluster
    finally:
        await cluster.close()


@asynccontextmanager
async def _beside(work: Callable[[], Awaitable[None]], name: str) -> AsyncIterator[None]:
    """Have something done beside all else; a crash of it is said, and stops nothing but itself."""

    async def guarded() -> None:
        try:
            await work()
        except Exception:
            log.exception("daemon.task_crashed", task=name)

    task = asyncio.create_task(guarded(), name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def _allow_many_files() -> None:
    """Take as many files and connections as may be had: the limit that a process begins with is for those of old."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _stop_on_signals() -> asyncio.Event:
    """Set the event on the first SIGTERM or SIGINT; the second one ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        log.info("daemon.signalled", signal=number.name)
        stop.set()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)

    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, on_signal, each)
    return stop


def _signing_key(settings: Settings, secrets: Secrets) -> SigningKey:
    return SigningKey(secrets, settings.git.commit_signing_key, settings.git.commit_signing_method)


def _ca_data(settings: Settings) -> str:
    path = settings.git.ca_file
    if path is None:
        return ""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"git.ca_file is {path}, which cannot be read: {error}") from None


def _now() -> datetime:
    return datetime.now(UTC)
