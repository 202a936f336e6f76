"""Asking for imports and stopping them."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from shop_api.bulk.column_mapping import parse_product_mapping, require_products
from shop_api.bulk.journal import insert_job
from shop_api.bulk.mapping import (
    Mapping,
    decode_mapping,
    is_spreadsheet,
    load_preset,
    of_file,
    parse_mapping,
    require_currency,
    unread_spreadsheet,
)
from shop_api.domains.catalog.repository import CatalogRepository
from shop_api.domains.imports.errors import bad_file, job_finished, preset_or_mapping
from shop_api.domains.imports.repository import JobRepository
from shop_api.kernel.errors import DomainError
from shop_api.spine.unit_of_work import UnitOfWork

JOB_KIND = "import"
FILE_COUNT_LIMIT = 100
FILE_NAME_LENGTH = 255

UploadedFile = tuple[str, bytes]


def choose_mapping(
    preset: str | None, mapping: UploadedFile | None
) -> tuple[Mapping, dict[str, str]]:
    """The mapping asked for, and how the job remembers it."""
    if (preset is None) == (mapping is None):
        raise preset_or_mapping(is_missing=preset is None)
    if preset is not None:
        return load_preset(preset), {"preset": preset}
    name, content = mapping or ("", b"")
    with of_file(name if _is_plain(name) else ""):
        text = decode_mapping(content)
        return parse_mapping(text), {"text": text}


def choose_product_mapping(
    preset: str | None, mapping: UploadedFile | None, file_names: list[str]
) -> tuple[Mapping, dict[str, str]]:
    """The same for products alone, whose mapping may be the short form."""
    if preset is not None or mapping is None:
        chosen, params = choose_mapping(preset, mapping)
        require_products(chosen)
        return chosen, params
    name, content = mapping
    with of_file(name if _is_plain(name) else ""):
        chosen, text = parse_product_mapping(decode_mapping(content), file_names)
    return chosen, {"text": text}


def stored_mapping(params: dict[str, Any]) -> Mapping:
    """The mapping a job was asked for with."""
    if "preset" in params:
        return load_preset(params["preset"])
    return parse_mapping(params["text"])


def create_import(
    work: UnitOfWork, preset: str | None, mapping: UploadedFile | None, files: list[UploadedFile]
) -> Row[Any]:
    """A queued import job with its files."""
    return _queue(work, *choose_mapping(preset, mapping), files)


def create_product_import(
    work: UnitOfWork, preset: str | None, mapping: UploadedFile | None, files: list[UploadedFile]
) -> Row[Any]:
    """A queued import job of products with its files."""
    names = [name for name, _ in files]
    check_plain_names(names)
    return _queue(work, *choose_product_mapping(preset, mapping, names), files)


def _queue(
    work: UnitOfWork, chosen: Mapping, params: dict[str, str], files: list[UploadedFile]
) -> Row[Any]:
    check_file_names(chosen, [name for name, _ in files])
    repository = work.repository(JobRepository)
    require_currency(chosen, work.repository(CatalogRepository).tenant_terms().currency)
    job_id = insert_job(work, JOB_KIND, {"mapping": chosen.name, **params}, state="queued")
    for name, content in files:
        repository.add_file(job_id, name, content)
    return _found(repository, job_id)


def check_file_names(mapping: Mapping, names: list[str]) -> None:
    """Refuse files the mapping does not speak of, and say which ones it misses."""
    check_plain_names(names)
    for name in names:
        if not any(fnmatchcase(name, source.name) for source in mapping.files.values()):
            if is_spreadsheet(name):
                raise bad_file(f"{unread_spreadsheet(name)}.")
            known = ", ".join(source.name for source in mapping.files.values())
            raise bad_file(f"The mapping does not name a file `{name}`, only: {known}.")
    missing = [
        source.name for source in mapping.files.values() if not _is_among(names, source.name)
    ]
    if missing:
        raise bad_file(f"The mapping needs files that were not sent: {', '.join(missing)}.")


def check_plain_names(names: list[str]) -> None:
    """Refuse names that are no plain file names, and names that occur twice."""
    if len(names) > FILE_COUNT_LIMIT:
        raise bad_file(f"An import takes at most {FILE_COUNT_LIMIT} files.")
    for name in names:
        if not _is_plain(name):
            raise bad_file("A file name is at most 255 characters, without a folder.")
        if names.count(name) > 1:
            raise bad_file(f"Two files are named `{name}`.")


def _is_among(names: Iterable[str], pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)


def _is_plain(name: str) -> bool:
    return (
        0 < len(name.encode()) <= FILE_NAME_LENGTH
        and name not in (".", "..")
        and not any(mark in name for mark in "/\\")
        and name.isprintable()
    )


def cancel_job(work: UnitOfWork, before: Row[Any]) -> Row[Any]:
    """Stop a job: at once when it waits, after its present batch when it runs."""
    repository = work.repository(JobRepository)
    if before.state == "queued":
        repository.change(
            before.id,
            {
                "state": "cancelled",
                "is_cancel_requested": True,
                "finished_at": work.now,
                "updated_at": work.now,
            },
        )
        repository.delete_files(before.id)
        data = {"job_id": str(before.id), "state": "cancelled", "counts": before.counts}
        work.append("import_finished", "job", before.id, data)
    elif before.state == "running":
        repository.change(before.id, {"is_cancel_requested": True, "updated_at": work.now})
    else:
        raise job_finished(before.state)
    row = _found(repository, before.id)
    work.audit("job_cancelled", "job", before.id, before.body, row.body)
    return row


def _found(repository: JobRepository, job_id: UUID) -> Row[Any]:
    row = repository.find(job_id)
    if row is None:
        raise LookupError(f"job {job_id} vanished within its transaction")
    return row


def is_retried(error: DomainError) -> bool:
    """Whether a job that met this error is to be taken up again later."""
    return error.code == "import_in_progress"
