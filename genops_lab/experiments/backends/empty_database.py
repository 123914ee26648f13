"""Write the embedded MLflow's new database from a copy of MLflow's schema.

MLflow makes it by all its migrations, which takes 4 to 10 s with the import: the first kernel would wait for that.
The copies are in ``schemas``, by the last migration. Another MLflow makes its database itself.
"""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

SCHEMAS = Path(__file__).with_name("schemas")
_REVISION = re.compile(r"^revision\s*(?::[^=]+)?=\s*[\"'](\w+)", re.MULTILINE)
_BEFORE = re.compile(r"^down_revision\s*(?::[^=]+)?=(.*)$", re.MULTILINE)


def last_migration() -> str:
    """Return the revision of the installed MLflow's schema without importing mlflow; empty where it is not clear."""
    found = find_spec("mlflow")
    made: set[str] = set()
    earlier: set[str] = set()
    for folder in (found.submodule_search_locations or ()) if found else ():
        for file in (Path(folder) / "store" / "db_migrations" / "versions").glob("*.py"):
            text = file.read_text(encoding="utf-8")
            made.update(_REVISION.findall(text))
            for before in _BEFORE.findall(text):
                earlier.update(re.findall(r"\w{8,}", before))
    last = made - earlier
    return last.pop() if len(last) == 1 else ""


def write_empty(database: Path, artifact_root: str) -> bool:
    """Write a new file with the installed MLflow's schema. Return False, without a file, if the schema is not known."""
    schema = SCHEMAS / f"{last_migration()}.sql"
    if not schema.is_file():
        return False
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executescript(schema.read_text(encoding="utf-8"))
        now = int(time.time() * 1000)
        connection.execute(
            "UPDATE experiments SET artifact_location = ?, creation_time = ?, last_update_time = ?",
            (f"{artifact_root.rstrip('/')}/0", now, now),
        )
    return True


def dump(database: Path) -> str:
    """Return the text of a schema file, from a database without runs that MLflow made."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        text = "\n".join(connection.iterdump())
    lines = (line.rstrip() for line in text.splitlines())
    return (
        re.sub(r"(VALUES\(0,'Default',)'[^']*',('active'),\d+,\d+", r"\1'',\2,0,0", "\n".join(lines)) + "\n"
    )
