"""Any HTTP API: every write is recorded and asked about; a declaration says how some are taken back.

crm = declare("crm.toml")
client = agentguard.wrap(httpx.Client(base_url="https://crm.example/api"), session, connector=crm)
"""

from agentguard import Connector
from agentguard.operations import OperationTable
from agentguard_connectors.http.declaration import declare
from agentguard_connectors.http.routes import Api, Find, Route, Undoing
from agentguard_connectors.http.seams import AsyncHttpxSeam, HttpxSeam, RequestsSeam

http = Connector("http", title="HTTP", table=OperationTable([]), seams=[HttpxSeam(), AsyncHttpxSeam(), RequestsSeam()])
"""Without a declaration: no operation is known, so every write is irreversible, of high risk, and asks."""

__all__ = ["Api", "Find", "Route", "Undoing", "declare", "http"]
