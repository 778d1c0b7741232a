import { MultiSelect, Switch, Text } from "@mantine/core";
import { IconMailOff } from "@tabler/icons-react";
import { useEffect, useRef } from "react";
import { useLocation } from "react-router";
import type { Letter, WholeStream } from "@/api/documents";
import { usePaged } from "@/api/paged";
import { formatCount } from "@/format/number";
import { More } from "@/ui/more";
import { Section } from "@/ui/page";
import { Empty, ErrorState, Skeleton } from "@/ui/states";
import { Badge } from "@/ui/status-badge";
import { Ago } from "@/ui/time";
import { useFilters } from "@/ui/use-filters";
import classes from "./streams.module.css";

/** What the API takes, and what people read. */
const KINDS: Record<Letter["kind"], string> = {
  malformed: "malformed",
  not_object: "no object",
  schema: "does not fit the schema",
  too_long: "too long",
  truncated: "truncated",
  damaged: "damaged",
  transform: "failed in the job's code",
  refused: "refused by the database",
};

/** Lines that could not be used, each with its reason. Their beginnings are contents: for whose the run is. */
export function Letters({ stream }: { stream: WholeStream }) {
  const filters = useFilters();
  const kind = filters.all("kind");
  const place = useRef<HTMLDivElement>(null);
  const { hash } = useLocation();
  useEffect(() => {
    if (hash === "#dead") place.current?.focus(); // scrolls there, too
  }, [hash]);
  const settled = filters.get("settled") === "true";
  const list = usePaged<Letter>(["dead", stream.name], `/streams/${encodeURIComponent(stream.name)}/dead`, "dead", { kind, settled: settled || null, limit: 50 }, stream.may_touch);
  return (
    <div id="dead" ref={place} tabIndex={-1} className={classes.place}>
      <Section title="Dead letters">
        {!stream.may_touch ? (
          <Text size="sm" p="md" c="dimmed">
            {stream.account === null ? "These lines are for operators and admins to read." : `These lines are for ${stream.account}, whose run follows the stream, and for admins to read.`}
          </Text>
        ) : (
          <>
            <div className={classes.filters}>
              <MultiSelect label="Kind" placeholder={kind.length === 0 ? "any" : ""} data={Object.entries(KINDS).map(([value, label]) => ({ value, label }))} value={kind} onChange={(value) => filters.set("kind", value)} clearable clearButtonProps={{ "aria-label": "Clear the kinds" }} />
              <Switch label="Also those that were read after all" checked={settled} onChange={(event) => filters.set("settled", event.currentTarget.checked ? "true" : null)} pb={8} />
            </div>
            <List list={list} />
          </>
        )}
      </Section>
    </div>
  );
}

function List({ list }: { list: ReturnType<typeof usePaged<Letter>> }) {
  if (list.isError) return <ErrorState error={list.error} again={() => void list.refetch()} />;
  if (list.isPending) return <Skeleton rows={3} label="Loading the dead letters" />;
  if (list.rows.length === 0)
    return (
      <Empty icon={IconMailOff} title="No dead letter">
        Every line could be used, or was settled since.
      </Empty>
    );
  return (
    <>
      <ul className={classes.letters}>
        {list.rows.map((letter) => (
          <li key={letter.id} className={classes.letter}>
            <div className={classes.head}>
              <Badge tone={letter.settled === null ? "orange" : "green"}>{letter.settled === null ? KINDS[letter.kind] : "settled"}</Badge>
              <span className="mono">
                {letter.path}:{formatCount(letter.line)}
              </span>
              <Ago at={letter.at} />
              {letter.tries > 0 && <span>{letter.tries} more tries failed</span>}
            </div>
            <p className={classes.error}>{letter.error}</p>
            <code className={classes.line} tabIndex={0} aria-label={`The beginning of line ${letter.line}`}>
              {letter.text}
            </code>
          </li>
        ))}
      </ul>
      <More shown={list.rows.length} hasMore={list.hasNextPage} isLoading={list.isFetchingNextPage} then={() => void list.fetchNextPage()} noun="dead letters" />
    </>
  );
}
