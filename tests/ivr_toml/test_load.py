"""From file to flow: mistakes are told with file and line before a port is opened, functions looked at."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from tests.ivr_toml.kit import checked, line_of, parsed, shop
from voiceagent.app.flow_books import book_of_flows
from voiceagent.errors import ConfigError
from voiceagent.ivr import flow, load_flows
from voiceagent.ivr.check.allowed import Allowed
from voiceagent.ivr.check.toml_check import check_flow
from voiceagent.ivr.toml.endpoints import EndpointRules
from voiceagent.ivr.toml.lines import MOST_BYTES, MOST_DEPTH
from voiceagent.ivr.toml.models import FlowTable
from voiceagent.ivr.toml.read import load_toml_flow
from voiceagent.settings import load_settings

FUNCTIONS = """
from asyncio import sleep
from functools import partial
from voiceagent.ivr import tool

async def balance(account: str, *, currency: str = "euro") -> str:
    return account

def blocking(account: str) -> str:
    return account

@tool
async def looked_up(account: str) -> str:
    '''Look it up.'''
    return account

@partial
def wrapped(account: str) -> str:
    return account

class Account: ...

if True:
    async def within(account: str, limit: int) -> str:
        return account

number = 1
"""


def written(folder: Path, *changes: tuple[str, str], functions: str = FUNCTIONS) -> Path:
    (folder / "shop.py").write_text(functions, encoding="utf-8")
    path = folder / "shop.toml"
    path.write_text(shop(*changes), encoding="utf-8")
    return path


def test_a_flow_is_loaded_beside_flows_in_python(tmp_path: Path) -> None:
    other = tmp_path / "desk.py"
    other.write_text(
        'from voiceagent.ivr import flow\n@flow("desk", numbers=["*"])\nasync def desk(call): ...\n', "utf-8"
    )
    book = load_flows([written(tmp_path), other])
    assert [one.name for one in book] == ["shop", "desk"]
    shop_flow = book.get("shop")
    assert shop_flow is not None
    assert shop_flow.numbers == ("200",)
    assert shop_flow.instructions.startswith("You are the friendly voice")


def test_the_service_takes_flows_in_toml_and_hosts_from_its_settings(tmp_path: Path) -> None:
    path = written(tmp_path, ('function = "shop:balance"', 'url = "https://api.example.com/"'))
    settings = {"flows": (str(path),), "realtime.provider": "embedded"}
    with pytest.raises(
        ConfigError, match=r"shop.toml:\d+: .*api.example.com is not allowed \(.*call.http_hosts"
    ):
        book_of_flows(load_settings(None, settings))
    book = book_of_flows(load_settings(None, {**settings, "call.http_hosts": ("api.example.com",)}))
    assert book.sources == {"shop": str(path)}
    with pytest.raises(ConfigError, match=r"call.http_hosts: .*no host"):
        load_settings(None, {**settings, "call.http_hosts": ("https://",)})


@pytest.mark.parametrize("hosts", [(), ("other.example.com",)])
def test_a_mistake_is_told_with_file_line_and_remedy(tmp_path: Path, hosts: tuple[str, ...]) -> None:
    path = written(tmp_path, ("attempts = 2", "atempts = 2"))
    with pytest.raises(ConfigError) as error:
        load_flows([path], hosts)
    line = line_of(path.read_text("utf-8"), "atempts")
    assert str(error.value) == (
        f"flows: {path}:{line}: step menu has no key `atempts` (did you mean 'attempts'?)"
    )


def test_what_would_fail_in_a_call_is_refused_and_a_warning_is_not(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="leads to 'huors', which is no step"):
        load_flows([written(tmp_path, ('hours"], next = "hours"', 'hours"], next = "huors"'))])
    load_flows([written(tmp_path, ('"One moment."\notherwise = "bye"', '"One moment."'))])


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"x = 1\n\nname = \xff", r"shop.toml:3: is not UTF-8"),
        (b"#" * (MOST_BYTES + 1), r"shop.toml:1: is larger than \d+ bytes"),
        (b"\nx = " + b"[" * 100_000, rf"shop.toml:2: nested deeper than {MOST_DEPTH}"),
        (b"a" + b".a" * 100_000 + b" = 1", rf"shop.toml:1: nested deeper than {MOST_DEPTH}"),
        (b"", r"shop.toml:1: there is no step .*and 1 more"),
        (b'steps = 1\n[flow]\nname = "a"', r"shop.toml:1: there is no step"),
        (b'[flow]\nname = "a b"\n[steps.x]\ntype = "hangup"', r"shop.toml:2: \[flow\]: `name`: .*pattern"),
        (b'[flow]\nname = "a"\n[steps]\nx = 1', r"shop.toml:4: step x must be a table"),
        (b'[flow]\nname = "a"\n[steps."x y"]\ntype = "hangup"', r"shop.toml:3: 'x y' is no name of a step"),
        (b'flow = "shop"\n[steps.x]\ntype = "hangup"', r"shop.toml:1: there is no table \[flow\]"),
    ],
    ids=[
        "not UTF-8",
        "big",
        "deep array",
        "deep key",
        "empty",
        "steps",
        "name",
        "step",
        "step's name",
        "flow",
    ],
)
def test_a_file_that_is_no_flow_is_refused(tmp_path: Path, raw: bytes, told: str) -> None:
    path = tmp_path / "shop.toml"
    path.write_bytes(raw)
    with pytest.raises(ConfigError, match=told):
        load_flows([path])


ROUND = ('stand that."\notherwise = "desk"', 'stand that."\notherwise = "menu"')


def test_a_line_may_allow_what_a_flow_can_run_with(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="go round without end"):
        load_flows([written(tmp_path, ROUND)])
    allowed = ROUND[1] + "  # check: allow endless-loop"
    load_flows([written(tmp_path, (ROUND[0], allowed))])
    with pytest.raises(ConfigError, match="is no step"):
        load_flows([written(tmp_path, (ROUND[0], 'that."\notherwise = "x" # check: allow unknown-target'))])


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_toml_flow(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="is a folder"):
        load_toml_flow(tmp_path)


# ── functions ───────────────────────────────────────────────────────────────────────────────────
CALLED = [
    # function, code of the check (None: nothing wrong that can be seen), what it or the loading says
    ("shop:balance", None, None),
    ("shop:looked_up", None, None),
    ("shop:balence", "missing-function", "did you mean 'balance'"),
    ("shpo:balance", "missing-function", "did you mean 'shop'"),
    ("shop.data:balance", "missing-function", "no module 'shop.data'"),
    ("shop:blocking", "not-async", "write `async def`"),
    ("shop:Account", "not-async", "write `async def`"),
    ("shop:within", "bad-value", "needs the argument `limit`"),
    ("json:load", "not-async", "write `async def`"),
    ("json.decoder:nothing", "missing-function", "decoder.py has no function"),
    ("shop:number", None, "must be an async function"),
    ("shop:wrapped", None, "must be an async function"),
    ("math:cos", None, "must be an async function"),
    ("shop:sleep", None, None),
]


@pytest.mark.parametrize(("function", "code", "told"), CALLED, ids=[one[0] for one in CALLED])
def test_a_function_is_looked_at_without_running_it_and_again_when_it_is_loaded(
    tmp_path: Path, function: str, code: str | None, told: str | None
) -> None:
    path = written(tmp_path, ("shop:balance", function))
    found = check_flow(load_toml_flow(path))
    assert [one.code for one in found] == ([] if code is None else [code])
    if code is not None:
        assert told is not None
        assert told in f"{found[0].message} ({found[0].remedy})"
        assert found[0].line == line_of(
            path.read_text("utf-8"), "arguments" if code == "bad-value" else function
        )
    if told is None:
        load_flows([path])
    else:
        with pytest.raises(ConfigError, match=r"shop.toml:\d+: "):
            load_flows([path])


def test_the_check_runs_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, functions='raise SystemExit("ran")\nasync def balance(account): ...')
    assert check_flow(load_toml_flow(path)) == []
    with pytest.raises(
        ConfigError, match=r"shop.toml:\d+: step lookup: module shop cannot be imported: SystemExit"
    ):
        load_flows([path])


@pytest.mark.parametrize(
    ("functions", "told"),
    [
        ("async def balance(): ...", "takes no argument `account`"),
        ("async def balance(acount='x'): ...", "did you mean 'acount'"),
        ("async def balance(account, /): ...", "takes no argument `account`"),
        ("async def balance(account, more): ...", "needs the argument `more`"),
        ("def (", "cannot be read as Python"),
    ],
)
def test_arguments_must_fit_the_function(tmp_path: Path, functions: str, told: str) -> None:
    found = check_flow(load_toml_flow(written(tmp_path, functions=functions)))
    assert told in f"{found[0].message} ({found[0].remedy})"


@pytest.mark.parametrize(
    "functions", ["async def balance(**all): ...", "from elsewhere import *", "import balance"]
)
def test_what_cannot_be_seen_is_not_complained_about(tmp_path: Path, functions: str) -> None:
    assert check_flow(load_toml_flow(written(tmp_path, functions=functions))) == []


# ── secrets and names ───────────────────────────────────────────────────────────────────────────
PIN = ('into = "account"\n', 'into = "account"\nsecret = true\n')
WORK = 'function = "shop:balance"\n'


def test_a_secret_may_be_given_to_a_function() -> None:
    assert checked(shop(PIN)) == []


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (("the balance is", "the account {account} has"), 'guide = "Tell'),
        ((WORK, 'url = "https://api.example.com/{account}"\n'), "url = "),
        ((WORK, 'url = "https://api.example.com/"\nmethod = "GET"\n'), "arguments = "),
        (("interruptible = false", 'metadata = { pin = "{account}" }'), "metadata = "),
    ],
)
def test_a_secret_is_told_to_nobody_else(change: tuple[str, str], where: str) -> None:
    text = shop(PIN, change)
    assert [(one.code, one.line) for one in checked(text)] == [("secret-spoken", line_of(text, where))]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("secret = true", "secret = true\nconfirm = true"), "cannot read a secret back"),
        (('digits = { least = 6, end = "#" }\n', ""), "needs `digits`"),
    ],
)
def test_a_secret_is_typed_and_never_read_back(change: tuple[str, str], told: str) -> None:
    (one,) = checked(shop(PIN).replace(*change))
    assert (one.code, told in one.message) == ("bad-value", True)


def test_a_name_must_be_set_on_every_way() -> None:
    text = shop(('next = "lookup"\notherwise = "desk"', 'next = "lookup"\notherwise = "lookup"'))
    (one,) = checked(text)
    assert (one.code, one.line) == ("unknown-name", line_of(text, "arguments = "))


# ── endpoints ───────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("hosts", "url", "told"),
    [
        ((), "http://127.0.0.1:8080/x", None),
        ((), "http://localhost/x", None),
        ((), "https://[::1]/x", None),
        ((), "https://api.example.com/x", "not allowed"),
        (("api.example.com",), "https://API.example.com:8443/x", None),
        (("api.example.com",), "http://api.example.com/x", "over https only"),
        (("api.example.com",), "https://api.example.com.evil.example/x", "not allowed"),
        (("*.example.com",), "https://a.b.example.com/x", None),
        (("*.example.com",), "https://example.com/x", "not allowed"),
        (("*.example.com",), "https://evilexample.com/x", "not allowed"),
        (("*",), "https://anything.example/x", None),
        (("*",), "http://anything.example/x", "over https only"),
        (("http://10.0.0.7:8080",), "http://10.0.0.7:8080/x", None),
        (("http://10.0.0.7:8080",), "http://10.0.0.7/x", "not allowed"),
        (("http://10.0.0.7:8080",), "https://10.0.0.7:8080/x", "not allowed"),
        (("*",), "https://user@anything.example/x", "no https"),
        (("*",), "file:///etc/passwd", "no https"),
        (("*",), "https:///x", "no https"),
        (("*",), "https://[::1/x", "Invalid"),
        (("*",), "https://x:99999/", "Port"),
    ],
)
def test_only_hosts_on_the_list_are_asked(hosts: tuple[str, ...], url: str, told: str | None) -> None:
    refusal = EndpointRules(hosts).refusal(url)
    assert (refusal is None) if told is None else (told in (refusal or ""))


@pytest.mark.parametrize(
    "host", ["", "a b", "https://", "exa_mple.com", "*.", "a.*.com", "ftp://x", "x/y", "a@b"]
)
def test_a_host_is_a_host(host: str) -> None:
    with pytest.raises(ValueError, match="is no host"):
        EndpointRules((host,))


def test_a_host_that_is_not_allowed_is_found() -> None:
    text = shop((WORK, 'url = "https://api.example.com/"\n'))
    (one,) = check_flow(parsed(text), Allowed(endpoints=EndpointRules()))
    assert (one.code, one.line) == ("host-not-allowed", line_of(text, "url = "))


# ── the flow's own settings ─────────────────────────────────────────────────────────────────────
def test_the_table_of_the_flow_takes_what_the_decorator_takes() -> None:
    assert set(FlowTable.model_fields) - {"start"} == set(inspect.signature(flow).parameters)


def test_a_flow_has_its_own_settings(tmp_path: Path) -> None:
    settings = (
        'language = "de-AT"\nvoice = "cedar"\nspeed = 1.1\nidle = ["Hallo?"]\nfallback = "Entschuldigung."\n'
    )
    book = load_flows([written(tmp_path, ('start = "greet"\n', settings))])
    (one,) = book
    assert (one.options.words.tag, one.options.voice, one.options.speed) == ("de", "cedar", 1.1)
    assert (one.options.idle, one.fallback) == (("Hallo?",), "Entschuldigung.")


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ('language = "tlh"', "'tlh' is not known; there are en, de, fr, es"),
        ("speed = 9", "less than or equal to 1.5"),
        ("silence_ms = 1.5", "valid integer"),
        ('idle = [""]', "at least 1 character"),
        ('voice = " x"', "must be a name"),
        ('fallback = " "', "must be a sentence"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(tmp_path: Path, setting: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load_flows([written(tmp_path, ('start = "greet"', setting))])
