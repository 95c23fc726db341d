// @ts-check
// The public API, as any program may use it. The page has no other way in.

/** A refusal as the server told it (RFC 9457). */
export class Problem extends Error {
  /** @param {number} status @param {any} body */
  constructor(status, body) {
    super(body?.detail || body?.title || `HTTP ${status}`);
    this.status = status;
    this.code = body?.code ?? "";
    this.field = body?.field ?? "";
    this.errors = body?.errors ?? [];
    this.remedy = body?.remedy ?? "";
    /** What stands before a wish that found the queue full. @type {any[]} */
    this.before = body?.before ?? [];
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {any} [body]
 * @param {Record<string, string>} [headers]
 * @returns {Promise<any>}
 */
export async function ask(method, path, body, headers = {}) {
  /** @type {Record<string, string>} */
  const sent = { Accept: "application/json", ...headers };
  if (method !== "GET") sent["X-Voiceagent-CSRF"] = "1";
  if (body !== undefined) sent["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: sent,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
    });
  } catch {
    throw new Problem(0, { code: "unreachable", detail: "The console cannot be reached." });
  }
  const found = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (!answer.ok) throw new Problem(answer.status, found);
  return found;
}

/** @type {Set<string>} Parts that this console does not have; asking again would only fill its log. */
const absent = new Set();

/**
 * Ask for a part that not every console has.
 * @param {string} path
 * @returns {Promise<any>} null where there is no such part
 */
async function offered(path) {
  const part = path.split("/").at(-1) ?? "";
  if (absent.has(part)) return null;
  try {
    return await ask("GET", path);
  } catch (problem) {
    const { status, code } = /** @type {Problem} */ (problem);
    if (status !== 404 || code.startsWith("unknown_")) throw problem;
    absent.add(part);
    return null;
  }
}

/** @param {string} id */
const call = (id) => `/v1/calls/${encodeURIComponent(id)}`;

export const api = {
  session: () => ask("GET", "/v1/session"),
  /** @param {string} token */
  signIn: (token) => ask("POST", "/v1/session", { token }),
  /** @param {string} name @param {string} password */
  signInByName: (name, password) => ask("POST", "/v1/session", { name, password }),
  /** @param {{name: string, password: string, role: string}} user */
  addUser: (user) => ask("POST", "/v1/users", user),
  signOut: () => ask("DELETE", "/v1/session"),
  /** Not ready is an answer, too, and says why. @returns {Promise<{ready: boolean, reached: boolean, parts?: any}>} */
  ready: () =>
    fetch("/readyz", { credentials: "same-origin" })
      .then(async (answer) => ({ ready: false, ...(await answer.json()), reached: true }))
      .catch(() => ({ ready: false, reached: false })),
  /** @param {string} id */
  call: (id) => ask("GET", call(id)),
  /** @param {string} id @param {any} wish @param {string} key */
  trigger: (id, wish, key) => ask("POST", `${call(id)}/responses`, wish, { "Idempotency-Key": key }),
  /** @param {string} id @param {string} response */
  withdraw: (id, response) => ask("DELETE", `${call(id)}/responses/${encodeURIComponent(response)}`),
  alerts: () => offered("/v1/alerts"),
  /** @param {string} id */
  timeline: (id) => offered(`${call(id)}/timeline`),
  presets: () => offered("/v1/presets"),
  /** @param {any} preset */
  savePreset: (preset) => ask("POST", "/v1/presets", preset),
  /** @param {string} id */
  removePreset: (id) => ask("DELETE", `/v1/presets/${encodeURIComponent(id)}`),
  /** @param {string} id @param {string} tag */
  addTag: (id, tag) => ask("POST", `${call(id)}/tags`, { tag }),
  /** @param {string} id @param {string} tag */
  removeTag: (id, tag) => ask("DELETE", `${call(id)}/tags/${encodeURIComponent(tag)}`),
  /** @param {string} id @param {string} text */
  note: (id, text) => ask("POST", `${call(id)}/actions/note`, { text }),
  /** @param {string} id */
  pauseRecording: (id) => ask("POST", `${call(id)}/actions/pause_recording`, {}),
  /** @param {string} id */
  resumeRecording: (id) => ask("POST", `${call(id)}/actions/resume_recording`, {}),
  /** @param {string} id */
  takeOver: (id) => ask("POST", `${call(id)}/actions/take_over`, {}),
  /** @param {string} id */
  handBack: (id) => ask("POST", `${call(id)}/actions/hand_back`, {}),
  trunks: () => ask("GET", "/v1/trunks"),
  cluster: () => ask("GET", "/v1/cluster"),
  /** @param {string} id */
  hold: (id) => ask("POST", `${call(id)}/actions/hold`, {}),
  /** @param {string} id */
  resume: (id) => ask("POST", `${call(id)}/actions/resume`, {}),
  /** @param {string} id @param {any} wish @param {string} key */
  transfer: (id, wish, key) => ask("POST", `${call(id)}/actions/transfer`, wish, { "Idempotency-Key": key }),
  /** @param {string} id @param {any} wish @param {string} key */
  sendDigits: (id, wish, key) => ask("POST", `${call(id)}/actions/send_digits`, wish, { "Idempotency-Key": key }),
  /** @param {string} id */
  hangUp: (id) => ask("POST", `${call(id)}/actions/hangup`, {}),
};

/** A key that makes a retried trigger the same trigger. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
