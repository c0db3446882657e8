"""The Temporal UI with one page of ours on its own origin: `/lunas` gives a browser our columns and lists in one click.

The UI keeps a person's columns and saved views in the browser's localStorage, which only a page of the same origin may
write. So this small reverse proxy stands before the embedded UI, passes all through as it is, and adds that page.
What a person has saved there is kept; only views of ours, known by their ids, are replaced.
"""

from __future__ import annotations

import argparse
import html
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

#: Where our page is.
PAGE = "/lunas"

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# Belong to one connection, and are not passed on (RFC 9110, 7.6.1).
_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade".split()
)


@dataclass(frozen=True, slots=True)
class Lists:
    """What the page offers: the columns of the list, in order, and the queries of the saved views by name.

    The first view is the one that opens. Columns are the UI's own (`Workflow ID`, `Status`) or search attributes.
    """

    columns: Sequence[str]
    views: Mapping[str, str]
    namespace: str = "default"


def list_path(namespace: str, query: str, *, save_as: str | None = None) -> str:
    """The path of a list in the UI; with `save_as` opening it also saves the list as a view of that browser."""
    asked = {"query": query} if save_as is None else {"query": query, "savedQuery": save_as}
    return f"/namespaces/{quote(namespace, safe='')}/workflows?{urlencode(asked, quote_via=quote)}"


def workflow_path(namespace: str, workflow_id: str) -> str:
    """The path of one workflow in the UI."""
    return f"/namespaces/{quote(namespace, safe='')}/workflows/{quote(workflow_id, safe='')}"


def create_app(upstream: str, lists: Lists) -> Starlette:
    """The proxy before the UI at `upstream` (`http://127.0.0.1:8234`)."""
    client = httpx2.AsyncClient(base_url=upstream, timeout=httpx2.Timeout(60, read=None), follow_redirects=False)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    async def page(request: Request) -> Response:
        return HTMLResponse(_page(lists), headers={"Cache-Control": "no-store"})

    async def passed_on(request: Request) -> Response:
        target = client.base_url.copy_with(raw_path=_raw_path(request))
        sent = client.build_request(request.method, target, headers=_kept(request.headers.raw), content=_body(request))
        try:
            answer = await client.send(sent, stream=True)
        except httpx2.TransportError:
            return HTMLResponse(
                "<p>The Temporal UI does not answer; it may still be starting. Reload this page in a moment.</p>",
                status_code=502,
            )
        response = StreamingResponse(
            answer.aiter_raw(), status_code=answer.status_code, background=BackgroundTask(answer.aclose)
        )
        response.raw_headers = _kept(answer.headers.raw)
        return response

    return Starlette(
        routes=[Route(PAGE, page, methods=["GET"]), Route("/{path:path}", passed_on, methods=list(_METHODS))],
        lifespan=lifespan,
    )


def _raw_path(request: Request) -> bytes:
    path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    query: bytes = request.scope["query_string"]
    return path.split(b"?", 1)[0] + (b"?" + query if query else b"")


def _body(request: Request) -> AsyncIterator[bytes] | None:
    has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
    return request.stream() if has_body else None


def _kept(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP]


def _page(lists: Lists) -> str:
    saved = [
        {"id": f"lunas-{re.sub('[^a-z]+', '-', name.lower())}", "name": name, "query": query, "type": "user"}
        for name, query in lists.views.items()
    ]
    links = "\n".join(
        f'<li><a href="{html.escape(list_path(lists.namespace, query))}">{html.escape(name)}</a></li>'
        for name, query in lists.views.items()
    )
    return _TEMPLATE.format(
        links=links,
        data=_for_script(
            {
                "namespace": lists.namespace,
                "columns": [{"label": label} for label in lists.columns],
                "views": saved,
                "list": list_path(lists.namespace, next(iter(lists.views.values()), "")),
            }
        ),
    )


def _for_script(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(value).replace("<", "\\u003c")


_TEMPLATE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lunas: set up this browser</title>
<style>
  :root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
  body {{ max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }}
  h1 {{ font-size: 1.4rem; }}
  button {{ font: inherit; padding: .6rem 1.2rem; border: 0; border-radius: .4rem; cursor: pointer; }}
  button {{ background: #1f6f54; color: #fff; }}
  button:focus-visible {{ outline: 3px solid #8fd3b8; outline-offset: 2px; }}
  li {{ margin: .2rem 0; }}
</style>
<h1>Invoices in the Temporal UI</h1>
<p>One click gives this browser the columns and the lists that collecting needs. What you saved yourself stays.</p>
<p><button type="button" id="install">Set up this browser and open the invoices</button></p>
<p role="status" id="said"></p>
<h2>Or open one list</h2>
<ul>
{links}
</ul>
<script>
const lunas = {data};
function stored(key) {{
  try {{ return JSON.parse(localStorage.getItem(key)) || {{}}; }} catch {{ return {{}}; }}
}}
document.getElementById("install").addEventListener("click", () => {{
  try {{
    const columns = stored("namespace-workflow-table-columns");
    columns[lunas.namespace] = lunas.columns;
    localStorage.setItem("namespace-workflow-table-columns", JSON.stringify(columns));
    const queries = stored("saved-workflow-queries");
    const ours = new Set(lunas.views.map((view) => view.id));
    const names = new Set(lunas.views.map((view) => view.name));
    const own = (queries[lunas.namespace] || []).filter((view) => !ours.has(view.id) && !names.has(view.name));
    queries[lunas.namespace] = [...own, ...lunas.views];
    localStorage.setItem("saved-workflow-queries", JSON.stringify(queries));
    location.assign(lunas.list);
  }} catch (error) {{
    document.getElementById("said").textContent =
      "This browser does not let pages keep anything (" + error.name + "). " +
      "Allow site data for this address, then try again.";
  }}
}});
</script>
</html>
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the UI at `--upstream` on `--port`; `--lists` is a JSON object with columns, views and namespace."""
    parser = argparse.ArgumentParser(prog="ui", description=__doc__)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--lists", type=json.loads, required=True)
    given = parser.parse_args(arguments)
    app = create_app(given.upstream, Lists(**given.lists))
    uvicorn.run(app, host=given.host, port=given.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
