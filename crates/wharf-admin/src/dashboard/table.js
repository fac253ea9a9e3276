// Texts and tables that are renewed. What has not changed is not touched: whoever is selecting it, or has it read out,
// is not disturbed.

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// As many rows as there are things, each with its cells; rows that are there stay.
export function rows(table, things, cells) {
  const body = table.tBodies[0];
  while (body.rows.length > things.length) body.deleteRow(-1);
  things.forEach((thing, at) => {
    const row = body.rows[at] ?? body.insertRow();
    cells(thing).forEach(({ text, share, className }, column) => {
      const cell = row.cells[column] ?? row.insertCell();
      if (share === undefined) setText(cell, text);
      else bar(cell, text, share);
      cell.className = className ?? "";
    });
  });
}

// A number with a bar behind it, as long as its share of the largest.
function bar(cell, text, share) {
  if (!cell.firstElementChild) {
    const box = document.createElement("div");
    box.className = "bar";
    box.append(document.createElement("i"), document.createElement("span"));
    cell.append(box);
  }
  const [line, label] = cell.firstElementChild.children;
  line.style.width = `${Math.round(100 * (share || 0))}%`;
  setText(label, text);
}

// `level` is "warn" or "bad", or nothing.
export const number = (text, level = "") => ({ text, className: `number ${level}`.trim() });

// How near something is to its maximum.
export function level(value, max) {
  if (value >= max) return "bad";
  return value >= max * 0.75 ? "warn" : "";
}
