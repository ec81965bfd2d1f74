// Curves: every number of the metrics gets a chart; numbers that tell the same of training and of evaluation share one.

const EVALUATION = /^(eval|evaluation|valid|validation|generated_valid|test)\//;
const TRAINING = /^(train|training|rollout)\//;
const FIRST = ["success", "length", "return", "invalid", "score", "reward", "cut"];
const RATES = /(success|rate|share|shared_turns|fraction|score|silent_groups|invalid_\w+)$|^cut$/;

const HEADLINE = "success and play";
const BY_TYPE = "success by type of task";
const ORDER = [HEADLINE, BY_TYPE, "credit", "learner", "loss", "speed", "time"];
const rank = (list, found) => (found < 0 ? list.length : found);
const placeOf = (name) => rank(FIRST, FIRST.findIndex((word) => name === word || name.startsWith(`${word}_`)));

// Returns [{title, charts: [{name, series: [{label, key, low, high, points: [[x, y]]}]}]}].
function chartGroups(rows) {
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((key) => key !== "iteration");
  const groups = new Map();
  for (const key of keys) {
    if (/_(low|high)$/.test(key) && keys.includes(key.replace(/_(low|high)$/, ""))) continue;
    const points = rows.filter((row) => known(row[key])).map((row) => [row.iteration, row[key]]);
    if (!points.length) continue;
    const bare = key.replace(EVALUATION, "").replace(TRAINING, "");
    const headline = bare !== key && placeOf(bare) < FIRST.length;
    const title = bare.startsWith("success_of_") ? BY_TYPE : headline ? HEADLINE : key.includes("/") ? key.slice(0, key.indexOf("/")) : "run";
    const name = headline ? bare.replace("success_of_", "") : key.includes("/") ? key.slice(key.indexOf("/") + 1) : key;
    if (!groups.has(title)) groups.set(title, new Map());
    const charts = groups.get(title);
    if (!charts.has(name)) charts.set(name, { name, series: [] });
    const band = (end) => rows.filter((row) => known(row[key])).map((row) => row[`${key}_${end}`]);
    const hasBand = keys.includes(`${key}_low`) && keys.includes(`${key}_high`);
    charts.get(name).series.push({
      key, points, label: EVALUATION.test(key) ? "evaluation" : "training",
      low: hasBand ? band("low") : null, high: hasBand ? band("high") : null,
    });
  }
  const sorted = [...groups].map(([title, charts]) => ({ title, charts: [...charts.values()] }));
  for (const group of sorted) {
    group.charts.sort((one, other) => placeOf(one.name) - placeOf(other.name));
    for (const chart of group.charts) chart.series.sort((one, other) => (one.label < other.label ? 1 : -1));
  }
  return sorted.sort((one, other) => rank(ORDER, ORDER.indexOf(one.title)) - rank(ORDER, ORDER.indexOf(other.title)));
}

// The value of a chart that never moves, else null; such charts are told in a line.
function constantOf(chart) {
  const [first, ...rest] = chart.series.flatMap((line) => line.points.map(([, y]) => y));
  return rest.length && rest.every((value) => value === first) && !chart.series.some((line) => line.low) ? first : null;
}

// What the names in a chart stand for, for those that are explained.
const meaningOf = (chart) => chart.series.map((line) => (data.meanings[line.key] ? `${line.key}: ${data.meanings[line.key]}` : line.key)).join("\n");

// Exponential moving average without the bias of its start.
function smoothed(points, weight) {
  let sum = 0;
  let total = 0;
  return points.map(([x, y]) => {
    sum = weight * sum + y;
    total = weight * total + 1;
    return [x, sum / total];
  });
}

function niceTicks(low, high, count = 4) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw * 0.999);
  const ticks = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step * 1e-6; value += step) ticks.push(Math.abs(value) < step * 1e-6 ? 0 : value);
  return ticks;
}

function isRate(chart) {
  return (RATES.test(chart.name) || /success_of_/.test(chart.series[0].key)) && chart.series.every((line) => line.points.every(([, y]) => y >= 0 && y <= 1));
}

function yRange(chart) {
  const values = chart.series.flatMap((line) => [...line.points.map(([, y]) => y), ...(line.low ?? []), ...(line.high ?? [])]).filter(known);
  let low = Math.min(...values);
  let high = Math.max(...values);
  if (isRate(chart) && (high > 0.2 || high === 0)) return [0, 1];
  if (low >= 0 && low < 0.6 * high) low = 0;
  if (high === low) { const room = Math.abs(high) || 1; low = low === 0 ? 0 : low - room / 2; high += room / 2; }
  const room = (high - low) * 0.06;
  return [low === 0 ? 0 : low - room, high + room];
}

const WIDTH = 380;
const HEIGHT = 190;
const BOX = { left: 46, right: 12, top: 10, bottom: 24 };
const linked = new Set(); // every chart follows the pointer over any one of them

