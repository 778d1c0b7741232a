import { Button, SegmentedControl, Text, TextInput } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { memberOf } from "@/api/backups";
import { api } from "@/api/client";
import type { Backup, Hit, Member } from "@/api/documents";
import { usePaged } from "@/api/paged";
import { formatCount, formatSize, plural } from "@/format/number";
import { type Column, DataTable } from "@/ui/data-table";
import { More } from "@/ui/more";
import { Section } from "@/ui/page";
import { ErrorState, Skeleton } from "@/ui/states";
import classes from "./backups.module.css";
import { Download } from "./download";

const MOST_HITS = 100;

/** What it holds, by the names of its members or by what stands in them. */
export function Contents({ backup }: { backup: Backup }) {
  const [where, setWhere] = useState("names");
  const [typed, setTyped] = useState("");
  const [asked, setAsked] = useState("");
  const ask = (event: FormEvent) => {
    event.preventDefault();
    setAsked(typed.trim());
  };
  const choose = (value: string) => {
    setWhere(value);
    setAsked("");
  };
  return (
    <Section title="Contents">
      <form onSubmit={ask} className={classes.search} role="search" aria-label="In this backup">
        <TextInput
          label="Search in this backup"
          placeholder={where === "names" ? "a name, with * for any letters" : "a text within one line"}
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
        />
        <SegmentedControl
          aria-label="Where to search"
          data={[
            { value: "names", label: "Names" },
            { value: "text", label: "Inside" },
          ]}
          value={where}
          onChange={choose}
        />
        <Button type="submit" variant="default" leftSection={<IconSearch size={16} aria-hidden />}>
          Search
        </Button>
      </form>
      {where === "text" && asked !== "" ? <Hits backup={backup} text={asked} /> : <Members backup={backup} glob={where === "names" ? globOf(asked) : null} />}
    </Section>
  );
}

/** A part of a name is what people type. */
const globOf = (typed: string): string | null => (typed === "" ? null : typed.includes("*") ? typed : `*${typed}*`);

function Members({ backup, glob }: { backup: Backup; glob: string | null }) {
  const list = usePaged<Member>(["members", backup.id], `/backups/${backup.id}/members`, "members", { glob, limit: 100 });
  const columns: readonly Column<Member>[] = [
    { name: "name", title: "Name", lead: true, cell: (member) => <span className="mono">{member.name}</span> },
    { name: "records", title: "Records", numeric: true, cell: (member) => formatCount(member.records) },
    { name: "size", title: "Size", numeric: true, cell: (member) => formatSize(member.size) },
    { name: "sha256", title: "SHA-256", wide: true, cell: (member) => <span className="mono" title={member.sha256}>{member.sha256.slice(0, 16)}…</span> },
    {
      name: "download",
      title: "",
      cell: (member) => (
        <Download href={memberOf(backup.id, member.name)} label={`Download ${member.name}`} size="compact-sm">
          Download
        </Download>
      ),
    },
  ];
  if (list.isError) return <ErrorState error={list.error} again={() => void list.refetch()} />;
  if (list.isPending) return <Skeleton rows={4} label="Loading what it holds" />;
  if (list.rows.length === 0) return <Text size="sm" p="md">{glob === null ? "It holds no member." : "No member has such a name."}</Text>;
  return (
    <>
      <DataTable dense caption="Members of this backup" columns={columns} rows={list.rows} rowKey={(member) => member.name} />
      <More shown={list.rows.length} hasMore={list.hasNextPage} isLoading={list.isFetchingNextPage} then={() => void list.fetchNextPage()} noun="members" />
    </>
  );
}

function Hits({ backup, text }: { backup: Backup; text: string }) {
  const found = useQuery({
    queryKey: ["hits", backup.id, text],
    queryFn: ({ signal }) => api.get<{ hits: Hit[] }>(`/backups/${backup.id}/search`, { text, limit: MOST_HITS }, signal),
  });
  if (found.isError) return <ErrorState error={found.error} again={() => void found.refetch()} />;
  if (!found.data) return <Skeleton rows={3} label="Searching" />;
  const { hits } = found.data;
  return (
    <>
      <Text role="status" px="md" py="xs" c="dimmed" size="sm">
        {hits.length === 0 ? `“${text}” is nowhere in it.` : hits.length === MOST_HITS ? `The first ${MOST_HITS} lines that hold “${text}”` : `${plural(hits.length, "line")} ${hits.length === 1 ? "holds" : "hold"} “${text}”`}
      </Text>
      <ul className={classes.hits}>
        {hits.map((hit) => (
          <li key={`${hit.member}:${hit.offset}`}>
            <span className={classes.where}>
              {hit.member}, line {formatCount(hit.line)}
            </span>
            <code className={classes.line} tabIndex={0} aria-label={`Line ${hit.line} of ${hit.member}`}>
              <Marked line={hit.text} text={text} />
            </code>
          </li>
        ))}
      </ul>
    </>
  );
}

function Marked({ line, text }: { line: string; text: string }) {
  return line.split(text).map((part, at) => (
    <span key={at}>
      {at > 0 && <mark>{text}</mark>}
      {part}
    </span>
  ));
}
