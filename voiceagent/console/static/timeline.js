// @ts-check
// <va-timeline>: who spoke when, what was generated against what was heard. `update(timeline)` takes what
// `GET /v1/calls/{id}/timeline` answers; a live one grows by itself in between.
import { fill, h, setText } from "./dom.js";
import { clock, seconds } from "./format.js";
import { AGENT_Y, CALLER_Y, coloursOf, draw, HEIGHT, Scale, WAITS_Y } from "./timeline-draw.js";
import { callerWords, endOf, grown, GROWS_S, operatorWords, replyWords, rows, shortened, stops, visible } from "./timeline-model.js";

/** A live line is drawn four times a second at most; what the hand does is drawn with the next frame. */
const DRAW_MS = 250;
const NEAR_PX = 10;
const LEAST_S = 2;

class Timeline extends HTMLElement {
  /** How often the picture was drawn. */
  drawings = 0;
  /** @type {import("./timeline-model.js").Timeline | null} */
  line = null;
  /** What is zoomed to; null shows the whole call. @type {{from: number, to: number} | null} */
  view = null;
  /** @type {number | null} */
  picked = null;
  asOf = 0;
  drawnAt = -Infinity;
  frame = 0;
  timer = 0;
  told = "";

  connectedCallback() {
    if (!this.canvas) this.build();
    this.watch = new ResizeObserver(() => this.drawSoon());
    this.watch.observe(this);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.recolour = () => this.drawSoon();
    this.scheme.addEventListener("change", this.recolour);
    this.drawSoon();
  }

  disconnectedCallback() {
    this.watch?.disconnect();
    if (this.recolour) this.scheme?.removeEventListener("change", this.recolour);
    clearTimeout(this.timer);
    if (this.frame) cancelAnimationFrame(this.frame);
    this.frame = this.timer = 0;
  }

