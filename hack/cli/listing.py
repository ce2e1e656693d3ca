"""`haat get`: the API server's own Table, printed."""

import json
from pathlib import Path
from typing import Any

import aiohttp

from hack.cli import cluster
from hack.devcluster.client import ApiClient, error_from

_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


async def table(kubeconfig: Path, kind: str, namespace: str | None, *, as_json: bool) -> str:
    """The list as text columns, or as JSON."""
    path = cluster.collection_url(cluster.KINDS[kind], namespace)
    async with ApiClient.from_kubeconfig(kubeconfig) as client:
        if as_json:
            return json.dumps(await client.request("GET", path), indent=1)
        timeout = aiohttp.ClientTimeout(total=10)
        async with client.session.get(client.server + path, headers={"Accept": _TABLE}, timeout=timeout) as answer:
            body = await answer.read()
            if answer.status >= 400:
                raise error_from(answer.status, body)
    return render(json.loads(body))


def render(document: dict[str, Any]) -> str:
    """Aligned columns of a Table, the namespace first."""
    columns = [column for column in document["columnDefinitions"] if not column.get("priority")]
    picked = [index for index, column in enumerate(document["columnDefinitions"]) if not column.get("priority")]
    rows = [["NAMESPACE", *(column["name"].upper() for column in columns)]]
    for row in document.get("rows") or ():
        namespace = row["object"]["metadata"].get("namespace", "")
        rows.append([namespace, *(_cell(row["cells"][index]) for index in picked)])
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return "\n".join("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _cell(value: Any) -> str:
    return "" if value is None else str(value)
