// Boxes of the map by name: a search by a part of a module's path, and the operations that links of the page name.
"use strict";
(() => {
  const { make, mapping } = window.gradlens;

  // What a text is a part of: blocks by their path, then operations of other blocks by theirs.
  function matches(networks, text) {
    const part = text.trim().toLowerCase(), has = (name) => name.toLowerCase().includes(part);
    if (!part) return [];
    return networks.flatMap((network) => {
      const seen = new Set();
      return network.nodes.flatMap((node) => {
        const block = network.parts.get(network.partOf(node)).length > 1 && has(node.block);
        if (!block) return has(node.site) || has(node.module) ? [{ network, node, whole: false, name: node.site }] : [];
        if (seen.has(node.block)) return [];
        seen.add(node.block);
        return [{ network, node, whole: true, name: node.block }];
      });
    });
  }

  // The operation that a name of the tables stands for: a signal, a site, a fork or merge, a block or a module.
  function named(network, name) {
    const lists = (column) => (node) => node[column].split("; ").includes(name);
    const is = (column) => (node) => node[column] === name;
    const ways = [is("signal"), is("site"), lists("fork"), lists("merge"), is("block"), is("module")];
    const found = ways.map((way) => network.nodes.find(way)), node = found.find(Boolean);
    return node ? { network, node, whole: found.findIndex(Boolean) === 4, name } : null;
  }

  // The field and its matches in turn. `reveal` shows one on the map, `say` writes the line below the tools.
  class Search {
    constructor({ networks, reveal, say, clear }) {
      Object.assign(this, { networks, reveal, say, clear, text: "", matches: [], turn: -1 });
      this.field = make("input", {
        type: "search", placeholder: "module, as layer3.0", "aria-label": "Find a module on the map", size: "16",
        onkeydown: (event) => {
          if (event.key === "Enter") { event.preventDefault(); this.next(event.shiftKey ? -1 : 1); }
        },
        oninput: () => { if (!this.field.value) this.forget(); },
      });
    }

    forget() {
      Object.assign(this, { text: "", matches: [], turn: -1 });
      this.clear();
      this.say("");
    }

    next(by) {
      const text = this.field.value;
      if (!text.trim()) return;
      if (text !== this.text) Object.assign(this, { text, matches: matches(this.networks, text), turn: by > 0 ? -1 : 0 });
      const count = this.matches.length;
      if (!count) {
        this.clear();
        this.say(`no match for ${text.trim()}`);
        return;
      }
      this.turn = (this.turn + by + count) % count;
      const match = this.matches[this.turn];
      this.reveal([match]);
      const hint = count > 1 ? "; Enter: next" : "";
      this.say(`match ${this.turn + 1} of ${count}: ${match.name} in ${match.network.name}${hint}`);
    }
  }

  // What an event `gradlens:show` names (signals, one signal, or a site): its operations, and a sentence on what is not there.
  function asked(networks, { network, signals, signal, site }) {
    const [names = []] = [signals, signal, site].map((one) => [one].flat().filter((name) => name && typeof name === "string")).filter((one) => one.length);
    const where = networks.filter(({ name }) => !network || name === network);
    if (!where.length) return { targets: [], message: `${network} is not on the map` };
    const targets = names.map((name) => where.map((one) => named(one, name)).find(Boolean) ?? name);
    const missing = targets.filter((target) => typeof target === "string");
    const shown = targets.filter((target) => typeof target !== "string");
    const words = [shown.length ? `shown: ${shown.map(({ name }) => name).join(", ")} in ${shown[0].network.name}` : "", missing.length || !names.length
      ? `not on the map: ${missing.join(", ") || "no layer was named"}` : ""];
    return { targets: shown, message: words.filter(Boolean).join("; ") };
  }

  Object.assign(mapping, { Search, asked });
})();
