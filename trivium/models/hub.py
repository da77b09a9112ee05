"""A file from the Hugging Face hub, pinned to a commit and held against the hub's own hash.

The hub's library does the work, so HF_TOKEN, HF_ENDPOINT (a mirror) and its resume apply.
"""

import re
from pathlib import Path
from typing import Any

from trivium.errors import Unavailable, UsageError
from trivium.models.fetched import Fetched, OnProgress
from trivium.network import require_online

_REFERENCE = re.compile(
    r"hf:(?P<repo>[\w.-]+/[\w.-]+)/(?P<file>[^@]+?)(?:@(?P<revision>[\w./-]+))?"
)
_DATASETS = "hf:datasets/"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA1 = re.compile(r"[0-9a-f]{40}")


def parse(source: str, sample: str = "file.gguf") -> tuple[str, str, str | None]:
    """`hf:org/repo/file[@revision]` as (repository, file, revision).

    Raises:
        UsageError: when it has another form; `sample` is how a file may be called.
    """
    found = _REFERENCE.fullmatch(source)
    if found is None:
        raise UsageError(f'"{source}" is not of the form hf:org/repo/{sample}[@revision]')
    return found["repo"], found["file"], found["revision"]


def from_hub(source: str, work: Path, label: str, on_progress: OnProgress) -> Fetched:
    """Download into `work/hub`, resuming what is there.

    `hf:org/repo/file[@revision]` is of a model, `hf:datasets/org/repo/file[@revision]` of a data
    set. The hub's ETag is the sha256 of a file in large storage, and git's blob hash of a small
    one.

    Raises:
        Unavailable: when the hub cannot be reached, or does not have or give the file.
    """
    kind = "dataset" if source.startswith(_DATASETS) else "model"
    repo, file, revision = parse(source.replace(_DATASETS, "hf:", 1))
    require_online(f"download {source} from the hub")
    import httpx
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
    )

    try:
        metadata = get_hf_file_metadata(hf_hub_url(repo, file, repo_type=kind, revision=revision))
        commit = metadata.commit_hash or revision
        path = hf_hub_download(
            repo,
            file,
            repo_type=kind,
            revision=commit,
            local_dir=work / "hub",
            tqdm_class=_reporter(label, on_progress),
        )
    except HFValidationError as error:
        raise UsageError(f'"{source}" does not name a file on the hub: {error}') from error
    except LocalEntryNotFoundError as error:
        raise _unreachable(source, error) from error
    except HfHubHTTPError as error:
        page = f"https://huggingface.co/{'datasets/' if kind == 'dataset' else ''}{repo}"
        raise _refused(source, repo, page, error) from error
    except (httpx.TransportError, OfflineModeIsEnabled) as error:
        raise _unreachable(source, error) from error
    etag = (metadata.etag or "").lower()
    return Fetched(
        Path(path),
        size=metadata.size,
        sha256=etag if _SHA256.fullmatch(etag) else None,
        git_sha1=etag if _SHA1.fullmatch(etag) else None,
        revision=commit,
    )


def _unreachable(source: str, error: Exception) -> Unavailable:
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return Unavailable(f"cannot reach the hub for {source} ({reason}); check the network")


def _refused(source: str, repo: str, page: str, error: Any) -> Unavailable:
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if isinstance(error, GatedRepoError):
        return Unavailable(f"{source} is gated: accept its terms at {page} and set HF_TOKEN")
    if isinstance(error, RepositoryNotFoundError):
        return Unavailable(f"the hub has no repository {repo}, or it is private: set HF_TOKEN")
    if isinstance(error, RevisionNotFoundError):
        return Unavailable(f"the repository {repo} has no such revision: {source}")
    if isinstance(error, EntryNotFoundError):
        return Unavailable(
            f"the repository {repo} has no such file: {source}; see {page}/tree/main"
        )
    return Unavailable(f"the hub refused {source}: status {error.response.status_code}")


def _reporter(label: str, on_progress: OnProgress) -> type[Any]:
    """A tqdm that draws nothing and tells `on_progress`, which is how the hub reports bytes."""
    from huggingface_hub.utils.tqdm import tqdm

    class Reporter(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs | {"disable": True})  # type: ignore[no-untyped-call]
            self._done = int(kwargs.get("initial") or 0)
            self._whole = kwargs.get("total")

        def update(self, n: float | None = 1) -> bool | None:
            self._done += int(n or 0)
            on_progress(label, self._done, self._whole)
            return None

    return Reporter
