"""Find, size and fetch a language model of the Hugging Face hub, or of the files that were fetched before."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from genops_lab.core.errors import InvalidRequest, Unavailable
from genops_lab.core.paths import private_dir
from genops_lab.registry.files import gguf
from genops_lab.registry.models import ModelVersion
from genops_lab.registry.remote import Listing, RemoteFile
from genops_lab.registry.sources import HUB, OpenSource, Source, opened_hub
from genops_lab.registry.unfinished import check_room

from .fetched_files import FetchedFiles
from .weights import LanguageModel, chosen, of_config, of_quantization

HUB_KIND = "hf:"
#: Gets the bytes that have arrived, and all.
OnProgress = Callable[[int, int], None]
#: Where a version keeps the name of the variable with its token.
VARIABLE = "variable"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TRUE = ("1", "ON", "YES", "TRUE")


def is_offline() -> bool:
    """Return whether the hub must not be asked, as its own library reads the variable."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE


async def find(
    given: str, revision: str, secret: str, quantization: str, fetched: FetchedFiles
) -> ModelVersion:
    """Return a repository at a commit as a version. A commit that was listed before, and offline any, is not asked for.

    Raises InvalidRequest, NotFound, NotAllowed and Unavailable.
    """
    named = HUB.fullmatch(given)
    if named is None:
        raise InvalidRequest(
            f"{given[:80]!r} is not the name of a repository.", hint="Use hf:ORG/NAME@REVISION."
        )
    repository, revision = named["repository"], revision or named["revision"] or ""
    asked = revision or "main"
    known = await asyncio.to_thread(fetched.listing, repository, asked)
    if known is None and is_offline():
        raise Unavailable(
            f"HF_HUB_OFFLINE is set, and {HUB_KIND}{repository}@{asked} was not fetched before.",
            hint="List the revisions that were fetched: genops deployments fetched",
        )
    if known is None or not (is_offline() or _COMMIT.fullmatch(asked)):
        async with opened_hub(_source(repository, revision, secret)) as there:
            known = await there.list_files(False)
        await asyncio.to_thread(fetched.note, repository, asked, known)
    if not has_weights(selected([each.path for each in known.files], quantization)):
        raise InvalidRequest(
            f"{known.uri} has no GGUF or safetensors file.",
            hint="Other formats may run code when they are loaded. Choose a repository with one of these.",
        )
    return ModelVersion(
        name=f"{HUB_KIND}{repository}",
        version=known.revision[:12],
        source=f"{HUB_KIND}{repository}@{known.revision}#{quantization}",
        tags={VARIABLE: secret} if secret else {},
    )


class HubModel:
    """A repository at a commit, as :func:`find` returned it."""

    def __init__(self, version: ModelVersion, fetched: FetchedFiles) -> None:
        place, _, quantization = version.source.removeprefix(HUB_KIND).partition("#")
        self.repository, _, self.commit = place.partition("@")
        self._quantization = quantization
        self._secret = version.tags.get(VARIABLE, "")
        self._fetched = fetched

    async def look(self) -> tuple[LanguageModel, int] | None:
        """Return the model and the bytes to fetch, from sizes and headers alone; None if all files are here.

        Raises InvalidRequest for several GGUF files, NotAllowed and Unavailable.
        """
        listing = await self._listing()
        files = self._of(listing)
        missing = await asyncio.to_thread(lambda: [each for each in files if not self._fetched.has(each)])
        if not missing:
            return None
        size = sum(each.size or 0 for each in missing)
        by_path = {each.path: each for each in files}
        weights = sorted(path for path in by_path if path.lower().endswith(".gguf"))
        async with self._opened() as there:
            if weights:
                first = chosen(weights)
                header = await there.header(listing.revision, by_path[first])
                model = LanguageModel(
                    format=gguf.FORMAT, file=first, weights_bytes=sum(by_path[each].size or 0 for each in weights),
                    architecture=header.architecture, context=header.context_length, attention=header.attention,
                )  # fmt: skip
            else:
                tensors = [each.size or 0 for each in files if each.path.lower().endswith(".safetensors")]
                model = of_config(await self._config(there, listing), sum(tensors))
        return model, size

    async def fetch(self, folder: Path, on_progress: OnProgress) -> None:
        """Bring the files into a new folder. Those that are here are not fetched again, parts of others go on.

        ``on_progress`` gets the bytes so far, and all. Raises Failed for a full disk, NotAllowed and Unavailable.
        """
        listing = await self._listing()
        files, fetched = self._of(listing), self._fetched
        await asyncio.to_thread(private_dir, folder)
        try:
            missing = await asyncio.to_thread(
                lambda: [each for each in files if not fetched.link(each, folder)]
            )
            if missing:
                await self._fetch(listing, missing, folder, on_progress)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, folder, True)
            raise

    async def _fetch(
        self, listing: Listing, missing: list[RemoteFile], folder: Path, on_progress: OnProgress
    ) -> None:
        if is_offline():
            raise Unavailable(
                f"HF_HUB_OFFLINE is set, and files of {HUB_KIND}{self.repository} are missing here: {missing[0].path}.",
                hint="Start JupyterLab without HF_HUB_OFFLINE once, and deploy the model.",
            )
        fetching = await asyncio.to_thread(self._fetched.fetching, self.repository, listing.revision)
        size, before = sum(each.size or 0 for each in missing), 0
        await asyncio.to_thread(check_room, fetching, size)

        def of_file(done: int) -> None:
            on_progress(before + done, size)

        async with self._opened() as there:
            for each in missing:
                await there.fetch(listing.revision, each, fetching, of_file)
                await asyncio.to_thread(self._fetched.keep, each, fetching / each.path, folder)
                before += each.size or 0
        await asyncio.to_thread(self._fetched.done, fetching)

    async def _listing(self) -> Listing:
        known = await asyncio.to_thread(self._fetched.listing, self.repository, self.commit)
        if known is None:  # the cache was deleted meanwhile
            async with self._opened() as there:
                known = await there.list_files(False)
            await asyncio.to_thread(self._fetched.note, self.repository, self.commit, known)
        return known

    def _of(self, listing: Listing) -> list[RemoteFile]:
        names = selected([each.path for each in listing.files], self._quantization)
        return [each for each in listing.files if each.path in names]

    async def _config(self, there: OpenSource, listing: Listing) -> dict[str, Any]:
        if not any(each.path == "config.json" for each in listing.files):
            return {}
        try:
            found = json.loads(await there.small_file(listing.revision, "config.json"))
        except ValueError:  # the whole file is read once it is here, and then it is told
            return {}
        return found if isinstance(found, dict) else {}

    def _opened(self) -> AbstractAsyncContextManager[OpenSource]:
        return opened_hub(_source(self.repository, self.commit, self._secret))


def _source(repository: str, revision: str, secret: str) -> Source:
    return Source(kind="hf", place=repository, version=revision, secret=secret)


def has_weights(names: Iterable[str]) -> bool:
    return any(name.lower().endswith((".gguf", ".safetensors")) for name in names)


def selected(names: Iterable[str], quantization: str) -> set[str]:
    """Return the names without the GGUF files of other quantizations."""
    known = set(names)
    weights = sorted(name for name in known if name.lower().endswith(".gguf"))
    if weights and quantization and len(weights) > 1:
        return known - set(weights) | set(of_quantization(weights, quantization))
    return known
