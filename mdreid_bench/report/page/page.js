"use strict";
/* The page: data (JSON) -> records that pass the filters -> rows of a view -> a table. What is seen stands in the address. */
(() => {
  const page = JSON.parse(document.getElementById("data").textContent);
  const METRICS = Object.keys(page.metrics), PHONE = innerWidth < 600;
  const MEAN = {mismatched: "average:paper-mismatched", missing: "average:missing"};
  const VIEWS = {
    overview: "Overview", matched: "Matched", mismatched: "Mismatched", missing: "Missing sensors", grid: "Grid",
    protocols: "All protocols", transfer: "Source → target", corruption: "Corruption", cost: "Cost",
    records: "Records", tables: "Tables as printed", pictures: "Curves and matrices",
  };
  const FACETS = {
    dataset: ["Data set", r => r.data.dataset], kind: ["Data kind", r => r.data.kind],
    method: ["Method", r => r.method.title], protocol: ["Protocol", r => r.protocol],
    preset: ["Preset", r => r.method.preset], trunk: ["Trunk", r => r.method.trunk],
    seed: ["Seed", r => String(r.run.seed)], source: ["Trained on", r => r.data.sources.join(" + ") || r.data.dataset],
  };
  const OF_PUBLISHED = ["dataset", "kind", "method", "source"];

  // ---- data: numbers that name places in lists become the things themselves
  for (const method of page.methods) Object.assign(method, {data: page.data[method.data], records: []});
  for (const record of page.records) {
    record.method = page.methods[record.method];
    record.run = page.runs[record.run];
    record.data = record.method.data;
    record.path = `runs/${record.run.folder}/${record.file}`;
    record.repetition = (record.run.split ? `split ${record.run.split}, seed ` : "") + record.run.seed;
    record.method.records.push(record);
  }
  for (const row of page.published) {
    const known = page.methods.find(method => method.key === row.key);
    row.of = page.data[row.data];
    row.method = {title: known ? known.title : row.title};
    row.data = {...row.of, kind: "published"};
  }

  // ---- small things
  const unique = list => [...new Set(list)];
  const mean = list => list.reduce((sum, one) => sum + one, 0) / list.length;
  const deviation = list => {
    const middle = mean(list);
    return Math.sqrt(list.reduce((sum, one) => sum + (one - middle) ** 2, 0) / (list.length - 1));
  };
  const median = list => {
    const sorted = [...list].sort((a, b) => a - b), half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  };
  const grouped = (list, key) => {
    const groups = new Map();
    for (const one of list) groups.set(key(one), [...(groups.get(key(one)) ?? []), one]);
    return groups;
  };

  /** Return a number as the other forms of the report round it: exact ties go to the even digit. */
  function fixed(value, digits) {
    const exact = Math.abs(value).toFixed(60), cut = exact.length - 60 + digits;
    const kept = exact.slice(0, digits ? cut : cut - 1);
    const even = /^50*$/.test(exact.slice(cut)) && "02468".includes(kept.at(-1));
    const text = even ? kept : Math.abs(value).toFixed(digits);
    return value < 0 && Number(text) ? `−${text}` : text;
  }

  /** Make an element; every text goes in as text. */
  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children.filter(child => child !== null && child !== undefined && child !== ""));
    return made;
  }

  const note = text => element("p", {className: "note"}, text);
  const heading = column => [column.group, column.title].filter(Boolean).join(" ");
  const drawn = record => record.corrupted ? `${record.corrupted[0]}, ${record.corrupted[2]}, draw ${record.corrupted[3]}` : "";

  // ---- state, in the address
  const state = {};
  function readAddress() {
    const given = new URLSearchParams(location.hash.slice(1));
    const all = name => given.getAll(name);
    const view = given.get("view"), metric = given.get("metric");
    Object.assign(state, {
      view: Object.hasOwn(VIEWS, view) ? view : "overview", metric: METRICS.includes(metric) ? metric : "mAP",
      q: given.get("q") ?? "", section: given.get("section") ?? "", sort: given.get("sort") ?? "", cell: given.get("cell") ?? "",
      hide: new Set(all("hide")), show: new Set(all("show")),
      filter: Object.fromEntries(Object.keys(FACETS).map(name => [name, new Set(all(name))])),
    });
  }
  function address(changes = {}) {
    const {view, metric, q, section, sort, cell} = {...state, ...changes}, given = new URLSearchParams({view});
    if (metric !== "mAP") given.set("metric", metric);
    for (const [name, values] of Object.entries(state.filter)) for (const value of values) given.append(name, value);
    for (const [name, value] of Object.entries({q, section, sort, cell})) if (value) given.set(name, value);
    for (const name of ["hide", "show"]) if (!("view" in changes)) for (const id of state[name]) given.append(name, id);
    return `#${given}`;
  }
  const remember = () => history.replaceState(null, "", address());

  const fits = (thing, facets = Object.keys(FACETS)) => facets.every(
    name => !state.filter[name].size || state.filter[name].has(FACETS[name][1](thing)));
  const wanted = protocols => protocols.filter(name => !state.filter.protocol.size || state.filter.protocol.has(name));
  const printedRows = data => page.published.filter(row => row.of === data && fits(row, OF_PUBLISHED));
  const methodsOf = data => page.methods.filter(method => method.data === data && !method.aside);

  // ---- numbers
  const suffix = (spread, interval, digits) => (spread === null ? "" : ` ± ${fixed(spread, digits)}`)
    + (interval ? ` [${interval.map(end => fixed(end, digits)).join(", ")}]` : "");
  function number(value, {spread = null, interval = null, digits = 1, ...rest}) {
    return {value, text: fixed(value, digits), suffix: suffix(spread, interval, digits), ...rest};
  }
  const reason = text => ({reason: text}), TOO_OLD = "not in records of an earlier version";

  /** Average a metric: over protocols the means of the seeds, as all forms of the report do. */
  function average(method, records, protocols, metric) {
    const columns = protocols.map(name => records.filter(r => r.protocol === name));
    const absent = protocols.filter((_, place) => !columns[place].length);
    if (absent.length) {
      const told = method.absent[absent[0]] ?? "not run";
      return reason(absent.length === protocols.length ? told : `not under all of them: ${absent.join(", ")} missing`);
    }
    const used = columns.map(found => method.seedless ? found.slice(0, 1) : found), place = METRICS.indexOf(metric);
    if (used.flat().some(r => (r.metrics[place] ?? null) === null)) return reason(TOO_OLD);
    const values = used.map(found => found.map(r => r.metrics[place]));
    const bySeed = values[0].map((_, seed) => mean(values.map(column => column[seed])));
    const one = values.length === 1 && values[0].length === 1 && metric === "mAP" ? used[0][0].interval : null;
    return number(mean(values.map(mean)), {
      spread: bySeed.length > 1 ? deviation(bySeed) : null, interval: one, records: columns.flat(), metric,
      ranked: method.ranked,
    });
  }

  /** Split the records of a method so that every column has the same seeds; those that lack some are rows of their own. */
  function bySeeds(method, records) {
    const ran = grouped(unique(records.map(r => r.repetition)),
      made => unique(records.filter(r => r.repetition === made).map(r => r.protocol)).sort().join(" "));
    if (ran.size < 2 || method.seedless) return [records];
    return [...ran.values()].map(made => records.filter(r => made.includes(r.repetition)));
  }
  const seeds = records => [["split", r => r.run.split], ["seed", r => r.run.seed]].map(([noun, of]) => {
    const found = unique(records.map(of)).filter(one => one !== "");
    return found.length ? `${noun}${found.length > 1 ? "s" : ""} ${found.join(", ")}` : "";
  }).filter(Boolean).join(" and ");
  function emphasise(rows, columns) {
    for (const {id} of columns) {
      const cells = rows.map(row => row[id]).filter(cell => cell && cell.ranked);
      const texts = unique(cells.map(cell => cell.text)).sort((a, b) => Number(b) - Number(a));
      if (cells.length > 1) for (const cell of cells) cell.rank = [1, 2][texts.indexOf(cell.text)];
    }
  }

  // ---- rows of views; a column has an id, a title and, of numbers, what it shows: protocols and a metric
  const single = (protocol, metric, title = protocol) => ({id: `${protocol}|${metric}`, title, protocols: [protocol], metric});
  const base = (data, label, sub, type) => ({id: `${data.title}/${label}/${sub}`, group: data.title, data, label, sub, type});
  const facts = (method, records) => (
    {dataset: method.data.dataset, kind: method.data.kind, preset: method.preset, trunk: method.trunk, seeds: seeds(records)});

  /** Rows of one data set: each method, what is published of it, other published methods, chance. */
  function methodRows(data, columns, published = true) {
    const names = new Set(columns.flatMap(column => column.protocols)), ours = [], rows = [], parts = [];
    for (const method of methodsOf(data)) {
      const found = method.records.filter(r => !r.corrupted && names.has(r.protocol) && fits(r));
      for (const part of found.length ? bySeeds(method, found) : []) {
        const row = {...base(data, method.label, seeds(part), "measured"), key: method.key, ...facts(method, part)};
        for (const column of columns) row[column.id] = average(method, part, column.protocols, column.metric);
        ours.push(row);
        parts.push(part);
      }
    }
    emphasise(ours, columns);
    const named = ({printed, protocols, metric}) => `${printed ?? (protocols.length === 1 ? protocols[0] : "")}|${metric}`;
    const printed = !published || !ours.length ? [] : printedRows(data).filter(row => !row.set)
      .map(row => publishedRow(row, `published: ${row.where}`, columns, named))
      .filter(row => columns.some(column => row[column.id].text));
    for (const row of ours) {
      rows.push(row);
      if (ours.findLast(one => one.key === row.key) === row) rows.push(...printed.filter(one => one.key === row.key));
    }
    rows.push(...printed.filter(row => !ours.some(one => one.key === row.key)));
    if (ours.length) rows.push(chanceRow(data, parts, columns));
    return rows;
  }
  /** A row of published figures; `named` gives what the figures call a column. */
  function publishedRow(row, sub, columns, named) {
    const made = {...base(row.of, row.title, sub, "published"), key: row.key, dataset: row.of.dataset, kind: "published"};
    for (const column of columns) made[column.id] = printedCell(row, row.values[named(column)]);
    return made;
  }
  function printedCell(row, figure) {
    if (!figure) return reason("no published figure");
    const [text, note] = figure;
    return {value: Number(text), text, suffix: "", published: row, note: [row.note, note].filter(Boolean).join("; ")};
  }
  /** What a random order reaches, by the records of the first method that was measured under each protocol. */
  function chanceRow(data, parts, columns) {
    const row = {...base(data, "chance", "a random order", "chance"), dataset: data.dataset, kind: data.kind};
    for (const {id, protocols, metric} of columns) {
      const first = name => parts.map(part => part.filter(r => r.protocol === name)).find(found => found.length) ?? [];
      const all = protocols.map(name => first(name).map(r => r.chance[METRICS.indexOf(metric)] ?? null));
      const known = all.every(list => list.length && !list.includes(null));
      row[id] = known ? number(mean(all.map(mean)), {origin: "expectation over random orders of the same gallery"}) : reason("not run");
    }
    return row;
  }
  /** A view of methods by protocols; columns of all data sets stand side by side. */
  function protocolView(name, published, withMean) {
    const rows = [], columns = new Map();
    for (const data of page.data) {
      const every = data.views[name] ?? unique(methodsOf(data).flatMap(m => m.records.filter(r => !r.corrupted).map(r => r.protocol)));
      const shown = wanted(every), own = shown.map(protocol => single(protocol, state.metric));
      if (withMean && shown.length > 1) {
        const whole = shown.length === every.length ? MEAN[name] : undefined;
        own.push({id: "mean", title: "mean", protocols: shown, metric: state.metric, printed: whole});
      }
      const found = methodRows(data, own, published);
      if (found.length) for (const column of own) if (column.id !== "mean") columns.set(column.id, column);
      rows.push(...found);
    }
    const list = [...columns.values()];
    return {rows, columns: withMean && list.length > 1 ? [...list, {id: "mean", title: "mean"}] : list, grouped: true};
  }
  function matchedView() {
    const columns = METRICS.map(metric => ({id: metric, title: page.metrics[metric]}));
    const rows = page.data.flatMap(data => wanted(data.views.matched).flatMap(protocol =>
      methodRows(data, METRICS.map(metric => ({...single(protocol, metric), id: metric})))));
    const protocols = unique(page.data.flatMap(data => wanted(data.views.matched)));
    return {rows, columns, grouped: true, hint: `All sensors of a data set on both sides: ${protocols.join(", ")}.`};
  }
  function transferView() {
    const carried = new Set(page.methods.filter(m => m.data.sources.length).map(m => m.key)), rows = new Map();
    const columns = unique(page.data.map(data => `${data.dataset}, ${data.usual[0]}`)).map(title => ({id: title, title}));
    const add = (data, label, sub, type, more, cell) => {
      const kind = data.marks.join(", ") || data.kind, id = `${kind}/${label}/${sub}`;
      if (!rows.has(id)) rows.set(id, {id, group: `Images: ${kind}`, data, label, sub, type, ...more});
      rows.get(id)[`${data.dataset}, ${data.usual[0]}`] = cell;
    };
    for (const data of page.data) {
      const from = `trained on ${data.sources.join(" + ") || data.dataset}`;
      for (const method of methodsOf(data).filter(m => carried.has(m.key))) {
        const found = method.records.filter(r => !r.corrupted && r.protocol === data.usual[0] && fits(r));
        const value = average(method, found, data.usual, state.metric);
        if (found.length) add(data, method.label, from, "measured", {...facts(method, found), dataset: ""}, value);
      }
      for (const row of printedRows(data).filter(r => carried.has(r.key) && !r.set)) {
        const value = row.values[`${data.usual[0]}|${state.metric}`];
        if (value) add(data, row.title, `${from}; published: ${row.where}`, "published", {kind: "published"}, printedCell(row, value));
      }
    }
    for (const row of rows.values()) {
      for (const {id} of columns) row[id] ??= reason(row.type === "published" ? "no published figure" : "not run");
    }
    for (const found of grouped(rows.values(), row => row.group).values()) emphasise(found.filter(row => row.type === "measured"), columns);
    return {rows: [...rows.values()], columns, grouped: true, hint: "Rows tell what was trained on, columns what was tested with."};
  }
  function corruptionView() {
    const shown = ["mAP", "rank1", "mINP"].filter(metric => METRICS.includes(metric)), rows = [];
    const columns = [...aside(["protocol", "corruption", "family", "images"].map(id => ({id, title: id}))),
      ...shown.flatMap(metric => ["clean", "corrupted", "loss"].map(
        part => ({id: `${metric} ${part}`, group: page.metrics[metric], title: part, metric})))];
    for (const method of page.methods) {
      const found = method.records.filter(r => r.corrupted && fits(r));
      for (const part of grouped(found, r => [r.protocol, r.corrupted[2], r.corrupted[0]].join("|")).values()) {
        const [name, family, images] = part[0].corrupted, protocol = part[0].protocol;
        const clean = method.records.filter(r => !r.corrupted && r.protocol === protocol && part.some(p => p.repetition === r.repetition));
        const row = base(method.data, method.label, `${seeds(part)}, ${protocol}, ${images}, ${name}`, "measured");
        Object.assign(row, facts(method, part), {protocol, family, images, corruption: name});
        for (const metric of shown) {
          const before = average(method, clean, [protocol], metric);
          const after = average({...method, seedless: false}, part, [protocol], metric); // draws differ, seeds or not
          const first = part[0].corrupted[4] && clean.some(r => r.trials); // a published set of the first draw alone
          const loss = first ? reason(page.first_draw) : before.text && after.text
            ? number(before.value - after.value, {records: [...clean, ...part], metric}) : reason("not run");
          Object.assign(row, {[`${metric} clean`]: before, [`${metric} corrupted`]: after, [`${metric} loss`]: loss});
        }
        rows.push(row);
      }
    }
    for (const row of page.published.filter(r => r.set && fits(r, OF_PUBLISHED))) {
      for (const protocol of unique(Object.keys(row.values).map(key => key.split("|")[0]))) {
        const made = publishedRow(row, `published: ${row.where}, ${protocol}`, columns.slice(4),
          ({title, metric}) => title === "corrupted" ? `${protocol}|${metric}` : "");
        rows.push({...made, protocol, corruption: "random", family: "random", images: row.set});
      }
    }
    return {rows, columns, grouped: true, hint: "Loss: clean minus corrupted, in points, over the same seeds; training is clean."};
  }
  function costView() {
    const columns = Object.entries(page.costs).map(([id, title]) => ({id, title})), rows = [];
    const three = (value, more) => number(value, {digits: value > 0 ? Math.max(0, 2 - Math.floor(Math.log10(value))) : 1, ...more});
    const timed = (list, seconds) => list.length ? three(median(list.map(seconds)), {
      spread: list.length > 1 ? deviation(list.map(seconds)) : null, records: list, of: seconds,
    }) : reason("not timed: the embeddings were stored already when the records were made");
    for (const data of page.data) {
      const before = rows.length;
      for (const method of methodsOf(data)) {
        const found = method.records.filter(r => !r.corrupted && fits(r));
        if (!found.length) continue;
        const once = [...grouped(found, r => r.run).values()].map(list => list[0]), counted = once.find(r => r.run.cost);
        const row = {...base(data, method.label, seeds(found), "measured"), ...facts(method, found)};
        columns.slice(0, 2).forEach(({id}, place) => {
          row[id] = counted ? three(counted.run.cost[place], {records: [counted], of: r => r.run.cost[place]})
            : reason("not counted: there is no cost.json beside the run");
        });
        row[columns[2].id] = timed(once.filter(r => r.run.seconds !== undefined), r => r.run.seconds);
        row[columns[3].id] = timed(found.filter(r => r.seconds !== undefined), r => r.seconds);
        rows.push(row);
      }
      if (rows.length > before) for (const printed of printedRows(data)) {
        const made = publishedRow(printed, "published", columns, ({id}) => id);
        if (columns.some(({id}) => made[id].text)) rows.push(made);
      }
    }
    const hint = "Medians over all runs and protocols that were timed. Papers count and time otherwise than this suite does "
      + "(see the notes in 'Tables as printed'): published and measured costs are not to be subtracted.";
    return {rows, columns, grouped: true, hint};
  }
  function recordsView() {
    const text = (id, title, value) => ({id, title, value});
    const told = aside([
      text("protocol", "protocol", r => r.protocol), text("dataset", "data set", r => r.data.title),
      text("kind", "data kind", r => r.data.kind), text("seed", "seed", r => r.repetition),
      text("preset", "preset", r => r.method.preset), text("trunk", "trunk", r => r.method.trunk),
      ...(HAS.corruption ? [text("corruption", "corruption", drawn)] : []),
      text("made", "measured", r => r.made), {...text("path", "record", r => r.path), whole: true}]);
    const columns = [...told.slice(0, 4), ...METRICS.map(metric => ({id: metric, title: page.metrics[metric]})), ...told.slice(4)];
    const rows = page.records.filter(r => fits(r)).map(r => {
      const row = {id: r.path, group: r.data.title, label: r.method.label, type: "measured", data: r.data};
      row.sub = PHONE ? `${r.protocol}, ${r.data.title}, ${seeds([r])}` : "";
      for (const column of told) row[column.id] = column.value(r);
      METRICS.forEach((metric, place) => {
        const value = r.metrics[place] ?? null;
        row[metric] = value === null ? reason(TOO_OLD)
          : number(value, {interval: metric === "mAP" ? r.interval : null, records: [r], metric});
      });
      return row;
    });
    return {rows, columns, grouped: false};
  }
  const PIVOTS = {
    overview: () => protocolView("overview", false, false), matched: matchedView,
    mismatched: () => protocolView("mismatched", true, true), missing: () => protocolView("missing", true, true),
    protocols: () => protocolView("protocols", true, false), transfer: transferView, corruption: corruptionView,
    cost: costView, records: recordsView,
  };
  const HAS = {
    transfer: page.data.some(data => data.sources.length), corruption: page.records.some(r => r.corrupted),
    mismatched: page.data.some(data => data.views.mismatched.length), missing: page.data.some(data => data.views.missing.length),
    matched: page.data.some(data => data.views.matched.length), pictures: page.pictures.length, tables: page.sections.length,
  };

  // ---- tables
  let shown = []; // tables of the view, with their titles and columns, for CSV and for cells named in the address
  const aside = columns => columns.map(column => ({...column, text: true, optional: PHONE})); // no room on a phone
  const hidden = column => column.optional ? !state.show.has(column.id) : state.hide.has(column.id);
  function compare(a, b, direction) {
    const [x, y] = [a, b].map(cell => cell?.value ?? (typeof cell === "string" && cell ? cell : null));
    if (x === null && y === null) return 0;
    if (x === null || y === null) return (x === null) === (direction === "asc") ? 1 : -1; // missing ones last, either way
    return typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), undefined, {numeric: true});
  }
  function numberElement(cell, row, column) {
    const classes = ["number", {1: "best", 2: "second"}[cell.rank] ?? "", cell.reason ? "missing" : ""].filter(Boolean).join(" ");
    const made = element("button", {type: "button", className: classes, tabIndex: -1}, cell.reason ? "—" : cell.text);
    if (cell.note || cell.mark) made.append(element("sup", {}, cell.mark ?? "*")); // of a printed table, its own mark
    if (cell.suffix) made.append(element("small", {}, cell.suffix.trim()));
    made.setAttribute("aria-label", `${row.label}, ${column.title}: ${cell.reason ?? cell.text + (cell.suffix ?? "")}`);
    const heat = Math.min(Math.max(cell.value / 100, 0), 1);
    if (column.shaded && !cell.reason) made.style.background = `rgba(var(--heat), ${heat.toFixed(2)})`;
    return made;
  }
  function width(table, column, first) {
    if (first) return {width: table.square ? 56 : PHONE ? 128 : 220};
    if (PHONE && !column.text) return {width: table.square ? 50 : 88};
    return column.text && !column.whole ? {maxWidth: 320} : {};
  }
  function definition(table, column, first) {
    return {
      field: column.id, title: column.title, frozen: first, visible: !hidden(column), headerHozAlign: column.text ? "left" : "right",
      minWidth: 48, ...width(table, column, first),
      cssClass: column.whole ? "whole" : "", headerSort: !table.square,
      titleFormatter: () => element("button", {type: "button", className: "head"}, column.title),
      sorter: (a, b, one, other, _, direction) => compare(a, b, direction),
      formatter: cell => {
        const value = cell.getValue(), row = cell.getRow().getData();
        if (first) return element("div", {className: "label"}, row.label, row.sub ? element("small", {}, row.sub) : "");
        if (value && typeof value === "object" && !column.text) return numberElement(value, row, column);
        return element("span", {}, typeof value === "object" ? value?.text ?? "—" : value ?? "");
      },
      cellClick: (_, cell) => {
        const value = cell.getValue();
        if (value && typeof value === "object") openCell(cell.getRow().getData(), column, value);
      },
    };
  }
  /** Show one table. Columns that follow each other with the same group share a heading. */
  function show(host, table) {
    const place = element("div");
    host.append(place);
    const columns = [{id: "label", title: table.first ?? "method", text: true}, ...table.columns];
    const definitions = [];
    columns.forEach((column, number) => {
      const made = definition(table, column, number === 0), last = definitions.at(-1);
      if (!column.group) definitions.push(made);
      else if (last?.columns && last.title === column.group) last.columns.push(made);
      else definitions.push({title: column.group, titleFormatter: () => element("span", {}, column.group), columns: [made]});
    });
    const [field, dir] = state.sort.split(/:(?=asc$|desc$)/);
    const made = new Tabulator(place, {
      data: table.rows, columns: definitions, index: "id", layout: "fitData", nestedFieldSeparator: false,
      columnDefaults: {resizable: false, headerSortTristate: true, headerWordWrap: true},
      ...(table.rows.length > 30 ? {maxHeight: "88vh"} : {}),
      ...(table.grouped ? {groupBy: "group", groupToggleElement: false, groupHeader: groupHeader} : {}),
      initialSort: columns.some(column => column.id === field) ? [{column: field, dir}] : [],
      rowFormatter: row => row.getElement().classList.add(row.getData().type ?? "measured"),
      placeholder: "Nothing fits what was chosen above.",
    });
    made.on("renderComplete", () => place.querySelector(".number")?.setAttribute("tabindex", "0"));
    made.on("headerClick", () => setTimeout(() => {
      const sorter = made.getSorters()[0];
      state.sort = sorter ? `${sorter.field}:${sorter.dir}` : "";
      remember();
    }));
    place.addEventListener("keydown", moveFocus);
    shown.push({...table, columns, made});
  }
  function groupHeader(value, count, rows) {
    const data = rows[0]?.data;
    const badge = data?.kind === "synthetic" ? element("span", {className: "badge"}, "SYNTHETIC data") : "";
    return element("div", {}, element("strong", {}, value), " ", badge);
  }
  /** Arrow keys move between the numbers of a table. */
  function moveFocus(event) {
    const cell = event.target.closest?.(".tabulator-cell"), row = cell?.closest(".tabulator-row");
    if (!row || !event.key.startsWith("Arrow")) return;
    const line = from => [...from.querySelectorAll(".tabulator-cell")].filter(one => one.offsetParent);
    let next = null;
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      next = line(row)[line(row).indexOf(cell) + (event.key === "ArrowLeft" ? -1 : 1)];
    } else {
      const step = event.key === "ArrowUp" ? "previousElementSibling" : "nextElementSibling";
      let other = row[step];
      while (other && !other.querySelector(".number")) other = other[step];
      next = other && [...other.children].find(one => one.getAttribute("tabulator-field") === cell.getAttribute("tabulator-field"));
    }
    const button = next?.querySelector(".number");
    if (!button) return;
    event.preventDefault();
    button.focus({preventScroll: true});
    button.scrollIntoView({block: "nearest", inline: "center"});
  }

  // ---- what a cell came from
  function openCell(row, column, cell) {
    const dialog = document.getElementById("dialog"), parts = [];
    const close = element("button", {type: "button", className: "close", onclick: () => dialog.close()}, "Close");
    const kind = row.data?.kind === "synthetic" && !cell.published ? element("span", {className: "badge"}, "SYNTHETIC data") : "";
    parts.push(element("h2", {id: "dialog-title"}, `${row.label}, ${heading(column)}`), close);
    parts.push(element("p", {}, [row.group, row.sub].filter(Boolean).join(" · "), " ", kind));
    if (cell.reason) parts.push(element("p", {}, `No value: ${cell.reason}.`));
    else parts.push(element("p", {}, element("strong", {}, cell.text), cell.suffix, cell.records ? ` (${cell.value.toFixed(4)})` : ""));
    if (cell.note) parts.push(element("p", {}, cell.note));
    if (cell.origin) parts.push(element("p", {}, cell.origin));
    if (cell.published) parts.push(element("p", {}, `Published in ${cell.published.where}.`), list(cell.published.sources));
    if (cell.records?.length) parts.push(...measured(cell));
    if (row.data?.note && !cell.published) parts.push(note(row.data.note));
    dialog.replaceChildren(...parts);
    state.cell = `${row.id}|${column.id}`;
    remember();
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  }
  const list = texts => element("ul", {}, ...texts.map(text => element("li", {}, text)));
  function htmlTable(headings, rows) {
    const line = (tag, cells) => element("tr", {}, ...cells.map(cell => element(tag, {}, cell ?? "")));
    const body = element("tbody", {}, ...rows.map(cells => line("td", cells)));
    return element("div", {className: "scroll"}, element("table", {}, element("thead", {}, line("th", headings)), body));
  }
  function measured({records, metric, of}) {
    const place = METRICS.indexOf(metric ?? "mAP"), name = page.metrics[metric ?? "mAP"];
    const value = of ?? (r => r.metrics[place] ?? null), told = number => number === null ? "—" : number.toFixed(4);
    const interval = r => !of && name === page.metrics.mAP && r.interval ? r.interval.map(end => end.toFixed(2)).join(" – ") : "—";
    const rows = records.map(r => [r.repetition, [r.protocol, drawn(r)].filter(Boolean).join(", "), told(value(r)), interval(r),
      told(r.chance[place] ?? null), r.path, r.made]);
    const commands = [...grouped(records, r => `${r.run.command} ${r.form ?? ""}`.trim())].map(([command, found]) => [
      command, ...unique(found.map(r => r.run.split)).filter(Boolean).map(split => `--split ${split}`),
      ...unique(found.map(r => r.run.seed)).map(seed => `--seed ${seed}`),
      ...unique(found.map(r => r.protocol)).map(protocol => `--protocol ${protocol}`),
    ].join(" "));
    const methods = unique(records.map(r => r.method)), alone = unique(records.map(r => r.protocol)).length === 1;
    const limited = r => (limit => limit ? ` --limit ${limit[1]}` : "")(r.file.match(/^limit-(\d+)/));
    const looks = of || !alone ? [] : records.filter(r => !r.corrupted && !r.form).map(
      r => `mdreid-bench inspect --run ${r.run.folder} --protocol ${r.protocol}${limited(r)}`);
    return [
      element("h3", {}, "Seeds one by one"),
      htmlTable(["seed", "protocol", of ? "value" : `${name} [%]`, "95 % interval", `chance ${name}`, "record, below --results",
        "measured"], rows),
      element("h3", {}, "Counts"), list(unique(records.map(r => page.texts[r.counts]))),
      element("h3", {}, "How it was made"),
      list(unique([
        ...methods.map(m => `${m.label}: preset ${m.preset}, trunk ${m.trunk}`), ...records.flatMap(r => r.run.facts),
        ...records.map(r => page.texts[r.code]),
        ...methods.filter(m => m.superseded).map(m => `${m.label}: ${m.superseded} older records of the same seeds left out`),
      ])),
      element("h3", {}, "To make it again"),
      ...commands.flatMap(command => [element("pre", {}, command), copyButton("Copy the command", () => command)]),
      ...(looks.length ? [element("h3", {}, "To see what was retrieved"), element("pre", {}, looks.join("\n"))] : []),
      ...(records.some(r => r.data.kind === "real") ? [note("MDREID_DATA or --data-root names the folder of the images.")] : []),
    ];
  }
  function copyButton(label, text) {
    return element("button", {type: "button", onclick: async event => {
      const button = event.currentTarget;
      try {
        await navigator.clipboard.writeText(text());
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = label; }, 1500);
      } catch {
        button.after(element("pre", {}, text()));
      }
    }}, label);
  }

  // ---- CSV of what is seen
  function csv() {
    const quoted = text => `"${String(text).replace(/^([=+@\t])/, "'$1").replaceAll('"', '""')}"`;
    const plain = text => String(text).replaceAll("−", "-");
    const lines = [];
    for (const {title, columns, made, grouped: isGrouped} of shown) {
      const line = (front, data, first, sub, rest) => lines.push(
        [...(title ? [front] : []), ...(isGrouped ? data : []), first, sub, ...rest].map(quoted).join(","));
      const rows = made.getRows("active").map(row => row.getData()).filter(row => row.id);
      const seen = columns.filter(column => made.getColumn(column.id).isVisible());
      const more = new Set(seen.filter(column => rows.some(row => row[column.id]?.suffix)).map(column => column.id));
      const [first, ...rest] = seen.flatMap(
        column => [heading(column), ...(more.has(column.id) ? [`${heading(column)} (± or interval)`] : [])]);
      line("table", ["data set", "data kind"], first, "of", rest);
      for (const row of rows) {
        const cells = seen.flatMap(({id}) => {
          const cell = id === "label" ? row.label : row[id];
          const text = typeof cell === "object" && cell ? cell.text ?? "" : cell ?? "";
          return [plain(text), ...(more.has(id) ? [plain(cell?.suffix ?? "").trim()] : [])];
        });
        line(title, [row.group, row.kind ?? row.data?.kind ?? ""], cells[0], row.sub ?? "", cells.slice(1));
      }
    }
    return `${lines.join("\n")}\n`;
  }
  function save() {
    const href = URL.createObjectURL(new Blob([csv()], {type: "text/csv"}));
    const link = element("a", {href, download: `mdreid-bench-${state.view}.csv`});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  // ---- views that are not one table
  const searched = rows => {
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    const text = row => Object.values(row).filter(value => typeof value === "string").join(" ").toLowerCase();
    return rows.filter(row => words.every(word => text(row).includes(word)));
  };
  const MOST_GRIDS = 24;
  function showGrids(host) {
    const grids = page.data.flatMap(data => {
      const sides = data.subsets, columns = sides.flatMap(q => sides.map(g => single(`${q}-to-${g}`, state.metric)));
      return methodRows(data, columns.filter(c => wanted(c.protocols).length), false)
        .filter(row => row.type === "measured" && columns.filter(c => row[c.id]?.text).length > sides.length)
        .map(row => ({row, sides}));
    });
    const found = grids.filter(grid => searched([grid.row]).length);
    const area = element("div", {className: "grids"});
    const told = `${page.metrics[state.metric]} in %. Rows: sensors of the query; columns: sensors of the gallery.`;
    const left = ` ${MOST_GRIDS} of ${found.length} grids are shown; choose a method or a data set for the others.`;
    host.append(note(told + (found.length > MOST_GRIDS ? left : "")), area);
    for (const {row, sides} of found.slice(0, MOST_GRIDS)) {
      const title = `${row.label}, ${row.group}`, place = element("div", {}, element("h3", {}, title), note(row.sub));
      area.append(place);
      const rows = sides.map(query => {
        const line = {id: `${row.id}/${query}`, label: query, sub: "", group: title, data: row.data, type: "measured"};
        for (const gallery of sides) {
          const cell = row[`${query}-to-${gallery}|${state.metric}`] ?? reason("left out by the choice of protocols");
          line[gallery] = {...cell, rank: 0};
        }
        return line;
      });
      const columns = sides.map(gallery => ({id: gallery, title: gallery, group: "gallery", shaded: true}));
      show(place, {title, first: "query", square: true, rows, columns});
    }
    if (!found.length) host.append(element("p", {}, "No method that fits was measured under more protocols than a row has."));
  }
  /** The tables of one section as the other forms of the report have them, with links to the other sections. */
  function showSections(host) {
    const whole = ["dataset", "kind", "method", "preset", "trunk", "source"];
    const section = page.sections.find(({name}) => name === state.section) ?? page.sections[0];
    host.append(links("Sections", page.sections.map(
      ({name, title}) => [address({section: name, sort: "", cell: ""}), title, name === section.name])));
    section.tables.forEach((table, number) => {
      const columns = table.columns.map(([group, title, numeric], place) => (
        {id: `c${place}`, group, title: title || " ", text: !numeric, shaded: table.shaded && numeric}));
      const texts = PHONE ? columns.slice(1).filter(column => column.text).map(column => column.id) : []; // below the name
      const rows = table.rows.map((cells, place) => {
        const row = {id: `${section.name}.${number}.${place}`, type: "measured", group: table.title};
        const own = cells.flatMap(cell => cell.records ?? []).map(one => page.records[one]);
        cells.forEach((cell, one) => { row[`c${one}`] = restored(cell); });
        const told = texts.map(id => row[id].text ?? row[id]).filter(text => typeof text === "string");
        return {...row, own, data: own[0]?.data, label: row.c0.text ?? row.c0, sub: told.join(", ")};
      });
      const kept = searched(rows.filter(row => !row.own.length || row.own.some(r => fits(r, whole))));
      if (!kept.length || (rows.some(row => row.own.length) && !kept.some(row => row.own.length))) return;
      host.append(element("h3", {}, table.title), note(table.caption));
      const others = columns.slice(1).filter(column => !texts.includes(column.id));
      show(host, {title: table.title, first: heading(columns[0]), rows: kept, columns: others, square: table.shaded});
      if (table.picture !== null) host.append(picture(page.pictures[table.picture].image, table.title));
      host.append(...table.notes.map(note));
    });
    if (!shown.length) host.append(element("p", {}, "Nothing fits what was chosen above."));
  }
  const restored = cell => typeof cell === "object" && cell.records ? {...cell, records: cell.records.map(one => page.records[one])} : cell;
  const picture = (src, alt) => element("div", {className: "picture"}, element("img", {src, alt}));
  function showPictures(host) {
    for (const {title, image, notes} of page.pictures) {
      host.append(element("h3", {}, title), picture(image, title), ...notes.map(note));
    }
  }
  function showPivot(host) {
    const {rows, columns, grouped: isGrouped, hint} = PIVOTS[state.view]();
    const told = {preset: "preset", trunk: "trunk", seeds: "seeds"};
    const optional = isGrouped ? Object.entries(told).map(([id, title]) => ({id, title, text: true, optional: true})) : [];
    host.append(note(`${CHOOSES_METRIC.has(state.view) ? `${page.metrics[state.metric]} in %.` : ""} ${hint ?? ""}`));
    show(host, {rows: searched(rows), columns: [...columns, ...optional], grouped: isGrouped});
  }
  const CHOOSES_METRIC = new Set(["overview", "mismatched", "missing", "grid", "protocols", "transfer"]);

  // ---- the top of the page
  function showSummary() {
    const found = page.records.filter(r => fits(r)), count = (list, noun) => `${list.length} ${noun}${list.length === 1 ? "" : "s"}`;
    const kinds = unique(found.map(r => r.data.kind)), made = found.map(r => r.made.slice(0, 10)).sort();
    const parts = ["method", "dataset", "protocol", "seed"].map(
      name => count(unique(found.map(FACETS[name][1])), FACETS[name][0].toLowerCase()));
    const told = `${found.length.toLocaleString("en")} measurements: ${parts.join(", ")}; `
      + `${kinds.join(" and ")} data; measured ${unique([made[0], made.at(-1)]).join(" to ")}.`;
    const views = ["matched", "mismatched", "missing"].filter(name => HAS[name]);
    const rows = page.data.map(data => [data.title, ...views.map(name => {
      const protocols = wanted(data.views[name]);
      if (!protocols.length) return "—";
      const all = methodRows(data, [{id: "x", protocols, metric: "mAP"}], false);
      const ours = all.filter(row => row.x.text && row.type === "measured");
      const best = ours.reduce((one, row) => !one || (row.x.ranked && row.x.value > one.x.value) ? row : one, null);
      return best ? `${best.label} ${best.x.text}${best.x.suffix}` : "—";
    })]).filter(row => row.slice(1).some(text => text !== "—"));
    const heads = {matched: "matched", mismatched: "mismatched, mean", missing: "missing sensors, mean"};
    const best = element("summary", {}, "Highest mAP of ours, by data set (whether methods can be told apart: mdreid-bench compare)");
    document.getElementById("summary").replaceChildren(
      element("p", {}, found.length ? told : "No measurement fits what was chosen."),
      rows.length ? element("details", {open: !PHONE}, best, htmlTable(["data set", ...views.map(name => heads[name])], rows)) : "");
  }
  function menu(name, title, entries, chosen, toggle) {
    const summary = element("summary", {}, title);
    const boxes = entries.map(([value, label]) => {
      const box = element("input", {type: "checkbox", value, checked: chosen(value)});
      box.onchange = () => { toggle(value, box.checked); update(); };
      return element("label", {}, box, ` ${label}`);
    });
    const made = element("details", {name: "menus", id: `menu-${name}`}, summary, element("div", {className: "menu"}, ...boxes));
    made.refresh = () => {
      const on = boxes.map(label => label.firstChild).filter(box => (box.checked = chosen(box.value)));
      if (name === "columns") return;
      summary.textContent = title + (on.length > 1 ? ` (${on.length})` : on.length ? `: ${on[0].value}` : "");
      summary.classList.toggle("on", on.length > 0);
    };
    return made;
  }
  function links(label, entries) {
    const made = element("nav", {className: "links"}, ...entries.map(([href, title, current]) => {
      const link = element("a", {href}, title);
      if (current) link.setAttribute("aria-current", "page");
      return link;
    }));
    made.setAttribute("aria-label", label);
    return made;
  }
  const menus = [];
  function buildControls() {
    const controls = document.getElementById("controls");
    const search = element("input", {type: "search", id: "search", placeholder: "Search", value: state.q});
    search.setAttribute("aria-label", "Search in the rows");
    let waiting = 0;
    search.oninput = () => { clearTimeout(waiting); waiting = setTimeout(() => { state.q = search.value; update(); }, 150); };
    const metric = element("select", {id: "metric", onchange: () => { state.metric = metric.value; state.sort = ""; update(); }},
      ...METRICS.map(name => element("option", {value: name}, page.metrics[name])));
    metric.setAttribute("aria-label", "Metric");
    for (const [name, [title, of]] of Object.entries(FACETS)) {
      const things = OF_PUBLISHED.includes(name) ? [...page.records, ...page.published] : page.records;
      const values = unique(things.map(of));
      if (values.length < 2 || (name === "source" && !HAS.transfer)) continue;
      menus.push(menu(name, title, values.map(value => [value, value]), value => state.filter[name].has(value),
        (value, on) => state.filter[name][on ? "add" : "delete"](value)));
    }
    const reset = element("button", {type: "button", id: "reset", onclick: () => {
      Object.values(state.filter).forEach(set => set.clear());
      Object.assign(state, {q: "", sort: "", hide: new Set(), show: new Set()});
      update();
    }}, "Show all");
    controls.append(search, metric, ...menus, element("span", {id: "columns"}), reset,
      element("button", {type: "button", id: "csv", onclick: save}, "CSV"), copyButton("Copy link", () => location.href));
    controls.onsubmit = event => event.preventDefault();
    document.addEventListener("keydown", event => {
      const open = event.key === "Escape" && document.querySelector("#controls details[open]");
      if (open) { open.open = false; open.querySelector("summary").focus(); }
    });
    document.addEventListener("click", event => {
      for (const open of document.querySelectorAll("#controls details[open]")) if (!open.contains(event.target)) open.open = false;
    });
  }
  function columnsMenu() {
    const columns = shown.length === 1 ? shown[0].columns.slice(1) : [];
    const named = columns.map(column => [column.id, heading(column)]);
    const made = menu("columns", "Columns", named, id => !hidden(columns.find(column => column.id === id)), (id, on) => {
      const optional = columns.find(column => column.id === id).optional;
      state[optional ? "show" : "hide"][on === Boolean(optional) ? "add" : "delete"](id);
    });
    const place = document.getElementById("columns"), open = place.querySelector("details")?.open;
    const focused = place.contains(document.activeElement) && document.activeElement.value;
    made.refresh();
    place.replaceChildren(...(columns.length ? [made] : []));
    made.open = Boolean(open);
    if (focused) [...made.querySelectorAll("input")].find(box => box.value === focused)?.focus();
  }

  // ---- putting it together
  function update() {
    remember();
    const views = Object.entries(VIEWS).filter(([name]) => HAS[name] ?? true);
    document.getElementById("views").replaceChildren(links("Views", views.map(
      ([name, title]) => [address({view: name, section: "", sort: "", cell: ""}), title, name === state.view])));
    document.getElementById("metric").value = state.metric;
    document.getElementById("metric").hidden = !CHOOSES_METRIC.has(state.view);
    if (document.activeElement?.id !== "search") document.getElementById("search").value = state.q;
    menus.forEach(one => one.refresh());
    const inTables = state.view === "tables";
    for (const name of ["seed", "protocol"]) { const one = document.getElementById(`menu-${name}`); if (one) one.hidden = inTables; }
    showSummary();
    shown = [];
    const main = document.getElementById("main");
    main.replaceChildren(element("h2", {}, VIEWS[state.view]));
    ({grid: showGrids, tables: showSections, pictures: showPictures}[state.view] ?? showPivot)(main);
    columnsMenu();
    if (state.cell) openNamed(state.cell);
  }
  function openNamed(name) {
    for (const {rows, columns} of shown) {
      for (const row of rows) {
        const column = name.startsWith(`${row.id}|`) && columns.find(one => name === `${row.id}|${one.id}`);
        if (column && row[column.id]) return openCell(row, column, row[column.id]);
      }
    }
  }
  document.getElementById("dialog").addEventListener("close", () => { state.cell = ""; remember(); });
  document.getElementById("dialog").addEventListener("click", event => { if (event.target.id === "dialog") event.target.close(); });
  addEventListener("hashchange", () => { document.getElementById("dialog").close(); readAddress(); update(); });
  document.getElementById("synthetic").hidden = !page.data.some(data => data.kind === "synthetic");
  readAddress();
  buildControls();
  update();
})();
