"""The browser looks at the same streaming process that the integration tests run."""

from tests.integration.conftest import settings, streaming, streaming_process

__all__ = ["settings", "streaming", "streaming_process"]
