"""Identities that clouds give to the daemon, turned into logins for their registries.

One module for each cloud. A login is good for hours, so a cloud is asked by one or two plain requests now and then;
only AWS, with its many ways to say who one is, is left to its own library.
"""

from updater.adapters.registry.clouds.identities import CloudIdentities
from updater.adapters.registry.clouds.place import Place

__all__ = ["CloudIdentities", "Place"]
