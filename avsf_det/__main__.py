"""`python -m avsf_det`, which torchrun starts: the command `avsf-det`."""

import sys

from avsf_det.cli import main

sys.exit(main())
