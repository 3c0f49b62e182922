"""Clouds on loopback: they check what they are asked, and answer in the shapes of their documentation."""

from tests.fakes.clouds.server import Asked, CloudServer, sample

__all__ = ["Asked", "CloudServer", "sample"]
