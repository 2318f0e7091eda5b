"""Anomaly mode: names the forward operation whose gradient failed or gave NaN.

Owns: the switch. Must not know: how records are run (engine.py looks at the switch).
"""

from __future__ import annotations

from typing import Any

from lazygrad.autograd.modes import mode, set_watched


class set_detect_anomaly:
    """On or off: at once, and until the end of the `with` block if used as one."""

    def __init__(self, mode_on: bool, check_nan: bool = True) -> None:
        self._before = (mode.anomaly, mode.check_nan)
        mode.anomaly, mode.check_nan = bool(mode_on), check_nan
        set_watched()

    def __enter__(self) -> None:
        """The mode was set when this was made."""

    def __exit__(self, *error: Any) -> None:
        mode.anomaly, mode.check_nan = self._before
        set_watched()


class detect_anomaly:
    """Anomaly mode for a block."""

    def __init__(self, check_nan: bool = True) -> None:
        import warnings

        self.check_nan = check_nan
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should "
            "only be enabled for debugging.",
            stacklevel=2,
        )

    def __enter__(self) -> None:
        self._switch = set_detect_anomaly(True, self.check_nan)

    def __exit__(self, *error: Any) -> None:
        self._switch.__exit__()


def is_anomaly_enabled() -> bool:
    return mode.anomaly
