// Sorts a table by the column whose heading is clicked; the page reads the same without it.
for (const table of document.querySelectorAll("table.sortable")) {
  const row = table.tHead.rows[table.tHead.rows.length - 1];
  const skipped = table.tHead.rows.length > 1 ? 1 : 0;
  [...row.cells].forEach((heading, index) => {
    if (!heading.textContent.trim()) return;
    const button = document.createElement("button");
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") !== "descending";
      for (const other of row.cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (tr) => {
        const cell = tr.cells[index + skipped];
        return "sort" in cell.dataset ? Number(cell.dataset.sort || -Infinity) : cell.textContent.trim();
      };
      const order = (a, b) => typeof a === "number" ? a - b : a.localeCompare(b);
      const rows = [...table.tBodies[0].rows].sort((a, b) => order(value(a), value(b)));
      table.tBodies[0].append(...(down ? rows.reverse() : rows));
    });
  });
}
