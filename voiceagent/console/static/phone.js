// @ts-check
import { ask } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { clock, words } from "./format.js";
import { keysAreOn } from "./help.js";
import { Line } from "./phone-line.js";
import { callAddress, style } from "./router.js";
import "./transcript.js";

style("phone.css");

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];
const LETTERS = ["", "ABC", "DEF", "GHI", "JKL", "MNO", "PQRS", "TUV", "WXYZ", "", "+", ""];
/** Ends in words; what is not here is shown as its code, in words. @type {Record<string, string>} */
const ENDS = {
  "": "The call was cut off.",
  you_hung_up: "You hung up.",
  completed: "The agent ended the call.",
  operator_hung_up: "An operator ended the call.",
  shut_down: "The service was stopped.",
  drained: "The service is being replaced. Please call again.",
  microphone_gone: "The microphone was taken away.",
  no_way: "No audio can get through: UDP between this browser and the service is blocked. See media.host and media.advertised_host.",
};

/** The browser's phone: calls the agent; the keypad dials before the call and presses keys in it. */
class Phone extends HTMLElement {
  enter() {
    this.audio = /** @type {HTMLAudioElement} */ (h("audio", { autoplay: true, hidden: true }));
    this.number = /** @type {HTMLInputElement} */ (
      h("input", { id: "phone-number", inputmode: "tel", autocomplete: "off", spellcheck: "false", maxlength: 64, pattern: "[A-Za-z0-9+*#._\\-]*", placeholder: "none" })
    );
    this.flow = /** @type {HTMLSelectElement} */ (h("select", { id: "phone-flow" }, h("option", { value: "" }, "as the routes say")));
    this.wish = h(
      "div",
      { class: "wish" },
      h("label", { for: "phone-number" }, "Number"),
      this.number,
      h("label", { for: "phone-flow" }, "Flow"),
      this.flow,
    );
    this.state = h("span", { class: "state", role: "status" }, "Ready to call");
    this.time = h("span", { class: "num time", "aria-hidden": "true" });
    this.pressed = h("output", { class: "pressed num", "aria-label": "Keys pressed", "data-hint": "Press keys here or on the keyboard; M mutes." });
    this.problem = h("p", { class: "problem", role: "alert" });
    this.keys = h("div", { class: "keypad", role: "group", "aria-label": "Keypad" }, KEYS.map((key, at) => this.key(key, LETTERS[at])));
    this.go = /** @type {HTMLButtonElement} */ (h("button", { type: "button", class: "primary go", onclick: () => this.turn() }, "Call"));
    this.quiet = /** @type {HTMLButtonElement} */ (
      h("button", { type: "button", class: "mute", "aria-pressed": "false", disabled: true, onclick: () => this.mute() }, "Mute")
    );
    this.ours = level("You");
    this.theirs = level("Agent");
    this.link = h("a", { class: "quiet", hidden: true }, "Show it on the floor");
    this.words = /** @type {any} */ (document.createElement("va-transcript"));
    fill(
      this,
      h(
        "section",
        { class: "set", "aria-label": "Phone" },
        h("div", { class: "line head" }, this.state, h("span", { class: "grow" }), this.time),
        h("div", { class: "upper" }, this.wish, this.pressed),
        this.keys,
        h("div", { class: "levels" }, this.ours, this.theirs),
        h("div", { class: "line acts" }, this.go, this.quiet),
        this.problem,
        this.audio,
      ),
      h("section", { class: "said-here", "aria-label": "Captions" }, h("div", { class: "line head" }, h("h2", null, "Captions"), h("span", { class: "grow" }), this.link), this.words),
    );
    this.onKey = (/** @type {KeyboardEvent} */ event) => this.typed(event);
    // Before the frame's: in a call 2 is a key, not the second page.
    document.addEventListener("keydown", this.onKey, true);
    this.onLeave = () => this.line?.hangUp();
    window.addEventListener("pagehide", this.onLeave);
    this.clear();
    this.draw();
  }

  /** @param {string} key @param {string} letters */
  key(key, letters) {
    const named = { "*": "star", "#": "hash" }[key] ?? key;
    return h("button", { type: "button", "data-key": key, "aria-label": named, onclick: () => this.press(key) }, h("span", null, key), h("small", { "aria-hidden": "true" }, letters));
  }

  show() {
    void this.offerFlows();
  }

  leave() {
    this.line?.hangUp();
    document.removeEventListener("keydown", /** @type {any} */ (this.onKey), true);
    window.removeEventListener("pagehide", /** @type {any} */ (this.onLeave));
  }

  async offerFlows() {
    const found = await ask("GET", "/v1/flows").catch(() => null);
    const chosen = this.flow?.value ?? "";
    const names = (found?.flows ?? []).map((/** @type {any} */ flow) => flow.name);
    if (this.flow) fill(this.flow, h("option", { value: "" }, "as the routes say"), names.map((/** @type {string} */ name) => h("option", { value: name, selected: name === chosen }, name)));
  }

  turn() {
    if (this.line) this.line.hangUp();
    else void this.call();
  }