  build() {
    const key = (/** @type {string} */ kind, /** @type {string} */ text) => h("span", { class: `tl-key ${kind}` }, text);
    const button = (/** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ act) =>
      h("button", { type: "button", class: "small", "aria-label": label, title: label, onclick: act }, text);
    this.canvas = /** @type {HTMLCanvasElement} */ (h("canvas", { "aria-hidden": "true" }));
    this.label = h("div", { class: "tl-label", hidden: true, "aria-hidden": "true" });
    this.spoken = h("p", { class: "visually-hidden", role: "status" });
    this.figures = h("span", { class: "quiet num" });
    this.fitButton = button("Fit", "Show the whole call", () => this.zoomTo(null));
    this.stage = h("div", { class: "tl-stage", role: "group", tabindex: 0 }, this.canvas, this.label);
    this.body = h("tbody", null);
    this.table = /** @type {HTMLDetailsElement} */ (
      h(
        "details",
        { class: "tl-table", ontoggle: () => this.fillTable() },
        h("summary", null, "Time line as a table"),
        h("div", { class: "tl-rows", tabindex: 0, role: "region", "aria-label": "Time line as a table" },
          h("table", null, h("thead", null, h("tr", null, ...["Time", "What", "Details"].map((name) => h("th", { scope: "col" }, name)))), this.body)),
      )
    );
    fill(
      this,
      h(
        "div",
        { class: "tl-head" },
        key("caller", "Caller"),
        key("heard", "Agent, heard"),
        key("unheard", "generated, not heard"),
        h("span", { class: "grow" }),
        this.figures,
        h("span", { class: "tl-zoom" }, button("−", "Zoom out", () => this.zoom(2)), this.fitButton, button("+", "Zoom in", () => this.zoom(0.5))),
      ),
      this.stage,
      this.spoken,
      this.table,
    );
    this.hands();
  }

  hands() {
    const stage = /** @type {HTMLElement} */ (this.stage);
    stage.addEventListener("keydown", (event) => this.key(event));
    stage.addEventListener("blur", () => this.pick(null, []));
    stage.addEventListener("pointermove", (event) => this.pointed(event));
    stage.addEventListener("pointerleave", () => this.pick(null, []));
    stage.addEventListener("pointerdown", (event) => {
      if (!this.view || event.button) return;
      stage.setPointerCapture(event.pointerId);
      this.drag = event.offsetX;
    });
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => (this.drag = undefined));
    stage.addEventListener(
      "wheel",
      (event) => {
        if (event.ctrlKey) this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.scale().t(event.offsetX));
        else if (this.view && event.deltaX) this.pan(event.deltaX / this.scale().perSecond);
        else return;
        event.preventDefault();
      },
      { passive: false },
    );
  }

  /** @param {import("./timeline-model.js").Timeline} timeline */
  update(timeline) {
    this.line = timeline;
    this.asOf = performance.now();
    if (!this.stage || !this.figures) return;
    const { p50_ms: p50, p95_ms: p95 } = timeline.latency;
    const waits = p50 === null || p95 === null ? "" : `wait ${seconds(p50)} median, ${seconds(p95)} p95`;
    setText(this.figures, waits);
    this.stage.setAttribute(
      "aria-label",
      `Time line${timeline.live ? "" : ` of ${clock(timeline.duration_s)}`}${waits ? `, ${waits}` : ""}. Arrow keys go from mark to mark, plus and minus zoom. A table follows.`,
    );
    this.fillTable();
    this.drawLater();
  }

  /** Draw when it is due again. */
  drawLater() {
    if (this.timer || this.frame) return;
    const due = Math.max(this.drawnAt + DRAW_MS - performance.now(), 0);
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.drawSoon();
    }, due);
  }

  drawSoon() {
    this.frame ||= requestAnimationFrame(() => this.paint());
  }

  now() {
    const line = /** @type {import("./timeline-model.js").Timeline} */ (this.line);
    return grown(line, (performance.now() - this.asOf) / 1000);
  }

  scale() {
    const end = this.line ? endOf(this.now()) : 10;
    // Who looks at the newest stretch of a live call goes on looking at it.
    if (this.view && this.line?.live && this.follows) this.view = { from: this.view.from + end - this.view.to, to: end };
    const { from, to } = this.view ?? { from: 0, to: end };
    return new Scale(from, to, this.stage?.clientWidth || 600);
  }

  paint() {
    this.frame = 0;
    const pen = this.canvas?.getContext("2d");
    if (!this.line || !this.canvas || !pen || !this.stage?.clientWidth) return;
    const line = this.now();
    const scale = this.scale();
    const dense = window.devicePixelRatio || 1;
    const [wide, high] = [Math.round(scale.width * dense), Math.round(HEIGHT * dense)];
    if (this.canvas.width !== wide) this.canvas.width = wide;
    if (this.canvas.height !== high) this.canvas.height = high;
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    draw(pen, scale, line, coloursOf(this), this.picked);
    this.stage.classList.toggle("zoomed", this.view !== null);
    /** @type {HTMLButtonElement} */ (this.fitButton).disabled = this.view === null;
    this.drawings += 1;
    this.drawnAt = performance.now();
    if (line.live && this.drawnAt - this.asOf < GROWS_S * 1000) this.drawLater();
  }

  // ── zoom ──────────────────────────────────────────────────────────────────────────────────────────
  /** @param {number} factor of the shown time @param {number} [around] seconds */
  zoom(factor, around) {
    const { from, to } = this.scale();
    const live = this.line?.live && to >= endOf(this.now()) - 0.5;
    const fixed = around ?? this.picked ?? (live ? to : (from + to) / 2);
    this.zoomTo({ from: fixed - (fixed - from) * factor, to: fixed + (to - fixed) * factor });
  }

  /** @param {number} by seconds */
  pan(by) {
    if (this.view) this.zoomTo({ from: this.view.from + by, to: this.view.to + by });
  }

  /** Show this part; null, or more than there is, shows the whole call. @param {{from: number, to: number} | null} view */
  zoomTo(view) {
    const end = this.line ? endOf(this.now()) : 10;
    const span = view ? Math.max(view.to - view.from, LEAST_S) : end;
    if (!view || span >= end) this.view = null;
    else {
      const from = Math.min(Math.max(view.from, 0), end - span);
      this.view = { from, to: from + span };
      this.follows = from + span >= end - 0.5;
    }
    this.drawSoon();
  }

  // ── labels ────────────────────────────────────────────────────────────────────────────────────────
  /** @param {KeyboardEvent} event */
  key(event) {
    if (!this.line || event.ctrlKey || event.metaKey || event.altKey) return;
    const all = stops(this.now(), this.scale().perSecond);
    const at = this.picked ?? (event.key === "ArrowLeft" ? Infinity : -1);
    const to = {
      ArrowRight: all.find((one) => one.at > at + 0.001),
      ArrowLeft: all.findLast((one) => one.at < at - 0.001),
      Home: all[0],
      End: all[all.length - 1],
    }[event.key];
    if (to) this.goTo(to);
    else if (event.key === "+" || event.key === "=") this.zoom(0.5);
    else if (event.key === "-") this.zoom(2);
    else if (event.key === "0") this.zoomTo(null);
    else if (event.key === "Escape" && this.picked !== null) this.pick(null, []);
    else return;
    event.preventDefault();
  }

  /** @param {import("./timeline-model.js").Stop} stop */
  goTo(stop) {
    const { from, to } = this.scale();
    if (stop.at < from || stop.at > to) this.pan(stop.at - (from + to) / 2);
    this.pick(stop.at, stop.lines);
    if (this.spoken) setText(this.spoken, shortened(stop.lines).join("; "));
  }

  /** @param {PointerEvent} event */
  pointed(event) {
    if (!this.line) return;
    if (this.drag !== undefined) {
      this.pan((this.drag - event.offsetX) / this.scale().perSecond);
      this.drag = event.offsetX;
      return;
    }
    const line = this.now();
    const scale = this.scale();
    const t = scale.t(event.offsetX);
    const inside = (/** @type {number} */ from, /** @type {number} */ to) => t >= from - 1 / scale.perSecond && t <= to + 1 / scale.perSecond;
    const y = event.offsetY;
    if (y >= CALLER_Y && y < AGENT_Y - 4) {
      const one = line.caller.find(([from, to]) => inside(from, to));
      if (one) return this.pick(t, [callerWords(one, line)]);
    } else if (y >= AGENT_Y - 4 && y < WAITS_Y - 2) {
      const at = visible(line).findLast((one) => inside(one.from, one.to));
      const whole = at && line.generated.find((one) => one.response_id === at.response_id && one.from === at.from);
      if (whole) return this.pick(t, [replyWords(whole, line)]);
      const taken = line.operator?.find(([from, to]) => inside(from, to));
      if (taken) return this.pick(t, [operatorWords(taken, line)]);
    }
    const near = stops(line, scale.perSecond)
      .map((stop) => ({ stop, off: Math.abs(scale.x(stop.at) - event.offsetX) }))
      .sort((a, b) => a.off - b.off)[0];
    if (near && near.off <= NEAR_PX) this.pick(near.stop.at, near.stop.lines);
    else this.pick(null, []);
  }

  /** Show a label at a time, or none. @param {number | null} at @param {string[]} lines */
  pick(at, lines) {
    if (!this.label || (at === null && this.picked === null)) return;
    this.picked = at;
    this.label.hidden = at === null;
    if (at !== null) {
      fill(this.label, shortened(lines).map((text) => h("div", null, text)));
      const scale = this.scale();
      const room = scale.width - this.label.offsetWidth - 4;
      this.label.style.left = `${Math.max(4, Math.min(scale.x(at) - this.label.offsetWidth / 2, room))}px`;
    }
    this.drawSoon();
  }

  /** The same for those who do not see the picture, made only while somebody reads it. */
  fillTable() {
    if (!this.table?.open || !this.line || !this.body) return;
    const all = rows(this.line);
    const told = JSON.stringify(all);
    if (told === this.told) return;
    this.told = told;
    fill(this.body, all.map((one) => h("tr", null, h("td", { class: "num" }, clock(one.at)), h("td", null, one.who), h("td", null, one.text))));
  }
}
customElements.define("va-timeline", Timeline);
