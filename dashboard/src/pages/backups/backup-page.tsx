import { Alert } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconAlertTriangle, IconInfoCircle } from "@tabler/icons-react";
import { useParams } from "react-router";
import { useBackup } from "@/api/backups";
import type { Backup } from "@/api/documents";
import { useMay } from "@/session/session";
import { Command } from "@/ui/command";
import { Page, Section } from "@/ui/page";
import { ErrorState, Skeleton } from "@/ui/states";
import { BackupActs } from "./backup-acts";
import { BackupBadge, isWhole } from "./backup-badge";
import { BackupFacts } from "./backup-facts";
import classes from "./backups.module.css";
import { Contents } from "./contents";

export default function BackupPage() {
  const { backup: id } = useParams();
  const backup = useBackup(id);
  if (backup.isError && !backup.data)
    return (
      <Page title="Backup">
        <ErrorState error={backup.error} again={() => void backup.refetch()} />
      </Page>
    );
  if (!backup.data)
    return (
      <Page title="Backup">
        <Skeleton label="Loading the backup" />
      </Page>
    );
  return <Loaded backup={backup.data} />;
}

function Loaded({ backup }: { backup: Backup }) {
  const isOperator = useMay("operator");
  const note = (
    <div className={classes.note}>
      <BackupBadge backup={backup} />
      <span>{backup.word}</span>
    </div>
  );
  return (
    <Page title={backup.label} tab={`Backup of ${backup.label}`} note={note}>
      {backup.error !== null && (
        <WhatHappened backup={backup} error={backup.error} />
      )}
      {backup.may_touch && isOperator && <BackupActs backup={backup} />}
      <div className={classes.columns}>
        <Section title="What is known of it">
          <div className={classes.body}>
            <BackupFacts backup={backup} />
          </div>
        </Section>
        <NextSteps backup={backup} may={backup.may_touch && isOperator} />
      </div>
      {isWhole(backup) && (backup.may_touch ? <Contents backup={backup} /> : <NotYours owner={backup.owner} />)}
    </Page>
  );
}

/** `error` also has what became of a delete or a restore: no fault by itself. */
function WhatHappened({ backup: { state, is_interrupted }, error }: { backup: Backup; error: string }) {
  const [color, title] = state === "failed" ? ["red", "It failed. Its source was not deleted with it."] : [is_interrupted ? "orange" : "gray", "What happened last"];
  return (
    <Alert color={color} icon={state === "failed" ? <IconAlertTriangle aria-hidden /> : <IconInfoCircle aria-hidden />} title={title} mb="md">
      {error}
    </Alert>
  );
}

function NextSteps({ backup, may }: { backup: Backup; may: boolean }) {
  const [all, { toggle }] = useDisclosure(false);
  if (backup.next_steps.length === 0) return null;
  const steps = all ? backup.next_steps : backup.next_steps.slice(0, 2);
  return (
    <Section title={may ? "The same in a shell" : "What can be done"}>
      <div className={classes.body}>
        {!may && <p className={classes.for}>By {backup.owner}, who made it, as an operator, or by an admin:</p>}
        <ul className={classes.steps}>
          {steps.map((step) => (
            <li key={step.command}>
              <p className={classes.where}>{step.what}</p>
              <Command line={step.command} />
            </li>
          ))}
        </ul>
        {backup.next_steps.length > 2 && (
          <p>
            <button type="button" className={classes.plain} onClick={toggle} aria-expanded={all}>
              {all ? "Fewer" : `${backup.next_steps.length - 2} more`}
            </button>
          </p>
        )}
      </div>
    </Section>
  );
}

function NotYours({ owner }: { owner: string }) {
  return (
    <Section title="Contents">
      <div className={classes.body}>What it holds is for {owner}, who made it, and for admins.</div>
    </Section>
  );
}
