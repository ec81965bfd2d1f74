// The page: sections, and an address (#episodes/17) for everything that can be looked at.

const pages = {};
let current = null;

function overview() {
  const rows = data.metrics;
  const groups = chartGroups(rows);
  const iterations = rows.map((row) => row.iteration);
  const range = [Math.min(...iterations), Math.max(...iterations)];
  let weight = rows.length > 30 ? 0.6 : 0;
  const curves = el("div", {});
  const section = (group) => {
    const moving = group.charts.filter((chart) => constantOf(chart) === null);
    const still = group.charts.filter((chart) => constantOf(chart) !== null);
    return el("section", { class: "curves" }, el("h2", {}, words(group.title)),
      group.title === HEADLINE && el("p", { class: "legend" }, el("i", { class: "swatch training" }), "training", el("i", { class: "swatch evaluation" }), "evaluation"),
      el("div", { class: "grid-of-charts" }, moving.map((chart) => drawChart(chart, range, weight, showIteration))),
      still.length > 0 && el("p", { class: "constants" }, "always the same: ", still.map((chart) => el("span", { title: meaningOf(chart) }, `${words(chart.name)} `, el("b", {}, short(constantOf(chart)))))));
  };
  const draw = () => {
    linked.clear();
    curves.replaceChildren(...groups.map(section));
  };
  draw();
  const slider = el("input", { type: "range", min: "0", max: "0.95", step: "0.05", value: String(weight), "aria-label": "smoothing", oninput: (event) => { weight = Number(event.target.value); draw(); } });
  return el("section", { class: "page" },
    data.problems.map((problem) => el("p", { class: "notice" }, ...shown(problem))),
    el("div", { class: "cards" }, headline(groups)),
    evaluationTable(),
    rows.length > 0 && el("div", { class: "tools right" }, el("label", {}, "smoothing ", slider)),
    rows.length ? curves : known(data.summary.all) ? null : el("p", { class: "notice" }, "There are no metrics in this run yet."));
}

// summary.json: success by type of task, with its interval drawn on a scale from 0 to 100 %.
function evaluationTable() {
  const { all, by_kind: kinds, split, chosen_on_these_tasks: chosen, note } = data.summary;
  if (!known(all) || typeof all !== "object" || !Array.isArray(all.interval)) return null;
  const line = (name, result) => el("tr", {},
    el("th", {}, ...shown(name)), el("td", {}, String(result.tasks ?? "–")), el("td", {}, el("b", {}, percent(result.success))),
    el("td", { class: "whisker" }, el("span", { css: { left: `${100 * result.interval[0]}%`, right: `${100 - 100 * result.interval[1]}%` } }), el("i", { css: { left: `${100 * result.success}%` } })),
    el("td", {}, `${percent(result.interval[0])} to ${percent(result.interval[1])}`), el("td", {}, short(result.length)), el("td", {}, percent(result.invalid_actions)));
  return el("section", { class: "curves" }, el("h2", {}, "Evaluation on ", ...shown(String(split ?? "a split without a name"))),
    (chosen || note) && el("p", { class: "legend" }, ...shown(chosen ? "these tasks chose the best checkpoint, so this is no result to report" : String(note))),
    el("div", { class: "card results" }, el("table", {},
      el("thead", {}, el("tr", {}, ["type of task", "tasks", "success", "", "95 % interval", "turns", "invalid"].map((name) => el("th", {}, name)))),
      el("tbody", {}, Object.entries(kinds ?? {}).filter(([, result]) => Array.isArray(result?.interval)).map(([kind, result]) => line(words(kind), result)), line("all", all)))));
}

