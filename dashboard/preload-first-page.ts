// Who opens the page mostly sees the runs first. That chunk is told to the browser with the document, so that it is on its way
// while the entry still is; on other pages it costs some KB that the next click would.
import type { HtmlTagDescriptor, Plugin } from "vite";

const FIRST = /pages\/runs\/runs-page\.tsx$/;

export function preloadFirstPage(): Plugin {
  return {
    name: "preload-first-page",
    transformIndexHtml: {
      order: "post",
      handler: (html, { bundle }) => {
        const chunks = Object.values(bundle ?? {}).filter((output) => output.type === "chunk");
        const first = chunks.find((chunk) => FIRST.test(chunk.facadeModuleId ?? ""));
        const wanted = first ? [first.fileName, ...first.imports] : [];
        return wanted.filter((file) => !html.includes(file)).map(tagOf);
      },
    },
  };
}

const tagOf = (file: string): HtmlTagDescriptor => ({
  tag: "link",
  attrs: { rel: "modulepreload", crossorigin: true, href: `/${file}` },
  injectTo: "head",
});
