"""What went wrong, as RFC 9457 says: application/problem+json, with what happened, what it means, what to do."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from waycairn import errors
from waycairn.settings.secrets import without_passwords

__all__ = ["Problem", "ProblemDocument", "documented", "handle_problems"]

_MEDIA = "application/problem+json"


class Problem(Exception):
    """Raised by a route: the answer is this."""

    def __init__(
        self, status: int, title: str, detail: str, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.headers, self.more = status, title, detail, headers, more


class Invalid(BaseModel):
    where: str = Field(examples=["query.limit"])
    what: str = Field(examples=["Input should be greater than or equal to 1"])


class ProblemDocument(BaseModel):
    """Something could not be done."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(default="about:blank", examples=["about:blank"])
    title: str = Field(examples=["RunIsHeld"], description="A word for programs: the name of the error.")
    status: int = Field(examples=[409])
    detail: str = Field(
        examples=["run 'nightly' is held by pid 4711 on lab7. Nothing was changed."],
        description="For people: what happened, what it means for the data, what to do.",
    )
    invalid: list[Invalid] | None = Field(default=None, description="With 422: what of the request was wrong.")


STATUSES: Mapping[type[BaseException], int] = {
    errors.RunNotFound: 404,
    errors.CheckpointNotFound: 404,
    errors.BackupNotFound: 404,
    errors.AccountNotFound: 404,
    errors.StreamNotFound: 404,
    errors.BackupExpired: 410,
    errors.StoreBusy: 503,
    errors.StoreUnreachable: 503,
    errors.StoreFull: 507,
    errors.StoreReadOnly: 503,
    errors.Damaged: 500,
    errors.StoreError: 500,
    errors.WaycairnError: 409,
    errors.OwnershipLost: 409,
}
"""By the nearest class; the others of ours say that the state of the world does not allow it: 409."""


def status_of(error: BaseException) -> int:
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def documented(statuses: Collection[int]) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI document."""
    content = {_MEDIA: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    return {one: {"description": HTTPStatus(one).phrase, "content": content} for one in sorted(statuses)}


def handle_problems(app: FastAPI) -> None:
    """Whatever leaves a route becomes a problem document. An error that nobody foresaw is logged, and told without its text."""

    @app.exception_handler(Problem)
    def of_ours(_: Request, problem: Problem) -> JSONResponse:
        return _answer(problem.status, problem.title, problem.detail, problem.headers, **problem.more)

    @app.exception_handler(errors.WaycairnError)
    def of_the_store(_: Request, error: Exception) -> JSONResponse:
        return _answer(status_of(error), type(error).__name__, without_passwords(str(error)))

    @app.exception_handler(RequestValidationError)
    def of_the_request(_: Request, error: RequestValidationError) -> JSONResponse:
        invalid = [{"where": ".".join(map(str, one["loc"])), "what": _what(one)} for one in error.errors()]
        said = "; ".join(f"{one['where']}: {one['what']}" for one in invalid)
        return _answer(422, "invalid request", f"{said}. Nothing was done.", invalid=invalid)

    @app.exception_handler(HTTPException)
    def of_the_framework(_: Request, error: HTTPException) -> JSONResponse:
        return _answer(
            error.status_code, HTTPStatus(error.status_code).phrase.lower(), str(error.detail), error.headers
        )

    @app.exception_handler(Exception)
    def of_nobody(_: Request, __: Exception) -> JSONResponse:
        return _answer(500, "unforeseen error", "The server made a mistake; its log has the details.")


def _what(wrong: Mapping[str, Any]) -> str:
    """Of what is no JSON at all the framework tells only where."""
    return f"this is no JSON: {wrong['ctx']['error']}" if wrong["type"] == "json_invalid" else str(wrong["msg"])


def _answer(
    status: int, title: str, detail: str, headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(document, status, headers, _MEDIA)
