import { SegmentedControl } from "@mantine/core";
import { IconChartHistogram } from "@tabler/icons-react";
import { useState } from "react";
import { useGrowth } from "@/api/care";
import type { GrowthDay } from "@/api/documents";
import { formatCount, formatSize } from "@/format/number";
import { formatDuration } from "@/format/time";
import { Chart } from "@/ui/chart/chart";
import { Section } from "@/ui/page";
import { Empty, ErrorState, Skeleton } from "@/ui/states";
import classes from "./storage.module.css";

/** How the store grew, and what it spared, day by day. */
export function HistorySection() {
  const [span, setSpan] = useState("30");
  const growth = useGrowth(Number(span));
  return (
    <Section
      title="Day by day"
      actions={
        <SegmentedControl
          size="xs"
          aria-label="How far back"
          value={span}
          onChange={setSpan}
          data={[
            { value: "7", label: "Week" },
            { value: "30", label: "Month" },
            { value: "365", label: "Year" },
          ]}
        />
      }
    >
      {growth.isError ? (
        <ErrorState error={growth.error} again={() => void growth.refetch()} />
      ) : !growth.data ? (
        <Skeleton rows={5} label="Reading what was recorded" />
      ) : growth.data.days.length === 0 ? (
        <Empty icon={IconChartHistogram} title="Nothing was recorded yet">
          From the first save on, each day has its point here.
        </Empty>
      ) : (
        <Charts days={growth.data.days} />
      )}
    </Section>
  );
}

function Charts({ days }: { days: readonly GrowthDay[] }) {
  const x = days.map((day) => day.begins);
  const common = { x, xKind: "day", xName: "Day" } as const;
  const spared = days.map(({ raw, written }) => (raw === null || raw === 0 ? null : (100 * Math.max(0, raw - written)) / raw));
  return (
    <div className={classes.charts}>
      <Chart {...common} label="Size of the store" note="at the last look of each day" format={formatSize} series={[{ name: "on disk", kind: "area", values: days.map((day) => day.bytes) }]} />
      <Chart
        {...common}
        label="What was saved, and what that took"
        note="the difference was spared by keeping equal pieces once, and by compression"
        format={formatSize}
        series={[
          { name: "saves held", kind: "bars", tone: 2, values: days.map((day) => day.raw) },
          { name: "written", kind: "bars", tone: 1, values: days.map((day) => day.written) },
        ]}
      />
      <Chart {...common} label="Spared" fromZero note="of what saves held" format={(value) => `${Math.round(value)} %`} series={[{ name: "spared", values: spared }]} />
      <Chart
        {...common}
        label="Time of saves and loads"
        fromZero
        note="95 of 100 were faster"
        format={formatDuration}
        series={[
          { name: "save", values: days.map((day) => day.save_p95) },
          { name: "load", tone: 3, values: days.map((day) => day.load_p95) },
        ]}
      />
      <Chart
        {...common}
        label="Saves and loads"
        isWhole
        format={formatCount}
        series={[
          { name: "saves", kind: "bars", tone: 2, values: days.map((day) => day.saves) },
          { name: "loads", kind: "bars", tone: 1, values: days.map((day) => day.loads) },
        ]}
      />
      <Chart
        {...common}
        label="Failures and takeovers"
        isWhole
        fromZero
        note="acts that failed; runs that were taken over from dead owners"
        format={formatCount}
        series={[
          { name: "failures", tone: 3, values: days.map((day) => day.failures) },
          { name: "takeovers", tone: 4, values: days.map((day) => day.takeovers) },
        ]}
      />
    </div>
  );
}
