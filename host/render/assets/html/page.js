// Draws the charts of the page from the document of results in it. Every number drawn stands in a table too.
(() => {
  "use strict";
  const root = document.documentElement;
  const { runs } = JSON.parse(document.getElementById("results").textContent);
  const boxes = [...document.querySelectorAll(".chart")];
  const plots = new Map();
  const HEIGHT = 230;
  // Two to a line on A4, whose width no script can ask for.
  const PAPER = { width: 320, height: 180 };
  // Of what is counted there are no halves.
  const WHOLE = { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6] };
  // Colours alone do not tell lines apart for everyone.
  const DASHES = [[], [8, 4], [2, 3], [9, 3, 2, 3]];

  const style = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const colour = (index) => style(`--c${(index % 6) + 1}`);
  const font = () => `12px ${getComputedStyle(document.body).fontFamily}`;

  // Numbers for axes and for what the pointer is on. Tables have all digits; here they must fit.
  const plain = (value) => String(+value.toPrecision(4));
  const seconds = (value) => (value >= 10 ? `${+value.toFixed(1)} s` : `${plain(value * 1e3)} ms`);
  const times = (values) =>
    values.some((value) => value >= 10)
      ? values.map((value) => `${+value.toFixed(2)} s`)
      : values.map((value) => `${+(value * 1e3).toFixed(4)} ms`);
  const numbers = (values) =>
    values.map((value) => (value >= 1e4 ? `${+(value / 1e3).toFixed(2)}k` : String(+value.toFixed(4))));
  const shown = (format) => (plot, value) => (value == null ? "–" : format(value));

  function axis(values, more) {
    const line = { stroke: style("--line"), width: 1 };
    return { stroke: style("--quiet"), font: font(), grid: line, ticks: line, values: (plot, splits) => values(splits), ...more };
  }

  const horizontal = (values, more) => axis(values, { size: 34, ...more });

  // As wide as its longest number.
  const vertical = (values, more) =>
    axis(values, {
      ...more,
      size: (plot, labels) => {
        if (!labels) return 50;
        plot.ctx.save();
        plot.ctx.font = font();
        const widest = Math.max(...labels.map((label) => plot.ctx.measureText(label ?? "").width));
        plot.ctx.restore();
        return Math.ceil(widest) + 18;
      },
    });

  function line(index, label, format, more) {
    return { label, stroke: colour(index), width: 1.75, dash: DASHES[index % 4], points: { show: false }, value: shown(format), ...more };
  }

  const fromZero = (plot, low, high) => [0, high > 0 ? high * 1.08 : 1];
  const stepped = (align) => uPlot.paths.stepped({ align });
  const filled = (index) => ({ paths: stepped(1), fill: `${colour(index)}2e`, width: 1.25 });

  // Percentiles: to the right, nine tenths of what is left at each step. A run of n requests knows nothing
  // beyond 1 - 1/n, where its longest time stands.
  const place = (percent) => -Math.log10(1 - percent / 100);

  function points(spread) {
    const end = Math.log10(spread.samples);
    const xs = [];
    const ys = [];
    spread.curve.percents.forEach((percent, index) => {
      if (percent < 100 && place(percent) < end) {
        xs.push(place(percent));
        ys.push(spread.curve.seconds[index]);
      }
    });
    xs.push(end);
    ys.push(spread.max_seconds);
    return [xs, ys];
  }

  function percentSplits(plot, axis, low, high) {
    const room = (plot.bbox.width / devicePixelRatio || plot.width - 60) / (high - low);
    const taken = [];
    for (const percent of [0, 90, 99, 99.9, 99.99, 99.999, 50, 95, 75]) {
      const at = place(percent);
      // The last one must not hang over the edge.
      const fits = at * room < 20 || (high - at) * room > 8;
      if (at <= high && fits && taken.every((other) => Math.abs(other - at) * room > 44)) taken.push(at);
    }
    return taken.sort((a, b) => a - b);
  }

  const percentOf = (at) => `${+(100 * (1 - 10 ** -at)).toPrecision(6)} %`;

  function intervals(plot, spreads) {
    const { ctx } = plot;
    ctx.save();
    spreads.forEach((spread, index) => {
      ctx.strokeStyle = colour(index);
      ctx.globalAlpha = 0.55;
      ctx.lineWidth = 3 * devicePixelRatio;
      for (const [name, [low, high]] of Object.entries(spread.intervals_of_95_percent)) {
        const at = place(parseFloat(name.slice(1)));
        if (low == null || high == null || at > Math.log10(spread.samples)) continue;
        const x = plot.valToPos(at, "x", true);
        ctx.beginPath();
        ctx.moveTo(x, plot.valToPos(low, "y", true));
        ctx.lineTo(x, plot.valToPos(high, "y", true));
        ctx.stroke();
      }
    });
    ctx.restore();
  }

  function curve(of, drawn, names) {
    const spreads = drawn.map((run) => run.totals[of]);
    const end = Math.max(...spreads.map((spread) => Math.log10(spread.samples)));
    return {
      data: uPlot.join(spreads.map(points)),
      options: {
        scales: { x: { time: false, range: [0, end] }, y: { range: fromZero } },
        axes: [horizontal((splits) => splits.map(percentOf), { splits: percentSplits }), vertical(times)],
        series: [
          { label: "percentile", value: shown((at) => `${(100 * (1 - 10 ** -at)).toFixed(2)} %`) },
          ...spreads.map((spread, index) =>
            // Few samples are steps, and are drawn as such.
            line(index, drawn.length > 1 ? names[index] : "time", seconds, { spanGaps: true, ...(spread.samples < 200 && { paths: stepped(-1) }) })),
        ],
        // Over one another they would hide the curves.
        hooks: spreads.length < 3 ? { draw: [(plot) => intervals(plot, spreads)] } : {},
      },
    };
  }

  function overTime(of, [run], names, key) {
    const timeline = run.totals.timeline;
    const slot = timeline.slot_seconds;
    const edges = [...timeline.requests_sent, 0].map((_, index) => index * slot);
    const steps = (values) => [edges, [...values, values.at(-1)]];
    const perSecond = (values) => values.map((value) => value / slot);
    const [data, series, format] = {
      output_tokens: () => [steps(perSecond(timeline.output_tokens)), [line(0, "tokens/s", plain, filled(0))], vertical(numbers)],
      requests_succeeded: () => [steps(perSecond(timeline.requests_succeeded)), [line(0, "requests/s", plain, filled(0))], vertical(numbers)],
      in_flight: () => [steps(timeline.requests_in_flight_at_the_end), [line(2, "in flight", plain, { ...filled(2), dash: [] })], vertical(numbers, WHOLE)],
      requests_failed: () => [steps(timeline.requests_failed), [line(1, "failed", plain, { ...filled(1), dash: [] })], vertical(numbers, WHOLE)],
      ttft: () => {
        const mean = timeline.time_to_first_token_mean_seconds;
        const few = mean.filter((value) => value != null).length < 80;
        const more = { spanGaps: true, points: { show: few, size: 5 } };
        const middles = mean.map((_, index) => (index + 0.5) * slot);
        return [[middles, mean, timeline.time_to_first_token_max_seconds], [line(0, "mean", seconds, more), line(1, "longest", seconds, more)], vertical(times)];
      },
    }[of]();
    return {
      data,
      options: {
        scales: { x: { time: false, range: [0, edges.at(-1)] }, y: { range: fromZero } },
        axes: [horizontal((splits) => splits.map((at) => `${+at.toFixed(3)} s`)), format],
        series: [{ label: "at", value: shown((at) => `${+at.toFixed(2)} s`) }, ...series],
        cursor: { sync: { key: `run ${key}` } },
      },
    };
  }

  function bars(of, [run]) {
    const all = run.totals.tokens[of].bars;
    const edges = [...all.map((bar) => bar.from), all.at(-1).to + 1];
    return {
      data: [edges, [...all.map((bar) => bar.requests), all.at(-1).requests]],
      options: {
        scales: { x: { time: false, range: [edges[0], edges.at(-1)] }, y: { range: fromZero } },
        axes: [horizontal(numbers), vertical(numbers, WHOLE)],
        series: [{ label: "tokens", value: shown((from) => `${from} or more`) }, line(3, "requests", plain, { ...filled(3), dash: [] })],
      },
    };
  }

  function sweep(of, drawn, names) {
    const tokens = drawn.every((run) => run.totals.rates.output_tokens_per_second != null);
    const rate = (run) => (tokens ? run.totals.rates.output_tokens_per_second : run.totals.rates.succeeded_per_second);
    const all = drawn.map((run, index) => ({ x: rate(run), p50: run.totals[of].p50_seconds, p99: run.totals[of].p99_seconds, name: names[index] }));
    const sorted = [...all].sort((a, b) => a.x - b.x);
    // The library wants ascending values; the line must go from load to load.
    const draw = (plot) => {
      const { ctx } = plot;
      ctx.save();
      ["p50", "p99"].forEach((key, index) => {
        ctx.strokeStyle = colour(index);
        ctx.lineWidth = 1.75 * devicePixelRatio;
        ctx.setLineDash(DASHES[index].map((length) => length * devicePixelRatio));
        ctx.beginPath();
        for (const point of all) ctx.lineTo(plot.valToPos(point.x, "x", true), plot.valToPos(point[key], "y", true));
        ctx.stroke();
      });
      ctx.font = font().replace("12px", `${11 * devicePixelRatio}px`);
      ctx.fillStyle = style("--text");
      ctx.textAlign = "left";
      ctx.textBaseline = "middle";
      const end = plot.bbox.left + plot.bbox.width;
      const ground = plot.bbox.top + plot.bbox.height;
      const taken = [];
      for (const point of all) {
        const x = plot.valToPos(point.x, "x", true);
        const width = ctx.measureText(point.name).width;
        const left = Math.max(plot.bbox.left + 3, Math.min(x - width / 2, end - width));
        const step = 13 * devicePixelRatio;
        // Above the upper dot, or below the lower one, or nowhere: the table names them all.
        const y = [plot.valToPos(point.p99, "y", true) - step, plot.valToPos(point.p50, "y", true) + step].find((y) =>
          y < ground - step / 2 && taken.every((other) => other.end < left || other.left > left + width || Math.abs(other.y - y) > step));
        if (y === undefined) continue;
        taken.push({ left, end: left + width + 6, y });
        ctx.fillText(point.name, left, y);
      }
      ctx.restore();
    };
    const dots = { paths: () => null };
    const marks = (index) => ({ ...dots, points: { show: true, size: 8, fill: colour(index), stroke: colour(index) } });
    return {
      data: [sorted.map((point) => point.x), sorted.map((point) => point.p50), sorted.map((point) => point.p99)],
      options: {
        scales: { x: { time: false, range: (plot, low, high) => [0, high * 1.1] }, y: { range: (plot, low, high) => [0, high * 1.2] } },
        axes: [horizontal(numbers, { size: 34, label: tokens ? "output tokens per second" : "requests per second", labelFont: font(), labelSize: 18 }), vertical(times)],
        series: [{ label: tokens ? "tokens/s" : "requests/s", value: shown(plain) }, line(0, "p50", seconds, marks(0)), line(1, "p99", seconds, marks(1))],
        hooks: { draw: [draw] },
      },
    };
  }

  const KINDS = { curve, time: overTime, bars, sweep };

  function draw(box, { width, height } = { width: box.clientWidth, height: HEIGHT }) {
    plots.get(box)?.destroy();
    const drawn = box.dataset.runs.split(",").map((run) => runs[run]);
    const { data, options } = KINDS[box.dataset.kind](box.dataset.of, drawn, JSON.parse(box.dataset.names), box.dataset.runs);
    box.classList.toggle("single", options.series.length < 3);
    plots.set(box, new uPlot({ width, height, padding: [10, 20, 0, 0], ...options, cursor: { points: { size: 7 }, ...options.cursor } }, data, box));
  }

  // What nobody looks at yet is not drawn yet.
  root.classList.add("drawing");
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        seen.unobserve(target);
        if (!plots.has(target)) draw(target);
      }
    },
    { rootMargin: "500px" },
  );
  const resized = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const plot = plots.get(target);
      if (plot && !root.classList.contains("printing") && target.clientWidth && plot.width !== target.clientWidth) {
        plot.setSize({ width: target.clientWidth, height: HEIGHT });
      }
    }
  });
  for (const box of boxes) {
    seen.observe(box);
    resized.observe(box);
  }
  const redraw = () => [...plots.keys()].forEach((box) => draw(box));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => {
    root.classList.add("printing");
    boxes.forEach((box) => draw(box, PAPER));
  });
  addEventListener("afterprint", () => {
    root.classList.remove("printing");
    redraw();
  });
})();
