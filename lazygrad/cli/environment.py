"""`lazygrad env`: every variable that lazygrad reads.

Owns: the list of variables of others that are honoured under their own names. Must not know: what
they do; lazygrad's own are listed by `lazygrad.config`, with their meanings.
"""

from __future__ import annotations

import os
from dataclasses import fields
from typing import Any

from lazygrad.cli.output import console, print_json, table
from lazygrad.config import PREFIX, Config, config

HONOURED = {
    "CC": "C compiler to use before cc, gcc and clang",
    "OMP_NUM_THREADS": f"threads for kernels where {PREFIX}NUM_THREADS is not set",
    "XDG_CACHE_HOME": f"parent of the cache folder where {PREFIX}CACHE_DIR is not set",
    "NO_COLOR": "any value: no colours",
    "FORCE_COLOR": "any value: colours even where output is not a terminal",
}


def records() -> list[dict[str, Any]]:
    """Name, value, default, whether it is set, and meaning."""
    own = [
        {
            "name": PREFIX + f.name.upper(),
            "value": getattr(config, f.name),
            "default": f.default,
            "set": PREFIX + f.name.upper() in os.environ,
            "meaning": f.metadata["meaning"],
        }
        for f in fields(Config)
    ]
    return own + [
        {
            "name": name,
            "value": os.environ.get(name, ""),
            "default": "",
            "set": name in os.environ,
            "meaning": meaning,
        }
        for name, meaning in HONOURED.items()
    ]


def print_environment(as_json: bool) -> None:
    found = records()
    if as_json:
        print_json(found)
        return
    shown = table("variable", "value", "default", "meaning")
    for one in found:
        style = "bold" if one["set"] else None
        texts = (str(one[column]) for column in ("name", "value", "default"))
        shown.add_row(*(text or "-" for text in texts), one["meaning"], style=style)
    console().print(shown)
