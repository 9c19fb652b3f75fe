"use strict";
// A number sorts by its key, whatever it is shown as; what is missing is last.
function keyOf(row, index) {
  const cell = row.cells[index];
  return "key" in cell.dataset ? Number(cell.dataset.key) : cell.textContent;
}

function compare(a, b) {
  if (typeof a === typeof b) {
    return typeof a === "number" ? a - b : a.localeCompare(b, "en");
  }
  return null;
}

function sort(table, index, descending) {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  rows.sort((x, y) => {
    const a = keyOf(x, index);
    const b = keyOf(y, index);
    const order = compare(a, b);
    if (order === null) {
      return typeof a === "number" ? -1 : 1;
    }
    return descending ? -order : order;
  });
  body.append(...rows);
}

for (const table of document.querySelectorAll("table")) {
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, index) => {
    head.querySelector("button").addEventListener("click", () => {
      const descending = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      const direction = descending ? "descending" : "ascending";
      head.setAttribute("aria-sort", direction);
      sort(table, index, descending);
    });
  });
}

for (const field of document.querySelectorAll("input[type=search]")) {
  const rows = field.parentElement.querySelectorAll("tbody tr");
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
}
