"""Copy the quickstart notebook into a user's folder. An existing copy is never overwritten."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from genops_lab.core.errors import Conflict, Failed, NotFound
from genops_lab.core.paths import contained

from .models import NewQuickstart, Quickstart

if TYPE_CHECKING:
    from genops_lab.core.settings import Settings

NOTEBOOK = Path(__file__).with_name("quickstart.ipynb")


def copy_into(folder: Path) -> tuple[Path, bool]:
    """Return the path of the notebook in ``folder``, and whether this call copied it. Blocks.

    Raises NotFound if ``folder`` does not exist, and Failed if it is not writable.
    """
    path = folder / NOTEBOOK.name
    content = NOTEBOOK.read_bytes()
    try:
        with path.open("xb") as stream:
            try:
                stream.write(content)
                stream.flush()
            except OSError:
                path.unlink()
                raise
    except FileExistsError:
        return path, False
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"The folder {folder} does not exist.", hint="Choose an existing folder.") from error
    except OSError as error:
        raise Failed(
            f"Cannot write {path}: {error.strerror}.",
            hint="Copy the notebook into another folder: genops quickstart FOLDER",
        ) from error
    return path, True


class QuickstartService:
    """The operation for the page of JupyterLab; ``genops quickstart`` needs no service."""

    def __init__(self, settings: Settings) -> None:
        self._root_dir = settings.root_dir

    async def copy_quickstart(self, body: NewQuickstart) -> Quickstart:
        """Copy the quickstart notebook into a folder of the file browser, unless the folder has it."""
        if self._root_dir is None:
            raise Conflict(
                "No running JupyterLab can open the quickstart.",
                hint="Copy the notebook: genops quickstart FOLDER",
            )
        folder = contained(self._root_dir, body.folder)
        path, copied = await asyncio.to_thread(copy_into, folder)
        return Quickstart(path.relative_to(self._root_dir.resolve()).as_posix(), copied)
