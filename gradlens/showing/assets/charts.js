// Interactive figures: one Vega-Lite specification each, drawn in the page's colours when scrolled into view.
"use strict";
(() => {
  const { rows } = window.gradlens;
  const views = new Map();
  window.gradlens.views = views;

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function config() {
    const ink = colour("--ink"), soft = colour("--soft"), line = colour("--line");
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

  async function draw(holder) {
    const spec = JSON.parse(holder.querySelector("script").textContent);
    const source = spec.usermeta;
    if (source.tables.length) {
      const values = source.tables.flatMap(([space, name]) => rows(name).map((row) => ({ ...row, space })));
      spec.data = { values: source.mirrored ? mirrored(values) : values };
    }
    const container = holder.querySelector(".view");
    const previous = views.get(holder.dataset.chart);
    const choices = previous ? (spec.params || []).map(({ name }) => [name, previous.view.signal(name)]) : [];
    if (previous) previous.finalize();
    const tools = holder.querySelector(".tools");
    tools.replaceChildren();
    const chart = await vegaEmbed(container, spec, {
      bind: tools,
      renderer: source.renderer || "svg", config: config(), tooltip: { theme: document.documentElement.dataset.theme },
      actions: { export: true, source: false, compiled: false, editor: false },
      downloadFileName: `gradlens-${holder.dataset.chart}`,
    });
    for (const [name, value] of choices) chart.view.signal(name, value);
    if (choices.length) await chart.view.runAsync();
    views.set(holder.dataset.chart, chart);
    holder.dataset.ready = "yes";
  }

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
