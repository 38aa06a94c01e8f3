"""`python -m gpsimd_torch.bench`."""

import sys

from gpsimd_torch.bench.command import main

sys.exit(main())
