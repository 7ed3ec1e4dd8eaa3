"use strict";
(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const places = document.querySelectorAll("[data-chart]");
  const begun = new Set();
  const views = new Map();

  // Text and lines have the colour of the page's text, whatever that is: light, dark or printed.
  const ink = "currentColor";
  const style = (room) => ({
    aria: false,
    background: "transparent",
    font: "system-ui, sans-serif",
    axis: { labelColor: ink, titleColor: ink, gridColor: ink, gridOpacity: 0.13, domainColor: ink, tickColor: ink,
      labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" },
    header: { labelColor: ink, labelFontSize: 14, labelFontWeight: "bold", labelAnchor: "start" },
    legend: { labelColor: ink, titleColor: ink, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal",
      labelLimit: 260, symbolStrokeWidth: 2, orient: "top", direction: "horizontal",
      columns: Math.max(1, Math.floor(room / 160)) },
    text: { fontSize: 12 },
    rule: { color: ink },
    view: { stroke: "transparent" },
  });

  const MARGIN = 70; // of a panel, for its axis
  const PAPER = 710; // width of an upright sheet between its margins
  const LEAST = 280; // width of a panel, where there is room for it

  // As many panels side by side as there is room for, none wider than the page.
  const fitted = (specification, room) => {
    const copy = structuredClone(specification);
    const panel = copy.spec || copy;
    if (copy.columns) copy.columns = Math.max(1, Math.min(copy.columns, Math.floor(room / (LEAST + MARGIN))));
    const share = Math.floor(room / (copy.columns || 1)) - MARGIN;
    if (typeof panel.width === "number") {
      const height = panel.height / panel.width;
      panel.width = Math.max(150, Math.min(panel.width, share));
      panel.height = Math.max(120, Math.round(panel.width * height));
    } else if (panel.width && panel.width.step) {
      const columns = new Set(copy.datasets.rows.map((row) => row.attack)).size;
      panel.width.step = Math.max(24, Math.min(panel.width.step, Math.floor((share - 50) / columns)));
    }
    return copy;
  };

  const menuOf = (name) => document.querySelector(`[data-signal="${name}"]`);

  const choose = (name) => {
    const menu = menuOf(name);
    return menu && views.has(name) ? views.get(name).signal("attack", menu.value).runAsync() : null;
  };

  const drawOne = async (place, room = place.parentElement.clientWidth) => {
    const name = place.dataset.chart;
    const box = place.parentElement;
    const text = document.getElementById(`${name}-specification`).textContent;
    begun.add(place);
    const { view } = await vegaEmbed(place, fitted(JSON.parse(text), room), {
      actions: false, renderer: "svg", config: style(room), tooltip: { theme: dark.matches ? "dark" : "light" },
    });
    views.set(name, view);
    performance.mark(name);
    // What is around it has its name and points to the table; hundreds of marks would not be better read.
    place.querySelector("svg").setAttribute("aria-hidden", "true");
    await choose(name);
    // What has to be scrolled must be reached by keyboard.
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  };

  const draw = async () => {
    begun.clear();
    for (const place of places) {
      // One at a time: the page is there, and scrolls, while it is drawn.
      await new Promise((go) => requestAnimationFrame(() => setTimeout(go)));
      if (!begun.has(place)) await drawOne(place);
    }
    document.documentElement.dataset.drawn = "true";
  };

  // Paper is narrower than most windows. Charts are drawn in time for it, those that were not yet drawn at all, too:
  // nothing in drawing one waits for a timer or a frame.
  window.addEventListener("beforeprint", () => {
    for (const place of places) drawOne(place, Math.min(PAPER, place.parentElement.clientWidth));
  });
  window.addEventListener("afterprint", () => {
    for (const place of places) drawOne(place);
  });

  for (const menu of document.querySelectorAll("[data-signal]")) {
    menu.addEventListener("change", () => choose(menu.dataset.signal));
  }

  const filters = [...document.querySelectorAll("[data-filter]")];
  const show = () => {
    let count = 0;
    const articles = document.querySelectorAll(".gallery article");
    for (const article of articles) {
      article.hidden = filters.some((menu) => menu.value && article.dataset[menu.dataset.filter] !== menu.value);
      count += article.hidden ? 0 : 1;
    }
    const place = document.getElementById("gallery-count");
    if (place) place.textContent = `${count} of ${articles.length} shown`;
  };
  for (const menu of filters) menu.addEventListener("change", show);

  let width = window.innerWidth;
  let timer = 0;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width || window.matchMedia("print").matches) return;
    width = window.innerWidth;
    clearTimeout(timer);
    timer = setTimeout(draw, 150);
  });

  show();
  draw();
})();
