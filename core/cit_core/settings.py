"""The one place for settings: `cit.toml`, and the environment above it.

An option of a command or an argument of a function goes before both. The file is looked for in the working directory,
or is the one that `CIT_CONFIG` names. Keys of providers are never in it: `api_key_env` names the variable that holds
one.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from cit_core.errors import InvalidInput
from cit_core.messages import shown
from cit_core.policy import HELP, Constraints, as_constraints, parse_policy
from cit_core.records import Candidate, require_unique
from cit_core.validation import Identifier, Positive, invalid

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "CATALOGUE",
    "FILE",
    "VARIABLES",
    "CascadeSettings",
    "ModelSettings",
    "ServerSettings",
    "Settings",
    "VirtualSettings",
    "read_settings",
]

FILE = "cit.toml"
CONFIG = "CIT_CONFIG"
VARIABLES = {"store": "CIT_STORE", "policy": "CIT_POLICY", "models": "CIT_MODELS"}
"""Setting to the environment variable that goes before the file."""
CATALOGUE = "catalogue"
"""Setting in place of a store: routes on the shipped catalogue."""
RELATIVE = "sqlite:///"
T = TypeVar("T", bound="_Table")
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
ADDRESS = re.compile(r"https?://[^\s/@?#]+(/[^\s@?#]*)?")


def _policy(text: str) -> str:
    try:
        return parse_policy(text).name
    except InvalidInput:
        raise ValueError(f"use {HELP}") from None


def _address(text: str) -> str:
    if ADDRESS.fullmatch(text):
        return text.rstrip("/")
    raise ValueError('must be an address without a key in it, such as "https://api.openai.com/v1"')


def _exploration(text: str) -> str:
    from cit_core.policy.exploration import as_exploration

    try:
        as_exploration(text)
    except InvalidInput:
        raise ValueError("use epsilon:0.02 or thompson") from None
    return text


class ModelSettings(Candidate):
    """A table `[[models]]`: a model that may be chosen, its facts where they differ from the catalogue's, its server.

    `id` is what the application calls it, `model` what the server calls it.
    """

    model: Identifier | None = None
    upstream: Annotated[str, AfterValidator(_address)] | None = None
    """Address of an OpenAI-compatible server, up to and with `/v1`."""
    api_key_env: Identifier | None = None
    """Environment variable that holds the key."""
    api: Literal["openai", "anthropic"] | None = None
    """Protocol of the server; by its host if not given."""

    @property
    def candidate(self) -> Candidate:
        """Return the facts that were given, without the server."""
        return Candidate(**{name: getattr(self, name) for name in self.model_fields_set & set(Candidate.model_fields)})


class _Table(BaseModel):
    """A table of the file; no value is shown in an error, for it may be a key."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True)


