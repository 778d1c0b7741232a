/** Lists that come a page at a time, shown as one that grows. */
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { api, type Query } from "./client";

type Page<T> = Record<string, T[] | string | null>;

export function usePaged<T>(key: readonly unknown[], path: string, noun: string, query: Query, enabled = true) {
  const found = useInfiniteQuery({
    queryKey: [...key, query],
    enabled,
    initialPageParam: null as string | null,
    placeholderData: keepPreviousData,
    queryFn: ({ pageParam, signal }) => api.get<Page<T>>(path, { ...query, cursor: pageParam }, signal),
    getNextPageParam: (last) => (last.next as string | null) ?? null,
  });
  const rows = found.data?.pages.flatMap((page) => page[noun] as T[]) ?? [];
  return { ...found, rows };
}