// The few numbers that one asks for first.
function headline(groups) {
  const { episodes } = data;
  const cards = [];
  const add = (name, value, note, title) => cards.push(el("div", { class: "card figure-card", title }, el("span", {}, name), el("b", {}, value), el("small", {}, note ?? "")));
  const chart = groups.flatMap((group) => group.charts).find((candidate) => /(^|_)success$/.test(candidate.name));
  for (const line of chart ? [...chart.series].reverse() : []) {
    const values = line.points.map(([, y]) => y);
    const best = Math.max(...values);
    const [bestAt] = line.points[values.indexOf(best)];
    const last = line.points.length - 1;
    const band = line.low && known(line.low[last]) ? `95 %: ${percent(line.low[last])} to ${percent(line.high[last])}` : `best ${percent(best)} at iteration ${bestAt}`;
    add(`success in ${line.label}`, percent(values[last]), band, data.meanings[line.key]);
  }
  if (data.metrics.length) add("iterations", String(data.metrics.length), `${data.metrics[0].iteration} to ${data.metrics.at(-1).iteration}`);
  if (data.count) {
    const own = episodes.turns.map((_, index) => index).filter(learns);
    const total = (column) => own.reduce((sum, index) => sum + episodes[column][index], 0);
    const [turns, bad] = [total("turns"), total("invalid")];
    const others = data.count - own.length;
    const groups = [...data.groups.values()].filter(([first]) => learns(first)).length;
    const tasks = new Set(own.map((index) => episodes.task[index])).size;
    add("episodes", own.length.toLocaleString("en"), `${plural(tasks, "task")} in ${plural(groups, "group")}${others ? `; ${others.toLocaleString("en")} of other players are not counted` : ""}`);
    add("turns", turns.toLocaleString("en"), `${own.length ? (turns / own.length).toFixed(1) : "0"} per episode, ${percent(turns ? bad / turns : 0)} invalid`);
  }
  return cards;
}

function episodesPage() {
  const state = { find: "", iteration: null, outcome: "all" };
  let rows = [];
  let selected = null;
  const { episodes } = data;
  const detail = el("div", { class: "detail" }, el("p", { class: "notice" }, data.count ? "Choose an episode on the left. The keys j and k go to the next and the one before." : "There are no episodes in this run yet."));
  const list = longList("episodes", (index) => el("button", { type: "button", class: `row${index === selected ? " here" : ""}`, onclick: () => go(`episodes/${index}`) },
    el("span", { class: `mark ${episodes.success[index] === 1 ? "good" : "bad"}`, title: label("status", index) ?? "" }, episodes.success[index] === 1 ? "✓" : label("status", index) === "failed" ? "!" : "·"),
    el("span", { class: "cell task", title: taskName(index) }, ...shown(taskName(index).split("/").slice(1).join("/") || taskName(index))),
    el("span", { class: "cell figure" }, `#${episodes.member[index] ?? "?"}`),
    el("span", { class: "cell figure" }, `${episodes.turns[index]} t`),
    el("span", { class: `cell figure ${sign(episodes.advantage[index] ?? 0)}` }, fixed(episodes.advantage[index]))));
  const iterations = [...new Set(episodes.iteration)].filter(known).sort((one, other) => one - other);
  const count = el("span", { class: "count" });
  const draw = (keepPlace = false) => {
    rows = filtered(state);
    count.replaceChildren(plural(rows.length, "episode"));
    list.show(rows, keepPlace);
  };
  const find = el("input", { type: "search", placeholder: "find a task", "aria-label": "find a task", oninput: (event) => { state.find = event.target.value; draw(); } });
  const choose = (name, options, onPick) => el("select", { "aria-label": name, onchange: (event) => onPick(event.target.value) }, options.map(([value, text]) => el("option", { value }, text)));
  const iteration = choose("iteration", [["", "every iteration"], ...iterations.map((value) => [String(value), `iteration ${value}`])], (value) => { state.iteration = value === "" ? null : Number(value); draw(); });
  const outcome = choose("outcome", [["all", "every outcome"], ["success", "success"], ["failure", "no success"], ["invalid", "with invalid answers"], ["cut", "cut off"], ["failed", "failed with an error"], ...(episodes.player.some(known) ? [["others", "of other players"]] : [])], (value) => { state.outcome = value; draw(); });
  draw();
  let turn = 0; // counts requests, so that a slow one never overwrites a later one
  const show = async (index, at) => {
    selected = index;
    if (!rows.includes(index)) {
      Object.assign(state, { find: "", iteration: null, outcome: "all" });
      [find.value, iteration.value, outcome.value] = ["", "", "all"];
      draw();
    }
    list.reveal(rows.indexOf(index));
    const mine = ++turn;
    const view = await episodeView(index, (other, number) => go(`episodes/${other}${known(number) ? `/${number}` : ""}`), at);
    if (mine !== turn) return;
    detail.replaceChildren(view);
    if (!known(at)) detail.scrollTop = 0;
  };
  const step = (by) => { const next = rows[Math.max(0, Math.min(rows.length - 1, (selected === null ? -1 : rows.indexOf(selected)) + by))]; if (known(next)) go(`episodes/${next}`); };
  const page = el("section", { class: "page two-panes" }, el("div", { class: "side card flush" }, el("div", { class: "tools column" }, find, el("div", { class: "pair" }, iteration, outcome), count), list), detail);
  const narrow = (changes) => { Object.assign(state, { find: "", iteration: null, outcome: "all" }, changes); find.value = state.find; iteration.value = state.iteration === null ? "" : String(state.iteration); outcome.value = state.outcome; draw(); if (rows.length) go(`episodes/${rows[0]}`); else go("episodes"); };
  return Object.assign(page, { show, step, narrow });
}

