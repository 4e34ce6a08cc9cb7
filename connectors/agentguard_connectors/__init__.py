"""The connectors that come with agentguard, one package for each service."""
