"""``python -m neuropress``."""

import sys

from .cli.main import main

sys.exit(main())
