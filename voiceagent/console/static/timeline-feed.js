// @ts-check
import { api } from "./api.js";

const EVERY_MS = 2000;

/** Fetches the open call's time line again and again while it is looked at, and once more when it has ended. */
export class TimelineFeed {
  /** @param {(timeline: any) => void} take is given null where there is none */
  constructor(take) {
    this.take = take;
    /** @type {any} */
    this.call = null;
    this.round = 0;
  }

  /** @param {any} call null for none */
  follow(call) {
    const same = this.call?.id === call?.id;
    const justEnded = same && call && call.state === "ended" && this.call.state !== "ended";
    this.call = call && { id: call.id, state: call.state };
    if (same && !justEnded) return;
    if (!same) this.take(null);
    this.round += 1;
    clearTimeout(this.timer);
    if (call) void this.fetch(this.round);
  }

  /** @param {number} round */
  async fetch(round) {
    const found = document.hidden ? undefined : await api.timeline(this.call.id).catch(() => undefined);
    if (round !== this.round) return;
    // Undefined: not this time. Null: not in this console.
    if (found === null) return;
    if (found) this.take(found);
    if (this.call.state !== "ended" || !found) this.timer = setTimeout(() => void this.fetch(round), EVERY_MS);
  }
}
