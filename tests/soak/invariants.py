"""What has to be true after everything that happened, seen from the outside: in Git, in the logs, in /proc."""

from collections import Counter
from collections.abc import Iterator

from tests.soak import history
from tests.soak.history import OURS, PERSON
from tests.soak.replica import Replica, is_about_the_volume
from tests.soak.world import TRACKED, World

_FAULTS_OF_OURS = ("crashed", "exception", "traceback", "Task exception", "was never retrieved", "never awaited")
_CONFIRMED = ("image.updated", "image.proposed", "write_back.pushed", "write_back.recovered", "write_back.merged")


def violations(there: World) -> list[str]:
    """Say everything that is not as it has to be."""
    found = [*_git_violations(there), *there.foreign, *_patch_violations(there)]
    found += [each for forge in there.forges for each in forge.violations()]
    found += [*_lost(there), *there.senders.violations()]
    for replica in there.replicas:
        found += [f"{replica.name}: {each}" for each in (*_log_violations(replica), *_ends(replica))]
    found += there.seeker.violations(there.root / "state", _told(there))
    return found


def _git_violations(there: World) -> Iterator[str]:
    repository = there.place.repository
    yield from history.broken(repository)
    commits = history.history(repository)
    people = [commit.message.strip() for commit in commits if commit.message.startswith(PERSON)]
    if people != there.people:
        yield f"people's commits are {people} instead of {there.people}"
    for commit in commits[1:]:
        if " " in commit.parents:
            yield f"{commit.hash} is a merge"
        elif commit.author != OURS and not commit.message.startswith(PERSON):
            yield f"{commit.hash} is nobody's"
    ours = [commit for commit in commits if commit.author == OURS]
    yield from history.judged(repository, ours, TRACKED, there.allowed)
    written = Counter(
        trailer.partition(" was ")[0]
        for commit in commits
        for trailer in commit.message.splitlines()
        if trailer.startswith("Image-Updated: ")
    )
    yield from (f"{count} commits say '{trailer}'" for trailer, count in written.items() if count != 1)


def _lost(there: World) -> Iterator[str]:
    """Find commits and pull requests that were said to be there and are not."""
    commits = {commit.hash for commit in history.history(there.place.repository)}
    commits |= {name for forge in there.forges for name in forge.commit_names()}
    requests = {url for forge in there.forges for url in forge.addresses()}
    for replica in there.replicas:
        for event in replica.said:
            if event.get("event") in _CONFIRMED and event.get("commit") and event["commit"] not in commits:
                yield f"{replica.name} said that {event['commit']} is on a branch"
            if event.get("event") == "pull_request.opened" and event["url"] not in requests:
                yield f"{replica.name} said that {event['url']} was opened"


def _patch_violations(there: World) -> Iterator[str]:
    allowed = next(there.allowed[tracked.repository] for tracked in TRACKED if tracked.name == "patched")
    places = [allowed.index(tag) if tag in allowed else -1 for tag in there.patched]
    if places != sorted(set(places)) or -1 in places:
        yield f"the patched Application had {there.patched}"


def _log_violations(replica: Replica) -> Iterator[str]:
    for event in replica.said:
        line = str(event)
        text = "time" not in event and not is_about_the_volume(event)
        if any(word in line for word in _FAULTS_OF_OURS) or text:
            yield f"a fault of its own: {line}"


def _ends(replica: Replica) -> Iterator[str]:
    yield from (f"ended with {code} after SIGTERM" for code in replica.unclean_ends)
    yield from (f"ended by itself with {code}" for code in replica.unexpected_ends)
    if replica.process is None:
        yield "does not run"


def _told(there: World) -> Iterator[tuple[str, str]]:
    """Give everything that was written where others read it, but for the Secrets themselves."""
    for replica in there.replicas:
        yield from ((f"{replica.name}: the event {event.get('event')}", str(event)) for event in replica.said)
    for key, manifest in there.api.objects().items():
        if key.plural != "secrets":
            yield f"the API server's {key}", str(manifest)
    repositories = (there.place.repository, *(forge.forge.directory for forge in there.forges))
    for repository in repositories:
        yield from ((f"commit {each.hash}", str(each)) for each in history.all_commits(repository))
    for forge in there.forges:
        yield from ((f"{forge.kind}'s pull request {each.number}", str(each)) for each in forge.forge.requests_made)
