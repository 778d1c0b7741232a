import { type InfiniteData, QueryClient } from "@tanstack/react-query";
import { beforeEach, describe, expect, it } from "vitest";
import type { Backup, BackupList } from "@/api/documents";
import type { Session } from "@/api/model";
import { tellBackup } from "./patch-backups";

const backup = (id: string, more: Partial<Backup> = {}): Backup => ({
  id, kind: "runs", label: `run ${id}`, owner: "ada", source: {}, state: "exporting", word: "", is_interrupted: false, created: 1, updated: 1,
  verified: null, deleted: null, expires: null, pinned: false, records: 0, size: 0, stored: 0, digest: null, error: null, next_steps: [],
  may_touch: true, ...more,
});
const told = ({ may_touch: _, ...rest }: Backup) => rest;
const listOf = (...backups: Backup[]): InfiniteData<BackupList> => ({ pages: [{ backups, next: null }], pageParams: [null] });
const shown = (client: QueryClient, key: readonly unknown[]) => client.getQueryData<InfiniteData<BackupList>>(key)?.pages.flatMap((page) => page.backups) ?? [];

describe("what is told of a backup", () => {
  const all = ["backups", { text: null, state: [], kind: null, owner: null, limit: 50 }];
  const filtered = ["backups", { text: null, state: ["failed"], kind: null, owner: null, limit: 50 }];
  let client: QueryClient;
  beforeEach(() => {
    client = new QueryClient();
  });
  const as = (name: string, role: Session["account"]["role"]) => client.setQueryData(["session"], { account: { name, role } });

  it("changes its row where it stands, and leaves the others the same objects", () => {
    const other = backup("b");
    client.setQueryData(all, listOf(backup("a"), other));
    tellBackup(client, told(backup("a", { state: "verified" })));
    expect(shown(client, all).map(({ id, state }) => [id, state])).toEqual([["a", "verified"], ["b", "exporting"]]);
    expect(shown(client, all)[1]).toBe(other);
  });

  it("keeps who may touch it, which events do not tell", () => {
    client.setQueryData(["backup", "a"], backup("a", { may_touch: true }));
    tellBackup(client, told(backup("a", { state: "deleted" })));
    expect(client.getQueryData<Backup>(["backup", "a"])).toMatchObject({ state: "deleted", may_touch: true });
  });

  it("puts a new one on top of the whole list, and into no filtered one", () => {
    as("vic", "viewer");
    client.setQueryData(all, listOf(backup("a")));
    client.setQueryData(filtered, listOf());
    tellBackup(client, told(backup("new")));
    expect(shown(client, all).map(({ id, may_touch }) => [id, may_touch])).toEqual([["new", false], ["a", true]]);
    expect(shown(client, filtered)).toEqual([]);
  });

  it("gives a new one to whose it is, and to admins", () => {
    for (const [name, role] of [["ada", "operator"], ["root", "admin"]] as const) {
      as(name, role);
      client.setQueryData(all, listOf());
      tellBackup(client, told(backup("new")));
      expect(shown(client, all)[0]?.may_touch).toBe(true);
    }
  });
});
