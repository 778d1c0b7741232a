import { Anchor, Button, Group } from "@mantine/core";
import { IconMoodEmpty, IconStack2 } from "@tabler/icons-react";
import { lazy, Suspense, useCallback, useEffect, useState } from "react";
import { useLocation, useNavigate, useSearchParams } from "react-router";
import { useRunPage } from "@/api/runs";
import { plural } from "@/format/number";
import { useMay } from "@/session/session";
import { Command } from "@/ui/command";
import { Page } from "@/ui/page";
import { Empty, ErrorState, Skeleton } from "@/ui/states";
import { FilterBar, StatusChips } from "./filter-bar";
import { isFiltered, withFilter } from "./filters";
import classes from "./runs.module.css";
import { RunsTable, type Sorting } from "./runs-table";
import { useChoice } from "./use-choice";

const BulkActs = lazy(() => import("./bulk-acts"));
const IncompleteDialog = lazy(() => import("./incomplete-dialog"));

export default function RunsPage() {
  const [search, setParams] = useSearchParams();
  const setSearch = useCallback((next: URLSearchParams, replace = false) => setParams(next, { replace }), [setParams]);
  const page = useRunPage(search);
  const runs = page.data?.runs ?? [];
  const choice = useChoice(runs);
  const mayAct = useMay("operator");
  const settled = useSettled(page.isSuccess);
  return (
    <Page title="Runs">
      <StatusChips search={search} setSearch={setSearch} />
      <FilterBar search={search} setSearch={setSearch} />
      {page.isPending && <Skeleton rows={10} label="Loading runs" />}
      {page.isError && !page.data && <ErrorState error={page.error} again={() => void page.refetch()} />}
      {page.data && runs.length === 0 && <NoRuns search={search} setSearch={setSearch} />}
      {runs.length > 0 && <RunsTable runs={runs} sorting={sortingOf(search, setSearch)} choice={mayAct ? choice : null} busy={page.isFetching} />}
      {page.data && <Foot search={search} next={page.data.next} many={runs.length} setSearch={setSearch} />}
      <Suspense>
        {mayAct && choice.chosen.size > 0 && <BulkActs runs={runs} choice={choice} search={search} more={Boolean(page.data?.next) || search.has("cursor")} />}
        {settled && <IncompleteDialog />}
      </Suspense>
    </Page>
  );
}

/** Once the rows are painted: what is less urgent may begin. */
function useSettled(ready: boolean): boolean {
  const [settled, setSettled] = useState(false);
  useEffect(() => {
    if (!ready) return;
    const timer = setTimeout(() => setSettled(true), 50);
    return () => clearTimeout(timer);
  }, [ready]);
  return settled;
}

function sortingOf(search: URLSearchParams, setSearch: (next: URLSearchParams) => void): Sorting {
  const sort = search.get("sort") ?? "created";
  const order = search.get("order") ?? "desc";
  return {
    sort,
    order,
    by: (by) => {
      const turned = by === sort ? (order === "desc" ? "asc" : "desc") : by === "name" ? "asc" : "desc";
      setSearch(withFilter(withFilter(search, "sort", [by]), "order", [turned]));
    },
  };
}

function Foot(props: { search: URLSearchParams; next: string | null; many: number; setSearch: (next: URLSearchParams) => void }) {
  const { search, next, many, setSearch } = props;
  const navigate = useNavigate();
  const cameByNext = useLocation().state === "next";
  const turn = () => {
    const to = new URLSearchParams(search);
    to.set("cursor", next ?? "");
    void navigate(`?${to}`, { state: "next" });
    scrollTo({ top: 0 });
  };
  if (!next && !search.has("cursor")) return <div className={classes.foot}>{many > 0 && plural(many, "run")}</div>;
  return (
    <nav className={classes.foot} aria-label="Pages of the list">
      <span>{plural(many, "run")} on this page</span>
      <Group gap="xs">
        {search.has("cursor") && (
          <Button variant="default" size="xs" onClick={() => setSearch(withFilter(search, "cursor", []))}>
            First page
          </Button>
        )}
        {search.has("cursor") && cameByNext && (
          <Button variant="default" size="xs" onClick={() => void navigate(-1)}>
            Back
          </Button>
        )}
        <Button variant="default" size="xs" disabled={!next} onClick={turn}>
          Next page
        </Button>
      </Group>
    </nav>
  );
}

function NoRuns({ search, setSearch }: { search: URLSearchParams; setSearch: (next: URLSearchParams) => void }) {
  if (isFiltered(search)) {
    return (
      <Empty icon={IconMoodEmpty} title="No run is like that">
        No run matches these filters.{" "}
        <Anchor component="button" type="button" onClick={() => setSearch(new URLSearchParams())}>
          Show all runs
        </Anchor>
      </Empty>
    );
  }
  return (
    <Empty icon={IconStack2} title="No run yet">
      A run appears here at the moment a job enters it. The shortest one:
      <Command line={'python -c "import waycairn as wc; [None for _ in wc.run(\'hello\').__enter__().each(range(100))]"'} />
    </Empty>
  );
}
