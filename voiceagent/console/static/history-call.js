// @ts-check
import { ask } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { party, showWay } from "./floor-row.js";
import { clock, figure, seconds, words } from "./format.js";
import { keysAreOn } from "./help.js";
import { toneOf } from "./history-list.js";
import { Playhead } from "./history-playhead.js";
import { nothing, Section, when } from "./parts.js";
import { style } from "./router.js";
import "./player.js";
import "./queue.js";
import "./tags.js";
import "./transcript.js";
import "./turns.js";

/** What has keys of its own. */
const BUSY = "input, select, textarea, button, a, summary, dialog, .tl-stage, .tl-rows";

/** One ended call: heard, read, and what was asked of the agent. */
class HistoryCall extends Section {
  draw() {
    this.place = h("div", null);
    this.back = h("a", { class: "back-link", href: "#/history" }, "← History");
    fill(this, this.back, this.place);
    this.onKey = (/** @type {KeyboardEvent} */ event) => {
      const target = /** @type {Element} */ (event.target);
      if (event.defaultPrevented || target.closest?.(BUSY) || !keysAreOn()) return;
      if (this.player?.key(event)) event.preventDefault();
    };
  }

  /** @param {string} id @param {URLSearchParams} query of the list that one came from */
  show(id, query) {
    const { place, back, onKey } = this;
    if (!place || !back || !onKey) return;
    back.setAttribute("href", `#/history${String(query) ? `?${query}` : ""}`);
    document.addEventListener("keydown", onKey);
    if (id === this.id && this.call) return;
    this.hide();
    document.addEventListener("keydown", onKey);
    this.id = id;
    this.call = undefined;
    fill(place);
    const whole = `/v1/history/${encodeURIComponent(id)}`;
    void this.ask(
      place,
      () => ask("GET", whole),
      (call) => this.lay(call),
      (problem) => {
        if (problem.code !== "not_in_history") return false;
        fill(place, nothing(problem.message), h("p", { class: "center" }, h("a", { class: "button", href: `#/calls/${encodeURIComponent(id)}` }, "Open it on the floor")));
        return true;
      },
    );
  }

  hide() {
    if (this.onKey) document.removeEventListener("keydown", this.onKey);
    this.player?.pause();
    this.playhead?.stop();
  }

  /** @param {any} call */
  lay(call) {
    if (!this.place) return;
    this.call = call;
    this.playhead?.stop();
    const erased = new Set((call.recording_files ?? []).filter((/** @type {any} */ one) => one.state === "erased").map((/** @type {any} */ one) => one.file));
    const audible = call.recordings.filter((/** @type {string} */ name) => !erased.has(name));
    this.player = audible.length && this.may("listen") ? /** @type {any} */ (document.createElement("va-player")) : undefined;
    this.line = h("div", { class: "pad" }, h("p", { class: "quiet" }, "Loading…"));
    const lines = this.lines(call);
    const asked = /** @type {any} */ (document.createElement("va-queue"));
    const turns = /** @type {any} */ (h("va-turns", { class: "panel", hidden: true }));
    this.turns = turns;
    fill(
      this.place,
      this.head(call),
      this.facts(call),
      h("section", { class: "panel", "aria-label": "Recording" }, this.player ? this.player : this.unheard(call, audible.length), h("div", { class: "line-place" }, this.line)),
      h(
        "div",
        { class: "columns" },
        h("section", { class: "panel" }, h("h3", null, "Transcript"), lines),
        h("div", { class: "aside" }, turns, h("section", { class: "panel" }, h("h3", null, "Responses"), asked)),
      ),
    );
    asked.update({ ...call, state: "ended" }, false);
    this.tagsWere = String(call.tags);
    this.tags?.update(call, this.may("act"));
    if (this.player) {
      const parts = audible.map((/** @type {string} */ name) => ({
        name,
        src: `/v1/history/${encodeURIComponent(call.id)}/recording?file=${encodeURIComponent(name)}`,
        begins: call.recordings_at?.[call.recordings.indexOf(name)] ?? 0,
      }));
      this.player.load(parts, call.duration_s);
      this.player.addEventListener("moved", () => this.mark());
    }
    void this.fetchLine(call);
  }

  /** Whether the list that one came from shows other tags. */
  get retagged() {
    return this.call !== undefined && String(this.call.tags) !== this.tagsWere;
  }

