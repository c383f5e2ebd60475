// Shows what the pointer is on in a chart, and the part of it that was picked. The page is complete without it.
(() => {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";
  const element = (name, attributes) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const plain = (value) => (+value.toPrecision(4)).toLocaleString("en-US", { maximumFractionDigits: 6 });
  const percent = (at) => `p${+(100 * (1 - 10 ** -at)).toPrecision(5)}`;

  // Round numbers between two values.
  function steps(low, high) {
    const rough = (high - low) / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
    const ticks = [];
    for (let tick = Math.ceil(low / step) * step; tick <= high && ticks.length < 20; tick += step) ticks.push(tick);
    return ticks;
  }

  function points(path) {
    return [...path.getAttribute("d").matchAll(/[ML](-?[\d.]+) (-?[\d.]+)/g)].map(([, x, y]) => [+x, +y]);
  }

  function prepare(chart) {
    const data = chart.querySelector(".data");
    const [, , width, height] = data.getAttribute("viewBox").split(" ").map(Number);
    const [left, top] = [+data.getAttribute("x"), +data.getAttribute("y")];
    const [scale, ...range] = chart.dataset.x.split(" ");
    const [low, high] = range.map(Number);
    const [bottom, most] = chart.dataset.y.split(" ").map(Number);
    // Dots on a line are the points of the line.
    const all = [...data.querySelectorAll("path[data-name]")];
    const lines = all.filter((path) => path.classList.contains("line") || path.classList.contains("small"));
    const series = lines.map((path) => ({ name: path.dataset.name, points: points(path) }));
    const across = chart.querySelector(".across");
    const before = [...across.childNodes];
    const names = [...across.querySelectorAll("text")].map((text) => [Math.round(+text.getAttribute("x")), text.textContent]);
    const tip = document.createElement("div");
    tip.className = "tip";
    tip.hidden = true;
    chart.parentNode.append(tip);
    const pointer = element("path", { class: "pointer", d: "" });
    const picked = element("rect", { class: "picked", y: 0, height, width: 0 });
    data.append(picked, pointer);
    let [from, to] = [0, width];
    let begun = null;

    const value = (x) => low + (x / width) * (high - low);
    const place = (at) => left + (((at - low) / (high - low)) * width - from) * (width / (to - from));
    const said = (x) => {
      if (scale === "percentiles") return percent(value(x));
      if (scale === "names") return names.find(([at]) => Math.abs(at - left - x) < 2)?.[1] ?? "";
      return plain(value(x));
    };
    // Where the pointer is, in the units of the data.
    const position = (event) => {
      const box = chart.getBoundingClientRect();
      const { width: whole } = chart.viewBox.baseVal;
      const x = ((event.clientX - box.left) / box.width) * whole - left;
      return Math.min(to, Math.max(from, from + (x / width) * (to - from)));
    };

    function show() {
      data.setAttribute("viewBox", `${from} 0 ${to - from} ${height}`);
      if (from === 0 && to === width) {
        across.replaceChildren(...before);
        return;
      }
      const parts = scale === "percentiles"
        ? [0, 50, 75, 90, 95, 98, 99, 99.5, 99.9, 99.95, 99.99].map((rank) => -Math.log10(1 - rank / 100))
        : scale === "names" ? names.map(([at]) => value(at - left)) : steps(value(from), value(to));
      across.replaceChildren(...parts.filter((at) => at >= value(from) && at <= value(to)).flatMap((at) => {
        const x = place(at);
        const text = element("text", { class: "tick middle", x, y: top + height + 17 });
        text.textContent = scale === "percentiles" ? percent(at) : scale === "names" ? said(place(at) - left) : plain(at);
        return [element("path", { class: "grid", d: `M${x} ${top}V${top + height}` }), text];
      }));
    }

    function hover(event) {
      const x = position(event);
      const found = series
        .map(({ name, points }) => ({ name, point: points.reduce((best, point) => (!best || Math.abs(point[0] - x) < Math.abs(best[0] - x) ? point : best), null) }))
        .filter(({ point }) => point);
      if (!found.length) return;
      const at = found[0].point[0];
      pointer.setAttribute("d", `M${at} 0V${height}`);
      tip.textContent = [said(at), ...found.map(({ name, point }) => `${name}: ${plain(bottom + (1 - point[1] / height) * (most - bottom))}`)].join("\n");
      tip.hidden = false;
      const box = chart.parentNode.getBoundingClientRect();
      const beside = event.clientX - box.left;
      tip.style.left = `${beside > box.width / 2 ? beside - tip.offsetWidth - 14 : beside + 14}px`;
      tip.style.top = `${event.clientY - box.top - 10}px`;
    }

    chart.addEventListener("pointermove", (event) => {
      hover(event);
      if (begun === null) return;
      const now = position(event);
      picked.setAttribute("x", Math.min(begun, now));
      picked.setAttribute("width", Math.abs(begun - now));
    });
    chart.addEventListener("pointerleave", () => {
      tip.hidden = true;
      pointer.setAttribute("d", "");
    });
    chart.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "mouse" || event.button !== 0) return;
      begun = position(event);
      chart.setPointerCapture(event.pointerId);
    });
    chart.addEventListener("pointerup", (event) => {
      if (begun === null) return;
      const now = position(event);
      const [first, last] = [Math.min(begun, now), Math.max(begun, now)];
      begun = null;
      picked.setAttribute("width", 0);
      if (last - first > (to - from) / 50) {
        [from, to] = [first, last];
        show();
      }
    });
    chart.addEventListener("dblclick", () => {
      [from, to] = [0, width];
      show();
    });
  }

  document.querySelectorAll("svg.chart").forEach(prepare);
})();
