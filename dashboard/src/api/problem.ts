/** What the server refused, with its own words: what happened, what it means for the data, what to do. */
export class Problem extends Error {
  override name = "Problem";

  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly invalid: readonly { where: string; what: string }[] = [],
    /** Seconds, where the server says when to ask again. */
    readonly retryAfter: number | null = null,
  ) {
    super(detail);
  }
}

/** No answer came: nothing is known of what the server did. */
export class Unreachable extends Error {
  override name = "Unreachable";

  constructor() {
    super("The server does not answer. What you see may be old; the jobs themselves need no server and go on.");
  }
}

export async function problemOf(response: Response): Promise<Problem> {
  const said = (await response.json().catch(() => ({}))) as Partial<Problem>;
  return new Problem(
    response.status,
    said.title ?? response.statusText,
    said.detail ?? `The server answered ${response.status} and said no more.`,
    said.invalid ?? [],
    Number(response.headers.get("Retry-After")) || null,
  );
}

export const isNotSignedIn = (error: unknown): boolean => error instanceof Problem && error.status === 401;
