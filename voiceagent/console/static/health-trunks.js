// @ts-check
import { fill, h, setText } from "./dom.js";
import { words } from "./format.js";
import { nothing, Section } from "./parts.js";
import { trunkState } from "./trunk-list.js";

/** Over whom calls come and go. Follows the live stream. */
class HealthTrunks extends Section {
  draw() {
    this.heading = h("h3", null, "Trunks");
    this.list = h("div", null);
    fill(this, h("section", { class: "panel", "aria-label": "Trunks" }, this.heading, this.list));
  }

  show() {
    if (this.store) this.update(this.store);
  }

  /** @param {import("./store.js").Store} store */
  update(store) {
    const { list, heading } = this;
    const told = JSON.stringify(store.trunks);
    if (!list || !heading || told === this.told) return;
    this.told = told;
    const down = store.trunks.filter((one) => !one.up).length;
    setText(heading, down ? `Trunks ${store.trunks.length}, ${down} not up` : `Trunks ${store.trunks.length}`);
    fill(list, store.trunks.length ? h("ul", { class: "entries" }, store.trunks.map(entry)) : nothing("There are no trunks.", "Calls come from what sip.allowed_sources lets in."));
  }
}

/** @param {any} trunk */
function entry(trunk) {
  const state = trunkState(trunk);
  const tone = trunk.up ? "on" : state === "registering" ? "warn" : "bad";
  const servers = trunk.servers.map((/** @type {any} */ one) => `${one.address} ${words(one.state)}`).join(", ");
  const checked = trunk.keepalive === "off" ? "" : `keepalive ${words(trunk.keepalive)}`;
  return h(
    "li",
    null,
    h("b", null, h("bdi", null, trunk.name)),
    h("span", { class: "mark", "data-mark": tone }, words(state)),
    h("span", { class: "num quiet calls-now" }, trunk.max_calls ? `${trunk.calls} of ${trunk.max_calls} calls` : `${trunk.calls} calls`),
    h("span", { class: "quiet under" }, [trunk.up ? "" : trunk.detail, checked, servers].filter(Boolean).join(" · ")),
  );
}
customElements.define("va-health-trunks", HealthTrunks);
