"""For authors of connectors: replay handlers from JSON cases, and see what a crash makes of them.

`contract` and `replay` need neither a network nor a ledger (see cases.py). `agentguard.testing.crash` runs agents with
real SDKs against stand-ins, kills them at every point, recovers in another process and asks an oracle.
"""

from agentguard.testing.cases import contract, describe, load_cases, replay
from agentguard.testing.stand_ins import Box, start_boxes

__all__ = ["Box", "contract", "describe", "load_cases", "replay", "start_boxes"]
