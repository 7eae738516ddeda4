"""Rows of a Parquet file as JSON lines, made by the embedded engine a row group after the other."""

import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import Refused

_ROWS = """
SELECT * FROM file({path:String}, 'Parquet')
SETTINGS max_threads = 1, max_block_size = 8192, date_time_output_format = 'iso', output_format_json_quote_decimals = 1,
         output_format_json_quote_64bit_integers = 0, session_timezone = 'UTC', max_memory_usage = 1000000000,
         input_format_parquet_preserve_order = 1
"""


def lines(path: Path) -> Iterator[bytes]:
    """Every row in the file's order: decimals as text, moments in UTC.

    Raises
    ------
    Refused
        The engine is not installed, or this is no whole Parquet file.
    """
    try:
        import chdb  # noqa: PLC0415 - only who imports Parquet needs it
    except ImportError:
        raise Refused(
            "reading Parquet needs the embedded engine; install the extra: pip install 'loyalty-pipeline[local]', or "
            "save the file as CSV"
        ) from None
    connection = chdb.connect(":memory:")
    try:
        with connection.send_query(_ROWS, "JSONEachRow", params={"path": str(path.resolve())}) as result:
            rest = b""
            for chunk in result:
                whole, end, tail = (rest + bytes(chunk.bytes())).rpartition(b"\n")
                yield from (whole + end).splitlines(keepends=True)
                rest = tail
            if rest:
                yield rest
    except RuntimeError as failed:
        said = re.search(r"DB::Exception: ([^.:(]{1,120})", str(failed))
        raise Refused(
            f"{path} cannot be read as Parquet ({said[1].strip() if said else 'no reason given'}); get the whole file, "
            "or save it as CSV"
        ) from None
    finally:
        connection.close()
