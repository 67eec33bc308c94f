"""Names of the files of an image sequence, from the template in a stream resource.

Two styles are published: Python's (ophyd-async: ``name_{:06d}.tiff``) and C's (areaDetector: ``%s%s_%6.6d.tif``, to which the resource's
``filename`` belongs). Both are read by a small grammar of their own: a template comes from documents, and ``str.format`` would follow
attributes and pad to any width.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from wpb_stream.core.exceptions import FrameBroken

MAX_WIDTH = 64
_FIELD = re.compile(
    r"\{(?:0|index)?(?::(?P<new_flags>0?)(?P<new_width>\d*)d?)?\}"
    r"|%(?P<old_flags>[-+ #0]*)(?P<old_width>\d*)(?:\.(?P<digits>\d+))?[di]"
    r"|%(?P<text>s)"
    r"|(?P<other>[{}%])"
)


class Template:
    """The name of each file of a sequence by its number."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        """Take ``template`` and ``filename`` from a resource's parameters.

        :raises FrameBroken: there is no template, or it is of neither style
        """
        template, filename = parameters.get("template"), parameters.get("filename", "")
        if not isinstance(template, str) or not isinstance(filename, str):
            raise FrameBroken(
                f"the stream resource of a sequence must name its files by 'template'; its parameters are {sorted(parameters)}"
            )
        self._parts: list[str | tuple[int, str]] = []
        at, filenames = 0, [filename]
        for field in _FIELD.finditer(template):
            self._parts.append(template[at : field.start()])
            at = field.end()
            if field["other"]:
                raise FrameBroken(f"the template {template!r} is neither of the form 'name_{{:06d}}.tiff' nor of the form '%s%s_%6.6d.tif'")
            # As in Bluesky's consolidators the first %s is the file name; the folder, which areaDetector has there, is in the URI.
            self._parts.append((filenames.pop() if filenames else "") if field["text"] else _number(field, template))
        self._parts.append(template[at:])

    def name(self, number: int) -> str:
        """The name of file ``number``, counted from 0."""
        return "".join(part if isinstance(part, str) else f"{number:{part[1]}{part[0]}d}" for part in self._parts)

    @property
    def numbered(self) -> bool:
        """Whether the files have different names."""
        return any(not isinstance(part, str) for part in self._parts)


def _number(field: re.Match[str], template: str) -> tuple[int, str]:
    """Width and fill of a number."""
    width = max(int(field[group] or 0) for group in ("new_width", "old_width", "digits"))
    if width > MAX_WIDTH:
        raise FrameBroken(f"the template {template[:80]!r} pads its number to {width} characters; at most {MAX_WIDTH} are believed")
    left = "-" in (field["old_flags"] or "")
    zeros = field["new_flags"] or "0" in (field["old_flags"] or "") or field["digits"]
    return width, "<" if left else "0" if zeros else ""
