// The panel with the numbers of the selected box of the map, from the tables of the page.
"use strict";
(() => {
  const { rows, formatCell, layersOf, make, mapping } = window.gradlens;
  const MAX_ROWS = 12;  // rows of a table in the panel

  // The value of a quantity as the tables have it: without the logarithm that colours use.
  function plainValue(nodes, quantity) {
    return mapping.valueOf(nodes, { ...quantity, logarithmic: false });
  }

  function facts(item, quantities) {
    const list = make("dl", { class: "facts" });
    const [first] = item.nodes, layers = item.nodes.filter((node) => node.signal);
    const add = (name, value) => list.append(make("dt", {}, name), make("dd", {}, value));
    add("stage", item.group);
    if (item.nodes.length > 1) add("contains", `${item.nodes.length} operations, ${layersOf(layers.length)}`);
    else add("operation", first.operation);
    const dead = layers.filter((node) => node.dead === true || node.dead === "yes").length;
    if (dead) add("dead", `${dead} of ${layers.length} signals are exactly zero`);
    for (const quantity of quantities.values()) {
      const count = mapping.known(item.nodes.map((node) => node[quantity.name])).length;
      if (!count) continue;
      const mean = !quantity.summed && count > 1 ? `mean of ${count}: ` : "";
      add(quantity.title, mean + formatCell(plainValue(item.nodes, quantity), quantity.kind));
    }
    return list;
  }

  function grid(caption, heads, lines) {
    if (!lines.length) return null;
    return make("div", { class: "scroll" }, make("table", {}, make("caption", {}, caption),
      make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
      make("tbody", {}, ...lines.map((line) => make("tr", {}, ...line.map((cell) => make("td", {}, cell)))))));
  }

  // The shares of the forks and splits whose tensor the item's operations make or cut, or those of its merges of splits.
  function shares(item, column, caption, filter) {
    const sites = new Set(item.nodes.flatMap((node) => (node[column] ? node[column].split("; ") : [])));
    const matching = rows("shares").filter((row) => row.network === item.network.name && sites.has(row.site) && filter(row));
    const more = matching.length > MAX_ROWS ? ` (${MAX_ROWS} of ${matching.length}; all are in the table of shares)` : "";
    return grid(caption + more, ["site", "where", "branch", "energy share", "coherence"], matching.slice(0, MAX_ROWS).map((row) =>
      [row.site, row.where, row.branch, within(row.share, row.share_reach), within(row.coherence, row.coherence_reach)]));
  }

  function within(value, reach) {
    return formatCell(value, "number") + (typeof reach === "number" ? ` \u00b1 ${formatCell(reach, "number")}` : "");
  }

  // The pairs of layers, at least one of them in the item, whose gradients are most similar.
  function mostSimilar(item) {
    const signals = new Set(item.nodes.map((node) => node.signal).filter(Boolean));
    const pairs = rows("correlation").filter((row) => row.network === item.network.name && row.energy !== null &&
      (signals.has(row.signal_a) !== signals.has(row.signal_b) || (signals.size > 1 && signals.has(row.signal_a) && signals.has(row.signal_b))));
    pairs.sort((a, b) => b.energy - a.energy);
    return grid("Most similar gradients", ["layer", "layer", "CKA, energy", "given the loss"], pairs.slice(0, 5).map((row) =>
      [row.signal_a, row.signal_b, within(row.energy, row.energy_reach), formatCell(row.energy_given_loss, "number")]));
  }

  // All quantities of a stage or block in both networks, and B minus A.
  function compared(pair, quantities) {
    const { a, b } = pair.network;
    const lines = [...quantities.values()].map((quantity) => {
      const sides = [pair.a, pair.b].map((item) => (item ? plainValue(item.nodes, quantity) : null));
      const difference = sides.includes(null) ? null : sides[1] - sides[0];
      return [quantity.title, ...[...sides, difference].map((value) => formatCell(value, quantity.kind))];
    });
    return grid("Means over layers and seeds; sums for FLOPs and parameters", ["", a.name, b.name, "difference"], lines);
  }

  function described(item, quantities) {
    return [
      facts(item, quantities), shares(item, "fork", "Forks and splits", (row) => row.where !== "merge"),
      shares(item, "merge", "Merges of splits", (row) => row.where === "merge"), mostSimilar(item),
    ];
  }

  mapping.panel = (item, map) => {
    const button = (text, key, open) => make("button", { type: "button", class: "toggle", onclick: () => map.turn(item, key, open) }, text);
    const stage = `stage:${item.group}`, opened = item.network.open, close = opened.has(stage) && item.network.opens(item.group);
    const difference = "a" in item;
    const block = difference ? "" : `block:${item.network.partOf(item.nodes[0])}`, inside = !difference && item.kind !== "stage";
    const opens = difference ? item.kind === "stage" && item.network.opens(item.group) : !item.key.startsWith("node:");
    return [
      make("h3", {}, `${item.network.name}: ${item.title}`),
      opens && !opened.has(item.key) ? button("Open", item.key, true) : null,
      inside && opened.has(block) && item.network.parts.get(block.slice(6)).length > 1 ? button(`Close ${item.nodes[0].block}`, block, false) : null,
      close ? button(`Close ${mapping.stageTitle(item.group)}`, stage, false) : null,
      ...(difference ? [compared(item, map.quantities)] : described(item, map.quantities)),
    ].filter(Boolean);
  };
})();
