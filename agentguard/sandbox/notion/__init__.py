"""A stand-in for Notion's API (https://developers.notion.com/reference): one workspace, with views of its database.

What Notion does not document is done here in the way that an undo must be ready for: what comes out of the trash stands
last among its siblings, and the first comment of a discussion takes the replies along.
"""

from __future__ import annotations

from typing import Any

from agentguard.sandbox.notion.base import Data, invalid, missing, only, typed
from agentguard.sandbox.notion.talk import Talk
from agentguard.sandbox.server import Incoming, Reply, route

TYPES = ("table", "board", "list", "calendar", "timeline", "gallery", "form", "chart", "map", "dashboard")


class Notion(Talk):
    """One workspace."""

    def settings(self, given: Any, kind: str) -> Data:
        """The configuration of a view, as a request may have it."""
        only(given, "body.configuration", *given, required=("type",))
        if given["type"] != kind:
            raise invalid("body failed validation: body.configuration.type should match the type of the view.")
        for one in given.get("properties") or []:
            only(one, "body.configuration.properties", "visible", "width", "wrap", required=("property_id",))
        return dict(given)

    def quick_filters(self, view: Data, given: Any) -> Data | None:
        """Merge quick filters: null removes one, and null for all of them removes all."""
        if given is None:
            return None
        source = self.state["data_sources"][view["data_source_id"]]
        ids = {config["name"]: which for which, config in source["properties"].items()}
        kept = dict(view["quick_filters"] or {})
        for key, condition in typed(given, "body.quick_filters", dict).items():
            which = ids.get(key, key)
            if which not in source["properties"]:
                raise invalid(f"Could not find property with name or id: {key}")
            kept[which] = condition
        return {which: condition for which, condition in kept.items() if condition is not None} or None

    @route("POST", "/v1/views")
    def create_view(self, call: Incoming) -> Reply:
        places = ("database_id", "view_id", "create_database")
        more = ("filter", "sorts", "quick_filters", "configuration", "position", "placement", *places)
        body = self.body(call, *more, required=("data_source_id", "name", "type"))
        if sum(name in body for name in places) != 1:
            raise invalid("body failed validation: exactly one of database_id, view_id or create_database is needed.")
        if body["type"] not in TYPES:
            raise invalid(f"body failed validation: body.type should be one of {', '.join(TYPES)}.")
        source = self.find("data_sources", body["data_source_id"], "body.data_source_id")
        if "create_database" in body:
            parent = self.place(body["create_database"]["parent"], "page_id")
            flags = {"in_trash": False, "is_locked": False, "icon": None, "cover": None, "public_url": None}
            outside = {"object": "database", "id": self.new_id(), "parent": parent, "title": [], "description": []}
            database: Data = {**outside, **self.stamp(call), **flags, "is_inline": True, "sources": [], "children": []}
            self.state["databases"][database["id"]] = database
            self.state["pages"][parent["page_id"]]["children"].append(database["id"])
        elif "database_id" in body:
            database = self.find("databases", body["database_id"], "body.database_id")
        else:
            dashboard = self.find("views", body["view_id"], "body.view_id")
            database = self.find("databases", dashboard["parent"]["database_id"])
        given: Data = {name: body[name] for name in ("name", "type", "filter", "sorts") if name in body}
        if "view_id" in body:
            given["dashboard_view_id"] = dashboard["id"]
        if "configuration" in body:
            given["configuration"] = self.settings(body["configuration"], body["type"])
        view = self.new_view(call, source, database["id"], given)
        view["quick_filters"] = self.quick_filters(view, body.get("quick_filters"))
        self.effect("view created", id=view["id"])
        return Reply(200, view)

    @route("GET", "/v1/views")
    def list_views(self, call: Incoming) -> Reply:
        asked = {call.query.get("database_id"), call.query.get("data_source_id")} - {None}
        if not asked:
            raise invalid("query failed validation: database_id or data_source_id should be defined.")
        views = self.state["views"].values()
        found = [one for one in views if asked & {one["parent"]["database_id"], one["data_source_id"]}]
        return self.listed(call, [{"object": "view", "id": one["id"]} for one in found], "view")

    @route("GET", "/v1/views/{view_id}")
    def get_view(self, call: Incoming) -> Reply:
        return Reply(200, self.find("views", call["view_id"]))

    @route("PATCH", "/v1/views/{view_id}")
    def update_view(self, call: Incoming) -> Reply:
        body = self.body(call, "name", "filter", "sorts", "quick_filters", "configuration")
        view = self.find("views", call["view_id"])
        view |= {name: body[name] for name in ("name", "filter", "sorts") if name in body}
        if "quick_filters" in body:
            view["quick_filters"] = self.quick_filters(view, body["quick_filters"])
        if "configuration" in body:
            merged = {**view["configuration"], **self.settings(body["configuration"], view["type"])}
            view["configuration"] = {name: value for name, value in merged.items() if value is not None}
        self.touch(call, view, "view updated", fields=sorted(body))
        return Reply(200, self.named(view))

    def named(self, view: Data) -> Data:
        """A view as it is shown: with the names of properties beside their ids."""
        names = {w: c["name"] for w, c in self.state["data_sources"][view["data_source_id"]]["properties"].items()}
        for one in view["configuration"].get("properties") or []:
            one["property_name"] = names.get(one["property_id"])
        return view

    @route("DELETE", "/v1/views/{view_id}")
    def delete_view(self, call: Incoming) -> Reply:
        view = self.find("views", call["view_id"])
        siblings = [one for one in self.state["views"].values() if one["parent"] == view["parent"]]
        if len(siblings) == 1:
            raise invalid("The last view of a database cannot be deleted. Delete the database instead.")
        del self.state["views"][view["id"]]
        self.effect("view deleted", id=view["id"])
        return Reply(200, {name: view[name] for name in ("object", "id", "parent", "type")})

    # The cached results of a view's query: https://developers.notion.com/reference/create-view-query

    @route("POST", "/v1/views/{view_id}/queries")
    def create_query(self, call: Incoming) -> Reply:
        self.body(call, "page_size")
        view = self.find("views", call["view_id"])
        rows = [
            {"object": "page", "id": page["id"]}
            for page in self.rows(self.state["data_sources"][view["data_source_id"]])
        ]
        query = {"object": "view_query", "id": self.new_id(), "view_id": view["id"], "rows": rows}
        self.state["view_queries"][query["id"]] = query
        self.effect("view query cached", id=query["id"])
        outside = {"expires_at": "2030-01-01T00:00:00.000Z", "total_count": len(rows)}
        page = self.listed(call, rows, "page").body
        return Reply(
            200,
            {
                **{n: query[n] for n in ("object", "id", "view_id")},
                **outside,
                **{n: page[n] for n in ("results", "next_cursor", "has_more")},
            },
        )

    def query_of(self, call: Incoming) -> Data:
        self.find("views", call["view_id"])
        query: Data | None = self.state["view_queries"].get(call["query_id"])
        if query is None:
            raise missing("view query", call["query_id"])
        return query

    @route("GET", "/v1/views/{view_id}/queries/{query_id}")
    def get_results(self, call: Incoming) -> Reply:
        return self.listed(call, self.query_of(call)["rows"], "page")

    @route("DELETE", "/v1/views/{view_id}/queries/{query_id}")
    def delete_query(self, call: Incoming) -> Reply:
        query = self.query_of(call)
        del self.state["view_queries"][query["id"]]
        self.effect("view query dropped", id=query["id"])
        return Reply(200, {"object": "view_query", "id": query["id"], "deleted": True})


__all__ = ["Notion"]
