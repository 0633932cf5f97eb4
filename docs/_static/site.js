// What assistive technology needs and the theme leaves out: levels of headings, names of the two sidebars, empty cells that are
// no headers, and parts of the page that scroll sideways as stops of the keyboard.
window.addEventListener("load", () => {
  document.querySelectorAll('[role="heading"]:not([aria-level])').forEach((heading) => { heading.ariaLevel = "2"; });
  document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "All pages");
  document.querySelector(".toc-drawer")?.setAttribute("aria-label", "On this page");
  document.querySelectorAll("th").forEach((cell) => { if (!cell.textContent.trim()) cell.role = "cell"; });
  document.querySelectorAll("pre, .table-wrapper, div.math").forEach((part) => {
    if (part.scrollWidth > part.clientWidth) part.tabIndex = 0;
  });
});
