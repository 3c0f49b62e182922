"""What becomes a notice, and what does not."""

from tests.fakes.house import now
from tests.fakes.leadership import FakeLeadership
from updater.domain.application import ApplicationName
from updater.domain.image import ImageVersion
from updater.domain.messages import Happening, Noticed
from updater.formats.notices import Notice, NoticeKind
from updater.stages.notifier import Notifier

DEMO = ApplicationName("argocd", "demo")


class World(list[Notice]):
    """Who is told, and how images stand."""

    def __init__(self, *wanted: str) -> None:
        super().__init__()
        self.failing: dict[str, bool | None] = {}
        self.leadership = FakeLeadership(leader=True)
        kinds = {NoticeKind(each) for each in wanted or NoticeKind}
        self.notifier = Notifier([self], kinds, self.leadership, self.fails, now)

    def put(self, notice: Notice) -> None:
        self.append(notice)

    def fails(self, name: ApplicationName, alias: str) -> bool | None:
        return self.failing.get(alias, False)

    def see(self, happening: str, alias: str = "app") -> None:
        self.notifier.notice(Noticed(Happening(happening), DEMO, alias, "img", "why", version=ImageVersion("v2")))

    def told(self) -> list[str]:
        return [f"{notice.kind} {notice.alias}".strip() for notice in self]


def test_recovery_is_told_when_what_failed_does_so_no_more() -> None:
    world = World()
    world.failing["app"] = True
    world.see("failed")
    world.see("changed")
    world.failing["app"] = False
    world.see("updated")
    world.see("changed")
    assert world.told() == ["failed app", "recovered app", "updated app"]


def test_problem_of_the_whole_application_recovers_too() -> None:
    world = World()
    world.failing[""] = True
    world.see("misconfigured", "")
    world.see("updated", "other")
    world.failing[""] = False
    world.see("changed", "")
    assert world.told() == ["failed", "updated other", "recovered"]


def test_application_that_is_gone_has_not_recovered() -> None:
    world = World()
    world.failing["app"] = True
    world.see("failed")
    world.failing["app"] = None
    world.see("changed", "")
    assert world.told() == ["failed app"]


def test_only_what_is_wanted_is_told() -> None:
    world = World("recovered")
    world.failing["app"] = True
    world.see("failed")
    world.see("held")
    world.failing["app"] = False
    world.see("changed")
    assert world.told() == ["recovered app"]


def test_standby_tells_nothing() -> None:
    world = World()
    world.leadership.lose()
    world.see("held")
    assert world.told() == []
