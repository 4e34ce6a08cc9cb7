"""GitHub: issues, files, branches, pull requests, releases and settings, through PyGithub and githubkit."""

from agentguard_connectors.github import code, issues, people, pulls, releases, repos, settings, talk, views
from agentguard_connectors.github.service import github

__all__ = ["code", "github", "issues", "people", "pulls", "releases", "repos", "settings", "talk", "views"]
