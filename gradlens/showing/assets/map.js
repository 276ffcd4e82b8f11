// The network map: its controls, what is open and selected, and the events of the page that it answers.
"use strict";
(() => {
  const { table, make, mapping } = window.gradlens;
  const { Controls, Difference, Frame, Picture, Scale, Search, known } = mapping;
  const MANY = 150;  // with more lines, weak ones are hidden at first
  const FEW = 4;  // networks with at most this many boxes are opened at first, if the blocks are readable
  const HINT = "Click a box to read its numbers. Double-click a stage or block to open it.";

  class NetworkMap {
    constructor(root) {
      this.root = root;
      this.networks = mapping.networks();
      this.quantities = mapping.quantities();
      this.column = [...this.quantities.keys()][0];
      Object.assign(this, { subject: null, marked: new Set(), difference: null, values: "", scales: new Map() });
      this.least = this.networks.some((network) => network.edges.length > MANY) ? 0.05 : 0;
      this.frame = new Frame((stage) => this.fitted(stage));
      this.search = new Search({
        networks: this.networks,
        reveal: (targets) => this.reveal(targets),
        say: (text) => this.say(text),
        clear: () => { this.marked.clear(); this.mark(); },
      });
      this.controls = new Controls(this);
      this.status = make("p", { class: "small status", role: "status" });
      this.aligned = make("p", { class: "small aligned", hidden: true });
      this.detail = make("div", { class: "detail", "aria-live": "polite" }, make("p", { class: "small" }, HINT));
      this.root.replaceChildren(this.controls.element, this.status, this.aligned, this.frame.strip, this.frame.holder, this.detail);
      this.begin();
      document.addEventListener("gradlens:show", (event) => this.show(event.detail));
    }

    get drawn() {
      return this.difference ? [this.difference] : this.networks;
    }

    get items() {
      return this.arrangement?.all.flatMap((drawn) => drawn.items) ?? [];
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

    // Shows B minus A; without names, the networks themselves.
    compare(a, b) {
      const [first, second] = [a, b].map((name) => this.networks.find((network) => network.name === name));
      this.difference = first && second ? new Difference(first, second) : null;
      this.controls.choose(this.difference);
      this.subject = null;
      this.marked = new Set();
      this.say("");
      this.frame.fit = "all";
      this.detail.replaceChildren(make("p", { class: "small" }, HINT));
    }

    // Changes what boxes and lines show: the quantity of the colours, the least share of lines, the values on lines.
    set(choice) {
      Object.assign(this, choice);
      this.draw();
    }

    level(level) {
      this.drawn.forEach((network) => network.show(level));
      this.frame.readable();
      this.changed();
    }

    // A stage that is to fit the frame is opened first; its key is that of its choice.
    fitted(key) {
      const stage = this.drawn.flatMap((network) => network.groups).find((group) => key === `stage:${group}`);
      if (this.drawn.some((network) => network.groups.includes(stage) && network.opens(stage))) this.drawn.forEach((network) => network.open.add(key));
      this.changed();
    }

    draw() {
      const focused = this.items.find((item) => item.id === document.activeElement?.dataset?.key);
      if (this.difference && this.quantity) this.difference.label(this.quantity);
      this.arrangement = mapping.arranged(this.drawn, { narrow: this.frame.narrow, values: this.values && !this.difference });
      const handlers = { select: (item) => this.select(item), toggle: (item) => this.toggle(item), key: (...event) => this.key(...event) };
      const scale = this.scale(), { quantity, least } = this;
      const picture = new Picture(this.arrangement, { scale, quantity, least, values: this.difference ? "" : this.values, handlers });
      this.frame.show(picture.element(), this.arrangement, (item) => picture.colour(item, "var(--soft)"));
      this.mark();
      if (focused) this.refocus(focused);
      this.controls.update(this, scale);
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
      const drawn = this.items.find((item) => item.nodes.some((node) => nodes.includes(node)));
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
      const keys = (nodes) => new Set(this.items.filter((item) => item.nodes.some((node) => nodes.has(node))).map((item) => item.id));
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
      const first = this.items.find((item) => item.nodes.includes(targets[0].node));
      this.select(first);
      this.frame.reach([first, ...this.items.filter((item) => item !== first && item.nodes.some((node) => this.marked.has(node)))]);
      return this.element(first.id);
    }

    // Answers a link of the page: { network, signals: [names] } or { network, signal: name }.
    show(detail) {
      const { targets, message } = mapping.asked(this.networks, detail ?? {});
      this.root.scrollIntoView({ block: "start" });
      if (targets.length) this.focus(this.reveal(targets), { preventScroll: true });
      this.say(message);
      return message;
    }
  }

  const root = document.getElementById("map");
  if (root && table("map_nodes")) window.gradlens.map = new NetworkMap(root);
})();
