"""Validate arguments and records: pydantic's checks, with `InvalidInput` errors.

Records, options and configs declare their fields with the types below. A pydantic `ValidationError` never leaves the
package: it becomes an `InvalidInput` that names the field and shows no key, no prompt and no user's `__repr__`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from cit_core.errors import InvalidInput
from cit_core.lazy import cached_property
from cit_core.messages import closest, shown

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails
    from typing_extensions import Self

__all__ = [
    "OPTIONS",
    "Amount",
    "AtLeast0",
    "Count",
    "Hashed",
    "Identifier",
    "Identifiers",
    "Positive",
    "Probability",
    "Record",
    "each",
    "invalid",
    "our_errors",
    "validated",
]

T = TypeVar("T")

MOST_PROBLEMS = 3
"""Problems that one message names; a list may have a million."""
UNKNOWN_FIELD = frozenset({"extra_forbidden", "unexpected_keyword_argument"})

OPTIONS = ConfigDict(arbitrary_types_allowed=True, extra="forbid")
"""Config of pydantic dataclasses that hold options."""


def _number(value: object) -> object:
    if isinstance(value, str | bytes | bytearray):
        raise ValueError("must be a number")
    return value


def _at_least_0(value: object) -> object:
    if isinstance(value, Real) and value >= 0.0:  # type: ignore[operator]  # for mypy, Real has no order
        return value
    raise ValueError("must be a number, 0 or more")


def _ids(value: object) -> object:
    if isinstance(value, str):
        raise ValueError(f"is one text, {shown(value)}; it must be a set: {{{shown(value)}}}")
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise ValueError("must be a set of texts")
    return value if isinstance(value, frozenset | set | list | tuple) else list(value)


def _hashable(value: Any) -> Any:
    try:
        hash(value)
    except (TypeError, RecursionError):
        raise ValueError("cannot be hashed; use a text, or a tuple of texts and numbers") from None
    return value


Identifier = Annotated[str, Field(min_length=1, max_length=512)]
Identifiers = Annotated[frozenset[str], BeforeValidator(_ids)]
Probability = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
AtLeast0 = Annotated[float, BeforeValidator(_at_least_0)]
"""Infinity is one: no limit."""
Count = Annotated[int, Field(ge=0, lt=2**63), BeforeValidator(_number)]
Positive = Annotated[int, Field(ge=1, lt=2**63), BeforeValidator(_number)]
Hashed = Annotated[Any, AfterValidator(_hashable)]
"""Anything that can be the key of a mapping."""


def each(value: object) -> object:
    """Return what an iterable holds, for fields that take any list; a text or a mapping is none."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise ValueError("must be a list")
    return value if isinstance(value, list | tuple) else tuple(value)


def our_errors(cls: type[T]) -> type[T]:
    """Make the constructor of a pydantic dataclass raise `InvalidInput` in place of pydantic's error."""
    build = cls.__init__

    @functools.wraps(build)
    def checked(self: T, *args: Any, **kwargs: Any) -> None:
        try:
            build(self, *args, **kwargs)
        except ValidationError as error:
            name = cls.__name__.removesuffix("Settings")
            raise _invalid_options(f"{name}: ", error, vars(cls)["__dataclass_fields__"]) from None

    cls.__init__ = checked  # type: ignore[assignment,method-assign]
    return cls


def validated(adapter: TypeAdapter[T], value: object, what: str) -> T:
    """Return a value as its type asks for it.

    Args:
        adapter: Adapter of the type.
        value: The value.
        what: Name of the option, for the message.

    Raises:
        InvalidInput: If it is not such a value.
    """
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise _invalid_options("", error, (), what) from None


