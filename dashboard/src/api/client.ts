/** The one way to the server: addresses below /api/v1, JSON, errors as `Problem` or `Unreachable`. */
import { problemOf, Unreachable } from "./problem";

export const API = "/api/v1";

export type Query = Record<string, string | number | boolean | readonly string[] | null | undefined>;

let csrf: string | null = null;

/** Of the session; requests that change something carry it. */
export function carryCsrf(value: string | null): void {
  csrf = value;
}

export function addressOf(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === "") continue;
    if (Array.isArray(value)) for (const one of value) search.append(name, one as string);
    else search.set(name, String(value));
  }
  const text = search.toString();
  return `${API}${path}${text && `?${text}`}`;
}

export const api = {
  get: <T>(path: string, query?: Query, signal?: AbortSignal) => ask<T>("GET", addressOf(path, query), undefined, signal),
  post: <T>(path: string, body?: unknown, query?: Query) => ask<T>("POST", addressOf(path, query), body),
  put: <T>(path: string, body: unknown) => ask<T>("PUT", addressOf(path), body),
  patch: <T>(path: string, body: unknown) => ask<T>("PATCH", addressOf(path), body),
  delete: <T>(path: string) => ask<T>("DELETE", addressOf(path)),
};

async function ask<T>(method: string, address: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const response = await send(method, address, body, signal);
  if (!response.ok) throw await problemOf(response);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

async function send(method: string, address: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (method !== "GET" && csrf !== null) headers["X-Waycairn-CSRF"] = csrf;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    if (method !== "GET") delete window.waycairnEarly; // who signs in was nobody when they were asked for
    const early = method === "GET" ? takeEarly(address) : undefined;
    return await (early ?? fetch(address, { method, headers, body: body === undefined ? null : JSON.stringify(body), signal: signal ?? null }));
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable();
  }
}

/** What early.js asked for while the bundle was on its way. */
function takeEarly(address: string): Promise<Response> | undefined {
  const early = window.waycairnEarly;
  const found = early?.[address];
  if (early && found) delete early[address];
  return found;
}

/** Signed out: answers of another account are nobody's business. */
export function forgetEarly(): void {
  delete window.waycairnEarly;
}
