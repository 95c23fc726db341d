// @ts-check
import { fill, h, setText } from "./dom.js";
import { clock, seconds, words } from "./format.js";

const SHOWN = 12;

/** How long the caller waited for each answer, newest first, and of what that wait was made. */
class Turns extends HTMLElement {
  connectedCallback() {
    if (this.body) return;
    this.sums = h("span", { class: "quiet num" });
    this.body = h("tbody");
    fill(
      this,
      h("h3", { class: "line" }, "Latency per turn", this.sums),
      h(
        "table",
        { class: "turns" },
        h("caption", { class: "visually-hidden" }, "The newest turns and how long the caller waited for the answer"),
        h("thead", { class: "visually-hidden" }, h("tr", null, ["At", "Wait", "Share of the longest"].map((name) => h("th", { scope: "col" }, name)))),
        this.body,
      ),
    );
    this.hidden = true;
  }

  /** @param {any} timeline null where there is none */
  update(timeline) {
    const turns = (timeline?.turns ?? []).filter((/** @type {any} */ turn) => typeof turn.latency_ms === "number");
    this.hidden = turns.length === 0;
    const state = JSON.stringify([turns.length, turns.at(-1), timeline?.latency]);
    if (this.hidden || state === this.shown || !this.body || !this.sums) return;
    this.shown = state;
    const { p50_ms: p50, p95_ms: p95 } = timeline.latency ?? {};
    setText(this.sums, [p50 != null && `p50 ${seconds(p50)}`, p95 != null && `p95 ${seconds(p95)}`].filter(Boolean).join(" · "));
    const longest = Math.max(...turns.map((/** @type {any} */ turn) => turn.latency_ms), 1);
    fill(this.body, turns.slice(-SHOWN).reverse().map((/** @type {any} */ turn) => row(turn, longest)));
  }
}

/** @param {any} turn @param {number} longest */
function row(turn, longest) {
  const parts = Object.entries(turn.parts ?? {}).filter(([, ms]) => typeof ms === "number" && ms > 0);
  const told = parts.map(([name, ms]) => `${words(name)} ${seconds(Number(ms))}`).join(", ");
  const bar = h("span", { class: "wait", title: told || null });
  const pieces = parts.length ? parts : [["", turn.latency_ms]];
  const whole = pieces.reduce((sum, [, ms]) => sum + Number(ms), 0);
  for (const [, ms] of pieces) {
    const piece = h("i");
    // Of the parts only their shares count: they may overlap, or leave a rest.
    piece.style.width = `${(100 * turn.latency_ms * Number(ms)) / whole / longest}%`;
    bar.append(piece);
  }
  return h(
    "tr",
    null,
    h("td", { class: "num quiet" }, clock(turn.at)),
    h("td", { class: "num" }, seconds(turn.latency_ms)),
    h("td", null, bar, h("span", { class: "visually-hidden" }, told)),
  );
}
customElements.define("va-turns", Turns);
