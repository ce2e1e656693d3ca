"""`haat get`: the API server's own Tables, printed; no column is invented here."""

import asyncio
from collections.abc import Sequence
from typing import Any

from hack.cli.errors import UserError
from hack.cli.kinds import Kind, find, items
from hack.cli.kube import TABLE, Kube, Obj, Refused
from hack.cli.output import columns, document, without_noise


async def tables(kube: Kube, kinds: Sequence[Kind], namespace: str, *, wide: bool, colours: bool) -> str:
    """The lists of some kinds as text."""
    found = await asyncio.gather(*(_table(kube, kind, namespace) for kind in kinds))
    texts = []
    for kind, table in zip(kinds, found, strict=True):
        if table.get("rows"):
            title = f"{kind.plural.upper()}\n" if len(kinds) > 1 else ""
            texts.append(title + render(table, wide=wide, colours=colours))
    where = f"in namespace {namespace}" if namespace else "in any namespace"
    return "\n\n".join(texts) or f"no {' or '.join(f'{kind.word}s' for kind in kinds)} {where}"


async def objects(kube: Kube, kinds: Sequence[Kind], namespace: str, names: Sequence[str], *, output: str) -> str:
    """The same as JSON, YAML or names."""
    if names:
        found = [await find(kube, kinds[0], name, namespace) for name in names]
    else:
        lists = await asyncio.gather(*(items(kube, kind, namespace) for kind in kinds))
        found = [item for each in lists for item in each]
    found = [without_noise(item) for item in found]
    if len(names) == 1:
        return document(found[0], output)
    return document({"apiVersion": "v1", "kind": "List", "items": found}, output)


async def rows_of(kube: Kube, kind: Kind, names: Sequence[str], namespace: str, *, wide: bool, colours: bool) -> str:
    """One table of the named objects."""
    found = [await find(kube, kind, name, namespace) for name in names]
    each = await asyncio.gather(
        *(kube.get(kind.path(o["metadata"]["namespace"], o["metadata"]["name"]), accept=TABLE) for o in found)
    )
    rows = [row for table in each for row in table["rows"]]
    return render({**each[0], "rows": rows}, wide=wide, colours=colours)


async def _table(kube: Kube, kind: Kind, namespace: str) -> Obj:
    try:
        return await kube.get(kind.path(namespace), accept=TABLE)
    except Refused as error:
        if error.status == 404:
            raise UserError(
                f"{kube.server} does not serve {kind.plural}.haat.dev; install charts/haat-crds."
            ) from error
        raise


def render(table: dict[str, Any], *, wide: bool = False, colours: bool = False) -> str:
    """Aligned columns of a Table, the namespace first; columns of a priority only when `wide`."""
    picked = [index for index, column in enumerate(table["columnDefinitions"]) if wide or not column.get("priority")]
    rows = [["NAMESPACE", *(table["columnDefinitions"][index]["name"].upper() for index in picked)]]
    for row in table.get("rows") or ():
        namespace = row["object"]["metadata"].get("namespace", "")
        rows.append([namespace, *(_cell(row["cells"][index]) for index in picked)])
    return columns(rows, colours=colours)


def _cell(value: Any) -> str:
    return "" if value is None else str(value)
