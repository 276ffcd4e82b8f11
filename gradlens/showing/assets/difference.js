// The difference of two networks, B minus A: stages of the tables with the same name are aligned, and blocks by their order in
// a stage. A stage that a network returns to is one stage here.
"use strict";
(() => {
  const { formatCell, mapping } = window.gradlens;
  const { Item, valueOf, weighted, merged, stageTitle } = mapping;
  const NAMED = 8;  // blocks without a partner that the text names

  // Blocks of a stage with their weighted layers. Operations without weights have no values, so they are left out.
  function blocksIn(network, stage) {
    return [...network.parts].filter(([, nodes]) => nodes[0].stage === stage && nodes.some(weighted))
      .map(([part, nodes]) => new Item(network, nodes.length > 1 ? `block:${part}` : `node:${nodes[0].node}`, nodes));
  }

  const layers = (item) => item.nodes.filter(weighted).length;

  // The blocks of a stage in two parts: those of several layers, and the single layers before, between and after these.
  function split(items) {
    const blocks = items.filter((item) => layers(item) > 1), between = [[]];
    for (const item of items) {
      if (layers(item) > 1) between.push([]);
      else between.at(-1).push(item);
    }
    return { blocks, between };
  }

  const alone = (ours, theirs) => [...ours.map((item) => [item, null]), ...theirs.map((item) => [null, item])];

  // Pairs of blocks in order: the first of A with the first of B, and so on; single layers only where both have equally many
  // between the same two blocks. A pair with null has no partner.
  function pairs(ours, theirs) {
    const [a, b] = [split(ours), split(theirs)], both = Math.min(a.blocks.length, b.blocks.length);
    const result = [];
    for (let i = 0; i <= both; i += 1) {
      const [mine, yours] = i < both ? [a.between[i], b.between[i]] : [rest(a, both), rest(b, both)];
      const equal = mine.length === yours.length && [...mine, ...yours].every((item) => layers(item) === 1);
      result.push(...(equal ? mine.map((item, k) => [item, yours[k]]) : alone(mine, yours)));
      if (i < both) result.push([a.blocks[i], b.blocks[i]]);
    }
    return result;
  }

  // The layers and blocks from the gap after `both` blocks on, in order.
  function rest({ blocks, between }, both) {
    return between.slice(both).flatMap((single, k) => [...(k ? [blocks[both + k - 1]] : []), ...single]);
  }

  // A stage or block of A and its partner in B; one of them may be null.
  class Pair {
    constructor(network, key, group, a, b) {
      Object.assign(this, { network, key, group, a, b, id: `${network.name}\u0001${key}`, alone: !(a && b) });
      this.nodes = [...(a?.nodes ?? []), ...(b?.nodes ?? [])];
      this.kind = key.startsWith("stage:") ? "stage" : "block";
    }

    get text() {
      return this.kind === "stage" ? stageTitle(this.group) : [...new Set([this.a, this.b].filter(Boolean).map((item) => item.text))].join(" | ");
    }

    get place() {
      return this.kind === "stage" ? this.group : [this.a, this.b].filter(Boolean).map((item) => item.place).join(" | ");
    }

    get title() {
      const { a, b } = this.network, sides = [[a, this.a], [b, this.b]].filter(([, item]) => item);
      const words = sides.map(([network, item]) => `${item.title} of ${network.name}`).join(" and ");
      return this.alone ? `${words}, without partner in ${(this.a ? b : a).name}` : words;
    }

    value(quantity) {
      const [a, b] = [this.a, this.b].map((item) => (item ? valueOf(item.nodes, quantity) : null));
      return a === null || b === null ? null : b - a;
    }
  }

  class Difference {
    constructor(a, b) {
      Object.assign(this, { a, b, name: `${b.name} \u2212 ${a.name}`, open: new Set() });
      this.groups = merged([a, b].map((network) => [...new Set(network.nodes.filter(weighted).map((node) => node.stage))]));
      this.stages = this.groups.map((group) => {
        const [mine, yours] = [a, b].map((network) => blocksIn(network, group));
        const whole = [[a, mine], [b, yours]].map(([network, items]) => (items.length
          ? new Item(network, `stage:${group}`, network.nodes.filter((node) => node.stage === group)) : null));
        const blocks = pairs(mine, yours).map(([x, y], i) => new Pair(this, `block:${group}:${i}`, group, x, y));
        return { group, whole: new Pair(this, `stage:${group}`, group, ...whole), blocks };
      });
    }

    opens(group) {
      return this.stages.find((stage) => stage.group === group)?.blocks.length > 1;
    }

    level() {
      const open = this.groups.filter((group) => this.opens(group)).map((group) => this.open.has(`stage:${group}`));
      return open.every((one) => !one) ? "stages" : open.every(Boolean) ? "blocks" : "";
    }

    show(level) {
      this.open = new Set(level === "stages" ? [] : this.groups.map((group) => `stage:${group}`));
    }

    allItems() {
      return this.stages.flatMap(({ whole, blocks }) => [whole, ...blocks]);
    }

    // The drawn pairs in order, linked as they follow each other in A and in B.
    items() {
      const items = this.stages.flatMap(({ group, whole, blocks }) => (this.opens(group) && this.open.has(`stage:${group}`) ? blocks : [whole]));
      const links = new Map();
      for (const side of ["a", "b"]) {
        const own = items.filter((item) => item[side]);
        own.slice(1).forEach((item, i) => links.set(`${own[i].key}\u0000${item.key}`, { from: own[i].key, to: item.key }));
      }
      return { items, links: [...links.values()] };
    }

    // Adds the difference below the name of each box.
    label(quantity) {
      for (const item of this.allItems()) {
        const value = item.value(quantity), signed = (value > 0 ? "+" : "") + formatCell(value, "number");
        item.lines = [item.text, item.alone ? `only ${this.sideOf(item).name}` : value === null ? "no value" : signed];
      }
    }

    // The network of a box without a partner.
    sideOf(pair) {
      return pair.a ? this.a : this.b;
    }

    // Says what was aligned, and what has no partner.
    sentence() {
      const stages = this.stages.filter(({ whole }) => !whole.alone).map(({ group }) => group);
      if (!stages.length) return `${this.a.name} and ${this.b.name} have no stage in common, so nothing is aligned.`;
      const count = this.stages.flatMap(({ blocks }) => blocks).filter((pair) => !pair.alone).length;
      const single = this.stages.flatMap(({ whole, blocks }) => (whole.alone ? [whole] : blocks.filter((pair) => pair.alone)));
      const names = single.slice(0, NAMED).map((pair) => {
        const where = [...(pair.kind === "stage" ? [] : [stageTitle(pair.group)]), this.sideOf(pair).name];
        return `${pair.text} (${where.join(", ")})`;
      });
      const more = single.length > NAMED ? ` and ${single.length - NAMED} more` : "";
      return `${this.b.name} minus ${this.a.name}, means over seeds; their intervals are in the tables. ` +
        `Aligned: stages of the same name (${stages.join(", ")}), and ` +
        `${count} blocks and layers by their order within a stage. ${single.length ? `Without partner: ${names.join(", ")}${more}.` : "All have a partner."}`;
    }
  }

  Object.assign(mapping, { Difference });
})();