  async call() {
    const { number, flow } = this;
    if (!number || !flow || !this.audio || !number.reportValidity()) return;
    this.clear();
    const line = new Line(this.audio);
    this.line = line;
    line.addEventListener("state", (event) => this.told(/** @type {CustomEvent} */ (event).detail));
    line.addEventListener("caption", (event) => this.caption(/** @type {CustomEvent} */ (event).detail));
    line.addEventListener("over", (event) => this.ended(/** @type {CustomEvent} */ (event).detail.reason));
    this.draw("Asking for the microphone…");
    try {
      const wish = { ...(number.value && { to: number.value.trim() }), ...(flow.value && { flow: flow.value }) };
      const calling = line.call(wish);
      await calling;
      if (this.line === line) this.draw("Connecting…");
    } catch (problem) {
      const { message, remedy } = /** @type {any} */ (problem);
      if (this.line !== line) return;
      this.line = undefined;
      this.draw("Ready to call");
      setText(/** @type {Element} */ (this.problem), [message, remedy].filter(Boolean).join(" "));
      return;
    }
    this.loop();
  }

  clear() {
    /** @type {any[]} */
    this.lines = [];
    /** @type {any} */
    this.now = {};
    this.began = 0;
    this.muted = false;
    if (this.problem) setText(this.problem, "");
    if (this.pressed) setText(this.pressed, "");
    this.words?.update({ id: "", transcript: [], state: "" });
  }

  /** How the call stands, as far as we were told. @param {any} news */
  told(news) {
    if (!this.line) return;
    this.now = { ...this.now, ...news };
    const { connected, state, floor, held_by: held } = this.now;
    if (connected && state === "talking" && !this.began) this.began = performance.now();
    if (held?.includes("us")) this.draw("On hold");
    else if (state === "closing" || state === "ended") this.draw("Ending…");
    else if (this.began) this.draw(floor === "agent" ? "Agent speaks" : floor === "caller" ? "You speak" : "Connected");
    else this.draw("Connecting…");
  }

  /** @param {any} line */
  caption(line) {
    const at = this.lines?.findIndex((one) => line.item_id && one.item_id === line.item_id) ?? -1;
    if (at >= 0) this.lines?.splice(at, 1, line);
    else this.lines?.push(line);
    this.words?.update({ id: this.line?.id ?? "", transcript: this.lines, state: "talking" });
  }

  /** @param {string} reason */
  ended(reason) {
    const id = this.line?.id;
    this.line = undefined;
    this.draw(ENDS[reason] ?? `Ended: ${words(reason)}.`);
    if (this.link && id) this.link.setAttribute("href", callAddress(id));
    this.go?.focus();
  }

  mute() {
    this.muted = !this.muted;
    this.line?.mute(this.muted);
    this.draw();
  }

  /** @param {string} key */
  press(key) {
    if (this.line) {
      this.line.press(key);
      if (this.pressed) setText(this.pressed, `${this.pressed.textContent}${key}`.slice(-24));
    } else if (this.number) this.number.value += key;
    const button = this.keys?.querySelector(`[data-key="${key}"]`);
    button?.classList.add("down");
    setTimeout(() => button?.classList.remove("down"), 120);
  }

  /** Digits anywhere on the page press keys in a call; M mutes. @param {KeyboardEvent} event */
  typed(event) {
    const field = event.target instanceof Element && event.target.closest("input, select, textarea, dialog");
    if (this.hidden || !this.line || field || !keysAreOn() || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (KEYS.includes(event.key)) this.press(event.key);
    else if (event.key.toLowerCase() === "m") this.mute();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {string} [state] */
  draw(state) {
    const { line, go, quiet, wish, link } = this;
    if (!go || !quiet || !wish || !link) return;
    if (state !== undefined && this.state) setText(this.state, state);
    this.dataset.call = !line ? "none" : this.began ? "talking" : "connecting";
    setText(go, line ? "Hang up" : "Call");
    go.classList.toggle("hang-up", Boolean(line));
    quiet.disabled = !line;
    quiet.setAttribute("aria-pressed", String(this.muted));
    setText(quiet, this.muted ? "Unmute" : "Mute");
    wish.hidden = Boolean(line);
    if (this.pressed) this.pressed.hidden = !line;
    document.querySelector('.pages [data-page="phone"]')?.toggleAttribute("data-live", Boolean(line));
    link.hidden = !line?.id && !link.hasAttribute("href");
    if (line?.id) link.setAttribute("href", callAddress(line.id));
    this.tick();
  }

  tick() {
    if (this.time && this.line) setText(this.time, this.began ? clock((performance.now() - this.began) / 1000) : "");
  }

  loop() {
    const { line, ours, theirs } = this;
    const loud = line && !line.over ? line.levels() : { ours: 0, theirs: 0 };
    if (ours && theirs) {
      set(ours, this.muted ? 0 : loud.ours);
      set(theirs, loud.theirs);
    }
    if (line && !line.over) setTimeout(() => this.loop(), 50);
  }
}

/** @param {string} name */
function level(name) {
  return h("div", { class: "level" }, h("span", null, name), h("span", { class: "track", "aria-hidden": "true" }, h("span", { class: "bar" })));
}

/** @param {Element} meter @param {number} value */
function set(meter, value) {
  const bar = /** @type {HTMLElement} */ (meter.querySelector(".bar"));
  bar.style.transform = `scaleX(${value.toFixed(2)})`;
}
customElements.define("va-phone", Phone);
