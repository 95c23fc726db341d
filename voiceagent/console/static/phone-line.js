// @ts-check
// The connection of one call from the page: microphone, agent's voice, and the data channel beside them.
import { ask } from "./api.js";

/** What stands in the way of a call, in words for the one who calls. */
export class Refused extends Error {}

/** How long our last sounds may still lie in the browser's buffer once we are told the end. */
const LAST_SOUNDS_MS = 250;
const METER_SAMPLES = 1024;

/**
 * One call. Fires `state` (detail: {state, floor, held_by …}), `caption` (a line of the transcript) and, once,
 * `over` (detail: {reason}).
 */
export class Line extends EventTarget {
  /** @param {HTMLAudioElement} audio plays the agent */
  constructor(audio) {
    super();
    this.audio = audio;
    this.over = false;
    this.id = "";
    this.pc = new RTCPeerConnection({ iceServers: [] });
    this.channel = this.pc.createDataChannel("events");
    this.channel.onmessage = (event) => this.told(event.data);
    this.channel.onclose = () => this.end("");
    this.pc.onconnectionstatechange = () => this.changed();
    this.pc.ontrack = ({ track }) => this.hear(new MediaStream([track]));
    this.context = new AudioContext();
  }

  /**
   * Ask for the microphone and call. Throws Refused, or the server's Problem.
   * @param {{flow?: string, to?: string}} wish
   */
  async call(wish) {
    try {
      this.microphone = await microphone();
      if (this.over) throw new Refused("");
      const [track] = this.microphone.getAudioTracks();
      track.onended = () => this.end("microphone_gone");
      const transceiver = this.pc.addTransceiver(track, { direction: "sendrecv", streams: [this.microphone] });
      const all = RTCRtpReceiver.getCapabilities("audio")?.codecs ?? [];
      const plain = ["audio/PCMU", "audio/PCMA"].flatMap((type) => all.filter((codec) => codec.mimeType === type));
      if (plain.length) transceiver.setCodecPreferences(plain);
      this.ours = this.meter(this.microphone);
      await this.pc.setLocalDescription();
      // Nothing is gathered beforehand: the answer says where we are, and the browser comes there.
      const answer = await ask("POST", "/v1/phone", { sdp: this.pc.localDescription?.sdp, ...wish });
      this.id = answer.call_id;
      if (this.over) throw new Refused("");
      await this.pc.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    } catch (problem) {
      this.close();
      throw problem;
    }
  }

  /** @param {string} digit */
  press(digit) {
    this.send({ type: "digit", digit });
    this.beep(digit);
  }

  /** @param {boolean} on */
  mute(on) {
    for (const track of this.microphone?.getAudioTracks() ?? []) track.enabled = !on;
  }

  hangUp() {
    this.send({ type: "hangup" });
    this.end("you_hung_up");
  }

  /** How loud both sides are now, 0 to 1. */
  levels() {
    return { ours: loudness(this.ours), theirs: loudness(this.theirs) };
  }

  /** @param {any} message */
  send(message) {
    if (this.channel.readyState === "open") this.channel.send(JSON.stringify(message));
  }

  /** @param {string} text */
  told(text) {
    const message = JSON.parse(text);
    if (message.type === "caption") this.tell("caption", message);
    else if (message.type === "call") this.tell("state", message);
    else if (message.type === "ended") setTimeout(() => this.end(message.reason || "completed"), LAST_SOUNDS_MS);
  }

  changed() {
    const state = this.pc.connectionState;
    if (state === "connected") this.tell("state", { connected: true });
    else if (state === "failed") this.end("no_way");
  }

  /** @param {MediaStream} stream */
  hear(stream) {
    this.audio.srcObject = stream;
    void this.audio.play().catch(() => undefined);
    this.theirs = this.meter(stream);
  }

  /** @param {MediaStream} stream */
  meter(stream) {
    const analyser = this.context.createAnalyser();
    analyser.fftSize = METER_SAMPLES;
    this.context.createMediaStreamSource(stream).connect(analyser);
    return analyser;
  }

  /** What one hears of one's own key. @param {string} digit */
  beep(digit) {
    const at = "123A456B789C*0#D".indexOf(digit);
    const { context } = this;
    if (at < 0 || context.state !== "running") return;
    const gain = new GainNode(context, { gain: 0.04 });
    gain.connect(context.destination);
    for (const frequency of [[697, 770, 852, 941][at >> 2], [1209, 1336, 1477, 1633][at & 3]]) {
      const tone = new OscillatorNode(context, { frequency });
      tone.connect(gain);
      tone.start();
      tone.stop(context.currentTime + 0.12);
    }
  }

  /** @param {string} reason */
  end(reason) {
    if (this.over) return;
    this.close();
    this.tell("over", { reason });
  }

  close() {
    this.over = true;
    for (const track of this.microphone?.getTracks() ?? []) track.stop();
    this.audio.srcObject = null;
    // A message just sent needs a moment before its channel goes.
    setTimeout(() => this.pc.close(), 100);
    void this.context.close();
  }

  /** @param {string} type @param {any} detail */
  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

async function microphone() {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Refused("A browser gives its microphone to pages over HTTPS or on localhost only. Open the console by https://, or as http://localhost.");
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true } });
  } catch (problem) {
    const { name } = /** @type {DOMException} */ (problem);
    throw new Refused(
      {
        NotAllowedError: "The browser does not give this page the microphone. Allow it beside the address, and call again.",
        NotFoundError: "There is no microphone. Plug one in, and call again.",
        NotReadableError: "The microphone is in use by another program, or its system does not give it away.",
      }[name] ?? `The microphone cannot be had (${name}).`,
    );
  }
}

/** Loudness of the last samples, from -60 dB up, as 0 to 1. @param {AnalyserNode | undefined} analyser */
function loudness(analyser) {
  if (!analyser) return 0;
  const samples = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(samples);
  let power = 0;
  for (const sample of samples) power += sample * sample;
  const decibel = 10 * Math.log10(power / samples.length + 1e-9);
  return Math.min(1, Math.max(0, 1 + decibel / 60));
}
