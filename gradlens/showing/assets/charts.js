// Interactive figures: one Vega-Lite specification each, drawn in the page's colours when scrolled into view.
"use strict";
(() => {
  const { rows } = window.gradlens;
  const views = new Map();
  window.gradlens.views = views;

  const LIGHT = { "--ink": "#1d2126", "--soft": "#5b636d", "--line": "#dfe3e8" };  // of a copy, which is on white
  const LOW = 255;  // pixels: height of the figure at the top of the page

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function config(light) {
    const [ink, soft, line] = Object.keys(LIGHT).map((name) => (light ? LIGHT[name] : colour(name)));
    return {
      background: "transparent",
      font: "system-ui, sans-serif",
      view: { stroke: line },
      axis: { labelColor: soft, titleColor: ink, gridColor: line, domainColor: line, tickColor: line, titleFontWeight: 500 },
      legend: { labelColor: soft, titleColor: ink, titleFontWeight: 500 },
      header: { labelColor: ink, titleColor: ink },
      title: { color: ink },
    };
  }

  // Each pair of a symmetric matrix is drawn on both sides of the diagonal.
  function mirrored(pairs) {
    const transposed = pairs.map((pair) => ({
      ...pair, signal_a: pair.signal_b, signal_b: pair.signal_a, stage_a: pair.stage_b, stage_b: pair.stage_a,
      order_a: pair.order_b, order_b: pair.order_a,
    }));
    return pairs.concat(transposed);
  }

  function specification(holder) {
    const spec = JSON.parse(holder.querySelector("script").textContent);
    const source = spec.usermeta;
    if (source.tables.length) {
      const values = source.tables.flatMap(([space, name]) => rows(name).map((row) => ({ ...row, space })));
      spec.data = { values: source.mirrored ? mirrored(values) : values };
    }
    if (holder.closest(".lead-figure") && typeof spec.height === "number") spec.height = Math.min(spec.height, LOW);
    return spec;
  }

  // The values of the parameters, as they are set.
  const choicesOf = (spec, chart) => (chart ? (spec.params || []).map(({ name }) => [name, chart.view.signal(name)]) : []);

  async function set(chart, choices) {
    for (const [name, value] of choices) chart.view.signal(name, value);
    if (choices.length) await chart.view.runAsync();
  }

  async function draw(holder) {
    const spec = specification(holder), source = spec.usermeta;
    const container = holder.querySelector(".view");
    const previous = views.get(holder.dataset.chart);
    const choices = choicesOf(spec, previous);
    if (previous) previous.finalize();
    const tools = holder.querySelector(".tools");
    tools.replaceChildren();
    const chart = await vegaEmbed(container, spec, {
      bind: tools,
      renderer: source.renderer || "svg", config: config(), tooltip: { theme: document.documentElement.dataset.theme },
      actions: false,
    });
    await set(chart, choices);
    views.set(holder.dataset.chart, chart);
    holder.dataset.ready = "yes";
  }

  // The figure as it is set, as an SVG in the colours of a light page.
  window.gradlens.still = async (holder) => {
    const spec = specification(holder), previous = views.get(holder.dataset.chart);
    const container = document.createElement("div");
    container.style.cssText = `position: absolute; left: -9999px; width: ${holder.clientWidth}px`;
    container.className = "still";
    document.body.append(container);
    try {
      const chart = await vegaEmbed(container, spec, { bind: document.createElement("div"), renderer: "svg", config: config(true), actions: false, tooltip: false });
      await set(chart, choicesOf(spec, previous));
      const text = await chart.view.toSVG();
      chart.finalize();
      return text;
    } finally {
      container.remove();
    }
  };

  const holders = [...document.querySelectorAll("[data-chart]")];
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      observer.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "300px" });
  document.documentElement.classList.add("live");
  holders.forEach((holder) => observer.observe(holder));
  document.addEventListener("themechange", () => {
    holders.filter((holder) => holder.dataset.ready).forEach((holder) => draw(holder));
  });
})();
