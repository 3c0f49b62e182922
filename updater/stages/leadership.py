"""Leadership where there is nobody else: in a directory of manifests, and for a single round."""


class Alone:
    """Implements `Leadership` for the only one there is."""

    def holds(self) -> bool:
        return True

    async def held(self) -> bool:
        return True

    def stop_waiting(self) -> None:
        """Nobody waits."""
