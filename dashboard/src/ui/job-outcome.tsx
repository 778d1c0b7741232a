import { Alert, CloseButton } from "@mantine/core";
import { IconCircleCheck } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { type JobAct, JobFailed } from "@/api/job";
import classes from "./job-progress.module.css";
import { JobProgress } from "./job-progress";
import { messageOf } from "./states";

interface JobOutcomeProps<Said> {
  act: JobAct<Said>;
  doing: string;
  failed: string;
  done: (result: Record<string, unknown>) => ReactNode;
}

/** What becomes of an act that is a job, where it was asked for: its progress, its refusal, what it did. */
export function JobOutcome<Said>({ act, doing, failed, done }: JobOutcomeProps<Said>) {
  const { job, error, isBusy, forget } = act;
  if (isBusy)
    return (
      <div className={classes.outcome}>
        <JobProgress job={job} doing={doing} />
      </div>
    );
  if (error != null)
    return (
      <Alert role="alert" className={classes.outcome} color="red" title={error instanceof JobFailed ? failed : "Nothing was begun"} withCloseButton onClose={forget} closeButtonLabel="Close this note">
        {messageOf(error)}
      </Alert>
    );
  if (job?.state !== "done") return null;
  return (
    <div role="status" className={classes.outcome}>
      <Alert color="green" icon={<IconCircleCheck aria-hidden />}>
        <div className={classes.done}>
          <div>{done(job.result)}</div>
          <CloseButton size="sm" aria-label="Close this note" onClick={forget} />
        </div>
      </Alert>
    </div>
  );
}
