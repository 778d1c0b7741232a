import { Alert, Button, Select, Title } from "@mantine/core";
import { IconShieldCheck } from "@tabler/icons-react";
import { useState } from "react";
import { type useMakeBackup, usePlan } from "@/api/backups";
import type { BackupSource } from "@/api/documents";
import { ErrorState, messageOf, Skeleton } from "@/ui/states";
import classes from "./delete-flow.module.css";
import { KEEPS } from "./keeps";
import { QuestionFacts } from "./question-facts";

/** Step 1: what there is, and for how long the backup would stay. */
export function PlanStep(props: { source: BackupSource | null; make: ReturnType<typeof useMakeBackup>; onClose: () => void }) {
  const { source, make, onClose } = props;
  const [keep, setKeep] = useState<string | null>(null);
  const plan = usePlan(source, keep);
  if (plan.isError) return <ErrorState error={plan.error} again={() => void plan.refetch()} />;
  if (!plan.data || !source) return <Skeleton rows={6} label="Counting what there is" />;
  return (
    <>
      <Title order={3} size="h4">
        {plan.data.title}
      </Title>
      <QuestionFacts facts={plan.data.facts} />
      <Select
        label="Keep the backup"
        description="Until then everything can be brought back. You can change it later."
        data={KEEPS}
        value={keep ?? ""}
        onChange={(value) => setKeep(value || null)}
        allowDeselect={false}
        checkIconPosition="right"
      />
      <p className={classes.note}>
        <IconShieldCheck size={18} aria-hidden />
        First a backup is made, stored durably, read back and compared. If any of that fails, nothing is deleted.
      </p>
      <div role="alert">{make.error && <Alert color="red" title="Nothing was begun">{messageOf(make.error)}</Alert>}</div>
      <div className={classes.actions}>
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
        <Button loading={make.isPending} onClick={() => make.mutate({ source, keep })}>
          Make the backup
        </Button>
      </div>
    </>
  );
}
