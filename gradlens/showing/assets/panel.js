// The panel with the numbers of the selected box of the map, from the tables of the page.
"use strict";
(() => {
  const { rows, formatCell, layersOf, make } = window.gradlens;
  const NUMBERS = [
    ["alike", "similarity to its stage, CKA (energy)", "number"],
    ["alike_direction", "similarity to its stage (direction)", "number"],
    ["alike_given_loss", "similarity to its stage, given the loss", "number"],
    ["rms", "RMS of the gradient", "number"],
    ["effective_rank", "effective rank", "number"],
    ["diversity", "gradient diversity", "number"],
    ["flops", "FLOPs per image", "count"],
    ["parameters", "parameters", "count"],
  ];
  const MAX_ROWS = 12;  // rows of a table in the panel
  const SUMMED = ["flops", "parameters"];

  const values = (nodes, column) => nodes.map((node) => node[column]).filter((value) => typeof value === "number");

  function facts(item) {
    const list = make("dl", { class: "facts" });
    const [first] = item.nodes, layers = item.nodes.filter((node) => node.signal);
    const add = (name, value) => list.append(make("dt", {}, name), make("dd", {}, value));
    add("stage", item.group);
    if (item.nodes.length > 1) add("contains", `${item.nodes.length} operations, ${layersOf(layers.length)}`);
    else add("operation", first.operation);
    const dead = layers.filter((node) => node.dead === true || node.dead === "yes").length;
    if (dead) add("dead", `${dead} of ${layers.length} signals are exactly zero`);
    for (const [column, name, kind] of NUMBERS) {
      const numbers = values(item.nodes, column);
      if (!numbers.length) continue;
      const sum = numbers.reduce((a, b) => a + b, 0), summed = SUMMED.includes(column);
      const mean = !summed && numbers.length > 1 ? `mean of ${numbers.length}: ` : "";
      add(name, mean + formatCell(summed ? sum : sum / numbers.length, kind));
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

  window.gradlens.panel = (item, map) => {
    const button = (text, key, open) => make("button", { type: "button", class: "toggle", onclick: () => map.turn(item, key, open) }, text);
    const stage = `stage:${item.group}`, block = `block:${item.network.partOf(item.nodes[0])}`, opened = item.network.open;
    const inside = !item.key.startsWith("stage:");
    return [
      make("h3", {}, `${item.network.name}: ${map.title(item)}`),
      item.key.startsWith("node:") || opened.has(item.key) ? null : button("Open", item.key, true),
      inside && opened.has(block) ? button(`Close ${item.nodes[0].block}`, block, false) : null,
      opened.has(stage) ? button(`Close stage ${item.group}`, stage, false) : null,
      facts(item), shares(item, "fork", "Forks and splits", (row) => row.where !== "merge"),
      shares(item, "merge", "Merges of splits", (row) => row.where === "merge"), mostSimilar(item),
    ].filter(Boolean);
  };
})();
