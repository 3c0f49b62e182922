"""What is wrong with a policy, told before any registry is asked."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from updater.domain.chart_versions import is_chart_version
from updater.domain.errors import Misconfigured
from updater.domain.filters import TagFilters
from updater.domain.ordering import is_tag, order_of
from updater.domain.policy import Output, Policy, Strategy
from updater.domain.schedule import parse_schedule

_BY_TIME = (Strategy.NEWEST_BUILD, Strategy.NEWEST_PUSH)
_ANY_TIME = datetime(2013, 1, 1, tzinfo=UTC)
_LONGEST_AGE = timedelta(days=3653)


def check_policy(policy: Policy) -> tuple[str, ...]:
    """Name every problem, each with the value and the remedy; empty when the policy can be followed."""
    return (
        *_complaint(lambda: TagFilters.of(policy)),
        *_complaint(lambda: order_of(policy, _ANY_TIME)),
        *_constraint(policy),
        *_complaint(lambda: parse_schedule(policy.schedule)),
        *_scheme(policy),
        *_rest(policy),
    )


def _complaint(prepare: Callable[[], object]) -> Iterator[str]:
    try:
        prepare()
    except Misconfigured as error:
        yield str(error)


def _constraint(policy: Policy) -> Iterator[str]:
    constraint, strategy = policy.constraint, policy.strategy
    if strategy is Strategy.DIGEST:
        if not constraint:
            yield "update-strategy digest has no tag to follow: write one behind the image, such as :latest"
        elif not is_tag(constraint):
            yield f"constraint {constraint!r} is no tag, as update-strategy digest wants one: write such as latest"
    elif constraint and strategy is not Strategy.SEMVER:
        yield (
            f"constraint {constraint!r} has no meaning for update-strategy {strategy}: "
            "remove it, and choose tags with allow-tags"
        )


def _scheme(policy: Policy) -> Iterator[str]:
    if not policy.extract and not policy.sort:
        return
    if policy.strategy in (*_BY_TIME, Strategy.DIGEST):
        yield f"extract and sort order tags by name, update-strategy {policy.strategy} does not: remove either"
    if policy.sort and not policy.extract and policy.strategy is Strategy.SEMVER:
        yield f"sort {policy.sort!r} has no meaning for versions: write extract too, or another update-strategy"
    if policy.extract and policy.constraint and policy.strategy is Strategy.SEMVER:
        yield (
            f"constraint {policy.constraint!r} has no meaning beside extract and sort: "
            "remove it, and choose tags with allow-tags"
        )


def _rest(policy: Policy) -> Iterator[str]:
    if policy.strategy is Strategy.DIGEST and policy.output is Output.TAG:
        yield "output tag says nothing of the digest that update-strategy digest follows: write tag@digest or digest"
    if policy.minimum_age < timedelta():
        yield f"minimum-age {policy.minimum_age.total_seconds():g}s is negative: write a duration such as 24h"
    if policy.minimum_age > _LONGEST_AGE:
        yield f"minimum-age {policy.minimum_age} is longer than ten years: write a duration such as 24h"
    if policy.pin and not (is_chart_version if policy.of_chart else is_tag)(policy.pin):
        yield f"pin {policy.pin!r} is no tag: write the tag alone, such as 1.2.3"
