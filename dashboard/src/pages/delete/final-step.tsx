import { Alert, Button, Text, TextInput, Title } from "@mantine/core";
import { IconShieldCheck } from "@tabler/icons-react";
import { type FormEvent, useId, useState } from "react";
import { useBackup, type useDeleteSource } from "@/api/backups";
import type { Question } from "@/api/documents";
import type { useJob } from "@/api/job";
import { JobProgress } from "@/ui/job-progress";
import { ErrorState, messageOf, Skeleton } from "@/ui/states";
import { BackupFacts } from "../backups/backup-facts";
import classes from "./delete-flow.module.css";
import { QuestionFacts } from "./question-facts";

interface FinalStepProps {
  backup: string;
  /** As the job told it; null for a backup that was there already. */
  question: Question | null;
  remove: ReturnType<typeof useDeleteSource>;
  job: ReturnType<typeof useJob>;
  onClose: () => void;
  anew: () => void;
}

/** Step 3: typed, and then the delete itself. */
export function FinalStep({ backup: id, question, remove, job, onClose, anew }: FinalStepProps) {
  const backup = useBackup(id);
  const [typed, setTyped] = useState("");
  const label = useId();
  const refused = remove.error ? messageOf(remove.error) : job.data?.state === "failed" ? job.data.error?.detail : job.isError ? messageOf(job.error) : null;
  if (backup.isError) return <ErrorState error={backup.error} again={() => void backup.refetch()} />;
  if (!backup.data) return <Skeleton rows={6} />;
  if (remove.data && refused == null) return <Deleting job={job} onClose={onClose} />;

  const { data } = backup;
  const matches = typed.trim() === data.label.trim();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    event.stopPropagation();
    if (matches) remove.mutate({ backup: id, confirm: data.label });
  };
  return (
    <form className={classes.step} onSubmit={submit}>
      <Title order={3} size="h4" className={classes.title}>
        <IconShieldCheck size={20} aria-hidden /> {question?.title ?? "The backup is whole"}
      </Title>
      {question ? <QuestionFacts facts={question.facts} /> : <BackupFacts backup={data} />}
      <Text fw={600}>{question?.ask ?? "Delete exactly what it holds now?"}</Text>
      <div>
        <Text size="sm" id={label}>
          To confirm, type this:
        </Text>
        <code className={classes.label}>{data.label}</code>
      </div>
      <TextInput
        label="What is to be deleted"
        aria-describedby={label}
        autoComplete="off"
        spellCheck={false}
        value={typed}
        onChange={(event) => setTyped(event.currentTarget.value)}
        error={typed.length >= data.label.length && !matches && "That is not the same."}
      />
      <div role="alert">
        {refused != null && (
          <Alert color="red" title="The delete did not go through">
            {refused}
          </Alert>
        )}
      </div>
      <div className={classes.actions}>
        <Button variant="default" onClick={onClose}>
          Keep everything
        </Button>
        {refused != null && (
          <Button variant="default" onClick={anew}>
            Back it up anew
          </Button>
        )}
        <Button type="submit" color="red.8" loading={remove.isPending} disabled={!matches}>
          Delete now
        </Button>
      </div>
    </form>
  );
}

function Deleting({ job, onClose }: { job: ReturnType<typeof useJob>; onClose: () => void }) {
  return (
    <>
      <Title order={3} size="h4">
        Deleting
      </Title>
      <JobProgress job={job.data} doing="Deleting what the backup holds" />
      <Text c="dimmed" size="sm">
        The backup has all of it. You may close this; the delete goes on.
      </Text>
      <div className={classes.actions}>
        <Button variant="default" onClick={onClose}>
          Close, and let it go on
        </Button>
      </div>
    </>
  );
}