  /** @param {any} call */
  head(call) {
    const way = h("span", { class: "way", role: "img" });
    showWay(way, call);
    const links = [
      this.may("manage") && call.journal && h("a", { class: "button", href: `/v1/history/${encodeURIComponent(call.id)}/journal`, download: `${call.id}.ndjson` }, "Journal"),
    ];
    return h(
      "div",
      { class: "sheet-head" },
      h("h2", null, way, " ", h("bdi", null, party(call))),
      h("span", { class: "num quiet length" }, clock(call.duration_s)),
      h("span", { class: "mark", "data-mark": toneOf(call.outcome) }, words(call.reason || call.outcome)),
      (this.tags = /** @type {any} */ (document.createElement("va-tags"))),
      h("span", { class: "grow" }),
      links,
    );
  }

  /** @param {any} call */
  facts(call) {
    const ours = call.direction === "outbound" ? call.caller : call.called;
    /** @type {[string, any][]} */
    const all = [
      ["began", when(call.started_at)],
      [call.direction === "outbound" ? "called as" : "called", ours],
      ["flow", call.flow],
      ["trunk", call.trunk === "default" ? "" : call.trunk],
      ["provider", call.provider],
      ["first words", call.first_words_ms === null ? "" : seconds(call.first_words_ms)],
      ["barge-ins", call.barge_ins || ""],
      ["packets lost", call.figures?.lost ? figure(call.figures.lost) : ""],
      ["id", call.id],
    ];
    return [
      h("dl", { class: "facts" }, all.filter(([, value]) => value !== "" && value !== null && value !== undefined).map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value)))),
      call.fault && h("p", { class: "notice", "data-tone": call.outcome === "success" ? null : "warn" }, call.fault),
    ];
  }

  /** @param {any} call @param {number} audible how many recordings there still are */
  unheard(call, audible) {
    if (call.recordings.length && !audible) return h("p", { class: "pad quiet" }, "It was recorded; the recording has been erased.");
    const words = call.recordings.length ? "It was recorded. Hearing it needs the right “listen”, which supervisors and admins have." : "This call was not recorded.";
    return h("p", { class: "pad quiet" }, words);
  }

  /** What was said; a click, or the time, plays from there. @param {any} call */
  lines(call) {
    if (!call.transcript.length) return nothing("Nothing was said.");
    this.said = call.transcript.map((/** @type {any} */ line) => {
      const element = /** @type {any} */ (document.createElement("va-line"));
      element.update(line);
      element.at = line.at;
      if (!this.player) return element;
      const time = h("button", { type: "button", class: "num at", "aria-label": `Play from ${clock(line.at)}`, onclick: () => this.play(line.at) }, clock(line.at));
      element.querySelector(".at")?.replaceWith(time);
      element.addEventListener("click", (/** @type {Event} */ event) => {
        const marking = String(getSelection() ?? "") !== "";
        if (!marking && event.target !== time) this.play(line.at);
      });
      return element;
    });
    return h("div", { class: "scroller said-lines", role: "region", "aria-label": "Transcript", tabindex: 0, "data-playable": this.player !== undefined }, h("div", { role: "list" }, this.said));
  }

  /** @param {number} at */
  play(at) {
    this.player?.seek(at);
    this.player?.play();
  }

  /** Mark the line that is being said. */
  mark() {
    const { player, said } = this;
    if (!player || !said) return;
    const now = player.now + 0.05;
    const current = player.playing || player.now > (player.part?.begins ?? 0) ? said.findLast((/** @type {any} */ one) => one.at <= now) : undefined;
    if (current === this.current) return;
    this.current?.removeAttribute("aria-current");
    this.current = current;
    current?.setAttribute("aria-current", "true");
    if (player.playing) current?.scrollIntoView({ block: "nearest" });
  }

  /** @param {any} call */
  async fetchLine(call) {
    const { line } = this;
    if (!line) return;
    try {
      const [told] = await Promise.all([ask("GET", `/v1/calls/${encodeURIComponent(call.id)}/timeline`), import("./timeline.js"), style("timeline.css")]);
      if (line !== this.line) return;
      const element = /** @type {any} */ (document.createElement("va-timeline"));
      line.classList.remove("pad");
      fill(line, element);
      element.update(told);
      this.turns?.update(told);
      this.playhead = new Playhead(element, this.player, (at) => this.play(at));
      if (this.player) this.playhead.start();
    } catch (error) {
      const problem = /** @type {any} */ (error);
      const gone = problem.status === 404 || problem.status === undefined;
      if (line === this.line) fill(line, h("p", { class: "quiet" }, gone ? "There is no time line: the journal of this call is not kept any more." : `The time line cannot be shown: ${problem.message}`));
    }
  }
}
customElements.define("va-history-call", HistoryCall);
