// @ts-check
// The filters of the history: fields that stand in the address by the names that the API has for them.
import { h, setText } from "./dom.js";
import { field, input, select } from "./parts.js";

const DAY_MS = 86_400_000;
/** @type {[string, string][]} */
const OUTCOMES = [["", "any"], ["success", "success"], ["caller", "caller's side"], ["ours", "our side"], ["provider", "provider"], ["unknown", "unknown"]];
/** @type {[string, string][]} */
const ORDERS = [["", "newest first"], ["oldest", "oldest first"], ["longest", "longest first"]];

const FIRST_ROW = ["q", "direction", "outcome", "order"];

/** @param {string} unix seconds @returns {string} the day, as a date field has it */
export function dayOf(unix) {
  const date = new Date(Number(unix) * 1000);
  if (!unix || Number.isNaN(date.valueOf())) return "";
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** The Unix time at which a day begins here, `after` days later. @param {string} day @param {number} [after] */
export function startOf(day, after = 0) {
  const [year, month, date] = day.split("-").map(Number);
  const at = new Date(year, month - 1, date + after).valueOf();
  return Number.isNaN(at) ? "" : String(at / 1000);
}

/** The form: `values()` gives what is chosen as a query, `take(query)` shows one. */
export class Filters {
  /** @param {() => void} soon typed @param {() => void} now chosen */
  constructor(soon, now) {
    const typed = (/** @type {Record<string, any>} */ more = {}) => input({ type: "search", maxlength: 128, oninput: soon, ...more });
    const chosen = (/** @type {[string, string][]} */ options) => select(options, { onchange: now });
    this.flows = h("datalist", { id: "history-flows" });
    this.trunks = h("datalist", { id: "history-trunks" });
    /** @type {Record<string, HTMLInputElement | HTMLSelectElement>} */
    this.fields = {
      q: typed({ maxlength: 256, placeholder: "words that were said, a tag, a number", class: "search" }),
      number: typed({ inputmode: "tel", placeholder: "part of one" }),
      direction: chosen([["", "both"], ["inbound", "inbound"], ["outbound", "outbound"]]),
      flow: typed({ list: "history-flows", placeholder: "any" }),
      trunk: typed({ list: "history-trunks", placeholder: "any" }),
      outcome: chosen(OUTCOMES),
      tag: typed({ placeholder: "any" }),
      since: input({ type: "date", onchange: now }),
      until: input({ type: "date", onchange: now }),
      min_duration_s: input({ type: "number", min: 0, step: 1, inputmode: "numeric", placeholder: "seconds", oninput: soon }),
      recorded: chosen([["", "either way"], ["true", "recorded"], ["false", "not recorded"]]),
      order: chosen(ORDERS),
    };
    const { q, number, direction, flow, trunk, outcome, tag, since, until, min_duration_s, recorded, order } = this.fields;
    this.set = h("span", { class: "quiet" });
    this.clear = h("button", { type: "button", class: "plain", onclick: () => this.empty(now) }, "Clear all");
    this.more = /** @type {HTMLDetailsElement} */ (
      h(
        "details",
        { class: "more-filters" },
        h("summary", null, "Filters ", this.set),
        h(
          "div",
          { class: "filter-grid" },
          field("Since", since, "since"),
          field("Until", until, "until"),
          field("Number", number, "number"),
          field("Flow", flow, "flow"),
          field("Trunk", trunk, "trunk"),
          field("Tag", tag, "tag"),
          field("At least", min_duration_s, "min_duration_s"),
          field("Recording", recorded, "recorded"),
        ),
        this.flows,
        this.trunks,
      )
    );
    this.more.open = matchMedia("(min-width: 900px)").matches;
    this.element = h(
      "form",
      { class: "history-filters", role: "search", "aria-label": "Ended calls", onsubmit: (/** @type {Event} */ event) => event.preventDefault() },
      h("div", { class: "filters" }, field("Search", q, "q"), field("Direction", direction, "direction"), field("Ending", outcome, "outcome"), field("Order", order, "order")),
      this.more,
      this.clear,
    );
  }

  /** @param {URLSearchParams} query */
  take(query) {
    for (const [name, one] of Object.entries(this.fields)) {
      const value = query.get(name) ?? "";
      if (name === "since") one.value = dayOf(value);
      else if (name === "until") one.value = value ? dayOf(String(Number(value) - DAY_MS / 2000)) : "";
      else {
        // A link may ask for what the list does not offer; it stands there all the same.
        if (one instanceof HTMLSelectElement && ![...one.options].some((option) => option.value === value)) one.append(h("option", { value }, value));
        one.value = value;
      }
    }
    // Times within a day, from a link: kept as they are until the day is changed.
    this.exact = { since: query.get("since") ?? "", until: query.get("until") ?? "" };
    this.shown = { since: this.fields.since.value, until: this.fields.until.value };
    this.tell();
  }

  values() {
    const query = new URLSearchParams();
    for (const [name, one] of Object.entries(this.fields)) {
      let value = one.value.trim();
      if (name === "since" || name === "until") {
        const kept = value === this.shown?.[name] ? this.exact?.[name] : "";
        value = value && (kept || startOf(value, name === "until" ? 1 : 0));
      }
      if (value) query.set(name, value);
    }
    return query;
  }

  tell() {
    const set = [...this.values().keys()].filter((name) => !FIRST_ROW.includes(name)).length;
    setText(this.set, set ? `${set} set` : "");
    this.clear.hidden = [...this.values().keys()].every((name) => name === "order");
  }

  /** @param {() => void} now */
  empty(now) {
    for (const [name, one] of Object.entries(this.fields)) if (name !== "order") one.value = "";
    now();
    this.fields.q.focus();
  }

  /** @param {string[]} flows @param {string[]} trunks */
  offer(flows, trunks) {
    this.flows.replaceChildren(...flows.map((value) => h("option", { value })));
    this.trunks.replaceChildren(...trunks.map((value) => h("option", { value })));
  }
}
