// The network map: its controls, what is open and selected, and the events of the page that it answers.
"use strict";
(() => {
  const { table, make, mapping } = window.gradlens;
  const { Difference, Frame, Picture, Scale, Search, known } = mapping;
  const WEAK = { 0: "all", 0.05: "above 5 % of their fork", 0.2: "above 20 % of their fork" };
  const VALUES = { "": "none", share: "share of their fork", energy: "energy per sample" };
  const LEVELS = { stages: "Stages", blocks: "Blocks", all: "Operations" };
  const MANY = 150;  // with more lines, weak ones are hidden at first
  const FEW = 4;  // networks with at most this many boxes are opened at first, if the blocks are readable
  const HINT = "Click a box to read its numbers. Double-click a stage or block to open it.";
  const NETWORKS = "networks";

  class NetworkMap {
    constructor(root) {
      this.root = root;
      this.networks = mapping.networks();
      this.quantities = mapping.quantities();
      this.column = [...this.quantities.keys()][0];
      Object.assign(this, { subject: null, marked: new Set(), difference: null, values: "", scales: new Map(), arrangements: [] });
      this.least = this.networks.some((network) => network.edges.length > MANY) ? 0.05 : 0;
      this.frame = new Frame((stage) => this.fitted(stage));
      this.search = new Search({
        networks: this.networks, reveal: (targets) => this.reveal(targets), say: (text) => this.say(text), clear: () => { this.marked.clear(); this.mark(); } });
      this.tools();
      this.begin();
      document.addEventListener("gradlens:show", (event) => this.show(event.detail));
    }

    get drawn() {
      return this.difference ? [this.difference] : this.networks;
    }

    get quantity() {
      return this.quantities.get(this.column);
    }

    // Stages at first. Networks of one or two stages start with their blocks.
    begin() {
      const asked = this.root.dataset.difference;
      if (asked) this.compare(...JSON.parse(asked));
      if (this.drawn.every((network) => network.items().items.length <= FEW)) {
        this.drawn.forEach((network) => network.show("blocks"));
        this.draw();
        if (this.frame.scale < mapping.READABLE) this.drawn.forEach((network) => network.show("stages"));
      }
      this.draw();
    }

    tools() {
      const select = (title, words, options, onchange) => {
        const element = make("select", { "aria-label": words, onchange: () => onchange(element.value) }, ...options.map(([value, text]) => make("option", { value }, text)));
        return [make("label", {}, `${title} `, element), element];
      };
      const [colour] = select("Colour", "Colour of the map", [...this.quantities.values()].map(({ name, axis }) => [name, axis]), (name) => { this.column = name; this.draw(); });
      const [lines, least] = select("Lines", "Lines of the map", Object.entries(WEAK).sort(([a], [b]) => a - b), (value) => { this.least = Number(value); this.draw(); });
      least.value = String(this.least);
      const [values] = select("Values", "Values on lines", Object.entries(VALUES), (value) => { this.values = value; this.draw(); });
      const levels = Object.entries(LEVELS).map(([level, title]) => make("button", { type: "button", "data-level": level, onclick: () => this.level(level) }, title));
      this.legend = make("span", { class: "legend" });
      this.status = make("p", { class: "small status", role: "status" });
      this.aligned = make("p", { class: "small aligned", hidden: true });
      this.detail = make("div", { class: "detail", "aria-live": "polite" }, make("p", { class: "small" }, HINT));
      this.onLines = [lines, values];
      const more = make("button", { type: "button", class: "more", "aria-expanded": "false", onclick: () => {
        more.setAttribute("aria-expanded", String(more.getAttribute("aria-expanded") === "false"));
      } }, "More controls");
      this.root.replaceChildren(make("div", { class: "tools" }, ...this.sides(), make("span", { role: "group", "aria-label": "Level of detail" }, ...levels),
        make("label", {}, "Find ", this.search.field), more, make("span", { class: "rest" }, ...this.frame.tools, ...this.onLines), colour, this.legend), this.status, this.aligned, this.frame.strip, this.frame.holder, this.detail);
    }

    // The choice between the networks and the difference of two of them.
    sides() {
      if (this.networks.length < 2) return [];
      const pairs = this.networks.flatMap((a, i) => this.networks.slice(i + 1).map((b) => [a.name, b.name]));
      this.choice = make("select", { "aria-label": "Networks or their difference", onchange: () => {
        this.compare(...(this.choice.value === NETWORKS ? [] : pairs[this.choice.value]));
        this.changed();
      } }, make("option", { value: NETWORKS }, "the networks"), ...pairs.map(([a, b], i) => make("option", { value: i }, `difference: ${b} \u2212 ${a}`)));
      this.pairs = pairs;
      return [make("label", {}, "Show ", this.choice)];
    }

    // Shows B minus A; without names, the networks themselves.
    compare(a, b) {
      const [first, second] = [a, b].map((name) => this.networks.find((network) => network.name === name));
      this.difference = first && second ? new Difference(first, second) : null;
      const index = this.pairs.findIndex(([x, y]) => x === a && y === b);
      if (this.difference && index < 0) {
        this.choice.append(make("option", { value: this.pairs.length }, `difference: ${b} \u2212 ${a}`));
        this.pairs.push([a, b]);
      }
      this.choice.value = this.difference ? this.pairs.findIndex(([x, y]) => x === a && y === b) : NETWORKS;
      this.subject = null;
      this.frame.fit = "all";
      this.detail.replaceChildren(make("p", { class: "small" }, HINT));
    }

    level(level) {
      this.drawn.forEach((network) => network.show(level));
      this.frame.readable();
      this.changed();
    }

    // A stage that is to fit the frame is opened first.
    fitted(stage) {
      const key = `stage:${stage}`;
      if (this.drawn.some((network) => network.groups.includes(stage) && network.opens(stage))) this.drawn.forEach((network) => network.open.add(key));
      this.changed();
    }

    draw() {
      const focused = this.arrangement?.all.flatMap(({ items }) => items).find((item) => item.id === document.activeElement?.dataset?.key);
      if (this.difference && this.quantity) this.difference.label(this.quantity);
      this.arrangement = mapping.arranged(this.drawn, { narrow: this.frame.narrow, values: this.values && !this.difference });
      const scale = this.scale(), handlers = { select: (item) => this.select(item), toggle: (item) => this.toggle(item), key: (...event) => this.key(...event) };
      const view = { scale, quantity: this.quantity, least: this.least, values: this.difference ? "" : this.values, handlers };
      const value = (item) => (this.quantity ? item.value(this.quantity) : null);
      this.frame.show(new Picture(this.arrangement, view).element(), this.arrangement, (item) => (value(item) === null ? "var(--soft)" : scale.colour(value(item))));
      this.root.querySelectorAll("[data-level]").forEach((button) => {
        button.setAttribute("aria-pressed", String(this.drawn.every((network) => network.level() === button.dataset.level)));
        button.hidden = Boolean(this.difference) && button.dataset.level === "all";
      });
      this.mark();
      if (focused) this.refocus(focused);
      this.legend.replaceChildren(...scale.legend(this.difference ? `${this.quantity?.logarithmic ? "log10 of the ratio" : "difference"}; dashed frame: no partner` : "grey: no value"));
      this.onLines.forEach((label) => { label.hidden = Boolean(this.difference); });
      this.aligned.hidden = !this.difference;
      this.aligned.textContent = this.difference ? this.difference.sentence() : "";
    }

    // The range of the colours: 0 to 1 for a similarity, symmetric for a difference, else the range over all boxes, drawn or not.
    scale() {
      if (this.quantity?.similar && !this.difference) return new Scale(0, 1);
      const key = `${this.difference?.name ?? ""}\u0000${this.column}`;
      if (!this.scales.has(key)) {
        const values = this.quantity ? known(this.drawn.flatMap((network) => network.allItems().map((item) => item.value(this.quantity)))) : [];
        const most = Math.max(...values.map(Math.abs));
        this.scales.set(key, this.difference ? new Scale(-most, most, true) : new Scale(Math.min(...values), Math.max(...values)));
      }
      return this.scales.get(key);
    }

    element(id) {
      return this.frame.canvas.querySelector(`[data-key="${CSS.escape(id)}"]`);
    }

    key(event, item, group) {
      const all = [...this.frame.canvas.querySelectorAll(".item")], at = all.indexOf(group);
      const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
      const actions = { Enter: () => this.select(item), " ": () => this.select(item), "+": () => this.frame.zoom(1.25), "-": () => this.frame.zoom(0.8),
        0: () => this.frame.choose("all"), o: () => this.toggle(item), "/": () => this.search.field.focus() };
      const action = next === undefined ? actions[event.key] : () => { if (all[next]) this.focus(all[next]); };
      if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      action();
    }

    focus(element, options) {
      this.frame.canvas.querySelectorAll(".item").forEach((item) => item.setAttribute("tabindex", item === element ? 0 : -1));
      element.focus(options);
    }

    // The box that was focused may be open or inside another one now: then the first box with its operations is focused.
    refocus({ nodes }) {
      const drawn = this.arrangement.all.flatMap(({ items }) => items).find((item) => item.nodes.some((node) => nodes.includes(node)));
      if (drawn) this.focus(this.element(drawn.id), { preventScroll: true });
    }

    toggle(item) {
      if (!item.key.startsWith("node:")) this.turn(item, item.key, true);
    }

    // A stage opens in all networks, so that they can be compared one above the other.
    turn(item, key, open) {
      const all = key.startsWith("stage:") ? this.drawn : [item.network];
      all.forEach((network) => network.open[open ? "add" : "delete"](key));
      this.changed();
    }

    // Called after opening or closing: the panel describes the box that is drawn now.
    changed() {
      const { subject } = this, inPanel = this.detail.contains(document.activeElement);
      if (subject) {
        const { items } = subject.network.items(), inside = items.filter((item) => item.nodes.some((node) => subject.nodes.includes(node)));
        if (inside.length === 1) [this.subject] = inside;
        this.describe();
      }
      this.draw();
      if (inPanel) (this.detail.querySelector("button") ?? this.frame.canvas).focus();
    }

    // Highlights the selected box, or the parts of it if it was opened, and its lines; marks what was searched for.
    mark() {
      const keys = (nodes) => new Set(this.arrangement.all.flatMap(({ items }) => items.filter((item) => item.nodes.some((node) => nodes.has(node))).map((item) => item.id)));
      const chosen = keys(new Set(this.subject?.nodes ?? [])), marked = keys(this.marked);
      const items = [...this.frame.canvas.querySelectorAll(".item")];
      for (const item of items) {
        item.classList.toggle("chosen", chosen.has(item.dataset.key));
        item.classList.toggle("match", marked.has(item.dataset.key));
      }
      const tabbed = items.find((item) => item === document.activeElement) ?? items.find((item) => chosen.has(item.dataset.key)) ?? items[0];
      items.forEach((item) => item.setAttribute("tabindex", item === tabbed ? 0 : -1));
      const links = [...this.frame.canvas.querySelectorAll(".link, .casing")];
      links.forEach((link) => link.classList.toggle("near", chosen.has(link.dataset.from) || chosen.has(link.dataset.to)));
      this.frame.canvas.classList.toggle("narrowed", links.some((link) => link.classList.contains("near")));
    }

    describe() {
      this.detail.replaceChildren(...mapping.panel(this.subject, this));
    }

    select(item) {
      this.subject = item;
      this.mark();
      this.describe();
    }

    say(text) {
      this.status.textContent = text;
    }

    // Opens what operations are in, marks their boxes, selects the first and moves it into view.
    reveal(targets) {
      if (this.difference) this.compare();
      for (const { network, node, whole } of targets) {
        const [stage, ...others] = network.keysTo(node, whole);
        this.networks.forEach((one) => one.open.add(stage));
        others.forEach((key) => network.open.add(key));
      }
      this.marked = new Set(targets.flatMap(({ network, node, whole }) => (whole ? network.nodes.filter((other) => other.block === node.block) : [node])));
      this.subject = null;
      this.draw();
      const first = this.arrangement.all.flatMap(({ items }) => items).find((item) => item.nodes.includes(targets[0].node));
      this.select(first);
      this.frame.reach(first);
      return this.element(first.id);
    }

    // Answers a link of the page: { network, signals: [names] } or { network, signal: name }.
    show(detail) {
      const { targets, message } = mapping.asked(this.networks, detail ?? {});
      this.say(message);
      this.root.scrollIntoView({ block: "start" });
      if (targets.length) this.focus(this.reveal(targets), { preventScroll: true });
      return message;
    }
  }

  const root = document.getElementById("map");
  if (root && table("map_nodes")) window.gradlens.map = new NetworkMap(root);
})();
