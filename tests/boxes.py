"""The stand-ins as the tests see them."""

from agentguard.testing.stand_ins import Box, start_boxes

__all__ = ["Box", "start_boxes"]
