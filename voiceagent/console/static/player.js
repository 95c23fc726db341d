// @ts-check
import { fill, h, setText } from "./dom.js";
import { clock } from "./format.js";
import { ask } from "./api.js";
import { select, trouble } from "./parts.js";

const STEP_S = 5;
/** @type {[string, string][]} */
const SPEEDS = [["0.75", "0.75×"], ["1", "1×"], ["1.25", "1.25×"], ["1.5", "1.5×"], ["2", "2×"]];

/** @typedef {{src: string, name: string, begins: number}} Part `begins`: seconds since the call began */

/**
 * The recordings of one call. Times are those of the call, as on the time line and in the transcript. Nothing
 * is fetched before one plays: fetching is listening, and stands in the audit log. Fires `moved`.
 */
class Player extends HTMLElement {
  connectedCallback() {
    if (this.audio) return;
    const audio = /** @type {HTMLAudioElement} */ (h("audio", { preload: "none" }));
    this.audio = audio;
    this.sign = h("span", { class: "sign", "aria-hidden": "true" });
    this.button = h("button", { type: "button", class: "play primary", "aria-label": "Play", onclick: () => this.toggle() }, this.sign);
    this.slider = /** @type {HTMLInputElement} */ (h("input", { type: "range", step: 0.1, min: 0, class: "grow", "aria-label": "Position" }));
    this.time = h("span", { class: "num time" });
    this.speed = select(SPEEDS, { "aria-label": "Speed", class: "speed" });
    this.speed.value = "1";
    this.choice = h("select", { "aria-label": "Recording", hidden: true });
    this.save = h("a", { class: "button", download: "" }, "Download");
    this.wrong = h("div", null);
    this.slider.addEventListener("input", () => this.seek(Number(this.slider?.value)));
    this.speed.addEventListener("change", () => (audio.playbackRate = Number(this.speed?.value)));
    this.choice.addEventListener("change", () => this.pick(Number(/** @type {HTMLSelectElement} */ (this.choice).value)));
    for (const kind of ["play", "pause", "ended", "seeked", "timeupdate", "durationchange"]) audio.addEventListener(kind, () => this.tell());
    audio.addEventListener("error", () => void this.explain());
    fill(this, h("div", { class: "player" }, this.button, this.time, this.slider, this.speed, this.choice, this.save), audio, this.wrong);
  }

  /** @param {Part[]} parts at least one, in their order @param {number} until when the call ended */
  load(parts, until) {
    this.parts = parts;
    this.until = until;
    if (!this.choice) return;
    this.choice.hidden = parts.length < 2;
    fill(this.choice, parts.map((part, at) => h("option", { value: at }, part.name)));
    this.pick(0);
  }

  /** @param {number} at */
  pick(at) {
    const part = this.parts?.[at];
    if (!part || !this.audio || !this.save) return;
    this.at = at;
    this.audio.pause();
    this.audio.src = part.src;
    this.audio.playbackRate = Number(this.speed?.value ?? 1);
    this.save.setAttribute("href", part.src);
    this.save.setAttribute("download", part.name);
    /** @type {HTMLSelectElement} */ (this.choice).value = String(at);
    if (this.wrong) fill(this.wrong);
    this.tell();
  }

  get part() {
    return this.parts?.[this.at ?? 0];
  }

  /** Seconds since the call began. */
  get now() {
    return (this.part?.begins ?? 0) + (this.audio?.currentTime ?? 0);
  }

  get playing() {
    return this.audio !== undefined && !this.audio.paused && !this.audio.ended;
  }

  get end() {
    const begins = this.part?.begins ?? 0;
    const known = this.audio?.duration ?? NaN;
    return Number.isFinite(known) ? begins + known : Math.max(this.until ?? 0, begins);
  }

  /** Go to a time of the call; where it was not recorded, to the nearest that was. @param {number} t */
  seek(t) {
    const { parts, audio } = this;
    if (!parts || !audio) return;
    const at = Math.max(0, parts.findLastIndex((part) => part.begins <= t));
    const playing = this.playing;
    if (at !== this.at) this.pick(at);
    const wanted = Math.min(Math.max(t, parts[at].begins), this.end) - parts[at].begins;
    audio.currentTime = wanted;
    if (playing) this.play();
    this.tell();
  }

  /** @param {number} by seconds */
  step(by) {
    this.seek(this.now + by);
  }

  play() {
    void this.audio?.play().catch(() => undefined);
  }

  pause() {
    this.audio?.pause();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  /** A key for the player: space, and the arrows. @param {KeyboardEvent} event @returns {boolean} whether it was one */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.parts) return false;
    if (event.key === " ") this.toggle();
    else if (event.key === "ArrowLeft") this.step(-STEP_S);
    else if (event.key === "ArrowRight") this.step(STEP_S);
    else return false;
    return true;
  }

  tell() {
    const { slider, time, button, part } = this;
    if (!slider || !time || !button || !part) return;
    const { now, end, playing } = this;
    slider.min = String(part.begins);
    slider.max = String(end);
    slider.value = String(now);
    slider.setAttribute("aria-valuetext", `${clock(now)} of ${clock(end)}`);
    setText(time, `${clock(now)} / ${clock(end)}`);
    this.toggleAttribute("data-playing", playing);
    button.setAttribute("aria-label", playing ? "Pause" : "Play");
    this.dispatchEvent(new Event("moved"));
  }

  /** A media element does not say why; ask for one byte and see. */
  async explain() {
    const { part, wrong } = this;
    if (!part || !wrong) return;
    try {
      const answer = await fetch(part.src, { headers: { Range: "bytes=0-0" }, credentials: "same-origin" });
      if (answer.ok) fill(wrong, h("p", { class: "problem", role: "alert" }, "This browser cannot play the recording; download it instead."));
      else await ask("GET", part.src);
    } catch (problem) {
      fill(wrong, trouble(/** @type {any} */ (problem), () => this.pick(this.at ?? 0)));
    }
  }
}
customElements.define("va-player", Player);
