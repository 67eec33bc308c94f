"""Everything wpb raises on purpose.

::

    WpbError
    ├── DocumentError      a document that cannot be used: goes to the dead letters
    ├── RecipeError        settings or metadata that ask for the impossible
    ├── FrameError         a frame that cannot be had
    │   ├── FrameNotYet    … now: the file or the frame is late (retriable)
    │   ├── FrameRefused   … ever: outside the allowed roots, or of a kind we do not open
    │   └── FrameBroken    … the file contradicts the documents or itself
    ├── ProtocolError      a client's message that cannot be served; has a `code`
    ├── Fenced             another process took over the catalogue: stop writing
    └── ServiceError       a service we depend on is not there; says which, and what to do
"""

from __future__ import annotations


class WpbError(Exception):
    """Base of all errors of wpb. The text is one sentence a person can act on."""

    retriable = False
    exit_code = 1
    """Of a command that ends by it."""


class DocumentError(WpbError):
    """A message that is no usable Bluesky document; the text is the reason kept with it."""


class RecipeError(WpbError):
    """Settings or metadata that ask for a reconstruction that cannot be made."""


class FrameError(WpbError):
    """A frame that cannot be read."""


class FrameNotYet(FrameError):
    """The file, or the frame in it, is not there yet; asking again later may help."""

    retriable = True


class FrameRefused(FrameError):
    """The file may not be opened: outside the allowed roots, or of a refused kind."""


class FrameBroken(FrameError):
    """The file is there, but is damaged or contradicts what the documents say of it."""


class ProtocolError(WpbError):
    """A client's message that cannot be served.

    ``code`` is one of the error codes of the feed's protocol, ``request_id`` the client's id if it could be read.
    """

    def __init__(self, code: str, message: str, request_id: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id


class Fenced(WpbError):
    """Another process has taken over the writing of the catalogue."""

    exit_code = 3
    """Tells a supervisor not to start this process again: the two would fence each other for ever."""


class ServiceError(WpbError):
    """A service wpb depends on cannot be reached or does not start."""
