/** Jobs that somebody watches in a dialog: nothing else needs to tell of their end. */
import { useEffect } from "react";

const followed = new Map<string, number>();

export const isFollowed = (job: string): boolean => followed.has(job);

export function useFollowed(...jobs: readonly (string | null | undefined)[]): void {
  const known = jobs.filter(Boolean).join(" ");
  useEffect(() => {
    const ids = known === "" ? [] : known.split(" ");
    for (const id of ids) followed.set(id, (followed.get(id) ?? 0) + 1);
    return () => {
      for (const id of ids) {
        const many = (followed.get(id) ?? 1) - 1;
        if (many === 0) followed.delete(id);
        else followed.set(id, many);
      }
    };
  }, [known]);
}
