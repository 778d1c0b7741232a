import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { themeVariables } from "./theme-variables.ts";

const root = fileURLToPath(new URL(".", import.meta.url));

export default defineConfig({
  plugins: [react(), themeVariables()],
  resolve: { alias: { "@": `${root}src` } },
  worker: { format: "es" },
  build: {
    outDir: `${root}../src/waycairn/server/static`,
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // the policy knows no data: addresses for scripts and styles
    modulePreload: { polyfill: false },
    // All of the first page in one file: a dozen small ones are a dozen requests.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: "first", test: /src\/app\.tsx$/ }] } } },
  },
  server: {
    // `npm run dev` beside a `waycairn serve`; where that is, WAYCAIRN_SERVER says
    proxy: { "/api": process.env.WAYCAIRN_SERVER ?? "http://127.0.0.1:8642" },
  },
});
