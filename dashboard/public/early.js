// Runs before the bundle is there: sets the colours, so that nothing flashes, and asks for what the first page shows, so that
// its rows are on their way while the bundle still is. No module and no inline script: the policy allows neither wait nor inline.
(() => {
  const said = (() => {
    try {
      return localStorage.getItem("mantine-color-scheme-value");
    } catch {
      return null; // storage may be forbidden; the page works without
    }
  })();
  const dark = said === "dark" || (said !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.setAttribute("data-mantine-color-scheme", dark ? "dark" : "light");

  const early = {};
  const ask = (path) => {
    early[path] = fetch(path, { headers: { Accept: "application/json" } });
    early[path].catch(() => {}); // who asks for it later hears of it
  };
  ask("/api/v1/session");
  if (location.pathname === "/" || location.pathname === "/runs") {
    const query = new URLSearchParams(location.pathname === "/" ? "" : location.search);
    query.set("limit", "50");
    ask(`/api/v1/runs?${query}`);
    ask("/api/v1/runs/counts");
  }
  window.waycairnEarly = early;
})();
