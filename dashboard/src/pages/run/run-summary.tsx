import type { ReactNode } from "react";
import type { RunDetail } from "@/api/model";
import { formatCount, formatPercent, formatRate } from "@/format/number";
import { formatEta } from "@/format/time";
import { ProgressBar } from "@/ui/progress-bar";
import { Ago, At, Since } from "@/ui/time";
import classes from "./run.module.css";

/** How far it is. */
export function RunSummary({ run }: { run: RunDetail }) {
  const { progress, status } = run;
  const running = status === "running";
  return (
    <section className={classes.summary} aria-label="How far it is">
      <div className={classes.percentLine}>
        <span className={classes.percent}>{progress.percent === null ? formatCount(progress.done) : formatPercent(progress.percent)}</span>
        <span className={classes.dim}>{progress.note ?? (progress.total === null ? "items; nobody knows how many there are" : `of ${formatCount(progress.total)} items`)}</span>
      </div>
      <ProgressBar progress={progress} moving={running} large />
      <dl className={classes.numbers}>
        <Fact name="Completed">{formatCount(progress.done)}</Fact>
        <Fact name="Failed" bad={progress.failed > 0}>
          {formatCount(progress.failed)}
        </Fact>
        <Fact name="Pending">{progress.total === null ? "unknown" : formatCount(Math.max(0, progress.total - progress.done - progress.failed))}</Fact>
        {running && <Fact name="Rate">{run.rate === null ? "measuring" : formatRate(run.rate)}</Fact>}
        {running && <Fact name="Time to go">{run.eta === null ? "unknown" : formatEta(run.eta)}</Fact>}
        <Fact name="Begun">
          <At at={run.created} />
        </Fact>
        <Fact name={running ? "Newest commit" : "Last update"}>
          <Ago at={run.updated} />
        </Fact>
        <Fact name="Belongs to">{run.account ?? "nobody that is known"}</Fact>
        <Fact name={run.owner?.alive ? "Works on it" : "Entered"}>{ownerOf(run)}</Fact>
      </dl>
      {run.error && <RunError error={run.error} />}
    </section>
  );
}

function ownerOf(run: RunDetail): ReactNode {
  if (!run.owner?.alive) return run.entered === 1 ? "once" : `${formatCount(run.entered)} times`;
  return (
    <>
      pid {run.owner.pid} on {run.owner.host}, for <Since at={run.owner.since} />
    </>
  );
}

function Fact({ name, bad, children }: { name: string; bad?: boolean; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd data-bad={bad || undefined}>{children}</dd>
    </div>
  );
}

export function RunError({ error }: { error: NonNullable<RunDetail["error"]> }) {
  return (
    <div className={classes.error}>
      <strong>{error.type}</strong>: {error.message}
      <div className={classes.dim}>
        {error.where && <span className="mono">{error.where}</span>}
        {error.item && ` · at item ${error.item}`}
      </div>
      {error.traceback && <Traceback text={error.traceback} />}
    </div>
  );
}

export function Traceback({ text }: { text: string }) {
  return (
    <details className={classes.fold}>
      <summary>Traceback</summary>
      {/* Scrolled by the keyboard, too. */}
      <pre className={classes.trace} tabIndex={0} aria-label="Traceback">
        {text}
      </pre>
    </details>
  );
}
