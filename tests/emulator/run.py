"""Run a command on the emulated GPU: python tests/emulator/run.py pytest ...

The command and its children find the driver library and the nvcc of this folder.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import emulator


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    os.environ.update(emulator.environment())
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
