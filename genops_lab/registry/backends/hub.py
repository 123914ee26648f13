"""List and fetch the files of a repository of the Hugging Face hub, in a worker process of its own."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import io
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genops_lab.core.call_progress import report_progress
from genops_lab.core.errors import Failed, GenOpsError, InvalidRequest, NotAllowed, NotFound, Unavailable
from genops_lab.experiments.backends.artifacts import checked
from genops_lab.registry.remote import Listing, RemoteFile, RemoteHeader

from . import hub_ranges

MAX_FILES = 5_000
_CHUNK = 1 << 20
#: A file of this size is uploaded alone; of smaller ones at most so many together.
_LARGE, _BATCH = 10_000_000, 100
#: Files that hold data only, or texts beside the model, by name.
_DATA = re.compile(
    r"\.(safetensors|gguf|onnx|onnx_data|json|jsonl|txt|md|model|tiktoken|jinja|yaml|yml)$|^(LICEN[CS]E|NOTICE|MLmodel)\b",
    re.IGNORECASE,
)
_NEVER = re.compile(r"(^|/)\.git(attributes|ignore)$")
#: Beside the model's files in the folder of a download: what the hub's library keeps about them.
CACHE = ".cache"


class HubFiles:
    """Reads repositories of models. The library finds the hub and its token in the environment of the process."""

    def __init__(self, **_config: Any) -> None:
        pass

    def list_files(self, repository: str, revision: str, allow_code: bool) -> Listing:
        """List the files of a repository at a revision, resolved to its commit. Raises NotFound, NotAllowed."""
        with _hub_errors(repository, revision):
            from huggingface_hub import HfApi

            found = HfApi().model_info(repository, revision=revision or None, files_metadata=True)
        files, left_out = list[RemoteFile](), list[str]()
        for each in found.siblings or []:
            path = each.rfilename
            if _NEVER.search(path):
                continue
            checked(path)
            if not (allow_code or _DATA.search(posixpath.basename(path))):
                left_out.append(path)
                continue
            files.append(
                RemoteFile(
                    path=path,
                    size=each.size,
                    sha256=each.lfs.sha256 if each.lfs else "",
                    blob="" if each.lfs else each.blob_id or "",
                )
            )
        if len(files) > MAX_FILES:
            raise InvalidRequest(
                f"The repository {repository} has more than {MAX_FILES:,} files.",
                hint="Download the files that you need, then register them with --path.",
            )
        return Listing(files=files, left_out=left_out, revision=found.sha or "", uri=f"hf:{repository}")

    def header(self, repository: str, commit: str, file: RemoteFile) -> RemoteHeader:
        """Read the header of a GGUF file without its weights. Raises NotAllowed, Unavailable."""
        with _hub_errors(repository, commit):
            return hub_ranges.header(repository, commit, file)

    def small_file(self, repository: str, commit: str, path: str) -> bytes:
        """Read a small file, at most 2 MB of it. Raises NotAllowed, Unavailable."""
        with _hub_errors(repository, commit):
            return hub_ranges.small_file(repository, commit, path)

    def fetch(self, repository: str, commit: str, file: RemoteFile, folder: str) -> None:
        """Fetch one file into the folder; an earlier part of it is continued. Raises Failed for another content."""
        with _hub_errors(repository, commit):
            from huggingface_hub import constants, hf_hub_download

            constants.DOWNLOAD_CHUNK_SIZE = _CHUNK  # 10 MB take long on a slow line
            known = inspect.signature(hf_hub_download).parameters
            bar = {"tqdm_class": _progress_bar()} if "tqdm_class" in known else {}
            place = hf_hub_download(repository, file.path, revision=commit, local_dir=folder, **bar)
        try:
            wrong = _differs(Path(place), file)
        except OSError as error:
            raise Failed(
                f"Cannot read {file.path}: {error.strerror}.", hint="Check the disk of the Lab."
            ) from error
        if wrong:
            Path(place).unlink(missing_ok=True)
            raise Failed(
                f"{file.path} of {repository} came with another content than the hub says.",
                hint="Register the model again. If it happens again, tell the owner of the repository.",
            )

    def make(self, repository: str, private: bool) -> None:
        """Make a repository, unless it exists. Raises NotAllowed."""
        with _hub_errors(repository, ""):
            from huggingface_hub import HfApi

            HfApi().create_repo(repository, private=private, exist_ok=True)

    def push(self, repository: str, folder: str, names: list[str], message: str) -> str:
        """Upload files of a folder as one commit, and return the commit. Raises NotAllowed.

        A large file that the hub has is not uploaded again: its storage knows files by their hash.
        """
        with _hub_errors(repository, ""):
            from huggingface_hub import HfApi

            hub = HfApi()
            operations, done = list[Any](), 0
            for batch in _batches(folder, names):
                additions = []
                for name, size in batch:
                    additions.append(_addition(name, Path(folder, name), done))
                    done += size
                hub.preupload_lfs_files(repository, additions, num_threads=1, free_memory=False)
                report_progress(done)
                operations += additions
            return str(hub.create_commit(repository, operations, commit_message=message).oid)


def _batches(folder: str, names: list[str]) -> Iterator[list[tuple[str, int]]]:
    """Yield names with sizes: a large file alone, so that its progress is told, small ones together."""
    batch: list[tuple[str, int]] = []
    for name in names:
        size = Path(folder, name).stat().st_size
        if size >= _LARGE:
            yield [(name, size)]
            continue
        batch.append((name, size))
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _addition(name: str, path: Path, before: int) -> Any:
    """Return the addition of a file to a commit, which tells its bytes while the library reads them."""
    from huggingface_hub import CommitOperationAdd

    class Addition(CommitOperationAdd):
        @contextlib.contextmanager
        def as_file(self, with_tqdm: bool = False) -> Iterator[Any]:
            if not with_tqdm:
                with super().as_file() as stream:
                    yield stream
                return
            with _Counted(path, before) as stream:
                yield stream

    return Addition(path_in_repo=name, path_or_fileobj=str(path))


class _Counted(io.FileIO):
    """A file that tells how much of it was read, after ``before`` bytes of other files."""

    def __init__(self, path: Path, before: int) -> None:
        super().__init__(path)
        self._before = before

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size) or b""
        report_progress(self._before + self.tell())
        return found


def _progress_bar() -> Any:
    """Return a class of progress bars that draw nothing, and report how many bytes are there."""
    import tqdm.auto as bars  # type: ignore[import-untyped]

    class Bar(bars.tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            self._there = options.get("initial") or 0
            options.pop("name", None)
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> None:
            self._there += int(n or 0)
            report_progress(self._there)

    return Bar


def _differs(place: Path, file: RemoteFile) -> bool:
    size = place.stat().st_size
    if file.size is not None and size != file.size:
        return True
    if file.sha256:
        return _hashed(place, hashlib.sha256()) != file.sha256
    if file.blob:
        return _hashed(place, hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)) != file.blob
    return False


def _hashed(place: Path, digest: Any) -> str:
    with place.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return str(digest.hexdigest())


@contextlib.contextmanager
def _hub_errors(repository: str, revision: str) -> Iterator[None]:
    """Turn errors of the hub and its library into ours. The library's texts may name the token's place: left out."""
    try:
        import huggingface_hub.errors as errors
    except ImportError as error:
        raise Failed(
            "The package huggingface_hub is not installed.",
            hint="Install it into the environment of JupyterLab: pip install 'genops-lab[huggingface]'",
        ) from error
    try:
        yield
    except GenOpsError:
        raise
    except errors.GatedRepoError as error:
        raise NotAllowed(
            f"The repository {repository} is gated.",
            hint="Accept its terms on its page, then name the variable with your token: --secret HF_TOKEN",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise NotFound(
            f"The repository {repository} has no revision {revision!r}.",
            hint="Name a branch, a tag or a commit, such as hf:ORG/NAME@main.",
        ) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise NotFound(
            f"The hub shows no repository {repository}.",
            hint="Check the name. For a private one, name the variable with your token: --secret HF_TOKEN",
        ) from error
    except errors.HfHubHTTPError as error:
        status = getattr(getattr(error, "response", None), "status_code", "")
        if status in (401, 403):
            raise NotAllowed(
                f"The hub does not let you change the repository {repository}.",
                hint="Name the variable with a token that may write: --secret HF_TOKEN",
            ) from error
        raise Unavailable(
            f"The hub answered with an error ({status}) about {repository}.", hint="Try again later."
        ) from error
    except OSError as error:
        if error.strerror and error.filename:
            raise Failed(
                f"Cannot write {error.filename}: {error.strerror}.", hint="Free some disk space."
            ) from error
        raise _away(repository, error) from error
    except Exception as error:  # of the HTTP library, which differs between versions
        raise _away(repository, error) from error


def _away(repository: str, error: Exception) -> Unavailable:
    return Unavailable(
        f"The hub does not answer about {repository} ({type(error).__name__}).",
        hint="Check the network, and HF_ENDPOINT if you use a mirror.",
    )
