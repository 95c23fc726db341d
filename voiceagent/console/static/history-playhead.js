// @ts-check
import { h } from "./dom.js";

const CLICK_PX = 4;
const BEAT_MS = 100;

/** The moving line over a `va-timeline`, and the click on it that plays from there. */
export class Playhead {
  /** @param {any} timeline @param {any} player @param {(at: number) => void} play */
  constructor(timeline, player, play) {
    this.timeline = timeline;
    this.player = player;
    this.head = h("div", { class: "playhead", "aria-hidden": "true", hidden: true });
    this.stage = timeline.querySelector(".tl-stage");
    this.stage?.append(this.head);
    if (!player || !this.stage) return;
    this.stage.classList.add("playable");
    let from = 0;
    this.stage.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => (from = event.clientX));
    this.stage.addEventListener("click", (/** @type {PointerEvent} */ event) => {
      // A drag moves a picture that is zoomed; only a click on one spot means that time.
      if (Math.abs(event.clientX - from) > CLICK_PX) return;
      play(timeline.scale().t(event.clientX - this.stage.getBoundingClientRect().left));
    });
    this.stage.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter" && timeline.picked !== null) play(timeline.picked);
      else if (event.key === " ") player.toggle();
      else return;
      event.preventDefault();
    });
  }

  start() {
    this.beat = setInterval(() => this.place(), BEAT_MS);
    const frame = () => {
      this.place();
      this.frame = this.player?.playing ? requestAnimationFrame(frame) : 0;
    };
    this.player?.addEventListener("moved", () => (this.frame ||= requestAnimationFrame(frame)));
    this.place();
  }

  stop() {
    clearInterval(this.beat);
  }

  place() {
    const { player, head, timeline } = this;
    if (!player) return;
    const scale = timeline.scale();
    const x = scale.x(player.now);
    head.hidden = !timeline.line || x < -1 || x > scale.width + 1 || player.now <= (player.part?.begins ?? 0);
    const at = `translateX(${x.toFixed(1)}px)`;
    if (head.style.transform !== at) head.style.transform = at;
  }
}
