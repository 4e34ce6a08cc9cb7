"""`python -m agentguard` is the program `agentguard`."""

import sys

from agentguard.cli import main

sys.exit(main())
