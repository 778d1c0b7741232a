import { Anchor, Breadcrumbs, Tabs } from "@mantine/core";
import { lazy, Suspense } from "react";
import { Link, useParams, useSearchParams } from "react-router";
import type { RunDetail } from "@/api/model";
import { useFollow, useRun } from "@/api/run";
import { titleOf } from "@/api/run-words";
import { formatCount } from "@/format/number";
import { Page } from "@/ui/page";
import { ErrorState, Skeleton } from "@/ui/states";
import { StatusBadge } from "@/ui/status-badge";
import { RunActs } from "./run-acts";
import { RunSummary } from "./run-summary";
import classes from "./run.module.css";

const ItemsTab = lazy(() => import("./items-tab"));
const CheckpointsTab = lazy(() => import("./checkpoints-tab"));
const MetricsTab = lazy(() => import("./metrics-tab"));
const TimelineTab = lazy(() => import("./timeline-tab"));
const PhasesTab = lazy(() => import("./phases-tab"));
const AboutTab = lazy(() => import("./about-tab"));

export default function RunPage() {
  const { run: id = "" } = useParams();
  const query = useRun(id);
  useFollow(query.data);
  if (query.isError && !query.data)
    return (
      <Page title="Run">
        <ErrorState error={query.error} again={() => void query.refetch()} />
      </Page>
    );
  if (!query.data)
    return (
      <Page title="Run">
        <Skeleton rows={6} label="Loading the run" />
      </Page>
    );
  return <RunView key={query.data.id} run={query.data} />;
}

function RunView({ run }: { run: RunDetail }) {
  return (
    <Page
      title={run.name}
      tab={titleOf(run)}
      note={
        <span className={classes.note}>
          <StatusBadge status={run.status} />
          {run.key !== null && <span className="mono">{run.key}</span>}
          {run.tags.map((tag) => (
            <span key={tag} className={classes.tag}>
              {tag}
            </span>
          ))}
        </span>
      }
      actions={<RunActs run={run} />}
    >
      <Where run={run} />
      <RunSummary run={run} />
      <RunTabs run={run} />
    </Page>
  );
}

/** A phase says below what it is. */
function Where({ run }: { run: RunDetail }) {
  if (run.parent === null) return null;
  return (
    <Breadcrumbs mb="sm" aria-label="Where this phase belongs">
      <Anchor component={Link} to={`/runs/${run.root}`}>
        its run
      </Anchor>
      {run.parent !== run.root && (
        <Anchor component={Link} to={`/runs/${run.parent}`}>
          the phase above
        </Anchor>
      )}
      <span>{run.name}</span>
    </Breadcrumbs>
  );
}

function RunTabs({ run }: { run: RunDetail }) {
  const [search, setSearch] = useSearchParams();
  const tab = search.get("tab") ?? "items";
  const open = (next: string | null) => setSearch(next === null || next === "items" ? {} : { tab: next }, { replace: true });
  return (
    <Tabs value={tab} onChange={open} keepMounted={false} className={classes.tabs}>
      <Tabs.List aria-label="Of this run">
        <Tabs.Tab value="items">Items{run.progress.failed > 0 && <Many of={run.progress.failed} bad />}</Tabs.Tab>
        {run.phases.length > 0 && (
          <Tabs.Tab value="phases">
            Phases <Many of={run.phases.length} />
          </Tabs.Tab>
        )}
        <Tabs.Tab value="checkpoints">
          Checkpoints <Many of={run.checkpoints} />
        </Tabs.Tab>
        <Tabs.Tab value="metrics">Metrics</Tabs.Tab>
        <Tabs.Tab value="timeline">Timeline</Tabs.Tab>
        <Tabs.Tab value="about">About</Tabs.Tab>
      </Tabs.List>
      <Suspense fallback={<Skeleton rows={5} />}>
        <Tabs.Panel value="items">
          <ItemsTab run={run} />
        </Tabs.Panel>
        <Tabs.Panel value="phases">
          <PhasesTab phases={run.phases} />
        </Tabs.Panel>
        <Tabs.Panel value="checkpoints">
          <CheckpointsTab run={run} />
        </Tabs.Panel>
        <Tabs.Panel value="metrics">
          <MetricsTab run={run} />
        </Tabs.Panel>
        <Tabs.Panel value="timeline">
          <TimelineTab run={run} />
        </Tabs.Panel>
        <Tabs.Panel value="about">
          <AboutTab run={run} />
        </Tabs.Panel>
      </Suspense>
    </Tabs>
  );
}

const Many = ({ of, bad }: { of: number; bad?: boolean }) => (
  <span className={classes.many} data-bad={bad || undefined}>
    {formatCount(of)}
    {bad && " failed"}
  </span>
);
