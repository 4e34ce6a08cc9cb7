"""Access tokens: https://developers.notion.com/reference/create-a-token. They are not the workspace's content."""

from __future__ import annotations

from agentguard_connectors.notion.service import notion

notion.irreversible("oauth.token", "Get an access token. It is given out then; `oauth.revoke` ends it, by hand.")
notion.irreversible("oauth.revoke", "Revoke an access token. Only its owner can grant a new one.")
