// The controls above the map: what is shown, the level of detail, the search, the size, the lines and the colours.
"use strict";
(() => {
  const { make, mapping } = window.gradlens;
  const WEAK = { 0: "all", 0.05: "above 5 % of their fork", 0.2: "above 20 % of their fork" };
  const VALUES = { "": "none", share: "share of their fork", energy: "energy per sample" };
  const LEVELS = { stages: "Stages", blocks: "Blocks", all: "Operations" };
  const NETWORKS = "networks";
  const MINUS = "\u2212";

  const options = (pairs) => pairs.map(([value, text]) => make("option", { value }, text));

  function select(title, words, pairs, onchange) {
    const element = make("select", { "aria-label": words, onchange: () => onchange(element.value) }, ...options(pairs));
    return Object.assign(make("label", {}, `${title} `, element), { element });
  }

  class Controls {
    constructor(map) {
      this.map = map;
      const colours = [...map.quantities.values()].map(({ name, axis }) => [name, axis]);
      const colour = select("Colour", "Colour of the map", colours, (name) => map.set({ column: name }));
      const lines = select("Lines", "Lines of the map", Object.entries(WEAK).sort(([a], [b]) => a - b), (least) => map.set({ least: Number(least) }));
      lines.element.value = String(map.least);
      const values = select("Values", "Values on lines", Object.entries(VALUES), (name) => map.set({ values: name }));
      this.levels = Object.entries(LEVELS).map(([level, title]) =>
        make("button", { type: "button", "data-level": level, onclick: () => map.level(level) }, title));
      this.legend = make("span", { class: "legend" });
      this.onLines = [lines, values];
      this.more = make("button", { type: "button", class: "more", "aria-expanded": "false", onclick: () => {
        this.more.setAttribute("aria-expanded", String(!this.element.classList.toggle("folded")));
      } }, "More controls");
      this.element = make("div", { class: "tools folded" }, this.sides(), make("span", { role: "group", "aria-label": "Level of detail" }, ...this.levels),
        make("label", {}, "Find ", map.search.field), make("span", { class: "fitting" }, ...map.frame.tools), colour, this.legend, this.more,
        make("span", { class: "rest" }, ...this.onLines));
    }

    // The choice between the networks and the difference of two of them; null for one network.
    sides() {
      const { networks } = this.map;
      this.pairs = networks.flatMap((a, i) => networks.slice(i + 1).map((b) => [a.name, b.name]));
      if (!this.pairs.length) return null;
      this.choice = select("Show", "Networks or their difference", [[NETWORKS, "the networks"]], (value) => {
        this.map.compare(...(value === NETWORKS ? [] : this.pairs[value]));
        this.map.changed();
      });
      this.choice.element.append(...options(this.pairs.map(([a, b], i) => [i, `difference: ${b} ${MINUS} ${a}`])));
      return this.choice;
    }

    // Selects the difference B minus A, or the networks if there is none.
    choose(difference) {
      const { element } = this.choice;
      let index = difference ? this.pairs.findIndex(([a, b]) => a === difference.a.name && b === difference.b.name) : NETWORKS;
      if (index < 0) {
        index = this.pairs.push([difference.a.name, difference.b.name]) - 1;
        element.append(...options([[index, `difference: ${difference.name}`]]));
      }
      element.value = index;
    }

    update({ drawn, difference, quantity }, scale) {
      for (const button of this.levels) {
        button.setAttribute("aria-pressed", String(drawn.every((network) => network.level() === button.dataset.level)));
        button.hidden = Boolean(difference) && button.dataset.level === "all";
      }
      this.more.classList.toggle("idle", Boolean(difference));
      this.onLines.forEach((label) => { label.hidden = Boolean(difference); });
      const range = quantity?.logarithmic ? "log10 of the ratio" : "difference";
      this.legend.replaceChildren(...scale.legend(difference ? `${range}; grey: no value, dashed frame: no partner` : "grey: no value"));
    }
  }

  Object.assign(mapping, { Controls });
})();