function drawChart(chart, xRange, weight, onPick) {
  const [y0, y1] = yRange(chart);
  const [x0, x1] = xRange;
  const X = (x) => BOX.left + ((x - x0) / (x1 - x0 || 1)) * (WIDTH - BOX.left - BOX.right);
  const Y = (y) => HEIGHT - BOX.bottom - ((y - y0) / (y1 - y0)) * (HEIGHT - BOX.top - BOX.bottom);
  const path = (points) => points.map(([x, y], at) => `${at ? "L" : "M"}${X(x).toFixed(1)} ${Y(y).toFixed(1)}`).join("");
  const root = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "plot", role: "img", "aria-label": words(chart.name) });
  const rate = isRate(chart);
  for (const tick of niceTicks(y0, y1)) {
    root.append(svg("line", { class: tick === 0 ? "grid zero" : "grid", x1: BOX.left, x2: WIDTH - BOX.right, y1: Y(tick), y2: Y(tick) }));
    root.append(svg("text", { class: "tick", x: BOX.left - 7, y: Y(tick) + 3.5, "text-anchor": "end" }, rate ? `${short(Number((100 * tick).toPrecision(4)))} %` : short(Number(tick.toPrecision(6)))));
  }
  for (const tick of niceTicks(x0, x1 > x0 ? x1 : x0 + 1, 5).filter((value) => Number.isInteger(value) && value <= x1)) {
    root.append(svg("text", { class: "tick", x: X(tick), y: HEIGHT - 7, "text-anchor": "middle" }, String(tick)));
  }
  for (const line of chart.series) {
    const kind = line.label;
    if (line.low) {
      const upper = line.points.map(([x], at) => [x, line.high[at] ?? line.points[at][1]]);
      const lower = line.points.map(([x], at) => [x, line.low[at] ?? line.points[at][1]]).reverse();
      root.append(svg("path", { class: `band ${kind}`, d: `${path(upper)}${path(lower).replace("M", "L")}Z` }));
    }
    const smooth = weight > 0 && kind === "training" && line.points.length > 4;
    if (smooth) root.append(svg("path", { class: `line raw ${kind}`, d: path(line.points) }));
    root.append(svg("path", { class: `line ${kind}`, d: path(smooth ? smoothed(line.points, weight) : line.points) }));
    if (line.points.length <= 24) for (const [x, y] of smooth ? [] : line.points) root.append(svg("circle", { class: `dot ${kind}`, cx: X(x), cy: Y(y), r: 2.4 }));
  }
  const cross = svg("line", { class: "cross", y1: BOX.top, y2: HEIGHT - BOX.bottom, x1: -9, x2: -9 });
  root.append(cross);

  const latest = el("span", { class: "values" });
  const say = (x) => {
    const values = chart.series.map((line) => {
      let point = line.points[line.points.length - 1];
      if (x !== null) for (const candidate of line.points) if (Math.abs(candidate[0] - x) < Math.abs(point[0] - x)) point = candidate;
      return el("span", { class: `value ${line.label}`, title: line.key }, rate ? percent(point[1]) : short(point[1]));
    });
    latest.replaceChildren(...values);
    cross.setAttribute("x1", x === null ? -9 : X(x));
    cross.setAttribute("x2", x === null ? -9 : X(x));
  };
  say(null);
  linked.add(say);
  const xs = [...new Set(chart.series.flatMap((line) => line.points.map(([x]) => x)))];
  const nearest = (event) => {
    const box = root.getBoundingClientRect();
    const x = x0 + (((event.clientX - box.left) * (WIDTH / box.width) - BOX.left) / (WIDTH - BOX.left - BOX.right)) * (x1 - x0);
    return xs.reduce((best, candidate) => (Math.abs(candidate - x) < Math.abs(best - x) ? candidate : best), xs[0]);
  };
  root.addEventListener("pointermove", (event) => { const x = nearest(event); linked.forEach((follow) => follow(x)); tip(event, `iteration ${x}`); });
  root.addEventListener("pointerleave", () => { linked.forEach((follow) => follow(null)); tip(null); });
  root.addEventListener("click", (event) => onPick(nearest(event)));
  return el("figure", { class: "chart" }, el("figcaption", {}, el("span", { class: "name", title: meaningOf(chart) }, words(chart.name)), latest), root);
}

function sparkline(values, width = 90, height = 20) {
  if (values.length < 2) return svg("svg", { width, height });
  const X = (at) => 2 + (at / (values.length - 1)) * (width - 4);
  const Y = (value) => height - 3 - value * (height - 6);
  const points = values.map((value, at) => `${X(at).toFixed(1)},${Y(value).toFixed(1)}`).join(" ");
  return svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, class: "spark", "aria-hidden": "true" }, svg("polyline", { points }), svg("circle", { cx: X(values.length - 1), cy: Y(values[values.length - 1]), r: 2 }));
}
