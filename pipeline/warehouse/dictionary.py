"""The data dictionary: every table, view and column of a warehouse with its comment, as a page."""

from pipeline.warehouse.client import Warehouse

HEAD = """# Data dictionary

Every table, view and column of the warehouse, made from their comments: `loyalty warehouse dictionary`. Views come
first: they are what analysts read. Tables hold records as they came, and what is derived from them.
"""
TABLE = "\n| column | type | meaning |\n|---|---|---|\n"
"""What the columns stand under; a view that takes a moment has its columns only once it is asked."""
_TABLES = """
    SELECT name, engine LIKE '%View' AS is_view, comment FROM system.tables
    WHERE database = {d:String} AND engine != 'MaterializedView' AND name != 'schema_migrations'
      AND NOT startsWith(name, '.inner')
    ORDER BY is_view DESC, name
"""
_COLUMNS = """
    SELECT table, name, type, comment FROM system.columns WHERE database = {d:String} ORDER BY table, position
"""


def dictionary(warehouse: Warehouse) -> str:
    """The page, in Markdown; views first, tables after them, each with its columns in their order."""
    columns: dict[str, list[tuple[str, str, str]]] = {}
    for table, name, kind, comment in warehouse.query(_COLUMNS, {"d": warehouse.database}).rows:
        columns.setdefault(str(table), []).append((str(name), str(kind), str(comment)))
    parts = [HEAD]
    for name, is_view, comment in warehouse.query(_TABLES, {"d": warehouse.database}).rows:
        parts.append(f"\n## {name}\n\n{'View. ' if is_view else ''}{comment}\n")
        held = columns.get(str(name), [])
        parts.append(TABLE if held else "")
        parts.extend(f"| `{column}` | `{_cell(kind)}` | {_cell(meaning)} |\n" for column, kind, meaning in held)
    return "".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
