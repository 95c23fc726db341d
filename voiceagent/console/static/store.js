// @ts-check
// What the page knows: calls, the one that is open, and how fresh all of it is.

/** @typedef {Record<string, any>} Call */
/** @typedef {{name: string, kind: string, role: string, rights: string[], first_run: boolean}} Session */

const TYPES = ["snapshot", "call.started", "call.changed", "call.ended", "transcript.line", "response.state", "trunk.changed", "alert.raised", "alert.cleared", "bye"];
const ENDED_KEPT = 60;
const TRUNKS_MS = 3000;
const AGAIN_MS = 2000;

export class Store extends EventTarget {
  /** @param {typeof import("./api.js").api} api @param {Session} session who is signed in */
  constructor(api, session) {
    super();
    this.api = api;
    this.session = session;
    /** @type {Map<string, Call>} */
    this.calls = new Map();
    /** @type {string | null} */
    this.openId = null;
    /** @type {Call | null} */
    this.detail = null;
    this.missing = false;
    /** Why the open call could not be fetched; it is tried again. */
    this.trouble = "";
    /** @type {any[]} How every trunk stands. */
    this.trunks = [];
    this.trunksDue = false;
    /** @type {Record<string, [string, any][]>} What was told of the lists since they were asked for. */
    this.meanwhile = {};
    /** @type {Map<string, any>} Alerts that stand, by id. */
    this.alerts = new Map();
    /** @type {{node: string, stale: string} | null} Of a fleet: which node this is, and why the others may be out of date. */
    this.fleet = null;
    /** Whether the calls were told at least once. */
    this.known = false;
    /** connecting, live or lost */
    this.link = "connecting";
    /** What the one who is signed in may do: view, act, listen, manage, admin. */
    this.rights = session.rights;
    /** @type {EventSource | null} */
    this.source = null;
    this.told = false;
    this.loads = 0;
    this.loading = false;
    this.missed = false;
  }

  /** Tell the views once per frame, however many events came. */
  tell() {
    if (this.told) return;
    this.told = true;
    const now = () => {
      this.told = false;
      this.dispatchEvent(new Event("change"));
    };
    // A hidden page gets no frames but still has to keep up.
    if (document.hidden) setTimeout(now, 100);
    else requestAnimationFrame(now);
  }

  connect() {
    this.source?.close();
    const source = new EventSource("/v1/events");
    this.source = source;
    source.onopen = () => this.setLink("live");
    source.onerror = () => {
      this.setLink("lost");
      // The browser gives up by itself after a refusal; find out why, and try again if it may help.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.reconnect(source), 2000);
    };
    for (const type of TYPES) {
      source.addEventListener(type, (event) => this.take(type, JSON.parse(/** @type {MessageEvent} */ (event).data)));
    }
  }

  /** @param {EventSource} source */
  async reconnect(source) {
    if (source !== this.source) return;
    try {
      await this.api.session();
      this.connect();
    } catch (problem) {
      if (/** @type {any} */ (problem).status === 401) this.dispatchEvent(new Event("signed-out"));
      else setTimeout(() => this.reconnect(source), 2000);
    }
  }

  disconnect() {
    this.source?.close();
    this.source = null;
  }

  /** @param {string} link */
  setLink(link) {
    this.link = link;
    this.tell();
  }

  /** @param {string} type @param {any} message */
  take(type, message) {
    this.setLink("live");
    if (type === "bye") {
      this.setLink("lost");
      return;
    }
    if (type === "snapshot") {
      this.known = true;
      this.fleet = message.cluster ?? null;
      this.calls.clear();
      for (const call of message.calls) this.merge(call.id, call);
      if (this.openId) void this.load(this.openId);
      void this.loadTrunks();
      void this.loadAlerts();
      return;
    }
    this.meanwhile[type.split(".")[0]]?.push([type, message]);
    this.apply(type, message);
  }

  /** What happened, told now or once more. @param {string} type @param {any} message */
  apply(type, message) {
    if (type.startsWith("alert.")) {
      this.takeAlert(message.data);
      return;
    }
    if (type === "trunk.changed") {
      this.trunks = this.trunks.map((trunk) => (trunk.name === message.data.name ? message.data : trunk));
      this.tell();
      return;
    }
    if (type === "call.started" || type === "call.ended") this.countSoon();
    const { call_id: id, data } = message;
    if (id === this.openId && this.loading) this.missed = true;
    if (type.startsWith("call.")) this.merge(id, data);
    else if (type === "transcript.line") this.addLine(id, data);
    else if (type === "response.state") this.addResponse(id, data);
  }

  async loadTrunks() {
    await this.loadList("trunk", this.api.trunks, (found) => (this.trunks = found.trunks));
  }

  async loadAlerts() {
    await this.loadList("alert", this.api.alerts, (found) => {
      this.alerts.clear();
      for (const alert of found.alerts) this.takeAlert(alert);
    });
  }

