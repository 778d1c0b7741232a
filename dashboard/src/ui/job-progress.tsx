import { Text } from "@mantine/core";
import type { Job, Progress } from "@/api/model";
import { formatCount, formatPercent, formatSize } from "@/format/number";
import classes from "./job-progress.module.css";
import { ProgressBar } from "./progress-bar";

const STAGES: Record<string, string> = {
  export: "Copying into the backup",
  verify: "Reading it back and comparing it",
  delete: "Deleting what the backup holds",
  restore: "Bringing it back",
};

/** How far a job is: a bar and words for the eye, and a sentence now and then for who listens. */
export function JobProgress({ job, doing }: { job: Job | undefined; doing: string }) {
  const stage = wordsOf(job, doing);
  const progress = progressOf(job);
  return (
    <div className={classes.job}>
      <div className={classes.words}>
        <Text fw={600}>{stage}…</Text>
        <Text c="dimmed" size="sm" className="numeric">
          {numbersOf(job)}
        </Text>
      </div>
      <ProgressBar progress={progress} moving large />
      {/* By tenths: who listens is not told each of four a second. */}
      <span role="status" className="visually-hidden">
        {stage}
        {progress.percent === null ? "" : `, ${Math.floor(progress.percent / 10) * 10} %`}
      </span>
    </div>
  );
}

function wordsOf(job: Job | undefined, doing: string): string {
  if (!job) return "Asking the server";
  if (job.state === "waiting") return "Waiting for other jobs of the server";
  return STAGES[job.progress?.stage ?? ""] ?? doing;
}

function progressOf(job: Job | undefined): Progress {
  const said = job?.progress;
  const unknown = { done: 0, failed: 0, total: null, percent: null, note: null };
  if (!said) return unknown;
  const [done, total] = said.total_size ? [said.size, said.total_size] : [said.records, said.total_records];
  if (!total) return { ...unknown, done };
  return { done: Math.min(done, total), failed: 0, total, percent: Math.min(100, (100 * done) / total), note: null };
}

function numbersOf(job: Job | undefined): string {
  const said = job?.progress;
  if (!said) return "";
  const of = said.total_records === null ? "" : ` of ${formatCount(said.total_records)}`;
  const { percent } = progressOf(job);
  return `${formatCount(said.records)}${of} · ${formatSize(said.size)}${percent === null ? "" : ` · ${formatPercent(percent)}`}`;
}
