// The drawing of the map: boxes, lines, values on lines, and the legend.
"use strict";
(() => {
  const { formatCell, make, mapping } = window.gradlens;
  const SVG = "http://www.w3.org/2000/svg";
  const VIRIDIS = ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725"];
  const BLUE_RED = ["#2166ac", "#67a9cf", "#d1e5f0", "#f7f7f7", "#fddbc7", "#ef8a62", "#b2182b"];  // of ColorBrewer, safe for colour-blind readers

  const FEW = 3;  // shares that are written one by one
  const NEAR = 160;  // how far from its start an arc has its value, at most

  const svg = (tag, attributes, ...children) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const channels = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));

  // Colours from the low to the high end of a range.
  class Scale {
    constructor(low, high, diverging = false) {
      Object.assign(this, { low, high, ramp: diverging ? BLUE_RED : VIRIDIS });
    }

    rgb(value) {
      const share = this.high > this.low ? (value - this.low) / (this.high - this.low) : 0.5;
      const position = Math.min(Math.max(share, 0), 1) * (this.ramp.length - 1), low = Math.floor(position), part = position - low;
      const [a, b] = [this.ramp[low], this.ramp[Math.min(low + 1, this.ramp.length - 1)]].map(channels);
      return a.map((channel, k) => Math.round(channel + part * (b[k] - channel)));
    }

    colour(value) {
      return `rgb(${this.rgb(value).join(" ")})`;
    }

    // Whether black text is readable on the colour; white text is if not.
    light(value) {
      const [r, g, b] = this.rgb(value);
      return 0.299 * r + 0.587 * g + 0.114 * b > 140;
    }

    legend(words) {
      const bar = make("span", { class: "ramp", style: `background: linear-gradient(to right, ${this.ramp.join(",")})` });
      return Number.isFinite(this.low) ? [formatCell(this.low, "number"), " ", bar, ` ${formatCell(this.high, "number")}; ${words}`] : ["no value"];
    }
  }

  function energyOf(link) {
    const count = link.edges.length, several = link.skip ? `, the least of ${count} on the way` : ` in ${count} contributions`;
    const energy = `energy ${formatCell(link.known ? link.energy : null, "number")} per sample${count > 1 ? several : ""}`;
    return link.measured ? energy : `${energy} (not measured; nearest known energy)`;
  }

  const percent = (share) => `${Number((100 * share).toPrecision(share < 0.1 ? 2 : 3))} %`;
  // The shares of a link, or of a skip past a few merges; of more the least.
  const percents = ({ shares }) => (shares.length > FEW ? [`at least ${percent(Math.min(...shares))}`] : shares.map(percent));
  const sharesOf = (link) => (link.shares.length ? `; ${percents(link).join(" and ")} of the energy at its fork` : "");

  function valueText(link, values) {
    if (values === "energy") return link.known ? formatCell(link.energy, "number") : "";
    return percents(link).join(" \u00b7 ");
  }

  // The path of a line from box to box, and the place of its value: the middle, but in sight of the start of a long arc.
  function course({ start, end, rise, arc }) {
    if (arc) {
      const [x, y, z, w] = [start.x, start.y - start.height / 2, end.x, end.y - end.height / 2], up = rise * 1.33;
      const part = Math.min(0.5, NEAR / Math.abs(z - x)), t = part < 0.5 ? Math.sqrt(part / 3) : 0.5;  // about where x is at `part`
      const at = { x: x + (z - x) * t * t * (3 - 2 * t), y: y + t * (w - y) - 3 * t * (1 - t) * up - 3 };
      return { d: `M${x} ${y}C${x} ${y - up} ${z} ${w - up} ${z} ${w}`, ...at };
    }
    const [x, y, z, w] = [start.x + start.width / 2, start.y, end.x - end.width / 2, end.y], middle = (x + z) / 2;
    return { d: `M${x} ${y}C${middle} ${y} ${middle} ${w} ${z} ${w}`, x: middle, y: (y + w) / 2 - 5 };
  }

  // The path of a skip inside a closed box: over the box, from its left to its right.
  function over({ x, y, width, height }) {
    const [left, right, top] = [x - width / 2, x + width / 2, y - height / 2];
    return { d: `M${left - 5} ${y}C${left - 5} ${top - 15} ${right + 5} ${top - 15} ${right + 5} ${y}`, x, y: top - 9 };
  }

  // Draws what is arranged. `view` has the scale, the quantity, the least share of lines, the choice of values, and the handlers.
  class Picture {
    constructor(arrangement, view) {
      Object.assign(this, { arrangement, view });
      const links = arrangement.all.flatMap((drawn) => drawn.links);
      this.most = Math.max(...links.map((link) => link.energy ?? 0), 1e-300);
    }

    element() {
      const { all, bands, width, height } = this.arrangement;
      const picture = svg("svg", { role: "group", "aria-label": "Networks, input left, loss right", viewBox: `0 0 ${width} ${height}` });
      bands.forEach((band, i) => { if (i % 2 === 0) picture.append(svg("rect", {
        x: band.left, y: 0, width: band.right - band.left, height, class: "stripe" })); });
      bands.forEach((band) => picture.append(svg("text", { x: (band.left + band.right) / 2, y: 14, class: "band" }, band.group)));
      for (const drawn of all) {
        picture.append(svg("text", { x: 10, y: drawn.top + 14, class: "network" }, drawn.name));
        const links = drawn.links.filter((link) => !(link.most < this.view.least)).sort((a, b) => a.energy - b.energy);
        const skips = drawn.items.filter((item) => item.skip && item.skip.most >= this.view.least);
        links.forEach((link) => picture.append(...this.link(link)));
        skips.forEach((item) => picture.append(...this.skip(item)));
        drawn.items.forEach((item) => picture.append(this.item(item)));
        if (this.view.values) links.forEach((link) => picture.append(...this.value(link, course(link))));
        if (this.view.values) skips.forEach((item) => picture.append(...this.value(item.skip, over(item))));
      }
      return picture;
    }

    link(link) {
      const { start, end } = link, { d } = course(link);
      if (!link.edges) return link.arc ? [] : [svg("path", { d, class: "order", "data-from": start.id, "data-to": end.id })];
      return this.line({ d, "data-from": start.id, "data-to": end.id }, link, "link", this.valueOf(end) ?? this.valueOf(start),
        `gradient from ${end.text} to ${start.text}: ${energyOf(link)}${sharesOf(link)}`);
    }

    skip(item) {
      return this.line({ d: over(item).d, "data-from": item.id, "data-to": item.id }, item.skip, "link skip", this.valueOf(item),
        `skip of ${item.text}, past its weighted layers: ${energyOf(item.skip)}${sharesOf(item.skip)}`);
    }

    line(ends, link, kind, value, title) {
      const width = 0.6 + 8 * (link.energy / this.most) ** 0.25;
      return [
        svg("path", { ...ends, class: "casing", "stroke-width": width + 1.4 }),
        svg("path", { ...ends, class: link.measured ? kind : `${kind} guessed`, "stroke-width": width,
          stroke: value === null ? "var(--soft)" : this.view.scale.colour(value) }, svg("title", {}, title)),
      ];
    }

    value(link, { x, y }) {
      const text = link.edges ? valueText(link, this.view.values) : "";
      return text ? [svg("text", { x, y, class: "value" }, text)] : [];
    }

    valueOf(item) {
      return this.view.quantity ? item.value(this.view.quantity) : null;
    }

    colour(item, without) {
      const value = this.valueOf(item);
      return value === null ? without : this.view.scale.colour(value);
    }

    item(item) {
      const { scale, quantity, handlers } = this.view, value = this.valueOf(item), kind = item.kind;
      const box = svg("rect", { x: item.x - item.width / 2, y: item.y - item.height / 2, width: item.width, height: item.height,
        rx: kind === "merge" ? 13 : kind === "operation" ? 10 : 3, fill: this.colour(item, "var(--tint)") });
      const style = value === null ? "plain" : scale.light(value) ? "on-light" : "on-dark";
      const lines = item.lines.map((line, i) => svg("text", { x: item.x, y: item.y + 4 + 12 * (i - (item.lines.length - 1) / 2), class: style }, line));
      const group = svg("g", { class: `item ${kind}${item.alone ? " alone" : ""}`, tabindex: -1, role: "button", "data-key": item.id, "data-place": item.place,
        "aria-label": `${item.network.name}, ${item.title}, ${quantity?.axis ?? "value"} ${formatCell(value, "number")}` },
      svg("title", {}, item.title), box, ...lines);
      group.addEventListener("click", () => handlers.select(item));
      group.addEventListener("dblclick", () => handlers.toggle(item));
      group.addEventListener("keydown", (event) => handlers.key(event, item, group));
      return group;
    }
  }

  Object.assign(mapping, { svg, Scale, Picture });
})();
