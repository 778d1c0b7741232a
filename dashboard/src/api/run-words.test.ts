import { expect, test } from "vitest";
import { resumeLine } from "./run-words";

test("a line for a shell is quoted where a shell would take it apart", () => {
  expect(resumeLine({ name: "nightly", key: "2026-11-30" }, "/srv/store")).toBe("waycairn resume nightly --key 2026-11-30 --store /srv/store");
  expect(resumeLine({ name: "it's; rm -rf", key: null }, "/a b")).toBe(`waycairn resume 'it'\\''s; rm -rf' --store '/a b'`);
});
