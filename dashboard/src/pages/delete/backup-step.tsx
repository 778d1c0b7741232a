import { Alert, Button, Text, Title } from "@mantine/core";
import { IconShieldX } from "@tabler/icons-react";
import { Link } from "react-router";
import type { useJob } from "@/api/job";
import { JobProgress } from "@/ui/job-progress";
import { messageOf } from "@/ui/states";
import classes from "./delete-flow.module.css";

/** Step 2: the backup is made, or was not; then nothing was deleted. */
export function BackupStep({ job, onClose, again }: { job: ReturnType<typeof useJob>; onClose: () => void; again: () => void }) {
  const why = job.data?.state === "failed" ? job.data.error?.detail : job.isError ? messageOf(job.error) : null;
  if (why != null) return <Refused why={why} isKnown={!job.isError} onClose={onClose} again={again} />;
  return (
    <>
      <Title order={3} size="h4">
        The backup is being made
      </Title>
      <JobProgress job={job.data} doing="Making the backup" />
      <Text c="dimmed" size="sm">
        Nothing is deleted yet. You may close this: the backup goes on, and the page of backups shows it. From there you can delete its source.
      </Text>
      <div className={classes.actions}>
        <Button variant="default" onClick={onClose}>
          Close, and let it go on
        </Button>
      </div>
    </>
  );
}

function Refused(props: { why: string; isKnown: boolean; onClose: () => void; again: () => void }) {
  const { why, isKnown, onClose, again } = props;
  return (
    <>
      <Alert role="alert" color="red" icon={<IconShieldX aria-hidden />} title={isKnown ? "The backup failed. Nothing was deleted." : "It is not known what became of the backup"}>
        <Text size="sm">{why}</Text>
        <Text size="sm" mt="xs">
          {isKnown
            ? "Without a backup that was read back there is no delete. Put right what is said above (more room on the disk, rights, a source that stands still) and try again."
            : "Nothing was deleted: that is a step of its own. The page of backups shows how the backup stands."}
        </Text>
      </Alert>
      <div className={classes.actions}>
        <Button variant="default" component={Link} to="/backups" onClick={onClose}>
          To the backups
        </Button>
        <Button variant="default" onClick={onClose}>
          Close
        </Button>
        <Button onClick={again}>Try again</Button>
      </div>
    </>
  );
}
