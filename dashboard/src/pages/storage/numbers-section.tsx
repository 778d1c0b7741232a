import { useStatistics } from "@/api/care";
import type { Health, Statistics } from "@/api/documents";
import { formatCount, formatCountShort, formatPercent, formatSize } from "@/format/number";
import { formatDuration } from "@/format/time";
import { Section } from "@/ui/page";
import { ErrorState, Skeleton } from "@/ui/states";
import classes from "./storage.module.css";

export function NumbersSection({ health }: { health: Health | undefined }) {
  const stats = useStatistics();
  return (
    <Section title="What it holds">
      {stats.data ? (
        <dl className={classes.tiles}>
          {tilesOf(stats.data, health).map(({ name, value, note }) => (
            <div key={name} className={classes.tile}>
              <dt>{name}</dt>
              <dd className={classes.value}>{value}</dd>
              {note && <dd className={classes.small}>{note}</dd>}
            </div>
          ))}
        </dl>
      ) : stats.isError ? (
        <ErrorState error={stats.error} again={() => void stats.refetch()} />
      ) : (
        <Skeleton rows={2} label="Counting" />
      )}
    </Section>
  );
}

interface Tile {
  name: string;
  value: string;
  note?: string;
}

function tilesOf(stats: Statistics, health: Health | undefined): Tile[] {
  const times = (by: number | null) => (by === null ? "–" : `${by.toFixed(by < 10 ? 1 : 0)}×`);
  const whole = sumOf(stats.runs);
  const free = health?.facts.disk_free as number | null | undefined;
  const total = health?.facts.disk_total as number | null | undefined;
  return [
    { name: "On disk", value: formatSize(stats.pack_bytes + (stats.catalog_bytes ?? 0)), note: `${formatSize(stats.pack_bytes)} in ${formatCount(stats.packs)} packs${stats.catalog_bytes === null ? "" : `, ${formatSize(stats.catalog_bytes)} catalog`}` },
    { name: "It would be", value: formatSize(stats.raw_bytes), note: "if each checkpoint were kept by itself" },
    { name: "Deduplication", value: times(stats.deduplication), note: "equal pieces are kept once" },
    { name: "Compression", value: times(stats.compression), note: "of what is left" },
    { name: "Checkpoints", value: formatCountShort(sumOf(stats.checkpoints)), note: stats.checkpoints.damaged ? `${formatCount(stats.checkpoints.damaged)} damaged` : "none is damaged" },
    { name: "Runs", value: formatCountShort(whole), note: Object.entries(stats.runs).map(([status, many]) => `${formatCount(many)} ${status}`).join(", ") },
    { name: "Backups", value: formatCountShort(stats.backups.whole), note: `${formatSize(stats.backups.bytes)} in ${formatSize(stats.backups.stored_bytes)}` },
    { name: "Growth", value: stats.growth_bytes_a_day === null ? "–" : `${formatSize(Math.max(0, stats.growth_bytes_a_day))}/day`, note: stats.growth_bytes_a_day === null ? "too little was recorded" : leftOf(health) },
    ...(free == null ? [] : [{ name: "Free on the disk", value: formatSize(free), ...(total ? { note: `${formatPercent((100 * free) / total)} of ${formatSize(total)}` } : {}) }]),
    ...latencyOf(stats, "save", "Save"),
    ...latencyOf(stats, "load", "Load"),
  ];
}

const sumOf = (counts: Record<string, number>): number => Object.values(counts).reduce((sum, one) => sum + one, 0);

function leftOf(health: Health | undefined): string {
  const days = health?.facts.days_left as number | null | undefined;
  return days == null ? "by what was recorded" : days > 3650 ? "the disk lasts for years" : `the disk lasts ${Math.floor(days)} days`;
}

const shortTime = (seconds: number): string => (seconds < 0.001 ? "< 1 ms" : formatDuration(seconds));

function latencyOf(stats: Statistics, act: string, name: string): Tile[] {
  const found = stats.measured[act];
  if (!found || found.p50 === null || found.p95 === null) return [];
  return [{ name: `${name}, last day`, value: shortTime(found.p50), note: `half are faster; 95 % within ${shortTime(found.p95)}; ${formatCount(found.count)} in all` }];
}
