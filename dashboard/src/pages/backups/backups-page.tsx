import { MultiSelect, Select, Switch, TextInput } from "@mantine/core";
import { IconArchive, IconSearch } from "@tabler/icons-react";
import { Link } from "react-router";
import { archiveOf } from "@/api/backups";
import type { Backup } from "@/api/documents";
import { usePaged } from "@/api/paged";
import { formatCount, formatSize } from "@/format/number";
import { useSession } from "@/session/session";
import { type Column, DataTable } from "@/ui/data-table";
import { FilterBar } from "@/ui/filter-bar";
import { More } from "@/ui/more";
import { Page, Section } from "@/ui/page";
import { Empty, ErrorState, Skeleton } from "@/ui/states";
import { Ago } from "@/ui/time";
import { useFilters, useTyped } from "@/ui/use-filters";
import { BackupBadge, isWhole, STATE_WORDS } from "./backup-badge";
import classes from "./backups.module.css";
import { Download } from "./download";
import { PruneButton } from "./prune";

const COLUMNS: readonly Column<Backup>[] = [
  {
    name: "what",
    title: "Of what",
    lead: true,
    cell: (backup) => (
      <div className={classes.what}>
        <Link to={`/backups/${backup.id}`} className={classes.name}>
          {backup.label}
        </Link>
        <BackupBadge backup={backup} />
      </div>
    ),
  },
  { name: "holds", title: "Records", numeric: true, cell: ({ records }) => formatCount(records) },
  { name: "size", title: "Size", numeric: true, cell: ({ size }) => formatSize(size) },
  { name: "owner", title: "Made by", cell: ({ owner }) => owner },
  { name: "made", title: "Made", cell: ({ created }) => <Ago at={created} /> },
  { name: "stays", title: "Stays until", cell: (backup) => <Stays backup={backup} /> },
  {
    name: "download",
    title: "",
    cell: (backup) =>
      backup.may_touch && isWhole(backup) ? (
        <Download href={archiveOf(backup.id)} label={`Download the backup of ${backup.label}`} size="compact-sm">
          Download
        </Download>
      ) : null,
  },
];

function Stays({ backup }: { backup: Backup }) {
  if (backup.state === "expired") return <span className={classes.dimmed}>gone</span>;
  if (backup.state === "failed" || backup.state === "exporting") return <span className={classes.dimmed}>–</span>;
  if (backup.pinned) return <>pinned</>;
  return backup.expires === null ? <>for ever</> : <Ago at={backup.expires} />;
}

/** Of our own; a source that somebody wrote has a kind of its own, which an address may name. */
const KINDS = ["runs", "rows", "paths"];

export default function BackupsPage() {
  const filters = useFilters();
  const { name } = useSession().account;
  const text = filters.get("text");
  const query = { text, state: filters.all("state"), kind: filters.get("kind"), owner: filters.get("owner"), limit: 50 };
  const list = usePaged<Backup>(["backups"], "/backups", "backups", query);
  const [typed, type] = useTyped(text, (value) => filters.set("text", value));
  return (
    <Page title="Backups" note="Verified copies, made before a delete: each can be searched, downloaded and brought back until its time is over." actions={<PruneButton />}>
      <FilterBar label="Backups" clear={filters.isAny ? filters.clear : null}>
        <TextInput
          label="Search"
          placeholder="label or id"
          leftSection={<IconSearch size={16} aria-hidden />}
          value={typed}
          onChange={(event) => type(event.currentTarget.value)}
        />
        <MultiSelect
          label="State"
          placeholder={query.state.length === 0 ? "any" : ""}
          data={STATE_WORDS}
          value={query.state}
          onChange={(value) => filters.set("state", value)}
          clearable
          clearButtonProps={{ "aria-label": "Clear the states" }}
        />
        <Select
          label="Of"
          placeholder="anything"
          data={[...new Set([...KINDS, ...(query.kind ? [query.kind] : [])])]}
          value={query.kind}
          onChange={(value) => filters.set("kind", value)}
          clearable
          clearButtonProps={{ "aria-label": "Clear the kind" }}
        />
        <Switch label="Only mine" checked={query.owner === name} onChange={(event) => filters.set("owner", event.currentTarget.checked ? name : null)} className={classes.mine} />
      </FilterBar>
      <Section title="All backups">
        <List list={list} filtered={filters.isAny} clear={filters.clear} />
      </Section>
    </Page>
  );
}

function List({ list, filtered, clear }: { list: ReturnType<typeof usePaged<Backup>>; filtered: boolean; clear: () => void }) {
  if (list.isError && list.rows.length === 0) return <ErrorState error={list.error} again={() => void list.refetch()} />;
  if (list.isPending) return <Skeleton label="Loading the backups" />;
  if (list.rows.length === 0) return <Nothing filtered={filtered} clear={clear} />;
  return (
    <>
      <DataTable caption="Backups, the newest first" columns={COLUMNS} rows={list.rows} rowKey={(backup) => backup.id} />
      <More shown={list.rows.length} hasMore={list.hasNextPage} isLoading={list.isFetchingNextPage} then={() => void list.fetchNextPage()} noun="backups" />
    </>
  );
}

function Nothing({ filtered, clear }: { filtered: boolean; clear: () => void }) {
  if (filtered)
    return (
      <Empty icon={IconSearch} title="No backup fits these filters" actions={<button type="button" className={classes.plain} onClick={clear}>Clear the filters</button>}>
        Backups whose time is over stay in this list, as “gone”.
      </Empty>
    );
  return (
    <Empty icon={IconArchive} title="There is no backup yet">
      Choose runs on the page of runs and delete them with a backup: it is made, read back and compared before anything is deleted. Paths and rows of
      databases are backed up by <code>waycairn backup create</code>.
    </Empty>
  );
}
