"""From a policy and a snapshot to a decision, with its reason.

`elect` is the half that all applications with the same policy share; `judge` is the half of one image.
"""

from datetime import datetime

from updater.domain.candidates import Snapshot
from updater.domain.decision import Current, Decision, Memory
from updater.domain.judgement import judge
from updater.domain.policy import Policy
from updater.domain.ranking import Election, elect

__all__ = ["Election", "decide", "elect", "judge"]


def decide(policy: Policy, snapshot: Snapshot, current: Current, memory: Memory, now: datetime) -> Decision:
    """Decide for one image at once.

    Raises:
        Misconfigured: the policy cannot be followed.
    """
    return judge(elect(policy, snapshot, now), current, memory, now)