def invalid(what: str, error: ValidationError, known: Iterable[str] = (), *, echo: bool = True) -> InvalidInput:
    """Return our error for pydantic's about a record.

    Args:
        what: Name of the invalid record.
        error: Error of pydantic.
        known: Names of the fields there are, to propose the closest to one that there is not.
        echo: Show what came; not where it may be an address with a password or another secret.
    """
    details = error.errors(include_url=False)
    raised = details[0].get("ctx", {}).get("error")
    if isinstance(raised, InvalidInput) and not details[0]["loc"]:
        return raised  # the record's own __init__ has said it all
    problems = [_problem(detail, tuple(known), echo=echo) for detail in details[:MOST_PROBLEMS]]
    if len(details) > MOST_PROBLEMS:
        problems.append(f"and {len(details) - MOST_PROBLEMS:,} more")
    return InvalidInput(f"{what} is not valid: {'; '.join(problems)}")


def _problem(detail: ErrorDetails, known: tuple[str, ...], *, echo: bool) -> str:
    where = ".".join(map(_place, detail["loc"])) or "record"
    if detail["type"] in UNKNOWN_FIELD:
        close = closest(detail["loc"][-1], known) if len(detail["loc"]) == 1 else []
        return f"{where}: there is no such field" + (f"; closest: {', '.join(close)}" if close else "")
    raised = detail.get("ctx", {}).get("error")
    if isinstance(raised, InvalidInput):  # of a record within: it names what came
        return f"{where}: {raised}" if echo else f"{where}: is not valid"
    what = str(raised) if isinstance(raised, ValueError) else detail["msg"][:1].lower() + detail["msg"][1:]
    return f"{where}: {what} (got {shown(detail['input'])})" if echo else f"{where}: {what}"


def _invalid_options(prefix: str, error: ValidationError, known: Iterable[str], what: str = "") -> InvalidInput:
    """Return our error for pydantic's about the first option that is not valid."""
    detail, names = error.errors(include_url=False)[0], tuple(known)
    if detail["type"] in UNKNOWN_FIELD:
        return InvalidInput(prefix + _problem(detail, names, echo=False))
    path = list(detail["loc"])
    if path and isinstance(path[0], int) and path[0] < len(names):  # it was given by position
        path[0] = names[path[0]]
    where = ".".join([*([what] if what else []), *map(_place, path)])
    raised = detail.get("ctx", {}).get("error")
    if isinstance(raised, InvalidInput):
        return raised
    need = str(raised) if isinstance(raised, ValueError) else _need(detail)
    if need.startswith("is "):
        return InvalidInput(f"{prefix}{where} {need}")
    return InvalidInput(f"{prefix}{where} is {shown(detail['input'])}; it {need}")


def _need(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    if detail["type"] == "greater_than_equal":
        return f"must be {context['ge']:g} or more"
    if detail["type"] == "less_than_equal":
        return f"must be {context['le']:g} or less"
    if detail["type"] == "missing_argument":
        return "must be given"
    return detail["msg"].replace("Input should be", "must be")


def _place(part: int | str) -> str:
    return part if isinstance(part, str) and part.isidentifier() and len(part) <= 60 else shown(part)


class Record(BaseModel):
    """A frozen record; a validation error is one line that names the record, the field and the value."""

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except (ValidationError, TypeError) as error:
            raise _invalid(type(self), error, data.get("id")) from None

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Validate as pydantic does, with an error of ours."""
        try:
            return super().model_validate(obj, **options)
        except (ValidationError, TypeError) as error:
            raise _invalid(cls, error) from None

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Validate as pydantic does, with an error of ours."""
        try:
            return super().model_validate_json(json_data, **options)
        except ValidationError as error:
            raise _invalid(cls, error) from None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy as pydantic does, without what was computed from the old values."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied


def _invalid(record: type[Record], error: ValidationError | TypeError, id_: object = None) -> InvalidInput:
    what = record.__name__ if id_ is None else f"{record.__name__} {shown(id_)}"
    if isinstance(error, TypeError):
        if "keywords must be strings" not in str(error):  # as pydantic calls the constructor of a record within
            raise error
        return InvalidInput(f"{what} is not valid: the names of all fields must be texts")
    return invalid(what, error, record.model_fields)
