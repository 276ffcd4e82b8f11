// The network map: stages, blocks and operations from left to right, and the gradients between them.
"use strict";
(() => {
  const { rows, table, formatCell, layersOf, make } = window.gradlens;
  const SVG = "http://www.w3.org/2000/svg";
  const COLUMNS = {
    alike: "similarity to its stage: mean CKA with the other layers (energy)",
    alike_direction: "similarity to its stage (direction)",
    alike_given_loss: "similarity to its stage, given the loss",
    weights_alike: "similarity to its stage, gradients of weights",
    weights_alike_given_loss: "similarity to its stage, gradients of weights, given the loss",
    rms: "log10 RMS of the gradient",
    effective_rank: "effective rank",
    stiffness_across: "stiffness across classes",
    diversity: "gradient diversity",
    flops: "log10 FLOPs",
    parameters: "log10 parameters",
  };
  const LOGARITHMIC = ["rms", "flops", "parameters"], SUMMED = ["flops", "parameters"];
  const SIMILAR = Object.keys(COLUMNS).filter((name) => name.includes("alike"));
  const WEAK = { 0: "all", 0.05: "above 5 % of the energy at their fork", 0.2: "above 20 % of the energy at their fork" };
  const MANY = 150;  // with more lines, weak ones are hidden at first
  const LEVELS = { stages: "Stages", blocks: "Blocks", all: "Operations" };
  const READABLE = 24;  // if a network has more blocks, only the stage with the most similar layers is open at first
  const RAMP = ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725"];  // viridis

  const svg = (tag, attributes, ...children) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const mean = (values) => (values.length ? values.reduce((a, b) => a + b, 0) / values.length : null);
  const known = (values) => values.filter((value) => typeof value === "number");
  const plain = (operation) => operation.replace(/^(Native|Cudnn|Miopen)/, "").replace(/2D|WithIndices|Backward/g, "").replace(/^(Unsafe)?Split(WithSizes)?$/, "split");
  // The last part of a path, or the last two if one is not informative: `denselayer9`, but `layer1.0`, `conv1.conv`.
  function last(path) {
    const parts = path.split(".");
    return parts.slice(/^(\d+|conv|bn|norm|fc)$/.test(parts.at(-1)) ? -2 : -1).join(".");
  }

  // One network: its operations, the edges between them, and the keys of its open stages and blocks.
  class Network {
    constructor(name, nodes, edges) {
      Object.assign(this, { name, nodes, edges });
      this.byId = new Map(nodes.map((node) => [node.node, node]));
      this.groups = [...new Set(nodes.map((node) => node.group))];
      this.parts = new Map();  // operations of a block within a stage: a block may belong to two stages
      for (const node of nodes) {
        const part = this.partOf(node);
        if (!this.parts.has(part)) this.parts.set(part, []);
        this.parts.get(part).push(node);
      }
      this.open = new Set();
    }

    partOf(node) {
      return `${node.block}\u0001${node.group}`;
    }

    level() {
      const stages = this.groups.filter((group) => this.partsOf(group) > 1 || this.nodes.filter((node) => node.group === group).length > 1);
      if (!stages.some((group) => this.open.has(`stage:${group}`))) return "stages";
      if (!stages.every((group) => this.open.has(`stage:${group}`))) return "";
      const blocks = [...this.parts].filter(([, nodes]) => nodes.length > 1).map(([part]) => this.open.has(`block:${part}`));
      return blocks.every(Boolean) ? "all" : blocks.some(Boolean) ? "" : "blocks";
    }

    // The stage whose layers receive the most similar gradients.
    mostSimilar() {
      const means = this.groups.map((group) => [mean(known(this.nodes.filter((node) => node.group === group).map((node) => node.alike))), group]);
      return means.filter(([value]) => value !== null).sort((a, b) => b[0] - a[0]).map(([, group]) => group)[0];
    }

    show(level) {
      this.open.clear();
      if (level !== "stages") this.groups.forEach((group) => this.open.add(`stage:${group}`));
      if (level === "all") this.parts.forEach((_, part) => this.open.add(`block:${part}`));
    }

    // The key of the item that a node is drawn in: its stage, its block, or the node itself.
    keyOf(node) {
      const part = this.partOf(node), size = this.parts.get(part).length;
      if ((size > 1 || this.partsOf(node.group) > 1) && !this.open.has(`stage:${node.group}`)) return `stage:${node.group}`;
      return size > 1 && !this.open.has(`block:${part}`) ? `block:${part}` : `node:${node.node}`;
    }

    partsOf(group) {
      this.counts ??= new Map(this.groups.map((name) => [name, [...this.parts.keys()].filter((part) => part.endsWith(`\u0001${name}`)).length]));
      return this.counts.get(group);
    }

    // An item of the map: a stage, block or operation, drawn or not.
    item(key, nodes) {
      return { key, id: `${this.name}\u0000${key}`, nodes, group: nodes[0].group, network: this };
    }

    // All items that could be drawn; colours are scaled by their values.
    allItems() {
      const stages = this.groups.map((group) => this.item(`stage:${group}`, this.nodes.filter((node) => node.group === group)));
      const blocks = [...this.parts].map(([part, nodes]) => this.item(`block:${part}`, nodes));
      return [...stages, ...blocks, ...this.nodes.map((node) => this.item(`node:${node.node}`, [node]))];
    }

    // The drawn items and the links between them, in forward order.
    items() {
      const items = new Map();
      for (const node of this.nodes) {
        const key = this.keyOf(node);
        if (items.has(key)) items.get(key).nodes.push(node);
        else items.set(key, this.item(key, [node]));
      }
      const links = new Map();
      for (const edge of this.edges) {
        const [from, to] = [this.keyOf(this.byId.get(edge.producer)), this.keyOf(this.byId.get(edge.consumer))];
        if (from === to) continue;
        const key = `${from}\u0000${to}`;
        if (!links.has(key)) links.set(key, { from, to, edges: [], energy: 0, share: 0, measured: true });
        const link = links.get(key);
        link.edges.push(edge);
        link.share = Math.max(link.share, edge.share ?? 1);
        link.energy += edge.energy || 0;
        link.measured = link.measured && edge.measured && edge.energy !== null;
      }
      return { items: [...items.values()], links: [...links.values()] };
    }
  }

  function label(item) {
    const [first] = item.nodes;
    if (item.key.startsWith("stage:")) return item.group === "head" || /\D/.test(item.group) ? item.group : `stage ${item.group}`;
    if (item.key.startsWith("block:")) return last(first.block);
    return { Cat: "cat", Add: "+", Mul: "\u00d7" }[first.operation] || (first.signal ? last(first.signal) : plain(first.operation));
  }

  function kindOf(item) {
    if (!item.key.startsWith("node:")) return item.key.split(":")[0];
    return item.nodes[0].signal ? "layer" : item.nodes[0].merge ? "merge" : "operation";
  }

  // The value that colours an item: the mean over its layers, or the sum for costs.
  function valueOf(item, column) {
    const values = known(item.nodes.map((node) => node[column]));
    const value = SUMMED.includes(column) ? values.reduce((a, b) => a + b, 0) || null : mean(values);
    return LOGARITHMIC.includes(column) ? (value > 0 ? Math.log10(value) : null) : value;
  }

  // Marks the links that a longer route replaces: they are drawn as arcs and do not affect the layout.
  function shortcuts(items, links) {
    const index = new Map(items.map((item, i) => [item.key, i]));
    const next = items.map(() => []);
    links.forEach((link) => next[index.get(link.from)].push(index.get(link.to)));
    const reachable = items.map(() => new Set());
    const order = sorted(next);
    for (const i of order.reverse()) {
      for (const j of next[i]) { reachable[i].add(j); reachable[j].forEach((k) => reachable[i].add(k)); }
    }
    links.forEach((link) => {
      const [i, j] = [index.get(link.from), index.get(link.to)];
      link.arc = next[i].some((k) => k !== j && reachable[k].has(j));
    });
  }

  function sorted(next) {
    const waiting = next.map(() => 0);
    next.flat().forEach((j) => { waiting[j] += 1; });
    const ready = waiting.flatMap((count, i) => (count ? [] : [i]));
    for (let i = 0; i < ready.length; i += 1) next[ready[i]].forEach((j) => { if (!(waiting[j] -= 1)) ready.push(j); });
    return ready;
  }

  function layout(drawn) {
    const graph = new dagre.graphlib.Graph();
    graph.setGraph({ rankdir: "LR", nodesep: 14, ranksep: 26 });
    graph.setDefaultEdgeLabel(() => ({}));
    for (const item of drawn.items) {
      item.text = label(item);
      const compact = kindOf(item) === "merge" && item.text.length < 4;
      graph.setNode(item.key, { width: compact ? 26 : Math.max(34, 7.2 * item.text.length + 16), height: compact ? 26 : 30 });
    }
    shortcuts(drawn.items, drawn.links);
    drawn.links.filter((link) => !link.arc).forEach((link) => graph.setEdge(link.from, link.to));
    dagre.layout(graph);
    drawn.items.forEach((item) => Object.assign(item, graph.node(item.key)));
    return drawn;
  }

  // Equal stages of all networks start at the same position.
  function align(all) {
    const order = [];
    for (const { items } of all) {
      let position = 0;
      for (const item of [...items].sort((a, b) => a.x - b.x)) {
        if (!order.includes(item.group)) order.splice(position, 0, item.group);
        position = order.indexOf(item.group) + 1;
      }
    }
    let start = 10;
    const bands = [];
    for (const group of order) {
      let width = 0;
      const members = all.map(({ items }) => items.filter((item) => item.group === group));
      members.filter((items) => items.length).forEach((items) => {
        const left = Math.min(...items.map((item) => item.x - item.width / 2));
        items.forEach((item) => { item.x += start - left; });
        width = Math.max(width, ...items.map((item) => item.x + item.width / 2 - start));
      });
      bands.push({ group, left: start - 12, right: start + width + 12 });
      start += width + 34;
    }
    return { bands, width: start };
  }

  function ramp(share) {
    const position = Math.min(Math.max(share, 0), 1) * (RAMP.length - 1), low = Math.floor(position), part = position - low;
    const [a, b] = [RAMP[low], RAMP[Math.min(low + 1, RAMP.length - 1)]].map((hex) =>
      [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16)));
    return `rgb(${a.map((value, k) => Math.round(value + part * (b[k] - value))).join(" ")})`;
  }

  class Map_ {
    constructor(root) {
      this.root = root;
      const nodes = rows("map_nodes"), edges = rows("map_edges");
      const weightNodes = new Map(rows("map_nodes_weights").map((node) => [`${node.network}\u0000${node.node}`, node]));
      for (const node of nodes) {
        const twin = weightNodes.get(`${node.network}\u0000${node.node}`);
        if (twin) Object.assign(node, { weights_alike: twin.alike, weights_alike_given_loss: twin.alike_given_loss });
      }
      this.networks = [...new Set(nodes.map((node) => node.network))].map((name) => new Network(
        name, nodes.filter((node) => node.network === name), edges.filter((edge) => edge.network === name)));
      if (this.networks.every((network) => network.parts.size <= READABLE)) this.networks.forEach((network) => network.show("blocks"));
      else this.networks.forEach((network) => network.open.add(`stage:${this.networks[0].mostSimilar()}`));
      this.column = "alike";
      this.zoom = 1;
      this.subject = null;
      this.least = this.networks.some((network) => network.edges.length > MANY) ? 0.05 : 0;
      this.scales = new Map();
      this.tools();
      this.draw();
    }

    tools() {
      const select = make("select", { "aria-label": "Colour of the map", onchange: () => { this.column = select.value; this.draw(); } },
        ...Object.entries(COLUMNS).filter(([name]) => this.networks.some((network) => network.nodes.some((node) => typeof node[name] === "number")))
          .map(([name, title]) => make("option", { value: name }, title)));
      const levels = Object.entries(LEVELS).map(([level, title]) => make("button", {
        type: "button", "data-level": level, onclick: () => { this.networks.forEach((network) => network.show(level)); this.zoom ||= 1; this.changed(); },
      }, title));
      const lines = make("select", { "aria-label": "Lines of the map", onchange: () => { this.least = Number(lines.value); this.draw(); } },
        ...Object.entries(WEAK).sort(([a], [b]) => a - b).map(([least, title]) => make("option", { value: least }, title)));
      lines.value = String(this.least);
      const zooms = [["\u2212", 0.8, "Smaller"], ["+", 1.25, "Larger"], ["Fit", 0, "Fit the width"]].map(([text, by, title]) => make("button", {
        type: "button", "aria-label": title, onclick: () => { this.zoom = by * (this.zoom || this.fit / this.base); this.draw(); } }, text));  // 0: fit the width
      this.legend = make("span", { class: "legend" });
      this.canvas = make("div", { class: "scroll canvas", tabindex: "0", role: "region", "aria-label": "Network map" });
      this.detail = make("div", { class: "detail", "aria-live": "polite" },
        make("p", { class: "small" }, "Click a box to read its numbers. Double-click a stage or block to open it."));
      this.root.replaceChildren(make("div", { class: "tools" }, make("label", {}, "Colour ", select), make("label", {}, "Lines ", lines),
        make("span", { role: "group", "aria-label": "Level of detail" }, ...levels),
        make("span", { role: "group", "aria-label": "Size" }, ...zooms), this.legend), this.canvas, this.detail);
    }

    draw() {
      const all = this.networks.map((network) => layout(network.items()));
      const { bands, width } = align(all);
      [this.low, this.high] = this.scale();
      const most = Math.max(...all.flatMap(({ links }) => links.map((link) => link.energy)), 1e-300);
      const picture = svg("svg", { role: "group", "aria-label": "Networks, input left, loss right" });
      let top = 22;
      bands.forEach((band, i) => picture.append(svg("text", { x: (band.left + band.right) / 2, y: 14, class: "band" }, band.group)));
      for (const [k, drawn] of all.entries()) {
        const arcs = Math.max(0, ...drawn.links.filter((link) => link.arc).map((link) => this.rise(link, drawn)));
        const up = Math.min(...drawn.items.map((item) => item.y - item.height / 2));
        const shift = top + 24 + arcs - up;
        drawn.items.forEach((item) => { item.y += shift; });
        picture.append(svg("text", { x: 10, y: top + 14, class: "network" }, this.networks[k].name));
        drawn.links.filter((link) => link.share >= this.least).sort((a, b) => a.energy - b.energy)
          .forEach((link) => picture.append(...this.link(link, drawn, most)));
        drawn.items.forEach((item) => picture.append(this.item(item)));
        top = Math.max(...drawn.items.map((item) => item.y + item.height / 2)) + 24;
      }
      bands.forEach((band, i) => { if (i % 2 === 0) picture.prepend(svg("rect", {
        x: band.left, y: 0, width: band.right - band.left, height: top, class: "stripe" })); });
      this.fit = Math.min(1, (this.canvas.clientWidth - 2) / width || 1);
      this.base = Math.max(this.fit, 0.8);
      const scale = this.zoom ? this.base * this.zoom : this.fit;
      this.root.querySelectorAll("[data-level]").forEach((button) => button.setAttribute("aria-pressed",
        String(this.networks.every((network) => network.level() === button.dataset.level))));
      Object.entries({ viewBox: `0 0 ${width} ${top}`, width: width * scale, height: top * scale })
        .forEach(([name, value]) => picture.setAttribute(name, value));
      const [scroll, focused] = [this.canvas.scrollLeft, document.activeElement?.dataset?.key];
      this.canvas.replaceChildren(picture);
      this.mark();
      this.canvas.scrollLeft = scroll;
      if (focused) picture.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
      this.writeLegend();
    }

    // The range of the colours: 0 to 1 for a similarity, else the range over all items, drawn or not.
    scale() {
      if (SIMILAR.includes(this.column)) return [0, 1];
      if (!this.scales.has(this.column)) {
        const values = known(this.networks.flatMap((network) => network.allItems().map((item) => valueOf(item, this.column))));
        this.scales.set(this.column, [Math.min(...values), Math.max(...values)]);
      }
      return this.scales.get(this.column);
    }

    writeLegend() {
      const bar = make("span", { class: "ramp", style: `background: linear-gradient(to right, ${RAMP.join(",")})` });
      this.legend.replaceChildren(...(Number.isFinite(this.low)
        ? [formatCell(this.low, "number"), " ", bar, " ", formatCell(this.high, "number"), "; grey: no value"] : ["no value"]));
    }

    ends(link, drawn) {
      return [link.from, link.to].map((key) => drawn.items.find((item) => item.key === key));
    }

    rise(link, drawn) {
      const [from, to] = this.ends(link, drawn);
      return 12 + 3.2 * Math.sqrt(Math.abs(to.x - from.x));
    }

    link(link, drawn, most) {
      const [from, to] = this.ends(link, drawn);
      const width = 0.6 + 8 * (link.energy / most) ** 0.25;
      const [x, y, z, w] = [from.x + from.width / 2, from.y, to.x - to.width / 2, to.y];
      const middle = (x + z) / 2, up = this.rise(link, drawn) * 1.33;
      const path = link.arc
        ? `M${from.x} ${from.y - from.height / 2}C${from.x} ${from.y - from.height / 2 - up} ${to.x} ${to.y - to.height / 2 - up} ${to.x} ${to.y - to.height / 2}`
        : `M${x} ${y}C${middle} ${y} ${middle} ${w} ${z} ${w}`;
      const value = valueOf(to, this.column) ?? valueOf(from, this.column);
      const title = `gradient from ${to.text} to ${from.text}: energy ${formatCell(link.energy, "number")} per sample` +
        (link.edges.length > 1 ? ` in ${link.edges.length} contributions` : "") + (link.measured ? "" : " (not measured; nearest known energy)");
      const ends = { d: path, "data-from": from.id, "data-to": to.id };
      return [
        svg("path", { ...ends, class: "casing", "stroke-width": width + 1.4 }),
        svg("path", { ...ends, class: link.measured ? "link" : "link guessed", "stroke-width": width,
          stroke: value === null ? "var(--soft)" : this.colour(value) }, svg("title", {}, title)),
      ];
    }

    colour(value) {
      return ramp(this.high > this.low ? (value - this.low) / (this.high - this.low) : 0.5);
    }

    item(item) {
      const value = valueOf(item, this.column), kind = kindOf(item);
      const box = svg("rect", { x: item.x - item.width / 2, y: item.y - item.height / 2, width: item.width, height: item.height,
        rx: kind === "merge" ? 13 : kind === "operation" ? 10 : 3, fill: value === null ? "var(--tint)" : this.colour(value) });
      const light = value !== null && (value - this.low) / ((this.high - this.low) || 1) > 0.55;
      const text = svg("text", { x: item.x, y: item.y + 4, class: value === null ? "plain" : light ? "on-light" : "on-dark" }, item.text);
      const group = svg("g", { class: `item ${kind}`, tabindex: -1, role: "button",
        "data-key": item.id, "data-place": item.key.startsWith("node:") ? item.nodes[0].site : item.key.startsWith("block:") ? item.nodes[0].block : item.group,
        "aria-label": `${item.network.name}, ${this.title(item)}, ${COLUMNS[this.column]} ${formatCell(value, "number")}` },
      svg("title", {}, this.title(item)), box, text);
      group.addEventListener("click", () => this.select(item));
      group.addEventListener("dblclick", () => this.toggle(item));
      group.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); this.select(item); }
        if (event.key === "ArrowRight" || event.key === "ArrowLeft") { event.preventDefault(); this.step(group, event.key === "ArrowRight"); }
      });
      return group;
    }

    step(group, forward) {
      const all = [...this.canvas.querySelectorAll(".item")];
      const next = all[all.indexOf(group) + (forward ? 1 : -1)];
      if (!next) return;
      group.setAttribute("tabindex", -1);
      next.setAttribute("tabindex", 0);
      next.focus();
    }

    title(item) {
      const [first] = item.nodes;
      const layers = item.nodes.filter((node) => node.signal).length;
      if (item.key.startsWith("stage:")) return `stage ${item.group}: ${layersOf(layers)}`;
      if (item.key.startsWith("block:")) return `${first.block}: ${layersOf(layers)}`;
      return first.site;
    }

    toggle(item) {
      if (!item.key.startsWith("node:")) this.turn(item, item.key, true);
    }

    // A stage opens in all networks, so that they can be compared one above the other.
    turn(item, key, open) {
      const all = key.startsWith("stage:") ? this.networks : [item.network];
      all.forEach((network) => network.open[open ? "add" : "delete"](key));
      this.changed();
    }

    // Called after opening or closing: the panel describes the item that is drawn now.
    changed() {
      const { subject } = this, inPanel = this.detail.contains(document.activeElement);
      if (subject) {
        const drawn = subject.network.keyOf(subject.nodes[0]);
        const closed = drawn.startsWith("stage:") || (drawn.startsWith("block:") && subject.key.startsWith("node:"));
        if (closed && drawn !== subject.key) {
          this.subject = subject.network.item(drawn, subject.network.nodes.filter((node) => subject.network.keyOf(node) === drawn));
        }
        this.describe();
      }
      this.draw();
      if (inPanel) (this.detail.querySelector("button") ?? this.canvas).focus();
    }

    // Highlights the selected item, or the parts of it if it was opened, and its links.
    mark() {
      const keys = new Set(this.subject ? this.subject.nodes.map((node) => `${this.subject.network.name}\u0000${this.subject.network.keyOf(node)}`) : []);
      const items = [...this.canvas.querySelectorAll(".item")];
      items.forEach((item) => item.classList.toggle("chosen", keys.has(item.dataset.key)));
      const tabbed = items.find((item) => item === document.activeElement) ?? items.find((item) => keys.has(item.dataset.key)) ?? items[0];
      items.forEach((item) => item.setAttribute("tabindex", item === tabbed ? 0 : -1));
      const links = [...this.canvas.querySelectorAll(".link, .casing")];
      links.forEach((link) => link.classList.toggle("near", keys.has(link.dataset.from) || keys.has(link.dataset.to)));
      this.canvas.classList.toggle("narrowed", links.some((link) => link.classList.contains("near")));
    }

    describe() {
      this.detail.replaceChildren(...window.gradlens.panel(this.subject, this));
    }

    select(item) {
      this.subject = item;
      this.mark();
      this.describe();
    }
  }

  const root = document.getElementById("map");
  if (root && table("map_nodes")) window.gradlens.map = new Map_(root);
})();
