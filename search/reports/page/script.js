"use strict";
// Highlights one trial in all figures and in the table, sorts the table, switches the colours.
(() => {
  const root = document.documentElement;
  const label = document.getElementById("picked");
  const names = new Map();
  for (const row of document.querySelectorAll("tr[data-t]")) names.set(row.dataset.t, row);
  let pinned = null;
  let shown = null;

  const show = (number) => {
    if (number === shown) return;
    for (const each of document.querySelectorAll(".on")) each.classList.remove("on");
    for (const svg of document.querySelectorAll("svg.picking")) svg.classList.remove("picking");
    shown = number;
    label.hidden = number === null;
    if (number === null) return;
    for (const each of document.querySelectorAll(`[data-t="${number}"]`)) {
      each.classList.add("on");
      const svg = each.closest("svg");
      if (svg) svg.classList.add("picking");
    }
    const row = names.get(number);
    const cells = row ? [...row.cells].slice(0, 4).map((cell) => cell.textContent.trim()) : [];
    label.textContent = row ? `${cells[0]}  ${cells[1]}, ${cells[2]} epochs, dev EER ${cells[3]}` : "";
    label.hidden = !row;
  };

  const numberOf = (target) => {
    const found = target instanceof Element ? target.closest("[data-t]") : null;
    return found ? found.dataset.t : null;
  };

  document.addEventListener("mouseover", (event) => show(numberOf(event.target) ?? pinned));
  document.addEventListener("click", (event) => {
    const number = numberOf(event.target);
    if (number === null && !(event.target instanceof Element && event.target.closest("svg"))) return;
    pinned = number === pinned ? null : number;
    show(pinned);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { pinned = null; show(null); }
  });

  const valueOf = (row, column) => {
    const text = row.cells[column].textContent.trim();
    const number = parseFloat(text);
    return Number.isNaN(number) ? text : number;
  };
  const compare = (one, other) => {
    if (typeof one === typeof other) return one < other ? -1 : Number(one > other);
    return typeof one === "number" ? -1 : 1;
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      head.tabIndex = 0;
      const sort = () => {
        const falling = head.getAttribute("aria-sort") === "ascending";
        for (const each of heads) each.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", falling ? "descending" : "ascending");
        const body = table.tBodies[0];
        const rows = [...body.rows];
        rows.sort((a, b) => (falling ? -1 : 1) * compare(valueOf(a, column), valueOf(b, column)));
        body.append(...rows);
      };
      head.addEventListener("click", sort);
      head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
    });
  }

  const button = document.getElementById("theme");
  const isDark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const name = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; name(); });
  button.hidden = false;
  name();
})();
