import { Select, TextInput } from "@mantine/core";
import { IconListSearch } from "@tabler/icons-react";
import type { AuditRow } from "@/api/documents";
import { usePaged } from "@/api/paged";
import { useMay } from "@/session/session";
import { FilterBar } from "@/ui/filter-bar";
import { ForAdmins } from "@/ui/for-admins";
import { More } from "@/ui/more";
import { Page, Section } from "@/ui/page";
import { Empty, ErrorState, Skeleton } from "@/ui/states";
import { useFilters, useTyped } from "@/ui/use-filters";
import { AuditTable } from "./audit-table";
import { ChainCheck } from "./chain-check";
import { fieldOf, secondsOf } from "./moments";

const OUTCOMES = ["begun", "done", "refused", "failed"];

export default function AuditPage() {
  const isAdmin = useMay("admin");
  return (
    <Page title="Audit" note="Every act that changed or exported data: who, when, what, and how it ended. Rows can be added, and never changed unseen.">
      {isAdmin ? <Log /> : <ForAdmins what="The audit log" />}
    </Page>
  );
}

function Log() {
  const filters = useFilters();
  const names = ["act", "actor", "object", "outcome", "since", "until"] as const;
  const query = { ...Object.fromEntries(names.map((name) => [name, filters.get(name)])), limit: 100 };
  const list = usePaged<AuditRow>(["audit"], "/audit", "rows", query);
  return (
    <>
      <ChainCheck />
      <FilterBar label="Rows of the audit log" clear={filters.isAny ? filters.clear : null}>
        <Typed name="act" label="Act" placeholder="run.remove, or backup." filters={filters} />
        <Typed name="actor" label="By" placeholder="an account, a user" filters={filters} />
        <Typed name="object" label="On" placeholder="a run, a backup, …" filters={filters} />
        <Select label="Ended" placeholder="any" data={OUTCOMES} value={filters.get("outcome")} onChange={(value) => filters.set("outcome", value)} clearable clearButtonProps={{ "aria-label": "Clear the outcome" }} />
        <TextInput type="datetime-local" label="From" value={fieldOf(filters.get("since"))} onChange={(event) => filters.set("since", secondsOf(event.currentTarget.value))} />
        <TextInput type="datetime-local" label="Until" value={fieldOf(filters.get("until"))} onChange={(event) => filters.set("until", secondsOf(event.currentTarget.value))} />
      </FilterBar>
      <Section title="What was done, the newest first">
        <List list={list} filtered={filters.isAny} />
      </Section>
    </>
  );
}

function Typed(props: { name: string; label: string; placeholder: string; filters: ReturnType<typeof useFilters> }) {
  const { name, label, placeholder, filters } = props;
  const [typed, type] = useTyped(filters.get(name), (value) => filters.set(name, value.trim()));
  return <TextInput label={label} placeholder={placeholder} value={typed} onChange={(event) => type(event.currentTarget.value)} />;
}

function List({ list, filtered }: { list: ReturnType<typeof usePaged<AuditRow>>; filtered: boolean }) {
  if (list.isError) return <ErrorState error={list.error} again={() => void list.refetch()} />;
  if (list.isPending) return <Skeleton label="Reading the audit log" />;
  if (list.rows.length === 0)
    return (
      <Empty icon={IconListSearch} title={filtered ? "No row fits these filters" : "Nothing was done yet"}>
        {filtered ? "An act is asked for by its whole name, as run.remove, or by its family, as run. with the dot; a person by the whole name." : "The first act that changes or exports data is its first row."}
      </Empty>
    );
  return (
    <>
      <AuditTable rows={list.rows} />
      <More shown={list.rows.length} hasMore={list.hasNextPage} isLoading={list.isFetchingNextPage} then={() => void list.fetchNextPage()} noun="rows" />
    </>
  );
}
