import { Switch, TextInput } from "@mantine/core";
import { IconAdjustmentsOff, IconSearch } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { api } from "@/api/client";
import type { Setting, SettingList } from "@/api/documents";
import { useMay } from "@/session/session";
import { type Column, DataTable } from "@/ui/data-table";
import { FilterBar } from "@/ui/filter-bar";
import { ForAdmins } from "@/ui/for-admins";
import { Page, Section } from "@/ui/page";
import { Empty, ErrorState, Skeleton } from "@/ui/states";
import { Badge } from "@/ui/status-badge";
import { useFilters, useTyped } from "@/ui/use-filters";
import classes from "./settings.module.css";

export default function SettingsPage() {
  const isAdmin = useMay("admin");
  return (
    <Page title="Settings" note="As they hold in this server, and where each comes from. They are changed in a file or the environment of the server, never from here.">
      {isAdmin ? <Loaded /> : <ForAdmins what="This list" />}
    </Page>
  );
}

function Loaded() {
  const settings = useQuery({ queryKey: ["settings"], queryFn: ({ signal }) => api.get<SettingList>("/settings", {}, signal) });
  const filters = useFilters();
  const text = filters.get("text");
  const [typed, type] = useTyped(text, (value) => filters.set("text", value));
  const onlyChanged = filters.get("changed") === "true";
  if (settings.isError) return <ErrorState error={settings.error} again={() => void settings.refetch()} />;
  if (!settings.data) return <Skeleton label="Loading the settings" />;
  const shown = settings.data.settings.filter((one) => fits(one, text ?? "") && (!onlyChanged || one.source !== "default"));
  const sections = bySection(shown);
  return (
    <>
      <p className={classes.file}>
        {settings.data.file === null ? "No settings file holds here." : <>The settings file is <code className="mono">{settings.data.file}</code>.</>}
        {settings.data.preset !== null && <> The preset is <code className="mono">{settings.data.preset}</code>.</>}
      </p>
      <FilterBar label="Settings" clear={filters.isAny ? filters.clear : null}>
        <TextInput label="Search" placeholder="a name, a word" leftSection={<IconSearch size={16} aria-hidden />} value={typed} onChange={(event) => type(event.currentTarget.value)} />
        <Switch label="Only what is not the default" checked={onlyChanged} onChange={(event) => filters.set("changed", event.currentTarget.checked ? "true" : null)} className={classes.switch} />
      </FilterBar>
      {shown.length === 0 && (
        <Empty icon={IconAdjustmentsOff} title="No setting fits">
          {onlyChanged ? "Everything that fits is as it was delivered." : "Try a part of its name, as keep or pace."}
        </Empty>
      )}
      {[...sections].map(([section, rows]) => (
        <Section key={section} title={section}>
          <DataTable dense caption={`Settings of ${section}`} columns={COLUMNS} rows={rows} rowKey={({ key }) => key} />
        </Section>
      ))}
    </>
  );
}

function bySection(settings: readonly Setting[]): Map<string, Setting[]> {
  const sections = new Map<string, Setting[]>();
  for (const one of settings) {
    const name = one.key.split(".")[0] ?? "";
    sections.set(name, [...(sections.get(name) ?? []), one]);
  }
  return sections;
}

function fits({ key, meaning, variable, text: value }: Setting, text: string): boolean {
  return `${key}\n${meaning}\n${variable}\n${value}`.toLowerCase().includes(text.toLowerCase());
}

/** What stands between backticks is code. */
function WithCode({ text }: { text: string }) {
  return text.split("`").map((part, at) => (at % 2 === 1 ? <code key={at}>{part}</code> : part));
}

const TONES = { argument: "violet", environment: "blue", file: "blue", preset: "green", default: "gray", earlier: "orange" } as const;

const COLUMNS: readonly Column<Setting>[] = [
  {
    name: "setting",
    title: "Setting",
    lead: true,
    cell: ({ key, meaning, variable }) => (
      <div className={classes.setting}>
        <code className={classes.key}>{key}</code>
        <span className={classes.meaning}>
          <WithCode text={meaning} />
        </span>
        <code className={classes.variable}>{variable}</code>
      </div>
    ),
  },
  {
    name: "value",
    title: "Value",
    cell: ({ text, default: given, source }) => (
      <div className={classes.value}>
        <code>{text === "" ? "empty" : text === "null" ? "not set" : text}</code>
        {source !== "default" && <span className={classes.meaning}>default: {given === null ? "not set" : typeof given === "string" ? given : JSON.stringify(given)}</span>}
      </div>
    ),
  },
  {
    name: "origin",
    title: "Comes from",
    cell: ({ origin, source }) => (
      <div className={classes.origin}>
        <Badge tone={TONES[source as keyof typeof TONES] ?? "gray"}>{source}</Badge>
        {origin !== source && <span className={classes.meaning}>{origin}</span>}
      </div>
    ),
  },
];
