/** What is told of backups, put into what pages show of them. */
import type { InfiniteData, QueryClient } from "@tanstack/react-query";
import type { Backup, BackupList } from "@/api/documents";
import type { Session } from "@/api/model";
import { listen } from "./live";

type Told = Omit<Backup, "may_touch">;

export function patchBackups(client: QueryClient): () => void {
  return listen<{ backups: Told[] }>("backups", ({ backups }) => {
    for (const told of backups) tellBackup(client, told);
  });
}

export function tellBackup(client: QueryClient, told: Told): void {
  client.setQueryData<Backup>(["backup", told.id], (old) => old && { ...old, ...told });
  for (const [key, lists] of client.getQueriesData<InfiniteData<BackupList>>({ queryKey: ["backups"] })) {
    if (!lists) continue;
    if (lists.pages.some((page) => page.backups.some((one) => one.id === told.id))) client.setQueryData(key, replaced(lists, told));
    else if (isUnfiltered(key)) client.setQueryData(key, onTop(lists, { ...told, may_touch: mayTouch(client, told) }));
  }
}

const replaced = (lists: InfiniteData<BackupList>, told: Told): InfiniteData<BackupList> => ({
  ...lists,
  pages: lists.pages.map((page) => ({ ...page, backups: page.backups.map((one) => (one.id === told.id ? { ...one, ...told } : one)) })),
});

function onTop(lists: InfiniteData<BackupList>, backup: Backup): InfiniteData<BackupList> {
  const [first, ...others] = lists.pages;
  return first ? { ...lists, pages: [{ ...first, backups: [backup, ...first.backups] }, ...others] } : lists;
}

/** Events go to everybody: whose it is tells who may. */
function mayTouch(client: QueryClient, told: Told): boolean {
  const account = client.getQueryData<Session>(["session"])?.account;
  return account?.role === "admin" || account?.name === told.owner;
}

const isUnfiltered = (key: readonly unknown[]): boolean =>
  Object.entries((key[1] ?? {}) as Record<string, unknown>).every(([name, value]) => name === "limit" || !value || (Array.isArray(value) && value.length === 0));
