"""Kamailio between a phone and the service: record-routing proxy, dispatcher, registrar with digest, TLS."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.interop import kit
from tests.kit.ports import free_port

SECRET = "wonderland"
"""The one password of its registrar and proxy."""

_CONFIG = """#!KAMAILIO
debug=2
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
dns=no
rev_dns=no
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
{tls_listen}
tcp_connection_lifetime=60
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "dispatcher.so"
loadmodule "ctl.so"
{tls_module}
modparam("ctl", "binrpc", "unix:{folder}/ctl.sock")
modparam("tm", "fr_timer", 2000)
modparam("tm", "fr_inv_timer", 30000)
modparam("usrloc", "db_mode", 0)
modparam("registrar", "min_expires", {min_expires})
modparam("registrar", "default_expires", 60)
modparam("registrar", "max_contacts", 5)
modparam("auth", "algorithm", "{algorithm}")
modparam("dispatcher", "list_file", "{folder}/dispatcher.list")
modparam("dispatcher", "flags", 2)
modparam("dispatcher", "xavp_dst", "_dsdst_")

request_route {{
  if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
  if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
  if (has_totag()) {{
    if (loose_route() || is_method("ACK")) {{ t_relay(); exit; }}
    sl_send_reply("404", "Not here");
    exit;
  }}
  if (is_method("REGISTER")) {{
    if (!pv_www_authenticate("$td", "{secret}", "0")) {{ www_challenge("$td", "1"); exit; }}
    if (!save("location")) sl_reply_error();
    exit;
  }}
  if (is_method("OPTIONS") && $rU == $null) {{ sl_send_reply("200", "Keepalive"); exit; }}
  record_route();
  if ({challenges}) {{
    if (!pv_proxy_authenticate("$fd", "{secret}", "0")) {{ proxy_challenge("$fd", "1"); exit; }}
    consume_credentials();
  }}
  if ($rU =~ "^[0-9]+$") {{
    if (!ds_select_dst("1", "8")) {{ sl_send_reply("503", "No target"); exit; }}
    t_on_failure("NEXT");
    t_relay();
    exit;
  }}
  if (!lookup("location")) {{ sl_send_reply("404", "Not registered"); exit; }}
  t_relay();
}}

failure_route[NEXT] {{
  if (t_is_canceled()) exit;
  if (t_check_status("503") || (t_branch_timeout() && !t_branch_replied())) {{
    if (ds_next_dst()) {{ t_on_failure("NEXT"); t_relay(); exit; }}
  }}
}}
"""
_TLS = """loadmodule "tls.so"
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "{certificate}")
modparam("tls", "private_key", "{key}")
modparam("tls", "verify_certificate", 0)
modparam("tls", "require_certificate", 0)
"""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running Kamailio. Calls to numbers go to its targets, all others to who has registered."""

    port: int
    tls_port: int
    folder: Path

    @property
    def address(self) -> str:
        """host:port for UDP and TCP."""
        return f"127.0.0.1:{self.port}"

    async def registered(self, user: str) -> bool:
        """Tell whether ``user`` has a contact at the registrar."""
        process = await asyncio.create_subprocess_exec(
            *("kamcmd", "-s", f"unix:{self.folder}/ctl.sock", "ul.lookup", "location", user),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = await kit.ended(process)
        return process.returncode == 0 and "Contacts" in output

    def log(self) -> str:
        """What it has logged."""
        return (self.folder / "log").read_text("utf-8", "replace")


@asynccontextmanager
async def kamailio(
    folder: Path,
    targets: Sequence[str] = (),
    *,
    challenges: bool = False,
    tls: tuple[Path, Path] | None = None,
    algorithm: str = "MD5",
    min_expires: int = 1,
) -> AsyncIterator[Proxy]:
    """Run a proxy. ``targets`` (``sip:host:port``) take the calls to numbers, the first that answers.

    ``challenges`` asks callers for digest credentials; ``tls`` is a certificate and its key.
    """
    folder.mkdir()  # noqa: ASYNC240 - a local folder, once
    port = free_port()
    (folder / "dispatcher.list").write_text(
        "".join(f"1 {target} 0 {len(targets) - place}\n" for place, target in enumerate(targets))
        or "2 sip:127.0.0.1:9 0 0\n"
    )
    (folder / "kamailio.cfg").write_text(
        _CONFIG.format(
            port=port,
            folder=folder,
            secret=SECRET,
            algorithm=algorithm,
            min_expires=min_expires,
            challenges='is_method("INVITE")' if challenges else '$rU == "nobody"',
            tls_listen=f"enable_tls=yes\nlisten=tls:127.0.0.1:{port + 1}" if tls else "",
            tls_module=_TLS.format(certificate=tls[0], key=tls[1]) if tls else "",
        )
    )
    (folder / "run").mkdir()
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *("kamailio", "-DD", "-E", "-m", "32", "-M", "8"),
            *("-f", str(folder / "kamailio.cfg"), "-Y", str(folder / "run"), "-P", str(folder / "pid")),
            stdout=log,
            stderr=log,
            start_new_session=True,  # its children end with it
        )
    proxy = Proxy(port, port + 1, folder)
    try:
        await listens(process, proxy)
        yield proxy
    finally:
        await stopped(process, 10)


async def stopped(process: asyncio.subprocess.Process, within_s: float) -> None:
    """End a Kamailio and its children; kill what is left of them after ``within_s``."""
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGTERM)
    try:
        await kit.ended(process, within_s)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):  # its children may have ended with it
            os.killpg(process.pid, signal.SIGKILL)


class Listening(Protocol):
    """A Kamailio that was started."""

    @property
    def port(self) -> int: ...

    def log(self) -> str: ...


async def listens(process: asyncio.subprocess.Process, proxy: Listening) -> None:
    """Wait until its TCP port answers; fail with its log when it has ended instead."""
    listening = asyncio.ensure_future(kit.reached(proxy.port))
    ended = asyncio.ensure_future(process.wait())
    await asyncio.wait({listening, ended}, return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    if not listening.done():
        listening.cancel()
        raise AssertionError(proxy.log()[-3000:])
    listening.result()[1].close()