  /**
   * Ask for a list whose changes the stream tells. What it tells while the answer is under way may be newer than
   * the answer, and is applied once more. An answer that a later question has overtaken is not shown.
   * @param {string} kind of its events @param {() => Promise<any>} ask @param {(found: any) => void} show
   */
  async loadList(kind, ask, show) {
    /** @type {[string, any][]} */
    const meanwhile = (this.meanwhile[kind] = []);
    const found = await ask().catch(() => null);
    if (this.meanwhile[kind] !== meanwhile) return;
    delete this.meanwhile[kind];
    if (found === null) return;
    show(found);
    for (const [type, message] of meanwhile) this.apply(type, message);
    this.tell();
  }

  /** @param {any} alert */
  takeAlert(alert) {
    if (alert.cleared_at) this.alerts.delete(alert.id);
    else this.alerts.set(alert.id, alert);
    this.tell();
  }

  /** @returns {Map<string, any[]>} the alerts that stand, by the call they are about */
  alertsByCall() {
    /** @type {Map<string, any[]>} */
    const found = new Map();
    for (const alert of this.alerts.values()) {
      if (alert.call_id) found.set(alert.call_id, [...(found.get(alert.call_id) ?? []), alert]);
    }
    return found;
  }

  /** Calls came or went: look how many each trunk has, but not for every one of them. */
  countSoon() {
    if (this.trunksDue || this.trunks.length < 2) return;
    this.trunksDue = true;
    setTimeout(() => {
      this.trunksDue = false;
      if (this.source) void this.loadTrunks();
    }, TRUNKS_MS);
  }

  /** @param {string} id @param {Call} data */
  merge(id, data) {
    const known = this.calls.get(id);
    // A part of a call that we never saw the whole of: fetch the whole.
    if (!known && data.caller === undefined) {
      void this.fetchWhole(id);
      return;
    }
    const call = { ...(known ?? { id }), ...data };
    // Talk time ticks here between events; remember when it was right.
    if (data.duration_s !== undefined) call.asOf = performance.now();
    this.calls.set(id, call);
    if (this.detail?.id === id) Object.assign(this.detail, call);
    const ended = [...this.calls.values()].filter((one) => one.state === "ended" && one.id !== this.openId);
    for (const old of ended.slice(0, Math.max(0, ended.length - ENDED_KEPT))) this.calls.delete(old.id);
    this.tell();
  }

  /** @param {string} id */
  async fetchWhole(id) {
    const { transcript, responses, ...call } = await this.api.call(id).catch(() => ({}));
    if (call.caller !== undefined) this.merge(id, call);
  }

  /** @param {string} id @param {any} line */
  addLine(id, line) {
    this.merge(id, { last_words: line.text });
    if (this.detail?.id !== id) return;
    const lines = this.detail.transcript;
    const at = lines.findIndex((/** @type {any} */ old) => sameLine(old, line));
    if (at >= 0) lines[at] = line;
    else lines.push(line);
  }

  /** @param {string} id @param {any} response */
  addResponse(id, response) {
    if (this.detail?.id !== id) return;
    const all = this.detail.responses;
    const at = all.findIndex((/** @type {any} */ old) => old.id === response.id);
    if (at < 0) all.push(response);
    // The stream may still hold what the fetched state is already past.
    else if (!(all[at].ended && !response.ended)) all[at] = { ...all[at], ...response };
    this.tell();
  }

  /** Open a call, or none. @param {string | null} id */
  open(id) {
    this.openId = id;
    this.detail = null;
    this.missing = false;
    this.trouble = "";
    if (id) void this.load(id);
    this.tell();
  }

  /** @param {string} id */
  async load(id) {
    const load = ++this.loads;
    this.loading = true;
    this.missed = false;
    try {
      const call = await this.api.call(id);
      if (load !== this.loads || this.openId !== id) return;
      this.detail = { ...call };
      this.trouble = "";
      const { transcript, responses, ...summary } = call;
      this.merge(id, summary);
    } catch (problem) {
      if (load !== this.loads) return;
      if (/** @type {any} */ (problem).status === 404) this.missing = true;
      else {
        this.trouble = /** @type {Error} */ (problem).message;
        this.missed = false;
        setTimeout(() => this.openId === id && load === this.loads && void this.load(id), AGAIN_MS);
      }
    }
    this.loading = false;
    // What came while the answer was under way may be newer than the answer: ask once more.
    if (this.missed) setTimeout(() => this.openId === id && load === this.loads && void this.load(id), 150);
    this.tell();
  }
}

/** @param {any} a @param {any} b */
function sameLine(a, b) {
  if (a.item_id || b.item_id) return a.item_id === b.item_id;
  return a.at === b.at && a.speaker === b.speaker && a.text === b.text;
}

/** How long a call has lasted by now. @param {Call} call */
export function talkTime(call) {
  const since = call.state === "ended" || call.asOf === undefined ? 0 : (performance.now() - call.asOf) / 1000;
  return (call.duration_s ?? 0) + since;
}
