"""The quickstart is copied, because people change and run it; a copy that is there is never written over."""

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
    """Return the path of the notebook in ``folder``, and whether it was copied there now. Blocks.

    Raises NotFound where ``folder`` is no folder, Failed where it cannot be written.
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
        raise NotFound(f"There is no folder {folder}.", hint="Give a folder that exists.") from error
    except OSError as error:
        raise Failed(
            f"{path} could not be written: {error.strerror}.",
            hint="Copy it into a folder of yours: genops quickstart FOLDER",
        ) from error
    return path, True


class QuickstartService:
    """For the page of JupyterLab; ``genops quickstart`` copies by itself."""

    def __init__(self, settings: Settings) -> None:
        self._root_dir = settings.root_dir

    async def copy_quickstart(self, body: NewQuickstart) -> Quickstart:
        """Copy the quickstart notebook into a folder of the file browser, or find the one that is there."""
        if self._root_dir is None:
            raise Conflict(
                "No JupyterLab is running here that could open the quickstart.",
                hint="Copy it with `genops quickstart FOLDER`.",
            )
        folder = contained(self._root_dir, body.folder)
        path, copied = await asyncio.to_thread(copy_into, folder)
        return Quickstart(path.relative_to(self._root_dir.resolve()).as_posix(), copied)
