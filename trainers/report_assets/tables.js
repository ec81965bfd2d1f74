// Long lists: only the rows in view exist, so that ten thousand cost no more than forty.

const ROW = 36; // pixels; a list whose rows are of another height says so in the style --row

// rows: any array; render(row) gives the cells of one line; returns an element with `.show(rows)`.
function longList(className, render) {
  const space = el("div", { class: "space" });
  const box = el("div", { class: `long-list ${className}`, tabindex: "0" }, space);
  let rows = [];
  let from = -1;
  let to = -1;
  let height = ROW;
  const measure = () => {
    const before = height;
    height = parseFloat(getComputedStyle(box).getPropertyValue("--row")) || ROW;
    space.style.height = `${rows.length * height}px`;
    box.style.setProperty("--rows", `${rows.length * height + 1}px`);
    return height !== before;
  };
  const draw = (force) => {
    const first = Math.max(0, Math.floor(box.scrollTop / height) - 6);
    const last = Math.min(rows.length, Math.ceil((box.scrollTop + (box.clientHeight || 900)) / height) + 6);
    if (!force && first === from && last === to) return;
    [from, to] = [first, last];
    space.replaceChildren(...rows.slice(first, last).map((row, at) => {
      const line = render(row);
      line.style.top = `${(first + at) * height}px`;
      return line;
    }));
  };
  box.addEventListener("scroll", () => draw(false), { passive: true });
  new ResizeObserver(() => draw(measure())).observe(box);
  box.show = (next, keepPlace = false) => {
    rows = next;
    measure();
    if (!keepPlace) box.scrollTop = 0;
    draw(true);
  };
  box.reveal = (at) => {
    const top = at * height;
    if (top < box.scrollTop || top + height > box.scrollTop + box.clientHeight) box.scrollTop = top - box.clientHeight / 2;
    draw(true);
  };
  return box;
}

// What a filter leaves of the episodes, as indices. `find` looks at task ids, `iteration` at one iteration. An outcome is
// one of those who learn, or "others" for whoever plays along.
function filtered({ find = "", iteration = null, outcome = "all" }) {
  const { episodes } = data;
  const wanted = find.trim().toLowerCase();
  const matches = wanted ? data.tasks.map((task) => task.toLowerCase().includes(wanted)) : null;
  const result = [];
  for (let index = 0; index < data.count; index++) {
    if (matches && !matches[episodes.task[index]]) continue;
    if (iteration !== null && episodes.iteration[index] !== iteration) continue;
    if (outcome !== "all" && learns(index) === (outcome === "others")) continue;
    const status = label("status", index);
    if (outcome === "success" && episodes.success[index] !== 1) continue;
    if (outcome === "failure" && episodes.success[index] !== 0) continue;
    if (outcome === "invalid" && !episodes.invalid[index]) continue;
    if (["finished", "cut", "failed"].includes(outcome) && status !== outcome) continue;
    result.push(index);
  }
  return result;
}

// Tasks ----------------------------------------------------------------------------------------------------------------

function taskRows() {
  const { episodes } = data;
  const rows = data.tasks.map((task, number) => ({ task, number, kind: null, episodes: 0, solved: 0, judged: 0, turns: 0, invalid: 0, iterations: new Map() }));
  for (let index = 0; index < data.count; index++) {
    if (!learns(index)) continue;
    const row = rows[episodes.task[index]];
    row.kind ??= label("kind", index);
    row.episodes += 1;
    row.turns += episodes.turns[index];
    row.invalid += episodes.invalid[index];
    if (!known(episodes.success[index])) continue;
    row.judged += 1;
    row.solved += episodes.success[index];
    const iteration = episodes.iteration[index];
    const [solved, count] = row.iterations.get(iteration) ?? [0, 0];
    row.iterations.set(iteration, [solved + episodes.success[index], count + 1]);
  }
  for (const row of rows) {
    row.rate = row.judged ? row.solved / row.judged : null;
    row.length = row.episodes ? row.turns / row.episodes : null;
    row.bad = row.turns ? row.invalid / row.turns : null;
    row.history = [...row.iterations].sort(([one], [other]) => one - other).map(([, [solved, count]]) => solved / count);
  }
  return rows.filter((row) => row.episodes);
}

function rateBar(rate) {
  return el("span", { class: "rate" }, el("span", { class: "bar" }, el("span", { css: { width: `${100 * (rate ?? 0)}%` } })), el("span", { class: "figure" }, percent(rate)));
}

function tasksPage(openEpisodes) {
  const all = taskRows();
  const columns = [
    { name: "task", value: (row) => row.task, cell: (row) => el("span", { class: "cell task", title: row.task }, ...shown(row.task)) },
    all.some((row) => row.kind) && { name: "type", value: (row) => row.kind ?? "", cell: (row) => el("span", { class: "cell kind" }, words(row.kind ?? "")) },
    { name: "episodes", figure: true, value: (row) => row.episodes, cell: (row) => el("span", { class: "cell figure" }, row.episodes.toLocaleString("en")) },
    { name: "success", value: (row) => row.rate ?? -1, cell: (row) => el("span", { class: "cell" }, rateBar(row.rate)) },
    { name: "over time", value: (row) => (row.history.length ? row.history.at(-1) - row.history[0] : -2), cell: (row) => el("span", { class: "cell" }, sparkline(row.history)) },
    { name: "turns", figure: true, value: (row) => row.length ?? -1, cell: (row) => el("span", { class: "cell figure" }, known(row.length) ? row.length.toFixed(1) : "–") },
    { name: "invalid", figure: true, value: (row) => row.bad ?? -1, cell: (row) => el("span", { class: "cell figure" }, percent(row.bad)) },
  ].filter(Boolean);
  let sort = columns.findIndex((column) => column.name === "success"); // the hardest first
  let down = false;
  let find = "";
  const head = el("div", { class: "row head" });
  const list = longList("tasks", (row) => el("button", { class: "row", type: "button", onclick: () => openEpisodes(row.task) }, columns.map((column) => column.cell(row))));
  const count = el("span", { class: "count" });
  const draw = () => {
    const wanted = find.trim().toLowerCase();
    const rows = all.filter((row) => row.task.toLowerCase().includes(wanted) || words(row.kind ?? "").includes(wanted));
    const { value } = columns[sort];
    rows.sort((one, other) => { const [a, b] = [value(one), value(other)]; return ((a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1)) || (one.task < other.task ? -1 : 1); });
    head.replaceChildren(...columns.map((column, at) => el("button", { type: "button", class: column.figure ? "cell figure" : "cell", onclick: () => { down = sort === at ? !down : column.name !== "task"; sort = at; draw(); } }, column.name, at === sort ? (down ? " ▾" : " ▴") : "")));
    count.replaceChildren(plural(rows.length, "task"));
    list.show(rows);
  };
  draw();
  const search = el("input", { type: "search", placeholder: "find a task", "aria-label": "find a task", oninput: (event) => { find = event.target.value; draw(); } });
  return el("section", { class: `page tasks-page columns-${columns.length}` }, el("div", { class: "tools" }, search, count), el("div", { class: "card flush" }, head, list));
}
