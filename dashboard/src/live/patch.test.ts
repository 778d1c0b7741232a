import { QueryClient } from "@tanstack/react-query";
import { expect, test } from "vitest";
import type { Run, RunPage } from "@/api/model";
import { fits } from "@/pages/runs/filters";
import { dropRuns, patchLists } from "./patch";

const run = (id: string, more: Partial<Run> = {}): Run =>
  ({ id, name: id, key: null, parent: null, root: id, status: "running", tags: [], task: null, account: "ada", updated: 1, sequence: 1, ...more }) as Run;

function listed(search: string, ...runs: Run[]): [QueryClient, () => Run[]] {
  const client = new QueryClient();
  client.setQueryData<RunPage>(["runs", "list", search], { runs, next: null });
  return [client, () => client.getQueryData<RunPage>(["runs", "list", search])?.runs ?? []];
}

const patch = (client: QueryClient, ...runs: Run[]) => patchLists(client, new Map(runs.map((one) => [one.id, one])), fits);

test("a row that did not change stays the same object", () => {
  const [client, rows] = listed("", run("a"), run("b"));
  const before = rows();
  patch(client, run("a", { updated: 2 }));
  expect(rows()[0]).not.toBe(before[0]);
  expect(rows()[1]).toBe(before[1]);
});

test("nothing is told of a list in which nothing changed", () => {
  const [client, rows] = listed("status=failed", run("a", { status: "failed" }));
  const before = rows();
  patch(client, run("b"));
  expect(rows()).toBe(before);
});

test("a new run is put on top of the lists that it belongs to", () => {
  const [client, rows] = listed("status=running&text=GHT", run("a"));
  patch(client, run("nightly"), run("other"));
  expect(rows().map(({ id }) => id)).toEqual(["nightly", "a"]);
});

test("pages behind the first one get no new runs", () => {
  const [client, rows] = listed("cursor=abc", run("a"));
  patch(client, run("b"));
  expect(rows()).toHaveLength(1);
});

test("an event that an answer has overtaken changes nothing", () => {
  const [client, rows] = listed("", run("a", { updated: 5, status: "completed" }));
  patch(client, run("a", { updated: 4 }));
  expect(rows()[0]?.status).toBe("completed");
});

test("runs whose status changed are told", () => {
  const [client] = listed("", run("a"), run("b"));
  const turned = patch(client, run("a", { updated: 2, status: "failed" }), run("b", { updated: 2 }));
  expect([...turned].map(({ id }) => id)).toEqual(["a"]);
});

test("runs that are gone leave", () => {
  const [client, rows] = listed("", run("a"), run("b"));
  dropRuns(client, new Set(["a"]));
  expect(rows().map(({ id }) => id)).toEqual(["b"]);
});
