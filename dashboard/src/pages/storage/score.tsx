import type { Health } from "@/api/documents";
import classes from "./storage.module.css";

const ROUND = 2 * Math.PI * 42;

/** 0 to 100, as a ring; its colour says the status, and so do the words beside it. */
export function Score({ score, status }: { score: number | null; status: Health["status"] }) {
  return (
    <svg viewBox="0 0 100 100" className={classes.score} data-status={status} role="img" aria-label={score === null ? "The score is not known" : `Score ${score} of 100`}>
      <circle cx="50" cy="50" r="42" className={classes.track} />
      {score !== null && <circle cx="50" cy="50" r="42" className={classes.ring} strokeDasharray={`${(ROUND * score) / 100} ${ROUND}`} transform="rotate(-90 50 50)" />}
      <text x="50" y="59" textAnchor="middle" className={classes.number}>
        {score ?? "?"}
      </text>
    </svg>
  );
}
