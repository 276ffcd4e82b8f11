// Where the boxes of the map are: one line per network by dagre, equal stages one above the other.
"use strict";
(() => {
  const { mapping } = window.gradlens;
  const LETTER = 7.2, LINE = 12;
  const CROWDED = 60;  // with more boxes, they are closer to each other

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

  // Places the boxes of one network. `gap` is the room for a line between two of them.
  function layout(drawn, { gap, narrow }) {
    const graph = new dagre.graphlib.Graph();
    graph.setGraph({ rankdir: "LR", nodesep: 14, ranksep: gap });
    graph.setDefaultEdgeLabel(() => ({}));
    for (const item of drawn.items) {
      item.lines = item.lines ?? [narrow && item.kind === "stage" ? item.group : item.text];
      const longest = Math.max(...item.lines.map((line) => line.length));
      const compact = item.kind === "merge" && longest < 4;
      graph.setNode(item.key, {
        width: compact ? 26 : Math.max(34, LETTER * longest + 16), height: compact ? 26 : 18 + LINE * item.lines.length });
    }
    shortcuts(drawn.items, drawn.links);
    drawn.links.filter((link) => !link.arc).forEach((link) => graph.setEdge(link.from, link.to));
    dagre.layout(graph);
    drawn.items.forEach((item) => Object.assign(item, graph.node(item.key)));
    drawn.byKey = new Map(drawn.items.map((item) => [item.key, item]));
    for (const link of drawn.links) {
      [link.start, link.end] = [drawn.byKey.get(link.from), drawn.byKey.get(link.to)];
      link.rise = 12 + 3.2 * Math.sqrt(Math.abs(link.end.x - link.start.x));
    }
    return drawn;
  }

  // Equal stages of all networks start at the same position. A band is at least as wide as its name.
  function align(all, gap) {
    const order = merged(all.map(({ items }) => [...items].sort((a, b) => a.x - b.x).map((item) => item.group)));
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
      const spare = LETTER * group.length - 2 * gap / 3 - width;
      if (spare > 0) {
        members.flat().forEach((item) => { item.x += spare / 2; });
        width += spare;
      }
      bands.push({ group, left: start - gap / 3, right: start + width + gap / 3 });
      start += width + gap;
    }
    return { bands, width: start - gap + 10 };
  }

  // One order of the names in several lists, each of them in its own order.
  function merged(lists) {
    const order = [];
    for (const list of lists) {
      let position = 0;
      for (const name of list) {
        if (!order.includes(name)) order.splice(position, 0, name);
        position = order.indexOf(name) + 1;
      }
    }
    return order;
  }

  // The boxes and links of all networks with their positions, the bands of the stages, and the size of the drawing.
  function arranged(networks, { narrow, values }) {
    const items = networks.map((network) => ({ name: network.name, ...network.items() }));
    const gap = values ? 62 : narrow || items.some((one) => one.items.length > CROWDED) ? 16 : 26;
    const all = items.map((one) => layout(one, { gap, narrow }));
    const { bands, width } = align(all, gap + (narrow ? 0 : 8));
    let top = 22;
    for (const drawn of all) {
      const arcs = Math.max(0, ...drawn.links.filter((link) => link.arc).map((link) => link.rise), ...drawn.items.map((item) => (item.skip ? 12 : 0)));
      const up = Math.min(...drawn.items.map((item) => item.y - item.height / 2));
      const shift = top + 24 + arcs + (values && arcs ? 10 : 0) - up;
      drawn.top = top;
      drawn.items.forEach((item) => { item.y += shift; });
      top = Math.max(...drawn.items.map((item) => item.y + item.height / 2)) + 24;
    }
    return { all, bands, width, height: top };
  }

  Object.assign(mapping, { arranged, merged });
})();
