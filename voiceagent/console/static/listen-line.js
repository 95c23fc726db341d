// @ts-check
// One call's sound: the socket, the loudspeaker, and the microphone of whoever has taken the call over.

const FRAME = 160;
const HEAD = 5;
/** Bytes that may wait to be sent; a frame that finds more is left out, for it would come too late. */
const MOST_WAITING = 20 * FRAME;

/** How it ended, by the socket's close code. @type {Record<number, string>} */
const ENDED = {
  1000: "The call is over.",
  1006: "The connection was lost, or listening was refused.",
  1008: "You are signed out.",
  1012: "The console is closing.",
};

/**
 * @typedef {object} Told What is told while it goes on.
 * @property {(state: any) => void} state what the server tells besides the sound
 * @property {(levels: number[]) => void} levels caller, agent (0 to 1)
 * @property {(level: number) => void} microphone
 * @property {(why: string) => void} ended
 */

export class ListenLine {
  /** @param {string} callId @param {Told} told */
  constructor(callId, told) {
    this.callId = callId;
    this.told = told;
    this.underruns = 0;
    this.over = false;
    /** @type {WebSocket | null} */
    this.socket = null;
    /** @type {AudioContext | null} */
    this.context = null;
    /** @type {MediaStream | null} */
    this.stream = null;
    /** @type {AudioWorkletNode | null} */
    this.microphone = null;
  }

  /** Begin to hear. Call it where somebody has pressed something: browsers play nothing else. */
  async open() {
    const context = new AudioContext({ latencyHint: "interactive" });
    this.context = context;
    await context.audioWorklet.addModule("/static/listen-ear.js");
    if (this.over) return;
    const ear = new AudioWorkletNode(context, "va-ear", { numberOfInputs: 0, outputChannelCount: [2] });
    ear.port.onmessage = ({ data }) => {
      this.underruns = data.underruns;
      this.told.levels(data.levels);
    };
    this.ear = ear;
    ear.connect(context.destination);
    void context.resume();
    const where = new URL(`/v1/calls/${encodeURIComponent(this.callId)}/listen`, location.href);
    where.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(where);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.tell(data) : this.hear(data));
    socket.onclose = ({ code, reason }) => this.end(code === 1003 ? `The console closed it: ${reason}.` : (ENDED[code] ?? `Closed (${code}).`));
  }

  /** @param {string} text */
  tell(text) {
    const state = JSON.parse(text);
    if (state.type === "state") this.told.state(state);
  }

  /** @param {ArrayBuffer} data */
  hear(data) {
    if (data.byteLength !== HEAD + FRAME) return;
    const view = new DataView(data);
    const codes = new Uint8Array(data, HEAD);
    this.ear?.port.postMessage({ track: view.getUint8(0), place: view.getUint32(1), codes });
  }

  /** Ask for the microphone; from now on it goes up. Rejects where there is none, or it is not allowed. */
  async speak() {
    if (!this.context || this.microphone) return;
    if (!navigator.mediaDevices) throw new Error("A microphone can be had over https (or on this machine) only.");
    const wanted = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
    if (this.over || !this.context) {
      stop(stream);
      return;
    }
    this.stream = stream;
    await this.context.audioWorklet.addModule("/static/listen-mic.js");
    if (this.over || this.stream !== stream) return stop(stream);
    const node = new AudioWorkletNode(this.context, "va-microphone", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    node.port.onmessage = ({ data }) => this.send(data);
    this.context.createMediaStreamSource(stream).connect(node);
    this.microphone = node;
  }

  /** @param {{frame: Uint8Array, level: number}} one */
  send({ frame, level }) {
    if (this.microphone && this.socket?.readyState === WebSocket.OPEN && this.socket.bufferedAmount < MOST_WAITING) {
      this.socket.send(frame);
    }
    this.told.microphone(level);
  }

  /** Send silence in the microphone's place, or no longer. @param {boolean} on */
  mute(on) {
    this.microphone?.port.postMessage({ muted: on });
  }

  /** The microphone is off. */
  hush() {
    this.microphone?.disconnect();
    this.microphone = null;
    stop(this.stream);
    this.stream = null;
  }

  close() {
    this.end("");
  }

  /** @param {string} why */
  end(why) {
    if (this.over) return;
    this.over = true;
    this.hush();
    this.socket?.close();
    void this.context?.close();
    this.told.ended(why);
  }
}

/** @param {MediaStream | null} stream */
function stop(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
