import { Button, CloseButton, Popover, TextInput } from "@mantine/core";
import { IconFilter, IconSearch } from "@tabler/icons-react";
import { type FormEvent, memo, useEffect, useRef, useState } from "react";
import type { RunStatus } from "@/api/model";
import { useCounts } from "@/api/runs";
import { formatCount } from "@/format/number";
import { statusMeaning } from "@/ui/status-badge";
import { withFilter } from "./filters";
import classes from "./runs.module.css";

export interface Filtering {
  search: URLSearchParams;
  setSearch: (search: URLSearchParams, replace?: boolean) => void;
}

const ORDER: RunStatus[] = ["running", "interrupted", "failed", "orphaned", "partial", "completed", "discarded"];

/** How many runs stand how; each is a filter that is pressed or not. */
export const StatusChips = memo(function StatusChips({ search, setSearch }: Filtering) {
  const counts = useCounts().data;
  const pressed = search.getAll("status");
  const toggle = (status: string) =>
    setSearch(withFilter(search, "status", pressed.includes(status) ? pressed.filter((one) => one !== status) : [...pressed, status]));
  return (
    <div className={classes.chips} role="group" aria-label="Runs by status">
      <button type="button" className={classes.chip} aria-pressed={pressed.length === 0} onClick={() => setSearch(withFilter(search, "status", []))}>
        all <b>{counts ? formatCount(counts.total) : "…"}</b>
      </button>
      {ORDER.filter((status) => counts?.counts[status] || pressed.includes(status)).map((status) => (
        <button key={status} type="button" className={classes.chip} aria-pressed={pressed.includes(status)} title={statusMeaning(status)} onClick={() => toggle(status)}>
          {status} <b>{formatCount(counts?.counts[status] ?? 0)}</b>
        </button>
      ))}
    </div>
  );
});

const MORE = [
  ["name", "Name", "exactly this name"],
  ["key", "Key", "exactly this key"],
  ["tag", "Tag", ""],
  ["task", "Task", ""],
  ["account", "Account", "whose they are"],
] as const;

export const FilterBar = memo(function FilterBar({ search, setSearch }: Filtering) {
  const active = MORE.filter(([name]) => search.has(name));
  return (
    <div className={classes.bar} role="search">
      <TextFilter search={search} setSearch={setSearch} />
      <MoreFilters search={search} setSearch={setSearch} />
      {active.map(([name, title]) => (
        <span key={name} className={classes.chip}>
          {title.toLowerCase()}: <b>{search.get(name)}</b>
          <CloseButton size="xs" aria-label={`Without the filter ${title.toLowerCase()}`} onClick={() => setSearch(withFilter(search, name, []))} />
        </span>
      ))}
      <span className={classes.hint}>
        <kbd>↑</kbd> <kbd>↓</kbd> between rows, <kbd>x</kbd> choose, <kbd>/</kbd> search
      </span>
    </div>
  );
});

function TextFilter({ search, setSearch }: Filtering) {
  const said = search.get("text") ?? "";
  const [text, setText] = useState(said);
  const [seen, setSeen] = useState(said);
  const field = useRef<HTMLInputElement>(null);
  if (said !== seen) {
    // The address was changed by somebody else: the way back, a link.
    setSeen(said);
    setText(said);
  }
  useEffect(() => {
    if (text === said) return;
    const timer = setTimeout(() => setSearch(withFilter(search, "text", [text]), true), 250);
    return () => clearTimeout(timer);
  }, [text, said, search, setSearch]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const at = event.target as HTMLElement;
      if (event.key !== "/" || at.closest("input, textarea, [contenteditable], [role=dialog]")) return;
      event.preventDefault();
      field.current?.focus();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  return (
    <TextInput
      ref={field}
      className={classes.search}
      type="search"
      aria-label="Search in names and keys"
      placeholder="Search in names and keys"
      leftSection={<IconSearch size={16} aria-hidden />}
      value={text}
      onChange={(event) => setText(event.currentTarget.value)}
    />
  );
}

function MoreFilters({ search, setSearch }: Filtering) {
  const [opened, setOpened] = useState(false);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const said = new FormData(event.currentTarget);
    setSearch(MORE.reduce((next, [name]) => withFilter(next, name, [String(said.get(name) ?? "").trim()]), search));
    setOpened(false);
  };
  return (
    <Popover opened={opened} onChange={setOpened} trapFocus returnFocus position="bottom-start" shadow="md" width={280}>
      <Popover.Target>
        <Button variant="default" leftSection={<IconFilter size={16} aria-hidden />} onClick={() => setOpened(!opened)}>
          Filters
        </Button>
      </Popover.Target>
      <Popover.Dropdown aria-label="Filters">
        <form onSubmit={submit} className={classes.form}>
          {MORE.map(([name, title, note]) => (
            <TextInput key={name} name={name} size="xs" label={title} placeholder={note} defaultValue={search.get(name) ?? ""} />
          ))}
          <Button type="submit" size="xs" fullWidth mt="sm">
            Show these runs
          </Button>
        </form>
      </Popover.Dropdown>
    </Popover>
  );
}
