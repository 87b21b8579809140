// The whole worker inside the sandboxed frame, bundled to one classic script. The order matters: the realm loses its powers
// before Pyodide is even evaluated.
import "./realm.ts";
import "./python.ts";

// A promise that fails unseen would leave the page waiting: make an error of it, which the frame hears.
addEventListener("unhandledrejection", ({ reason }) => {
  throw reason;
});
