import { memo } from "react";
import type { Progress } from "@/api/model";
import { formatCount, formatPercent } from "@/format/number";
import classes from "./progress-bar.module.css";

/** Done and failed of the total; without a total it says that nobody knows how much there is. */
export const ProgressBar = memo(function ProgressBar(props: { progress: Progress; moving?: boolean; large?: boolean }) {
  const { progress, moving = false, large = false } = props;
  const { done, failed, total, percent } = progress;
  const failedPercent = total ? (100 * failed) / total : 0;
  return (
    <div
      className={classes.bar}
      role="progressbar"
      aria-label="progress"
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent === null ? undefined : Math.floor(percent)}
      aria-valuetext={textOf(progress)}
      data-large={large || undefined}
      data-unknown={percent === null || undefined}
      data-moving={moving || undefined}
    >
      {percent !== null && (
        <>
          <div className={classes.done} style={{ transform: `scaleX(${Math.max(0, Math.min(1, done / (total || 1)))})` }} />
          {failed > 0 && (
            <div
              className={classes.failed}
              style={{ left: `${Math.min(100, (100 * done) / (total || 1))}%`, width: `${failedPercent}%` }}
            />
          )}
        </>
      )}
    </div>
  );
});

export function textOf({ done, failed, total, percent }: Progress): string {
  const of = total === null ? "" : ` of ${formatCount(total)}`;
  const part = percent === null ? "" : `${formatPercent(percent)}, `;
  return `${part}${formatCount(done)}${of} done${failed ? `, ${formatCount(failed)} failed` : ""}`;
}
