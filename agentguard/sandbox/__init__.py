"""Stateful stand-ins for web services, to rehearse and test against: `python -m agentguard.sandbox`."""
