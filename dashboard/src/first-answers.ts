/** What early.js asked for is mostly answered by the time this bundle runs: with it, the first picture has the rows in it, and is
 * made once instead of three times (nothing known, who is signed in, the rows). */
import { queryClient } from "@/api/query-client";
import { countsQuery, runPageQuery } from "@/api/runs";
import { sessionQuery } from "@/session/session";

/** Milliseconds. A server that takes longer is waited for with the frame of the page in sight. */
const PATIENCE = 150;

/** Resolves when they are there, or when it has been waited for long enough; never rejects. */
export async function firstAnswers(): Promise<void> {
  const { pathname, search } = window.location;
  const asked = [queryClient.prefetchQuery(sessionQuery)];
  if (pathname === "/" || pathname === "/runs") {
    const list = runPageQuery(new URLSearchParams(pathname === "/" ? "" : search));
    asked.push(queryClient.prefetchQuery(list), queryClient.prefetchQuery(countsQuery));
  }
  await Promise.race([Promise.all(asked), new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
}
