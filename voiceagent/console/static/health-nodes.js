// @ts-check
import { api } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { timeOfDay, words } from "./format.js";
import { Section } from "./parts.js";

/** The nodes of the fleet; not there where this node is alone. */
class HealthNodes extends Section {
  draw() {
    this.heading = h("h3", null, "Nodes");
    this.note = h("p", { class: "quiet under", role: "status" });
    this.list = h("div", null);
    this.hidden = true;
    fill(this, h("section", { class: "panel", "aria-label": "Nodes" }, this.heading, this.note, this.list));
  }

  show() {
    void this.refresh();
  }

  async refresh() {
    const { heading, note, list } = this;
    const found = await api.cluster().catch(() => null);
    if (!found || !heading || !note || !list) return;
    this.hidden = !found.shared;
    setText(heading, `Nodes ${found.nodes.length}`);
    note.hidden = !found.stale;
    setText(note, found.stale ? `The registry does not answer: only this node is seen (${found.stale}).` : "");
    fill(list, h("ul", { class: "entries" }, found.nodes.map((/** @type {any} */ node) => entry(node, found.node))));
  }
}

/** @param {any} node @param {string} here */
function entry(node, here) {
  const up = node.state === "up";
  return h(
    "li",
    null,
    h("b", null, h("bdi", null, node.name), node.name === here ? " (this one)" : ""),
    h("span", { class: "mark", "data-mark": up ? "on" : "warn" }, words(node.state)),
    h("span", { class: "num quiet calls-now" }, node.max_calls ? `${node.calls} of ${node.max_calls} calls` : `${node.calls} calls`),
    h("span", { class: "quiet under" }, [node.sip, node.version && `version ${node.version}`, `seen ${timeOfDay(node.seen_at)}`].filter(Boolean).join(" · ")),
  );
}
customElements.define("va-health-nodes", HealthNodes);
