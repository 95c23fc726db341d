// @ts-check
// PURE but for `import`. Addresses and pages: what follows `#/` names a page, its path and its query.
//
// A page is a custom element. The frame makes it when it is first asked for, keeps it (a phone call goes on
// while one looks elsewhere) and calls, where the element has them:
//   enter({store, session})  once, after it is in the document
//   show(route)              when the address comes to it or changes within it: {page, path, query}
//   update(store)            while it is shown: after live events, at most once a frame
//   tick()                   while it is shown: every second
//   key(key)                 while it is shown: a key was pressed where nothing is written; true if it was taken
//   hide()                   when another page takes its place
//   leave()                  when the session ends, before it is taken out

/** @typedef {{page: string, path: string[], query: URLSearchParams}} Route */
/** @typedef {{name: string, label: string, href: string, right: string, tag: string, load: () => Promise<unknown>}} Page */

/** @type {Page[]} `right` is what one needs to be offered the page; the server asks again. */
export const PAGES = [
  { name: "floor", label: "Floor", href: "#/", right: "view", tag: "va-floor-page", load: () => import("./floor-page.js") },
  { name: "history", label: "History", href: "#/history", right: "view", tag: "va-history", load: () => import("./history.js") },
  { name: "phone", label: "Phone", href: "#/phone", right: "act", tag: "va-phone", load: () => import("./phone.js") },
  { name: "health", label: "Health", href: "#/health", right: "view", tag: "va-health", load: () => import("./health.js") },
  { name: "admin", label: "Admin", href: "#/admin", right: "manage", tag: "va-admin", load: () => import("./admin.js") },
];

/** @param {string} hash as in `location.hash` @returns {Route} */
export function parse(hash) {
  const [before, query = ""] = cut(hash.replace(/^#\/?/, ""), "?");
  const [first, ...path] = before.split("/").map(decoded);
  const page = PAGES.find((one) => one.name === first);
  // `#/calls/ID` is the floor with one call open.
  if (first === "calls" || !page) return { page: "floor", path: path.filter(Boolean), query: new URLSearchParams(query) };
  return { page: page.name, path: path.filter(Boolean), query: new URLSearchParams(query) };
}

/** The address of a call. @param {string} id */
export function callAddress(id) {
  return `#/calls/${encodeURIComponent(id)}`;
}

/** Read a token from `#token=…` and take it out of the address and the history at once. */
export function tokenFromAddress() {
  const found = new URLSearchParams(location.hash.replace(/^#\/?/, "")).get("token");
  if (found !== null) history.replaceState(null, "", location.pathname);
  return found;
}

/** Load a part's stylesheet, once. @param {string} name a file of the page */
export function style(name) {
  const href = `/static/${name}`;
  const known = [...document.querySelectorAll("link[rel=stylesheet]")].some((link) => link.getAttribute("href") === href);
  if (known) return;
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = href;
  document.head.append(link);
}

/** @param {string} text @param {string} mark @returns {[string, string?]} */
function cut(text, mark) {
  const at = text.indexOf(mark);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