class KeySettings(_Table):
    """A table `[[server.keys]]`: a key of the gateway, of which the hash is written down."""

    name: Identifier
    """Name of its owner, in metrics."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class ServerSettings(_Table):
    """The table `[server]`: the HTTP gateway.

    Attributes:
        host: Address to listen on; any but loopback needs a key.
        port: Port to listen on.
        keys: Keys that callers have; without any, every process on this machine may call.
        allowed_hosts: Names under which callers may address the gateway, beside its own address and localhost.
        timeout_s: Limit of an answer, over all candidates that are asked [s].
        attempt_timeout_s: Limit of one candidate's whole answer [s]; none if not given: then no other is asked where
            one is silent and no stream was asked for.
        first_token_timeout_s: Limit of one candidate's time to the first part of a streamed answer [s].
        max_body_bytes: Longest request.
        max_deciding: Most requests that are decided and sent at once; the others wait in the order of coming.
        max_queued: Most requests that wait; further ones get 503 with `Retry-After`.
        reload_s: Interval at which the file and the store are checked for changes [s].
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8484
    keys: tuple[KeySettings, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    timeout_s: Positive = 600
    attempt_timeout_s: Positive | None = None
    first_token_timeout_s: Positive = 120
    max_body_bytes: Positive = 50_000_000
    max_deciding: Annotated[int, Field(ge=1)] = 256
    max_queued: Annotated[int, Field(ge=0)] = 2_000
    reload_s: Positive = 2


class VirtualSettings(_Table):
    """A table `[virtual.NAME]`: a name that callers give as `model`, for some candidates or another policy."""

    policy: Annotated[str, AfterValidator(_policy)] | None = None
    models: tuple[Identifier, ...] = ()


class CascadeSettings(_Table):
    """The table `[cascade]` of the gateway: ask a cheaper model first, verify its answer, ask a better one if need be.

    Attributes:
        verify: What is verified: that the text matches `pattern` or the JSON of `schema_file`; the mean probability of
            its tokens (`logprob`); the `agreement` of further samples; the word of a `judge`.
        pattern: Regular expression that is searched for.
        schema_file: File with a JSON schema.
        samples: Answers in all that must agree.
        judge: Id of the model that judges.
        judge_cost_usd: What a judgement costs on average [USD]; from the judge's prices if not given.
        max_steps: Most models that are asked for one answer.
        value: Value of a right answer [USD]; the policy's if not given.
        tolerance: How much less likely right than the policy's choice an answer may be, where it has no value.
        dependence: Correlation of the models' being right, beyond their probabilities.
        limit_usd: Most that the steps of an answer may cost [USD].
        true_positive: P(yes | right) of the verifier, as it was measured.
        false_positive: P(yes | wrong) of the verifier, as it was measured.
    """

    verify: Literal["pattern", "schema", "logprob", "agreement", "judge"]
    pattern: str | None = None
    schema_file: str | None = None
    samples: Annotated[int, Field(ge=2, le=20)] = 3
    judge: Identifier | None = None
    judge_cost_usd: Amount | None = None
    max_steps: Annotated[int, Field(ge=2)] = 2
    value: Amount | None = None
    tolerance: float = 0.01
    dependence: float = 0.3
    limit_usd: Amount | None = None
    true_positive: float | None = None
    false_positive: float | None = None


class _RouterSettings(_Table):
    """The table `[router]`."""

    store: Annotated[str, Field(min_length=1)] | None = None
    policy: Annotated[str, AfterValidator(_policy)] = "best"
    strict: bool = False
    constraints: Constraints | None = None
    log: Annotated[str, Field(min_length=1)] | None = None
    explore: Annotated[str, AfterValidator(_exploration)] | None = None


class Settings(_RouterSettings):
    """Settings of a router: models, store, policy.

    Attributes:
        store: Address of a store, `default` for this user's own, or `catalogue` for the shipped one; None if none is
            set: this user's own if it exists, and otherwise the catalogue.
        policy: As `--policy` takes it.
        strict: Refuse a model of which nothing is known.
        constraints: Limits on which candidates may be chosen.
        log: File for decisions, `store`, or the address of another one.
        explore: Way to try other candidates now and then: `epsilon:0.02`, `thompson`.
        models: The candidates; every one in the store or the catalogue if there are none.
        server: The HTTP gateway.
        cascade: The gateway's cascade; none if not given.
        virtual: Names that callers of the gateway may give as `model`.
        path: The file that was read.
    """

    models: tuple[ModelSettings, ...] = ()
    server: ServerSettings = ServerSettings()
    cascade: CascadeSettings | None = None
    virtual: Mapping[str, VirtualSettings] = {}
    path: Path | None = None

    def find(self, id_: str) -> ModelSettings | None:
        """Return the model with an id, or None."""
        return next((model for model in self.models if model.id == id_), None)

    def among(self, ids: Iterable[str]) -> Settings:
        """Return these settings for other candidates, with the facts of those that they know."""
        models = tuple(self.find(id_) or ModelSettings(id=id_) for id_ in ids)
        return self.model_copy(update={"models": models})


def read_settings(path: str | Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings: the file, and above it the environment.

    Args:
        path: The file; the one that `CIT_CONFIG` names if not given, and else `cit.toml` in the working directory if
            there is one.
        environment: Variables in place of `os.environ`.

    Raises:
        InvalidInput: If a file that was named does not exist, or a setting cannot be used; no value is shown, for it
            may be a key or a password.
    """
    variables = os.environ if environment is None else environment
    file = _file(path, variables)
    table = {} if file is None else _table(file)
    settings = Settings(path=file) if file is None else _settings(table, file)
    for name in ("store", "policy"):
        if given := variables.get(VARIABLES[name]):
            read = _checked(_RouterSettings, {name: given}, VARIABLES[name])
            settings = settings.model_copy(update={name: getattr(read, name)})
    if given := variables.get(VARIABLES["models"]):
        settings = settings.among([id_ for part in given.split(",") if (id_ := part.strip())])
    return settings


def _file(path: str | Path | None, variables: Mapping[str, str]) -> Path | None:
    named = path or variables.get(CONFIG)
    if not named:
        return Path(FILE) if Path(FILE).is_file() else None
    if Path(named).is_file():
        return Path(named)
    origin = "--config" if path else CONFIG
    raise InvalidInput(f"{origin} names {shown(str(named), 512)}, which is no file; `cit doctor` shows the settings")


def _table(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))  # Notepad and PowerShell write a byte order mark
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{file} is no TOML: it is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"at (line \d+, column \d+|end of document)", str(error))
        place = f" ({where[1]})" if where else ""
        raise InvalidInput(f"{file} is no TOML{place}; a line is name = value, texts are in quotes") from None


def _settings(table: Mapping[str, Any], file: Path) -> Settings:
    known = ("router", "models", "server", "virtual", "cascade")
    for name in table:
        if name not in known:
            raise InvalidInput(
                f"{file} has no table {shown(name)}; there are [router], [[models]], [server], [cascade] and "
                "[virtual.NAME]"
            )
    router, models = table.get("router", {}), table.get("models", [])
    if not isinstance(router, dict) or not isinstance(models, list):
        raise InvalidInput(f"{file}: the settings are in one table [router] and in tables [[models]], one a model")
    read = _checked(_RouterSettings, _policy_beside(router, file), f"{file}: [router]")
    entries = tuple(_model(entry, f"{file}: [[models]] {place}") for place, entry in enumerate(models, start=1))
    require_unique((entry.id for entry in entries), f"models in {file}")
    given: dict[str, Any] = {name: getattr(read, name) for name in read.model_fields_set}
    given["server"] = _checked(ServerSettings, table.get("server", {}), f"{file}: [server]")
    if "cascade" in table:
        given["cascade"] = _cascade(table["cascade"], file)
    given["virtual"] = _virtual(table.get("virtual", {}), file, {entry.id for entry in entries})
    if read.log is not None and read.log != "store":
        is_address = "://" in read.log
        given["log"] = _beside(read.log, file) if is_address else str((file.parent / read.log).absolute())
    if read.store is not None:
        given["store"] = _beside(read.store, file)
    return Settings(**given, path=file).model_copy(update={"models": entries})


def _cascade(table: object, file: Path) -> CascadeSettings:
    read = _checked(CascadeSettings, table, f"{file}: [cascade]")
    beside = None if read.schema_file is None else str(file.parent / read.schema_file)
    return read.model_copy(update={"schema_file": beside})


def _virtual(tables: object, file: Path, ids: set[str]) -> dict[str, VirtualSettings]:
    found = {}
    for name, table in (tables if isinstance(tables, dict) else {"": tables}).items():
        found[name] = _checked(VirtualSettings, _policy_beside(table, file), f"{file}: [virtual.{name}]")
        if unknown := [id_ for id_ in found[name].models if id_ not in ids]:
            raise InvalidInput(f"{file}: [virtual.{name}] names {shown(unknown[0])}, which has no table [[models]]")
    return found


def _checked(kind: type[T], given: object, what: str) -> T:
    if not isinstance(given, Mapping):
        raise InvalidInput(f"{what} is {shown(given)}; it must be a table")
    given = dict(given)
    if "constraints" in given:
        given["constraints"] = as_constraints(given["constraints"])
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise invalid(what, error, kind.model_fields, echo=False) from None


def _model(entry: object, what: str) -> ModelSettings:
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
        raise InvalidInput(f'{what} needs an id: id = "openai:gpt-5-mini"')
    variable = entry.get("api_key_env")
    if variable is not None and not (isinstance(variable, str) and VARIABLE.fullmatch(variable)):
        raise InvalidInput(f'{what}: api_key_env is the name of an environment variable, such as "OPENAI_API_KEY"')
    if "api_key" in entry:
        raise InvalidInput(f"{what}: a key is not written down; api_key_env names the variable that holds it")
    try:
        return ModelSettings(**entry)
    except InvalidInput as error:
        raise InvalidInput(f"{what}: {error}") from None


def _policy_beside(table: Any, file: Path) -> Any:
    """Make the relative path of a policy file one from the file's folder."""
    policy = table.get("policy") if isinstance(table, Mapping) else None
    if not (isinstance(policy, str) and policy.startswith("file:")):
        return table
    return {**table, "policy": f"file:{file.parent / policy.removeprefix('file:')}"}


def _beside(store: str, file: Path) -> str:
    """Make the relative path of a store one from the file's folder."""
    if not store.startswith(RELATIVE) or store.startswith((f"{RELATIVE}/", f"{RELATIVE}~")):
        return store
    return f"{RELATIVE}{(file.parent / store.removeprefix(RELATIVE)).absolute()}"
