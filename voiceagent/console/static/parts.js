// @ts-check
// What the pages beside the floor are made of: states, fields, dialogs, times, copying.
import { fill, h, setText } from "./dom.js";

/** @typedef {import("./api.js").Problem} Problem */

/** A part of a page that asks the server; whoever's session has ended meanwhile signs in again. */
export class Section extends HTMLElement {
  /** @param {{store: import("./store.js").Store, session: import("./store.js").Session}} given */
  enter({ store, session }) {
    this.store = store;
    this.session = session;
    this.turn = 0;
    this.draw();
  }

  draw() {}

  /** @param {string} right */
  may(right) {
    return this.session?.rights.includes(right) ?? false;
  }

  /**
   * Ask, and show what came in `place`: waiting, the answer, or the trouble with a way to try again.
   * An answer that was overtaken by a later question is dropped.
   * @param {Element} place
   * @param {() => Promise<any>} question
   * @param {(answer: any) => void} show
   * @param {(problem: Problem) => boolean} [refused] true when it has shown the refusal elsewhere
   */
  async ask(place, question, show, refused) {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    place.setAttribute("aria-busy", "true");
    if (!place.firstChild) fill(place, waiting());
    try {
      const answer = await question();
      if (turn !== this.turn) return;
      show(answer);
    } catch (error) {
      if (turn !== this.turn) return;
      const problem = this.problem(error);
      if (!refused?.(problem)) fill(place, trouble(problem, () => void this.ask(place, question, show, refused)));
    }
    place.removeAttribute("aria-busy");
  }

  /** Pass a refusal on; anything else is our own mistake. @param {unknown} error @returns {Problem} */
  problem(error) {
    const problem = /** @type {Problem} */ (error);
    if (problem.status === undefined) throw error;
    if (problem.status === 401) this.store?.dispatchEvent(new Event("signed-out"));
    return problem;
  }
}

// ── states ──────────────────────────────────────────────────────────────────────────────────────

export function waiting() {
  return h("p", { class: "state-note waiting-note quiet" }, "Loading…");
}

/** @param {string} title @param {string} [hint] */
export function nothing(title, hint) {
  return h("div", { class: "state-note" }, h("p", null, title), hint && h("p", { class: "quiet" }, hint));
}

/** A refusal with what to do about it. @param {Problem} problem @param {() => void} [again] */
export function trouble(problem, again) {
  const forbidden = problem.status === 403;
  const remedy = problem.remedy || (problem.status === 0 ? "Look whether the service runs, and whether this machine is on the network." : "");
  return h(
    "div",
    { class: "state-note", role: "alert", "data-state": forbidden ? "forbidden" : "failed" },
    h("p", null, problem.message),
    remedy && h("p", { class: "quiet" }, remedy),
    again && !forbidden && h("button", { type: "button", onclick: again }, "Try again"),
  );
}

// ── forms ───────────────────────────────────────────────────────────────────────────────────────

let fields = 0;

/**
 * An input with its label, its hint and the place for its refusal.
 * @param {string} label @param {HTMLElement} input @param {string} name as the server calls it @param {string} [hint]
 */
export function field(label, input, name, hint) {
  const id = `field-${++fields}`;
  input.id = id;
  input.setAttribute("aria-describedby", hint ? `${id}-hint ${id}-problem` : `${id}-problem`);
  return h(
    "div",
    { class: "field" },
    h("label", { for: id }, label),
    input,
    hint && h("p", { id: `${id}-hint`, class: "quiet hint" }, hint),
    h("p", { id: `${id}-problem`, class: "problem", "data-problem": name }),
  );
}

/** @param {Record<string, any>} attributes */
export function input(attributes) {
  return /** @type {HTMLInputElement} */ (h("input", { autocomplete: "off", spellcheck: "false", ...attributes }));
}

/** @param {[string, string][]} options value and words @param {Record<string, any>} [attributes] */
export function select(options, attributes) {
  return /** @type {HTMLSelectElement} */ (
    h("select", attributes ?? null, options.map(([value, label]) => h("option", { value }, label)))
  );
}

/**
 * Open a dialog over the page; it is gone from the page when it is closed.
 * @param {Element} host @param {string} title @param {...any} content
 */
export function openDialog(host, title, ...content) {
  const id = `field-${++fields}`;
  const dialog = /** @type {HTMLDialogElement} */ (h("dialog", { class: "sheet-dialog", "aria-labelledby": id }, h("h3", { id }, title), content));
  dialog.addEventListener("close", () => dialog.remove());
  host.append(dialog);
  dialog.showModal();
  return dialog;
}

// ── times ───────────────────────────────────────────────────────────────────────────────────────

/**
 * A moment as people say it, with the exact one at hand.
 * @param {number | null | undefined} unix seconds @param {string} [never] what to say without one
 */
export function when(unix, never = "never") {
  if (unix === null || unix === undefined) return h("span", { class: "quiet" }, never);
  const date = new Date(unix * 1000);
  if (Number.isNaN(date.valueOf())) return h("span", { class: "quiet" }, never);
  return h("time", { datetime: date.toISOString(), title: date.toLocaleString(), class: "num" }, moment(date, new Date()));
}

/** @param {Date} date @param {Date} now */
export function moment(date, now) {
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  if (date.toDateString() === now.toDateString()) return time;
  const year = date.getFullYear() === now.getFullYear() ? undefined : "numeric";
  const day = date.toLocaleDateString([], { day: "numeric", month: "short", year: /** @type {any} */ (year) });
  return `${day}, ${time.slice(0, 5)}`;
}

/** Do `work` once nobody has asked for it for `ms`. @param {number} ms @param {() => void} work */
export function settled(ms, work) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, ms);
  };
}

// ── copying ─────────────────────────────────────────────────────────────────────────────────────

/** @param {HTMLInputElement} source @param {string} label */
export function copyButton(source, label) {
  const button = h("button", { type: "button", class: "copy" }, label);
  const told = h("span", { class: "visually-hidden", role: "status" });
  button.addEventListener("click", async () => {
    const done = await copied(source);
    setText(button, done ? "Copied" : "Press Ctrl-C");
    setText(told, done ? "Copied" : "Not copied: press Control C");
    setTimeout(() => setText(button, label), 2500);
  });
  return [button, told];
}

/** Over plain HTTP from another machine there is no clipboard; the old way needs a selection. @param {HTMLInputElement} source */
async function copied(source) {
  source.select();
  try {
    await navigator.clipboard.writeText(source.value);
    return true;
  } catch {
    return document.execCommand("copy");
  }
}
