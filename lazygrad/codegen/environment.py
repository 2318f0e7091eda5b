"""The Jinja2 environment that all templates are rendered in.

Owns: its settings, and the hook by which compiled templates are kept between processes: compiling
one takes longer than rendering it. Must not know: where they are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

Find = Callable[[str], bytes | None]
Keep = Callable[[str, bytes], None]

_keepers: list[tuple[Find, Keep]] = []  # named cache: compiled templates by key, if there is one


def keep_templates(find: Find, keep: Keep) -> None:
    """Have compiled templates looked for and kept by these; before the first is rendered."""
    _keepers[:] = [(find, keep)]


@cache
def environment() -> Any:
    """The Jinja2 environment: strict, and without a look at the files after the first."""
    import jinja2  # late: needed only when something is compiled

    class Kept(jinja2.BytecodeCache):
        """Compiled templates, under what they were compiled from and by."""

        def key(self, bucket: Any) -> str:
            return f"{jinja2.__version__} {bucket.key} {bucket.checksum}"

        def load_bytecode(self, bucket: Any) -> None:
            for find, _ in _keepers:
                found = find(self.key(bucket))
                if found is not None:
                    bucket.bytecode_from_string(found)

        def dump_bytecode(self, bucket: Any) -> None:
            for _, keep in _keepers:
                keep(self.key(bucket), bucket.bytecode_to_string())

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        bytecode_cache=Kept(),
    )
