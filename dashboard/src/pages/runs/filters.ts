/** The filters of the list of runs, as they stand in the address of the page: it can be sent to a colleague. */
import type { Run } from "@/api/model";

export const FILTERS = ["status", "name", "key", "task", "tag", "account", "text"] as const;
export const SORTS = ["created", "updated", "name"] as const;
export const PAGE_SIZE = "50";

/** As early.js asks, to the letter. */
export function queryOf(search: URLSearchParams): URLSearchParams {
  const query = new URLSearchParams(search);
  query.set("limit", PAGE_SIZE);
  return query;
}

/** Whether a run that was not there before belongs on the first page of such a list. */
export function fits(key: readonly unknown[], run: Run): boolean {
  const search = new URLSearchParams(String(key[2] ?? ""));
  if (search.has("cursor") || search.get("sort") === "name" || search.get("order") === "asc") return false;
  return run.parent === null && matches(search, run);
}

export function matches(search: URLSearchParams, run: Run): boolean {
  const statuses = search.getAll("status");
  const is = (name: string, value: string | null) => !search.get(name) || search.get(name) === value;
  const text = search.get("text")?.toLowerCase();
  return (
    (statuses.length === 0 || statuses.includes(run.status)) &&
    is("name", run.name) &&
    is("key", run.key) &&
    is("task", run.task) &&
    is("account", run.account) &&
    (!search.get("tag") || run.tags.includes(search.get("tag") ?? "")) &&
    (!text || `${run.name}\n${run.key ?? ""}`.toLowerCase().includes(text))
  );
}

/** Of runs that do not go on by themselves, and may. */
export const INCOMPLETE = ["interrupted", "failed", "partial", "orphaned"] as const;

/** With another value of one filter, from the first page on. */
export function withFilter(search: URLSearchParams, name: string, values: readonly string[]): URLSearchParams {
  const next = new URLSearchParams(search);
  next.delete(name);
  next.delete("cursor");
  for (const value of values) if (value !== "") next.append(name, value);
  return next;
}

export const isFiltered = (search: URLSearchParams): boolean => FILTERS.some((name) => search.has(name));

/** The same filters, as acts on many runs take them. */
export function bulkFilterOf(search: URLSearchParams): Record<string, string | string[]> {
  const filter: Record<string, string | string[]> = {};
  for (const name of FILTERS) {
    const values = search.getAll(name);
    if (values.length > 0) filter[name] = name === "status" ? values : (values[0] ?? "");
  }
  return filter;
}
