import type { ReactNode } from "react";
import type { OptimizeReport, RepairReport, SweepReport } from "@/api/documents";
import { formatCount, formatSize, plural } from "@/format/number";
import { formatDuration } from "@/format/time";
import { Facts } from "@/ui/facts";
import classes from "./storage.module.css";
import { SweepPreview } from "./sweep-preview";
import type { Work } from "./works";

/** What a work would do, or did: the most telling sentence first. */
export function Report({ work, report, isDone }: { work: Work; report: unknown; isDone: boolean }): ReactNode {
  switch (work) {
    case "sweep":
      return <Swept report={report as SweepReport} isDone={isDone} />;
    case "optimize":
      return <Optimized report={report as OptimizeReport} isDone={isDone} />;
    case "verify":
      return <Verified report={report as VerifyResult} />;
    case "repair":
      return <Repaired report={report as RepairReport} isDone={isDone} />;
  }
}

function Swept({ report, isDone }: { report: SweepReport; isDone: boolean }) {
  return (
    <>
      <p className={classes.lead}>
        {sweepSentence(report, isDone)}
      </p>
      <Facts
        compact
        facts={[
          report.packs > 0 && ["Packs", `${formatCount(report.packs)}, ${formatSize(report.pack_bytes)}`],
          report.inline_bytes > 0 && ["In the catalog", formatSize(report.inline_bytes)],
          report.leftovers > 0 && ["Left by saves that died", `${plural(report.leftovers, "pack")}, ${formatSize(report.leftover_bytes)}`],
          report.temporary > 0 && ["Temporary files", `${formatCount(report.temporary)}, ${formatSize(report.temporary_bytes)}`],
          report.kept_packs > 0 && ["Stays in packs that live", `${formatSize(report.dead_bytes)} in ${plural(report.kept_packs, "pack")}; optimize gives that back`],
          report.over_bytes > 0 && ["Over the greatest size", formatSize(report.over_bytes)],
          isDone && ["Took", formatDuration(report.seconds)],
        ]}
      />
      {!isDone && <SweepPreview report={report} />}
    </>
  );
}

function sweepSentence(report: SweepReport, isDone: boolean): string {
  const { checkpoints, freed_bytes } = report;
  if (checkpoints === 0 && freed_bytes === 0 && report.chunks === 0 && report.inline_bytes === 0) return isDone ? "There was nothing to sweep." : "There is nothing to sweep now.";
  const what = [checkpoints > 0 && `let go of ${plural(checkpoints, "checkpoint")}`, freed_bytes > 0 && `${isDone ? "gave" : "give"} back ${formatSize(freed_bytes)}`].filter(Boolean).join(" and ");
  if (what === "") return isDone ? "It tidied the catalog." : "It would tidy the catalog.";
  return `It ${isDone ? "" : "would "}${what}.`;
}

const KINDS: Record<string, string> = {
  compact: "Write anew without what is gone",
  join: "Join small packs",
  recompress: "Compress cold packs better",
  inline: "Take out of the catalog",
  archive: "Move to the archive",
  restore: "Take back from the archive",
};

function optimizeSentence({ actions, freed_bytes }: OptimizeReport, isDone: boolean): string {
  if (freed_bytes > 0) return `It ${isDone ? "gave" : "would give"} back ${formatSize(freed_bytes)}.`;
  if (actions.length === 0) return isDone ? "There was nothing to do." : "There is nothing to do now: the packs are as they should be.";
  const packs = actions.reduce((sum, action) => sum + action.packs, 0);
  return `It ${isDone ? "wrote" : "would write"} ${plural(packs, "pack")} anew.`;
}

function Optimized({ report, isDone }: { report: OptimizeReport; isDone: boolean }) {
  const share = (one: OptimizeReport["before"]) => `${formatSize(one.dead_bytes)} of ${formatSize(one.pack_bytes)} (${(100 * one.share).toFixed(1)} %)`;
  return (
    <>
      <p className={classes.lead}>
        {optimizeSentence(report, isDone)}
      </p>
      <Facts
        compact
        facts={[
          ...report.actions.map((action) => [KINDS[action.kind] ?? action.kind, `${plural(action.packs, "pack")}, ${formatSize(action.copied_bytes)} copied, ${formatSize(action.freed_bytes)} less`] as const),
          ["Of no use before", share(report.before)],
          [isDone ? "Of no use now" : "Of no use then", share(report.after)],
          report.left_bytes > 0 && ["Left for the next time", formatSize(report.left_bytes)],
          report.unreadable.length > 0 && ["Could not be read", plural(report.unreadable.length, "pack")],
          isDone && ["Took", formatDuration(report.seconds)],
        ]}
      />
    </>
  );
}

interface VerifyResult {
  checkpoints: number;
  steps: number;
  results: number;
  chunks: number;
  packs: number;
  raw_bytes: number;
  seconds: number;
  damaged: { name: string; damage: string; known_before: boolean }[];
  damaged_packs: { pack: string; damage: string }[];
  away_packs: number;
  violations: { invariant: string; what: string }[];
}

function Verified({ report }: { report: VerifyResult }) {
  const wrong = [
    ...report.damaged.map((one) => [one.name, one.damage] as const),
    ...report.damaged_packs.map((one) => [`pack ${one.pack}`, one.damage] as const),
    ...report.violations.map((one) => [one.invariant, one.what] as const),
  ];
  return (
    <>
      <p className={classes.lead}>{wrong.length === 0 ? `Everything that was read is intact: ${formatSize(report.raw_bytes)}.` : `${plural(wrong.length, "thing")} ${wrong.length === 1 ? "is" : "are"} not as it should be.`}</p>
      <Facts
        compact
        facts={[
          ["Read", `${plural(report.checkpoints, "checkpoint")}, ${plural(report.steps, "step")}, ${plural(report.results, "result")}`],
          ["In", `${plural(report.chunks, "chunk")} of ${plural(report.packs, "pack")}`],
          report.away_packs > 0 && ["Not reachable", plural(report.away_packs, "pack")],
          ["Took", formatDuration(report.seconds)],
          ...wrong.slice(0, 100),
        ]}
      />
      {wrong.length > 0 && <p className={classes.means}>What is damaged is marked and never restored from. Repair mends what can be mended.</p>}
    </>
  );
}

function repairSentence(mended: number, lost: number, isDone: boolean): string {
  if (mended > 0) return `${isDone ? "It mended" : "It would mend"} ${plural(mended, "row")} of the index.`;
  return lost === 0 ? "There is nothing to mend." : `Nothing of it can be mended: no pack has an intact copy of ${plural(lost, "chunk")}.`;
}

function Repaired({ report, isDone }: { report: RepairReport; isDone: boolean }) {
  const mended = report.chunks + report.blocks + report.packs + report.replaced + report.released;
  return (
    <>
      <p className={classes.lead}>
        {repairSentence(mended, report.lost, isDone)}
      </p>
      <Facts
        compact
        facts={[
          report.healed.length > 0 && [isDone ? "Whole again" : "Would be whole again", plural(report.healed.length, "checkpoint")],
          report.replaced > 0 && ["Damaged, and there is an intact copy", plural(report.replaced, "chunk")],
          ["Lost", report.lost === 0 ? "nothing" : `${plural(report.lost, "chunk")} that something needs and no pack has`],
          report.unlisted.length > 0 && ["Packs that cannot be read", report.unlisted.map((one) => `${one.pack}: ${one.damage}`).join("; ")],
          report.copy != null && ["The catalog as it was", <span key="copy" className="mono">{report.copy}</span>],
          ["Took", formatDuration(report.seconds)],
        ]}
      />
    </>
  );
}
