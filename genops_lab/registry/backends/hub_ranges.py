"""Read the header of a model's file on the Hugging Face hub by ranges, without its weights."""

from __future__ import annotations

from typing import Any

from genops_lab.core.errors import Failed
from genops_lab.registry.files import gguf
from genops_lab.registry.files.source import Budget, Damaged, Source, TooLarge
from genops_lab.registry.remote import RemoteFile, RemoteHeader

_BLOCK = 1 << 19
_MAX_SMALL = 2_000_000


class _Ranges(Source):
    """The bytes of a file on the hub, in blocks that are fetched when they are read."""

    def __init__(self, repository: str, commit: str, file: RemoteFile) -> None:
        super().__init__(file.size or 0, Budget())
        self._place = repository, commit, file.path
        self._blocks: dict[int, bytes] = {}

    def _fetch(self, offset: int, count: int) -> bytes:
        first, last = offset // _BLOCK, (offset + count - 1) // _BLOCK
        content = b"".join(self._block(each) for each in range(first, last + 1))
        start = offset - first * _BLOCK
        return content[start : start + count]

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            start = number * _BLOCK
            end = min(start + _BLOCK, self.size)
            self.budget.read(end - start)
            self._blocks[number] = _get(*self._place, start, end)
        return self._blocks[number]


def header(repository: str, commit: str, file: RemoteFile) -> RemoteHeader:
    """Return what a GGUF file says about its model; empty where the header cannot be read. Raises httpx's errors."""
    try:
        found = gguf.judge(_Ranges(repository, commit, file)).header
    except (Damaged, TooLarge):  # the whole file is judged once it is here
        found = None
    if found is None:
        return RemoteHeader()
    return RemoteHeader(
        architecture=found.architecture, context_length=found.context_length, attention=found.attention
    )


def small_file(repository: str, commit: str, path: str) -> bytes:
    """Return the first 2 MB of a file. Raises httpx's errors."""
    return _get(repository, commit, path, 0, _MAX_SMALL)


def _get(repository: str, commit: str, path: str, start: int, end: int) -> bytes:
    """Return bytes of a file. A server that sends more, because it knows no ranges, is read up to ``end`` only."""
    import huggingface_hub.utils as library
    from huggingface_hub import hf_hub_url

    tools: Any = library  # its public names, which it does not list for type checkers

    headers: dict[str, Any] = {
        **tools.build_hf_headers(), "Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity",
    }  # fmt: skip
    url = hf_hub_url(repository, path, revision=commit)
    content = bytearray()
    with tools.get_session().stream("GET", url, headers=headers, follow_redirects=True, timeout=60) as answer:
        if answer.status_code >= 400:
            answer.read()
        tools.hf_raise_for_status(answer)
        skipped = start if answer.status_code == 200 else 0
        if skipped > _MAX_SMALL:
            raise Failed(
                "The hub's mirror sends no parts of files.", hint="Choose another mirror: HF_ENDPOINT"
            )
        for chunk in answer.iter_bytes():
            content += chunk
            if len(content) >= skipped + end - start:
                break
    return bytes(content[skipped : skipped + end - start])
