// A network on the map: its operations, what is open, and the boxes and links that are drawn.
"use strict";
window.gradlens.mapping = (() => {
  const { rows, table, layersOf } = window.gradlens;
  const MERGES = ["Add", "Sub", "Cat", "Stack"];

  const mean = (values) => (values.length ? values.reduce((a, b) => a + b, 0) / values.length : null);
  const known = (values) => values.filter((value) => typeof value === "number");
  const plain = (operation) => operation.replace(/^(Native|Cudnn|Miopen)|2D|WithIndices|Backward/g, "")
    .replace(/^(Batch|Layer|Group|Instance)Norm$/, "norm").replace(/^(Unsafe)?Split(WithSizes)?$/, "split");
  // The last part of a path, or up to three if it is not informative: `denselayer9`, but `layer1.0`, `conv1.conv`, `stages.1.0`.
  function last(path) {
    const parts = path.split("."), vague = (part) => /^(\d+|conv|bn|norm|fc)$/.test(part);
    return parts.slice(!vague(parts.at(-1)) ? -1 : !vague(parts.at(-2)) ? -2 : -3).join(".");
  }

  // The quantities of a box, by name: title, kind, whether it is logarithmic, a sum, or a similarity. The catalogue declares them.
  function quantities() {
    const declared = ["map_nodes", "map_nodes_weights"].flatMap((name) => table(name)?.columns ?? []).filter((column) => column.colour);
    return new Map(declared.filter((column) => known(column.values).length).map(({ colour, kind }) =>
      [colour.name, { ...colour, kind, axis: `${colour.logarithmic ? "log10 of the " : ""}${colour.title}` }]));
  }

  // The value that colours some operations: the mean over their layers, or the sum for costs.
  function valueOf(nodes, { name, summed, logarithmic }) {
    const values = known(nodes.map((node) => node[name]));
    const value = summed ? values.reduce((a, b) => a + b, 0) || null : mean(values);
    return logarithmic ? (value > 0 ? Math.log10(value) : null) : value;
  }

  // A box of the map: a stage, a block or an operation of a network.
  class Item {
    constructor(network, key, nodes) {
      Object.assign(this, { network, key, nodes, group: nodes[0].group, id: `${network.name}\u0001${key}` });
    }

    get kind() {
      if (!this.key.startsWith("node:")) return this.key.split(":")[0];
      return this.nodes[0].signal ? "layer" : this.nodes[0].merge ? "merge" : "operation";
    }

    get text() {
      const [first] = this.nodes;
      if (this.kind === "stage") return stageTitle(this.group);
      if (this.kind === "block") return last(first.block);
      return { Cat: "cat", Add: "+", Mul: "\u00d7" }[first.operation] || (first.signal ? last(first.signal) : plain(first.operation));
    }

    get title() {
      const layers = layersOf(this.nodes.filter((node) => node.signal).length);
      if (this.kind === "stage") return `${stageTitle(this.group)}: ${layers}`;
      return this.kind === "block" ? `${this.nodes[0].block}: ${layers}` : this.nodes[0].site;
    }

    get place() {
      return this.kind === "stage" ? this.group : this.kind === "block" ? this.nodes[0].block : this.nodes[0].site;
    }

    value(quantity) {
      return valueOf(this.nodes, quantity);
    }
  }

  function stageTitle(group) {
    return /\D/.test(group) ? group : `stage ${group}`;
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

    // Whether a stage has more than one operation; others are drawn as that operation at every level.
    opens(group) {
      this.sizes ??= new Map(this.groups.map((name) => [name, this.nodes.filter((node) => node.group === name).length]));
      return this.sizes.get(group) > 1;
    }

    level() {
      const stages = this.groups.filter((group) => this.opens(group));
      if (!stages.some((group) => this.open.has(`stage:${group}`))) return "stages";
      if (!stages.every((group) => this.open.has(`stage:${group}`))) return "";
      const blocks = [...this.parts].filter(([, nodes]) => nodes.length > 1).map(([part]) => this.open.has(`block:${part}`));
      return blocks.every(Boolean) ? "all" : blocks.some(Boolean) ? "" : "blocks";
    }

    show(level) {
      this.open.clear();
      if (level !== "stages") this.groups.forEach((group) => this.open.add(`stage:${group}`));
      if (level === "all") this.parts.forEach((_, part) => this.open.add(`block:${part}`));
    }

    // The key of the box that an operation is drawn in: its stage, its block, or its own.
    keyOf(node) {
      const part = this.partOf(node);
      if (this.opens(node.group) && !this.open.has(`stage:${node.group}`)) return `stage:${node.group}`;
      return this.parts.get(part).length > 1 && !this.open.has(`block:${part}`) ? `block:${part}` : `node:${node.node}`;
    }

    // What must be open for an operation, or its block, to be drawn.
    keysTo(node, whole) {
      return [`stage:${node.group}`, ...(whole ? [] : [`block:${this.partOf(node)}`])];
    }

    // All boxes that could be drawn; colours are scaled by their values.
    allItems() {
      const stages = this.groups.map((group) => new Item(this, `stage:${group}`, this.nodes.filter((node) => node.group === group)));
      const blocks = [...this.parts].map(([part, nodes]) => new Item(this, `block:${part}`, nodes));
      return [...stages, ...blocks, ...this.nodes.map((node) => new Item(this, `node:${node.node}`, [node]))];
    }

    // The drawn boxes and the links between them, in forward order.
    items() {
      const groups = new Map(), links = new Map();
      for (const node of this.nodes) {
        const key = this.keyOf(node);
        if (!groups.has(key)) groups.set(key, []);
        groups.get(key).push(node);
      }
      for (const edge of this.edges) {
        const [from, to] = [this.keyOf(this.byId.get(edge.producer)), this.keyOf(this.byId.get(edge.consumer))];
        if (from === to) continue;
        const key = `${from}\u0000${to}`;
        if (!links.has(key)) links.set(key, { from, to, edges: [] });
        links.get(key).edges.push(edge);
      }
      const items = [...groups].map(([key, nodes]) => new Item(this, key, nodes));
      items.forEach((item) => { item.skip = this.skip(item); });
      return { items, links: [...links.values()].map(measured) };
    }

    // The skip inside a closed box: the edges on ways through it that pass a merge and no weighted layer; null without one.
    skip(item) {
      if (item.nodes.length < 2 || !item.nodes.some(weighted)) return null;
      const inside = new Set(item.nodes.map((node) => node.node));
      const free = new Set(item.nodes.filter((node) => !weighted(node)).map((node) => node.node));
      const near = this.edges.filter(({ producer, consumer }) => inside.has(producer) || inside.has(consumer));
      const [forth, back] = [["producer", "consumer"], ["consumer", "producer"]].map(([from, to]) => reached(near, inside, free, from, to));
      const through = new Set([...forth].filter((node) => back.has(node)));
      if (![...through].some((node) => MERGES.includes(this.byId.get(node).operation))) return null;
      const edges = near.filter(({ producer, consumer }) => through.has(consumer) && (through.has(producer) || !inside.has(producer)));
      const forked = edges.filter((edge) => edge.share !== null), way = forked.length ? forked : edges;
      const energies = known(way.map((edge) => edge.energy));
      return { ...measured({ edges: way }), energy: energies.length ? Math.min(...energies) : 0, shares: forked.map((edge) => edge.share), skip: true };
    }
  }

  const weighted = (node) => Boolean(node.signal) || typeof node.flops === "number";

  // The operations of a box without a weighted layer between them and its border, in one direction.
  function reached(edges, inside, free, from, to) {
    const all = new Set();
    const waiting = edges.filter((edge) => !inside.has(edge[from]) && free.has(edge[to])).map((edge) => edge[to]);
    while (waiting.length) {
      const node = waiting.pop();
      if (all.has(node)) continue;
      all.add(node);
      waiting.push(...edges.filter((edge) => edge[from] === node && free.has(edge[to])).map((edge) => edge[to]));
    }
    return all;
  }

  // A link with the sums and extremes of its edges. Its share is known if all edges leave one fork.
  function measured(link) {
    const { edges } = link;
    const forks = new Set(edges.map((edge) => edge.fork));
    return {
      ...link,
      energy: edges.reduce((sum, edge) => sum + (edge.energy || 0), 0),
      known: edges.some((edge) => edge.energy !== null),
      most: Math.max(...edges.map((edge) => edge.share ?? 1)),
      shares: forks.size === 1 && edges.every((edge) => edge.share !== null) ? [edges.reduce((sum, edge) => sum + edge.share, 0)] : [],
      measured: edges.every((edge) => edge.measured && edge.energy !== null),
    };
  }

  // The networks of the page; where gradients of weights were measured too, their similarity is a quantity of the same boxes.
  function networks() {
    const nodes = rows("map_nodes"), edges = rows("map_edges");
    const weights = (table("map_nodes_weights")?.columns ?? []).filter((column) => column.colour);
    const twins = new Map(rows("map_nodes_weights").map((node) => [`${node.network}\u0000${node.node}`, node]));
    for (const node of nodes) {
      const twin = twins.get(`${node.network}\u0000${node.node}`);
      if (twin) weights.forEach((column) => { node[column.colour.name] = twin[column.name]; });
    }
    return [...new Set(nodes.map((node) => node.network))].map((name) => new Network(
      name, nodes.filter((node) => node.network === name), edges.filter((edge) => edge.network === name)));
  }

  return { Item, networks, quantities, valueOf, known, stageTitle, weighted };
})();
