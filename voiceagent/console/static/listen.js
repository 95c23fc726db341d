// @ts-check
import { api } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { ListenLine } from "./listen-line.js";

/** Below this level (−60 dBFS) a meter is empty. */
const FLOOR_DB = -60;

/** Listening to a call, and speaking in it in the agent's place. */
class Listen extends HTMLElement {
  connectedCallback() {
    if (this.listenButton) return;
    this.listenButton = button("Listen", () => void this.toggle());
    this.takeButton = button("Take over", () => void this.takeOver());
    this.muteButton = button("Mute", () => this.mute(!this.muted));
    this.backButton = button("Hand back", () => void this.handBack());
    this.takeButton.classList.add("take");
    this.backButton.classList.add("back-to-agent");
    this.meters = {
      caller: meter("Caller"),
      agent: meter("Agent"),
      you: meter("Your microphone"),
    };
    this.status = h("span", { class: "listen-status quiet", role: "status" });
    this.problem = h("span", { class: "problem", role: "alert" });
    this.meterBox = h("span", { class: "meters", hidden: true }, this.meters.caller.place, this.meters.agent.place, this.meters.you.place);
    this.muted = false;
    this.mine = false;
    fill(this, this.problem, this.status, this.meterBox, this.muteButton, this.backButton, this.takeButton, this.listenButton);
    this.show();
  }

  disconnectedCallback() {
    this.stop();
  }

  /** @param {any} call @param {string[]} rights */
  update(call, rights) {
    if (this.call && this.call.id !== call.id) this.stop();
    this.call = call;
    this.rights = rights;
    this.show();
  }

  /** A shortcut; true when it was one of ours. @param {string} key */
  key(key) {
    if (key === "l" && this.listenButton && !this.listenButton.hidden) void this.toggle();
    else if (key === "o" && this.takeButton && !this.takeButton.hidden) void this.takeOver();
    else if (key === "o" && this.backButton && !this.backButton.hidden) void this.handBack();
    else if (key === "m" && this.muteButton && !this.muteButton.hidden) this.mute(!this.muted);
    else return false;
    return true;
  }

  show() {
    if (!this.listenButton || !this.takeButton || !this.backButton || !this.muteButton || !this.meterBox || !this.meters || !this.status) return;
    const can = new Set(this.call?.abilities ?? []);
    const rights = new Set(this.rights ?? []);
    const by = this.call?.taken_over_by ?? "";
    this.listenButton.hidden = !rights.has("listen") || !(can.has("listen") || this.line);
    setText(this.listenButton, this.line ? "Stop listening" : "Listen");
    this.listenButton.setAttribute("aria-pressed", String(Boolean(this.line)));
    this.takeButton.hidden = !this.line || !rights.has("listen") || !can.has("take_over") || Boolean(by) || this.mine;
    this.backButton.hidden = !rights.has("act") || !(by || this.mine);
    this.muteButton.hidden = !this.mine;
    setText(this.muteButton, this.muted ? "Unmute" : "Mute");
    this.muteButton.setAttribute("aria-pressed", String(this.muted));
    this.meterBox.hidden = !this.line;
    this.meters.you.place.hidden = !this.mine;
    this.toggleAttribute("data-speaking", this.mine);
    setText(this.meters.agent.label, this.mine ? "You, as heard" : by ? "Operator" : "Agent");
    setText(this.status, this.saying());
  }

  saying() {
    if (this.mine) return this.muted ? "You have the call; your microphone is off." : "You have the call.";
    if (this.line && this.state?.muted) return "A secret is being taken: you hear silence.";
    return "";
  }

  async toggle() {
    if (this.line) {
      this.stop();
      return;
    }
    if (!this.call || !this.problem) return;
    setText(this.problem, "");
    const line = new ListenLine(this.call.id, {
      state: (state) => this.told(line, state),
      levels: ([caller, agent]) => {
        this.level("caller", caller);
        this.level("agent", agent);
      },
      microphone: (level) => this.level("you", level),
      ended: (why) => this.ended(line, why),
    });
    this.line = line;
    this.show();
    try {
      await line.open();
    } catch (error) {
      line.end(`No sound can be played here: ${/** @type {Error} */ (error).message}`);
    }
  }

  /** @param {ListenLine} line @param {any} state */
  told(line, state) {
    if (line !== this.line) return;
    this.state = state;
    const mine = Boolean(state.taken_over_by) && state.taken_over_by === state.name;
    // Somebody else has handed back, or the console has, because nothing was heard of us.
    if (this.mine && !mine && !this.asking) this.quiet();
    this.show();
  }

  async takeOver() {
    const line = this.line;
    if (!line || !this.call || !this.takeButton) return;
    await this.deed(this.takeButton, async () => {
      this.asking = true;
      try {
        await line.speak();
        await api.takeOver(this.callId());
        this.mine = line === this.line;
        this.mute(false);
      } catch (error) {
        line.hush();
        throw error;
      } finally {
        this.asking = false;
      }
    });
  }

  async handBack() {
    if (!this.backButton) return;
    await this.deed(this.backButton, async () => {
      const answer = api.handBack(this.callId());
      this.quiet();
      await answer;
    });
  }

  /** @param {HTMLButtonElement} at @param {() => Promise<void>} deed */
  async deed(at, deed) {
    if (!this.problem || at.disabled) return;
    setText(this.problem, "");
    at.disabled = true;
    try {
      await deed();
    } catch (error) {
      setText(this.problem, /** @type {Error} */ (error).message);
    } finally {
      at.disabled = false;
      this.show();
    }
  }

  /** @param {boolean} on */
  mute(on) {
    this.muted = on;
    this.line?.mute(on);
    this.show();
  }

  /** Our microphone is off and the call no longer ours. */
  quiet() {
    this.mine = false;
    this.muted = false;
    this.line?.hush();
    this.show();
  }

  stop() {
    this.line?.close();
  }

  /** @param {ListenLine} line @param {string} why */
  ended(line, why) {
    if (line !== this.line) return;
    this.line = undefined;
    this.state = undefined;
    this.mine = false;
    for (const name of /** @type {const} */ (["caller", "agent", "you"])) this.level(name, 0);
    if (this.problem) setText(this.problem, this.call?.outcome ? "" : why);
    this.show();
  }

  /** @param {"caller" | "agent" | "you"} name @param {number} level 0 to 1 */
  level(name, level) {
    const db = level > 0 ? 20 * Math.log10(level) : FLOOR_DB;
    const at = this.meters?.[name].meter;
    if (at) at.value = Math.max(0, 1 - db / FLOOR_DB);
  }

  callId() {
    return this.call?.id ?? "";
  }
}

/** @param {string} text @param {() => void} deed */
function button(text, deed) {
  return /** @type {HTMLButtonElement} */ (h("button", { type: "button", onclick: deed }, text));
}

/** A level with its name. @param {string} name */
function meter(name) {
  const bar = /** @type {HTMLMeterElement} */ (h("meter", { min: 0, max: 1, value: 0, "aria-label": `Level: ${name}` }));
  const label = h("span", { "aria-hidden": "true" }, name);
  return { meter: bar, label, place: h("span", { class: "level" }, label, bar) };
}
customElements.define("va-listen", Listen);