function setting(value) {
  if (typeof value === "string") return value;
  if (Array.isArray(value) && value.some((one) => one !== null && typeof one === "object")) return plural(value.length, "row");
  return JSON.stringify(value, (_, one) => (typeof one === "number" ? Number(one.toPrecision(6)) : one));
}

function settingsPage() {
  const table = (value, name) => {
    const plain = Object.entries(value).filter(([, item]) => item === null || typeof item !== "object" || Array.isArray(item));
    const nested = Object.entries(value).filter(([, item]) => item !== null && typeof item === "object" && !Array.isArray(item));
    return [
      plain.length > 0 && el("div", { class: "card flush settings" }, el("h3", {}, name), el("dl", {}, plain.map(([key, item]) => el("div", {}, el("dt", {}, ...shown(key)), el("dd", {}, ...shown(setting(item))))))),
      nested.map(([key, item]) => table(item, name ? `${name} · ${key}` : key)),
    ];
  };
  const sections = [["config", data.config], ["summary", data.summary]].filter(([, value]) => Object.keys(value).length);
  return el("section", { class: "page" }, sections.length ? sections.map(([name, value]) => el("div", { class: "settings-grid" }, table(value, name))) : el("p", { class: "notice" }, "Neither configuration nor summary was found."));
}

const SECTIONS = [
  ["overview", "Overview", overview],
  ["tasks", "Tasks", () => tasksPage((task) => pages.narrow({ find: task }))],
  ["episodes", "Episodes", episodesPage],
  ["settings", "Settings", settingsPage],
];

function page(name) {
  pages[name] ??= SECTIONS.find(([other]) => other === name)[2]();
  return pages[name];
}

pages.narrow = (changes) => { page("episodes").narrow(changes); };
const showIteration = (iteration) => pages.narrow({ iteration });
const go = (address) => { location.hash = address; };

async function route() {
  const [asked, index, at] = location.hash.slice(1).split("/");
  const name = SECTIONS.some(([other]) => other === asked) ? asked : data.metrics.length || !data.count ? "overview" : "episodes";
  const next = page(name);
  if (current !== name) {
    document.getElementById("main").replaceChildren(next);
    for (const tab of document.getElementById("tabs").children) tab.setAttribute("aria-current", String(tab.dataset.name === name));
    document.body.dataset.section = name;
    current = name;
    tip(null);
  }
  if (name === "episodes" && /^\d+$/.test(index ?? "") && Number(index) < data.count) await next.show(Number(index), /^\d+$/.test(at ?? "") ? Number(at) : null);
  document.documentElement.dataset.ready = location.hash || "#";
}

function setUpTheme() {
  const button = document.getElementById("theme");
  button.addEventListener("click", () => {
    const dark = getComputedStyle(document.documentElement).getPropertyValue("--dark").trim() === "1";
    document.documentElement.dataset.theme = dark ? "light" : "dark";
  });
}

async function start() {
  await load();
  document.getElementById("run-name").replaceChildren(...shown(data.run));
  document.getElementById("tabs").append(...SECTIONS.map(([name, title]) => el("button", { type: "button", "data-name": name, onclick: () => go(name) }, title)));
  setUpTheme();
  addEventListener("hashchange", route);
  addEventListener("keydown", (event) => {
    if (current !== "episodes" || event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    if (event.key === "j") pages.episodes.step(1);
    if (event.key === "k") pages.episodes.step(-1);
  });
  await route();
}

start().catch((error) => {
  const reason = typeof DecompressionStream === "undefined" ? "this browser can't unpack its data: Chrome 80, Firefox 113, Safari 16.4 or newer can" : String(error);
  document.getElementById("main").replaceChildren(el("p", { class: "notice" }, `The report could not be shown: ${reason}.`));
  throw error;
});
