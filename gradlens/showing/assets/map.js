// The network map: stages, blocks and operations from left to right, with the gradient that comes back between them.
"use strict";
(() => {
  const { rows, table, shown, make } = window.gradlens;
  const SVG = "http://www.w3.org/2000/svg";
  const COLUMNS = {
    alike: "duplication: mean CKA with the stage's other layers (energy)",
    alike_direction: "the same, direction",
    alike_given_loss: "the same, given the loss",
    rms: "log10 RMS of the gradient",
    effective_rank: "effective rank",
    stiffness_across: "stiffness across classes",
    diversity: "gradient diversity",
    flops: "log10 FLOPs",
    parameters: "log10 parameters",
  };
  const LOGARITHMIC = ["rms", "flops", "parameters"], SUMMED = ["flops", "parameters"];
  const LEVELS = { stages: "Stages", blocks: "Blocks", all: "Operations" };
  const READABLE = 24;  // blocks of one network above which only the most duplicated stage is drawn open
  const RAMP = ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725"];  // viridis

  const svg = (tag, attributes, ...children) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const mean = (values) => (values.length ? values.reduce((a, b) => a + b, 0) / values.length : null);
  const known = (values) => values.filter((value) => typeof value === "number");
  const plain = (operation) => operation.replace(/^(Native|Cudnn|Miopen)/, "").replace(/2D|WithIndices|Backward/g, "");
  // The end of a path that still says something: `denselayer9`, but `layer1.0`, `conv1.conv`.
  function last(path) {
    const parts = path.split(".");
    return parts.slice(/^(\d+|conv|bn|norm|fc)$/.test(parts.at(-1)) ? -2 : -1).join(".");
  }

  // One network: its operations, what joins them, and what is open.
  class Network {
    constructor(name, nodes, edges) {
      Object.assign(this, { name, nodes, edges });
      this.byId = new Map(nodes.map((node) => [node.node, node]));
      this.groups = [...new Set(nodes.map((node) => node.group))];
      this.blocks = new Map();
      for (const node of nodes) {
        if (!this.blocks.has(node.block)) this.blocks.set(node.block, []);
        this.blocks.get(node.block).push(node);
      }
      this.open = new Set();
    }

    // The stage whose layers receive the most similar gradients.
    mostAlike() {
      const own = this.groups.map((group) => [mean(known(this.nodes.filter((node) => node.group === group).map((node) => node.alike))), group]);
      return own.filter(([value]) => value !== null).sort((a, b) => b[0] - a[0]).map(([, group]) => group)[0];
    }

    show(level) {
      this.open.clear();
      if (level !== "stages") this.groups.forEach((group) => this.open.add(`stage:${group}`));
      if (level === "all") this.blocks.forEach((_, block) => this.open.add(`block:${block}`));
    }

    // What a node is drawn as: its stage, its block, or itself.
    keyOf(node) {
      const block = this.blocks.get(node.block);
      if (block.length > 1 || this.groupSize(node.group) > 1) {
        if (!this.open.has(`stage:${node.group}`)) return `stage:${node.group}`;
      }
      return block.length > 1 && !this.open.has(`block:${node.block}`) ? `block:${node.block}` : `node:${node.node}`;
    }

    groupSize(group) {
      return new Set(this.nodes.filter((node) => node.group === group).map((node) => node.block)).size;
    }

    // Drawn things and what joins them, in forward order.
    items() {
      const items = new Map();
      for (const node of this.nodes) {
        const key = this.keyOf(node);
        if (!items.has(key)) items.set(key, { key, id: `${this.name}\u0000${key}`, nodes: [], group: node.group, network: this });
        items.get(key).nodes.push(node);
      }
      const links = new Map();
      for (const edge of this.edges) {
        const [from, to] = [this.keyOf(this.byId.get(edge.producer)), this.keyOf(this.byId.get(edge.consumer))];
        if (from === to) continue;
        const key = `${from}\u0000${to}`;
        if (!links.has(key)) links.set(key, { from, to, edges: [], energy: 0, measured: true });
        const link = links.get(key);
        link.edges.push(edge);
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

  // The value that colours a drawn thing: the mean over its layers, or the sum of costs.
  function valueOf(item, column) {
    const values = known(item.nodes.map((node) => node[column]));
    const value = SUMMED.includes(column) ? values.reduce((a, b) => a + b, 0) || null : mean(values);
    return LOGARITHMIC.includes(column) ? (value > 0 ? Math.log10(value) : null) : value;
  }

  // Links without which nothing would be out of reach are drawn as arcs and do not push things apart.
  function shortcuts(items, links) {
    const place = new Map(items.map((item, i) => [item.key, i]));
    const next = items.map(() => []);
    links.forEach((link) => next[place.get(link.from)].push(place.get(link.to)));
    const reach = items.map(() => new Set());
    const order = sorted(next);
    for (const i of order.reverse()) {
      for (const j of next[i]) { reach[i].add(j); reach[j].forEach((k) => reach[i].add(k)); }
    }
    links.forEach((link) => {
      const [i, j] = [place.get(link.from), place.get(link.to)];
      link.arc = next[i].some((k) => k !== j && reach[k].has(j));
    });
  }

  function sorted(next) {
    const waiting = next.map(() => 0);
    next.flat().forEach((j) => { waiting[j] += 1; });
    const ready = waiting.flatMap((count, i) => (count ? [] : [i]));
    for (let at = 0; at < ready.length; at += 1) next[ready[at]].forEach((j) => { if (!(waiting[j] -= 1)) ready.push(j); });
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

  // Stages of all networks start at the same place.
  function align(all) {
    const order = [];
    for (const { items } of all) {
      let at = 0;
      for (const item of [...items].sort((a, b) => a.x - b.x)) {
        const found = order.indexOf(item.group);
        if (found < 0) order.splice(at, 0, item.group);
        at = order.indexOf(item.group) + 1;
      }
    }
    let start = 10;
    const bands = [];
    for (const group of order) {
      let width = 0;
      const own = all.map(({ items }) => items.filter((item) => item.group === group));
      own.filter((items) => items.length).forEach((items) => {
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
    const at = Math.min(Math.max(share, 0), 1) * (RAMP.length - 1), low = Math.floor(at), part = at - low;
    const [a, b] = [RAMP[low], RAMP[Math.min(low + 1, RAMP.length - 1)]].map((one) =>
      [1, 3, 5].map((k) => parseInt(one.slice(k, k + 2), 16)));
    return `rgb(${a.map((value, k) => Math.round(value + part * (b[k] - value))).join(" ")})`;
  }

  class Map_ {
    constructor(root) {
      this.root = root;
      const nodes = rows("map_nodes"), edges = rows("map_edges");
      this.networks = [...new Set(nodes.map((node) => node.network))].map((name) => new Network(
        name, nodes.filter((node) => node.network === name), edges.filter((edge) => edge.network === name)));
      if (this.networks.every((one) => one.blocks.size <= READABLE)) this.networks.forEach((one) => one.show("blocks"));
      else this.networks.forEach((one) => one.open.add(`stage:${this.networks[0].mostAlike()}`));
      this.column = "alike";
      this.zoom = 1;
      this.chosen = null;
      this.tools();
      this.draw();
    }

    tools() {
      const select = make("select", { "aria-label": "Colour of the map", onchange: () => { this.column = select.value; this.draw(); } },
        ...Object.entries(COLUMNS).filter(([name]) => this.networks.some((one) => one.nodes.some((node) => node[name] !== null)))
          .map(([name, title]) => make("option", { value: name }, title)));
      const levels = Object.entries(LEVELS).map(([level, title]) => make("button", {
        type: "button", "data-level": level, onclick: () => { this.networks.forEach((one) => one.show(level)); this.draw(); },
      }, title));
      const zooms = [["\u2212", 0.8, "Smaller"], ["+", 1.25, "Larger"]].map(([text, by, title]) => make("button", {
        type: "button", "aria-label": title, onclick: () => { this.zoom *= by; this.draw(); } }, text));
      this.legend = make("span", { class: "legend" });
      this.canvas = make("div", { class: "scroll canvas", tabindex: "0", role: "region", "aria-label": "Network map" });
      this.detail = make("div", { class: "detail", "aria-live": "polite" },
        make("p", { class: "small" }, "Choose a place of the map to read its numbers; open a stage or block to see what is in it."));
      this.root.replaceChildren(make("div", { class: "tools" }, make("label", {}, "Colour ", select),
        make("span", { role: "group", "aria-label": "What is drawn" }, ...levels),
        make("span", { role: "group", "aria-label": "Size" }, ...zooms), this.legend), this.canvas, this.detail);
    }

    draw() {
      const all = this.networks.map((network) => layout(network.items()));
      const { bands, width } = align(all);
      const values = all.flatMap(({ items }) => known(items.map((item) => valueOf(item, this.column))));
      this.low = Math.min(...values);
      this.high = Math.max(...values);
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
        drawn.links.sort((a, b) => a.energy - b.energy).forEach((link) => picture.append(this.link(link, drawn, most)));
        drawn.items.forEach((item) => picture.append(this.item(item)));
        top = Math.max(...drawn.items.map((item) => item.y + item.height / 2)) + 24;
      }
      bands.forEach((band, i) => { if (i % 2 === 0) picture.prepend(svg("rect", {
        x: band.left, y: 0, width: band.right - band.left, height: top, class: "stripe" })); });
      const fit = Math.min(1, this.canvas.clientWidth / width || 1), scale = Math.max(fit, 0.8) * this.zoom;
      Object.entries({ viewBox: `0 0 ${width} ${top}`, width: width * scale, height: top * scale })
        .forEach(([name, value]) => picture.setAttribute(name, value));
      const held = [this.canvas.scrollLeft, document.activeElement?.dataset?.key];
      this.canvas.replaceChildren(picture);
      this.mark();
      this.canvas.scrollLeft = held[0];
      if (held[1]) picture.querySelector(`[data-key="${CSS.escape(held[1])}"]`)?.focus();
      this.writeLegend();
    }

    writeLegend() {
      const bar = make("span", { class: "ramp", style: `background: linear-gradient(to right, ${RAMP.join(",")})` });
      this.legend.replaceChildren(...(Number.isFinite(this.low)
        ? [shown(this.low, "number"), " ", bar, " ", shown(this.high, "number"), "; grey: no value"] : ["no value"]));
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
      const said = `${to.text} sends back to ${from.text}: energy ${shown(link.energy, "number")} a sample` +
        (link.edges.length > 1 ? ` in ${link.edges.length} contributions` : "") + (link.measured ? "" : " (not measured here: nearest known)");
      return svg("path", { d: path, class: link.measured ? "link" : "link guessed", "stroke-width": width,
        "data-from": from.id, "data-to": to.id,
        stroke: value === null ? "var(--soft)" : this.colour(value) }, svg("title", {}, said));
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
      const group = svg("g", { class: `item ${kind}`, tabindex: 0, role: "button",
        "data-key": item.id, "data-place": item.nodes.length > 1 ? item.key.slice(6) : item.nodes[0].site,
        "aria-label": `${item.network.name}, ${this.title(item)}, ${COLUMNS[this.column]} ${shown(value, "number")}` },
      svg("title", {}, this.title(item)), box, text);
      group.addEventListener("click", () => this.choose(item));
      group.addEventListener("dblclick", () => this.toggle(item));
      group.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); this.choose(item); }
        if (event.key === "ArrowRight" || event.key === "ArrowLeft") { event.preventDefault(); this.step(group, event.key === "ArrowRight"); }
      });
      return group;
    }

    step(group, forward) {
      const all = [...this.canvas.querySelectorAll(".item")];
      all[all.indexOf(group) + (forward ? 1 : -1)]?.focus();
    }

    title(item) {
      const [first] = item.nodes;
      const layers = item.nodes.filter((node) => node.signal).length;
      if (item.key.startsWith("stage:")) return `stage ${item.group}: ${layers} weighted layers`;
      if (item.key.startsWith("block:")) return `${first.block}: ${layers} weighted layers`;
      return first.site;
    }

    toggle(item) {
      if (!item.key.startsWith("node:")) this.turn(item, item.key, true);
    }

    // A stage opens in all networks, so that they can be read one above the other.
    turn(item, key, open) {
      const all = key.startsWith("stage:") ? this.networks : [item.network];
      all.forEach((network) => network.open[open ? "add" : "delete"](key));
      this.draw();
    }

    // The chosen place and what runs to and from it stand out.
    mark() {
      this.canvas.querySelectorAll(".item").forEach((one) => one.classList.toggle("chosen", one.dataset.key === this.chosen));
      const links = [...this.canvas.querySelectorAll(".link")];
      links.forEach((one) => one.classList.toggle("near", [one.dataset.from, one.dataset.to].includes(this.chosen)));
      this.canvas.classList.toggle("narrowed", links.some((one) => one.classList.contains("near")));
    }

    choose(item) {
      this.chosen = item.id;
      this.mark();
      this.detail.replaceChildren(...window.gradlens.place(item, this));
    }
  }

  window.gradlens.mapTools = { COLUMNS, known, mean };
  const root = document.getElementById("map");
  if (root && table("map_nodes")) window.gradlens.map = new Map_(root);
})();
